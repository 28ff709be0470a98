// Package wiretest makes servers and targets for tests: TLS, raw bytes, metrics pages.
package wiretest

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// Page serves a metrics page.
func Page(t *testing.T, serve http.HandlerFunc) string {
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return server.URL
}

// Text answers with a text.
func Text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
}

// Listen serves connections on loopback, each by serve, until the test ends.
func Listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// Answering reads a request's head and writes raw bytes.
func Answering(raw string) func(net.Conn) {
	return func(conn net.Conn) {
		_ = Head(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, raw)
	}
}

// Head reads up to and with the empty line.
func Head(in *bufio.Reader) string {
	var all strings.Builder
	for {
		line, err := in.ReadString('\n')
		all.WriteString(line)
		if err != nil || line == "\r\n" {
			return all.String()
		}
	}
}

// Target is a target with one face.
func Target(url string, roots []byte) *harness.Target {
	return &harness.Target{Run: "run", Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: url, RootCAs: roots}}}
}

// PlainTarget is a target of plain HTTP.
func PlainTarget(address string) *harness.Target { return Target("http://"+address, nil) }

// Post is a call that carries a probe's ID.
func Post(path string) harness.Request {
	return harness.Request{Mode: harness.OIDC, Method: "POST", Path: path,
		Fields: []harness.Field{{Name: "Host", Value: "aegis.test"}, {Name: harness.ProbeHeader, Value: "run-1"}}}
}

// Within bounds a test whose subject hangs.
func Within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Authority issues the certificates of a test.
func Authority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority("Test authority")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Leaf is a certificate of an authority for a name.
func Leaf(t *testing.T, a *certs.Authority, cn string) certs.Pair {
	t.Helper()
	p, err := a.Issue(certs.Leaf{CommonName: cn})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ServerTLS is a server's configuration for 127.0.0.1, and its trust anchor.
func ServerTLS(t *testing.T) (*tls.Config, []byte) {
	t.Helper()
	a := Authority(t)
	p, err := a.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{p.TLS()}}, a.RootPEM()
}

// Serve serves a handler over TLS.
func Serve(t *testing.T, handler http.HandlerFunc) *harness.Target {
	t.Helper()
	config, roots := ServerTLS(t)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return Target(server.URL, roots)
}
