package probe

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

// listen serves connections on loopback, each by serve, until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
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

// answering reads a request's head and writes raw bytes.
func answering(raw string) func(net.Conn) {
	return func(conn net.Conn) {
		_ = head(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, raw)
	}
}

// head reads up to and with the empty line.
func head(in *bufio.Reader) string {
	var all strings.Builder
	for {
		line, err := in.ReadString('\n')
		all.WriteString(line)
		if err != nil || line == "\r\n" {
			return all.String()
		}
	}
}

// face is a target with one face.
func face(url string, roots []byte) *harness.Target {
	return &harness.Target{Run: "run", Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: url, RootCAs: roots}}}
}

func plainFace(address string) *harness.Target { return face("http://"+address, nil) }

func post(path string) harness.Request {
	return harness.Request{Mode: harness.OIDC, Method: "POST", Path: path, Fields: []harness.Field{{Name: "Host", Value: "aegis.test"}, {Name: harness.ProbeHeader, Value: "run-1"}}}
}

// within bounds a test whose subject hangs.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// authority issues the certificates of a test.
func authority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority("Test authority")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func leaf(t *testing.T, a *certs.Authority, cn string) certs.Pair {
	t.Helper()
	p, err := a.Issue(certs.Leaf{CommonName: cn})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serverTLS is a server's configuration for 127.0.0.1, and its trust anchor.
func serverTLS(t *testing.T) (*tls.Config, []byte) {
	t.Helper()
	a := authority(t)
	p, err := a.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{p.TLS()}}, a.RootPEM()
}

// httpsFace serves a handler over TLS.
func httpsFace(t *testing.T, handler http.HandlerFunc) *harness.Target {
	t.Helper()
	config, roots := serverTLS(t)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return face(server.URL, roots)
}

// hands send without controls and without pace.
type hands struct{ target *harness.Target }

// on are hands on a target.
func on(t *harness.Target) harness.Hands { return hands{t} }

func (h hands) Target() *harness.Target { return h.target }

func (h hands) Send(ctx context.Context, r harness.Request) harness.Exchange {
	return harness.Exchange{Request: r, Observation: Send(ctx, h.target, r)}
}

func (h hands) SendAtOnce(ctx context.Context, requests []harness.Request) []harness.Exchange {
	return h.SendAll(ctx, requests)
}

func (h hands) SendAll(ctx context.Context, requests []harness.Request) []harness.Exchange {
	var all []harness.Exchange
	for _, r := range requests {
		all = append(all, h.Send(ctx, r))
	}
	return all
}

func (h hands) SendTogether(ctx context.Context, requests []harness.Request) []harness.Exchange {
	var all []harness.Exchange
	for i, seen := range SendTogether(ctx, h.target, requests) {
		all = append(all, harness.Exchange{Request: requests[i], Observation: seen})
	}
	return all
}

func (h hands) Patience(bound time.Duration) func() bool {
	began := time.Now()
	return func() bool { return time.Since(began) > bound }
}

func (h hands) Hold(like harness.Request) harness.Held { return kept{Hold(h.target, like)} }

type kept struct{ *Held }

func (c kept) Send(ctx context.Context, r harness.Request) harness.Exchange {
	return harness.Exchange{Request: r, Observation: c.Held.Send(ctx, r)}
}

func (h hands) Scrape(ctx context.Context, url string) (map[string]harness.Family, error) {
	return Scrape(ctx, http.DefaultClient, url)
}
