package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

// serveH3 serves by HTTP/3 until the test's end, and gives where.
func serveH3(t *testing.T, config *tls.Config, h http.HandlerFunc) string {
	t.Helper()
	at := udp(t)
	server := &http3.Server{TLSConfig: config, Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(at) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = at.Close()
		<-served
	})
	return at.LocalAddr().String()
}

// udp is a port of UDP that says nothing of its own.
func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	at, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = at.Close() })
	return at
}

func byH3() harness.Request {
	r := wiretest.Post("/predict")
	r.Protocol = H3
	return r
}

func TestHTTP3IsCalled(t *testing.T) {
	server, roots := wiretest.ServerTLS(t)
	at := serveH3(t, server, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Probe", r.Header.Get(harness.ProbeHeader))
		w.WriteHeader(http.StatusUnauthorized)
	})
	requests := []harness.Request{byH3(), byH3()}
	for i, seen := range SendTogether(wiretest.Within(t, 10*time.Second), wiretest.Target("https://"+at, roots), requests) {
		if seen.Status != 401 || seen.ALPN != H3 || seen.TLSVersion != tls.VersionTLS13 || seen.Header.Get("X-Probe") != "run-1" {
			t.Errorf("call %d: %d %s by %q over %x, %v: want 401 by h3 over TLS 1.3", i, seen.Status, seen.Detail, seen.ALPN, seen.TLSVersion, seen.Header)
		}
	}
	target := wiretest.Target("https://192.0.2.1", roots)
	face := target.Faces[harness.OIDC]
	face.Connect, face.Host = at, "127.0.0.1"
	target.Faces[harness.OIDC] = face
	if seen := Send(wiretest.Within(t, 10*time.Second), target, byH3()); seen.Status != 401 {
		t.Errorf("at the address to connect to: %d %s, want 401", seen.Status, seen.Detail)
	}
}

func TestHTTP3ClientCertificates(t *testing.T) {
	authority, err := certs.NewAuthority("clients")
	if err != nil {
		t.Fatal(err)
	}
	own, err := authority.Issue(certs.Leaf{CommonName: "enrolled"})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := certs.NewAuthority("stranger")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := stranger.Issue(certs.Leaf{CommonName: "enrolled"})
	if err != nil {
		t.Fatal(err)
	}
	server, roots := wiretest.ServerTLS(t)
	server = server.Clone()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	server.ClientCAs.AddCert(authority.Pair().Certificate)
	at := serveH3(t, server, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.TLS.PeerCertificates[0].Subject.CommonName))
	})
	ownTLS, foreignTLS := own.TLS(), foreign.TLS()
	for name, row := range map[string]struct {
		certificate *tls.Certificate
		status      int
		want        harness.Transport
	}{
		"its own": {&ownTLS, 200, harness.Answered}, "none": {nil, 0, harness.Alert}, "a stranger's": {&foreignTLS, 0, harness.Alert},
	} {
		r := byH3()
		r.Certificate = row.certificate
		seen := Send(wiretest.Within(t, 10*time.Second), wiretest.Target("https://"+at, roots), r)
		if seen.Status != row.status || seen.Transport != row.want || row.want == harness.Alert && seen.AlertCode == 0 {
			t.Errorf("%s: %d, %q, alert %d (%s), want %d, %q", name, seen.Status, seen.Transport, seen.AlertCode, seen.Detail, row.status, row.want)
		}
	}
}

func TestHTTP3TransportOutcomes(t *testing.T) {
	server, roots := wiretest.ServerTLS(t)
	closed := udp(t)
	_ = closed.Close()
	other := server.Clone()
	otherAt := serveOther(t, other)
	untrusting := withoutRoots(wiretest.Target("https://"+serveH3(t, server, func(http.ResponseWriter, *http.Request) {}), roots))
	stalled := serveH3(t, server, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	silent := udp(t).LocalAddr().String()
	proxied := wiretest.Target("https://"+stalled, roots)
	face := proxied.Faces[harness.OIDC]
	face.Proxy = "http://127.0.0.1:1"
	proxied.Faces[harness.OIDC] = face
	for name, row := range map[string]struct {
		target *harness.Target
		want   harness.Transport
		within time.Duration
	}{
		"nobody listens":     {wiretest.Target("https://"+closed.LocalAddr().String(), roots), harness.Unoffered, time.Second},
		"another protocol":   {wiretest.Target("https://"+otherAt, roots), harness.Unoffered, time.Second},
		"server not trusted": {untrusting, harness.Untrusted, time.Second},
		"no answer":          {wiretest.Target("https://"+stalled, roots), harness.TimeOut, 3 * time.Second},
		"through a proxy":    {proxied, harness.Unoffered, time.Second},
		"in the clear":       {wiretest.PlainTarget(stalled), harness.Unoffered, time.Second},
	} {
		began := time.Now()
		seen := Send(wiretest.Within(t, 2*time.Second), row.target, byH3())
		if took := time.Since(began); seen.Transport != row.want || took > row.within {
			t.Errorf("%s: %q after %v (%s), want %q within %v", name, seen.Transport, took, seen.Detail, row.want, row.within)
		}
	}
	for _, within := range []time.Duration{4 * time.Second, 100 * time.Millisecond} { // it is waited for once
		began := time.Now()
		seen := Send(wiretest.Within(t, 10*time.Second), wiretest.Target("https://"+silent, roots), byH3())
		if took := time.Since(began); seen.Transport != harness.Unoffered || took > within {
			t.Errorf("silence: %q after %v (%s), want %q within %v", seen.Transport, took, seen.Detail, harness.Unoffered, within)
		}
	}
}

// serveOther serves what is no HTTP by QUIC.
func serveOther(t *testing.T, config *tls.Config) string {
	t.Helper()
	config.NextProtos = []string{"doq"}
	l, err := quic.ListenAddr("127.0.0.1:0", config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestHTTP3AnswersAreBounded(t *testing.T) {
	server, roots := wiretest.ServerTLS(t)
	at := serveH3(t, server, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/head" {
			w.Header().Set("X-Long", string(bytes.Repeat([]byte("x"), 2*maxHead)))
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 32<<10)); err != nil {
				return
			}
		}
	})
	target := wiretest.Target("https://"+at, roots)
	r := byH3()
	seen := Send(wiretest.Within(t, 10*time.Second), target, r)
	if seen.Status != 200 || !seen.Truncated || len(seen.Body) != harness.MaxBody {
		t.Errorf("a body without end: %d, %d bytes, truncated %v (%s)", seen.Status, len(seen.Body), seen.Truncated, seen.Detail)
	}
	r.Path = "/head"
	if seen := Send(wiretest.Within(t, 10*time.Second), target, r); seen.Status != 0 || seen.Transport == harness.Answered {
		t.Errorf("a head of twice what is read: %d %q (%s), want no answer", seen.Status, seen.Transport, seen.Detail)
	}
}
