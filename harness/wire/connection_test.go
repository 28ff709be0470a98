package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

func TestTransportOutcomes(t *testing.T) {
	_, roots := wiretest.ServerTLS(t)
	closing := wiretest.Listen(t, goodbye)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	hold := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for name, row := range map[string]struct {
		target *harness.Target
		want   harness.Transport
	}{
		"nobody listens":           {wiretest.PlainTarget(closed.Addr().String()), harness.Refused},
		"closed at once":           {wiretest.PlainTarget(closing), harness.EOF},
		"closed at once under TLS": {wiretest.Target("https://"+closing, roots), harness.EOF},
		"closed after the request": {wiretest.PlainTarget(wiretest.Listen(t, wiretest.Answering(""))), harness.EOF},
		"reset":                    {wiretest.PlainTarget(wiretest.Listen(t, reset)), harness.Reset},
		"no answer":                {wiretest.PlainTarget(wiretest.Listen(t, hold)), harness.TimeOut},
		"no answer under TLS":      {wiretest.Target("https://"+wiretest.Listen(t, hold), roots), harness.TimeOut},
		"name does not resolve":    {wiretest.Target("https://aegis-conformance.invalid", nil), harness.DNS},
		"server not trusted":       {withoutRoots(wiretest.Serve(t, func(http.ResponseWriter, *http.Request) {})), harness.Untrusted},
		"no HTTP":                  {wiretest.PlainTarget(wiretest.Listen(t, wiretest.Answering("SSH-2.0-OpenSSH_9.2\r\n"))), harness.Malformed},
		"half a status line":       {wiretest.PlainTarget(wiretest.Listen(t, wiretest.Answering("HTTP/1.1 20"))), harness.Malformed},
		"half a head": {wiretest.PlainTarget(wiretest.Listen(t, wiretest.Answering("HTTP/1.1 200 OK\r\nServer: x\r\n"))),
			harness.Malformed},
		"negative length": {wiretest.PlainTarget(wiretest.Listen(t,
			wiretest.Answering("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"))), harness.Malformed},
		"escape in a field": {wiretest.PlainTarget(wiretest.Listen(t, wiretest.Answering("HTTP/1.1 200 OK\r\nX: \x1b[31m\r\n\r\n"))),
			harness.Malformed},
		"answered": {wiretest.PlainTarget(wiretest.Listen(t,
			wiretest.Answering("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"))), harness.Answered},
		"half a head, then silence": {wiretest.PlainTarget(wiretest.Listen(t,
			func(c net.Conn) { wiretest.Answering("HTTP/1.1 200 OK\r\n")(c); hold(c) })), harness.TimeOut},
		"no face": {&harness.Target{}, harness.Broken},
		"no TLS on a TLS port": {wiretest.Target("https://"+wiretest.Listen(t, func(c net.Conn) {
			_, _ = io.WriteString(c,
				"HTTP/1.1 400 Bad Request\r\n\r\n")
			hold(c)
		}), roots), harness.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 20 * time.Second
			if row.want == harness.TimeOut {
				limit = 200 * time.Millisecond
			}
			seen := Send(wiretest.Within(t, limit), row.target, wiretest.Post("/predict"))
			if seen.Transport != row.want {
				t.Errorf("transport %q (%s), want %q", seen.Transport, seen.Detail, row.want)
			}
			if row.want != harness.Answered && (seen.Status != 0 || seen.Detail == "") {
				t.Errorf("status %d and detail %q of no answer", seen.Status, seen.Detail)
			}
			if seen.ProbeID != "run-1" || seen.At.IsZero() {
				t.Errorf("probe %q at %v, want the request's", seen.ProbeID, seen.At)
			}
		})
	}
}

func withoutRoots(t *harness.Target) *harness.Target {
	f := t.Faces[harness.OIDC]
	f.RootCAs = nil
	t.Faces[harness.OIDC] = f
	return t
}

// goodbye ends a connection by FIN: what is unread at the end would make it RST.
func goodbye(conn net.Conn) {
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

// reset reads the request and ends the connection with RST.
func reset(conn net.Conn) {
	_ = wiretest.Head(bufio.NewReader(conn))
	_ = conn.(*net.TCPConn).SetLinger(0)
}

// demanding serves TLS to who shows any certificate, naming an authority, and
// reads on after an alert, so that no RST overtakes it.
func demanding(t *testing.T, version uint16) (*harness.Target, *x509.CertPool) {
	config, roots := wiretest.ServerTLS(t)
	config.MinVersion, config.MaxVersion = version, version
	config.ClientAuth = tls.RequireAnyClientCert
	config.ClientCAs = x509.NewCertPool()
	address := wiretest.Listen(t, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		if conn.Handshake() != nil {
			_, _ = io.Copy(io.Discard, raw)
			return
		}
		_ = wiretest.Head(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-CN: "+conn.ConnectionState().PeerCertificates[0].Subject.CommonName+"\r\nContent-Length: 0\r\n\r\n")
	})
	return wiretest.Target("https://"+address, roots), config.ClientCAs
}

// TestCertificates: a missing certificate is answered by an alert in either TLS
// version, and one is presented even to a server that names other authorities.
func TestCertificates(t *testing.T) {
	for version, code := range map[uint16]uint8{tls.VersionTLS12: 40, tls.VersionTLS13: 116} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			target, named := demanding(t, version)
			other, err := certs.NewAuthority("Another authority")
			if err != nil {
				t.Fatal(err)
			}
			named.AddCert(other.Pair().Certificate)
			seen := Send(wiretest.Within(t, 20*time.Second), target, wiretest.Post("/"))
			if seen.Transport != harness.Alert || seen.AlertCode != code {
				t.Errorf("without a certificate: %q %d (%s), want alert %d", seen.Transport, seen.AlertCode, seen.Detail, code)
			}
			r := wiretest.Post("/")
			pair := wiretest.Leaf(t, wiretest.Authority(t), "caller").TLS()
			r.Certificate = &pair
			seen = Send(wiretest.Within(t, 20*time.Second), target, r)
			if seen.Status != 200 || seen.Header.Get("X-CN") != "caller" {
				t.Errorf("of an authority not named: %d %q %s, want it presented", seen.Status, seen.Transport, seen.Detail)
			}
			if seen.TLSVersion != version || len(seen.Peer) != 64 || seen.Handshake == 0 {
				t.Errorf("saw %s of peer %q after %v", tls.VersionName(seen.TLSVersion), seen.Peer, seen.Handshake)
			}
		})
	}
}

// TestVersionBounds: a server that does not speak the version says so by alert
// 70, which is no refusal of a credential.
func TestVersionBounds(t *testing.T) {
	target, _ := demanding(t, tls.VersionTLS13)
	r := wiretest.Post("/")
	r.MinTLS, r.MaxTLS = tls.VersionTLS12, tls.VersionTLS12
	if seen := Send(wiretest.Within(t, 20*time.Second), target, r); seen.Transport != harness.Alert || seen.AlertCode != 70 {
		t.Errorf("%q %d, want alert 70", seen.Transport, seen.AlertCode)
	}
}

func TestServerName(t *testing.T) {
	var sni atomic.Value
	config, roots := wiretest.ServerTLS(t)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		sni.Store(hello.ServerName)
		return nil, nil
	}
	target := wiretest.Target("https://"+wiretest.Listen(t, func(raw net.Conn) { _ = tls.Server(raw, config).Handshake() }), roots)
	for _, row := range []struct{ host, asked, want string }{
		{"", "", ""}, {"aegis.test", "", "aegis.test"}, {"aegis.test", "other.test", "other.test"},
	} {
		f := target.Faces[harness.OIDC]
		f.Host = row.host
		target.Faces[harness.OIDC] = f
		r := wiretest.Post("/")
		r.SNI = row.asked
		Send(wiretest.Within(t, 20*time.Second), target, r)
		if sni.Load() != row.want {
			t.Errorf("host %q, asked %q: SNI %q, want %q", row.host, row.asked, sni.Load(), row.want)
		}
	}
}

// TestWireBytes: what is sent is what was drafted, with Content-Length and
// Connection and nothing else.
func TestWireBytes(t *testing.T) {
	got := make(chan string, 1)
	address := wiretest.Listen(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		text := wiretest.Head(in)
		if strings.Contains(text, "Content-Length: 7\r\n") {
			body := make([]byte, 7)
			_, _ = io.ReadFull(in, body)
			text += string(body)
		}
		got <- text
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No\r\n\r\n")
	})
	r := harness.Request{Mode: harness.OIDC, Method: "pOsT", Path: "//a/../%70redict?x=%zz", Fields: []harness.Field{
		{Name: "zz-last", Value: "1"}, {Name: "Host", Value: "h"}, {Name: "x-ssl-client-cn", Value: "a"}, {Name: "X-SSL-Client-CN",
			Value: " b "}, {Name: "x_ssl_client_cn", Value: ""},
	}}
	fields := "zz-last: 1\r\nHost: h\r\nx-ssl-client-cn: a\r\nX-SSL-Client-CN:  b \r\nx_ssl_client_cn: \r\n"
	for body, want := range map[string]string{
		"":          "pOsT //a/../%70redict?x=%zz HTTP/1.1\r\n" + fields + "Connection: close\r\n\r\n",
		"{\"a\":1}": "pOsT //a/../%70redict?x=%zz HTTP/1.1\r\n" + fields + "Content-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}",
	} {
		r.Body = []byte(body)
		seen := Send(wiretest.Within(t, 20*time.Second), wiretest.PlainTarget(address), r)
		if text := <-got; text != want || seen.Status != 204 {
			t.Errorf("answered %d; sent %q, want %q", seen.Status, text, want)
		}
	}
}

// flood writes text until nobody reads, and counts what went out.
func flood(begin, text string, sent *atomic.Int64) func(net.Conn) {
	return func(conn net.Conn) {
		_ = wiretest.Head(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, begin)
		text := strings.Repeat(text, 1+4096/len(text))
		for {
			n, err := io.WriteString(conn, text)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// TestFloods: whatever a target pours out, little of it is read. What a socket
// buffers is the kernel's, some MiB.
func TestFloods(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, row := range map[string]struct {
		begin, text string
		transport   harness.Transport
		status      int
	}{
		"body":                   {ok + "\r\n", "x", harness.Answered, 200},
		"body of a length":       {ok + "Content-Length: 1099511627776\r\n\r\n", "x", harness.Answered, 200},
		"chunks":                 {ok + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", harness.Answered, 200},
		"chunk extension":        {ok + "Transfer-Encoding: chunked\r\n\r\n1;", "x", harness.Answered, 200},
		"trailers":               {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", harness.Answered, 200},
		"header fields":          {ok, "X-Flood: y\r\n", harness.Malformed, 0},
		"one header field":       {ok + "X-Flood: ", "y", harness.Malformed, 0},
		"folded header field":    {ok + "X-Flood: y\r\n", " y\r\n", harness.Malformed, 0},
		"status line":            {"HTTP/1.1 200 ", "OK", harness.Malformed, 0},
		"interim answers":        {"", "HTTP/1.1 100 Continue\r\n\r\n", harness.Malformed, 0},
		"interim with fields":    {"", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", harness.Malformed, 0},
		"lines without an end":   {"", "\r\n", harness.Malformed, 0},
		"bytes that are no HTTP": {"", "\x00\xff", harness.Malformed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			seen := Send(wiretest.Within(t, 20*time.Second), wiretest.PlainTarget(wiretest.Listen(t, flood(row.begin, row.text, &sent))),
				wiretest.Post("/"))
			if seen.Transport != row.transport || seen.Status != row.status {
				t.Errorf("%q %d (%s), want %q %d", seen.Transport, seen.Status, seen.Detail, row.transport, row.status)
			}
			if row.status != 0 && !seen.Truncated {
				t.Error("an answer without an end is not truncated")
			}
			if len(seen.Body) > harness.MaxBody || len(seen.Detail) > 1<<10 {
				t.Errorf("kept %d bytes of body and %d of detail", len(seen.Body), len(seen.Detail))
			}
			if sent.Load() > 32<<20 {
				t.Errorf("read %d MiB of a flood", sent.Load()>>20)
			}
		})
	}
}

// TestDrip: a target that answers a byte at a time holds nobody past the
// deadline, nor past an interrupt.
func TestDrip(t *testing.T) {
	drip := func(begin string) *harness.Target {
		return wiretest.PlainTarget(wiretest.Listen(t, func(conn net.Conn) {
			_ = wiretest.Head(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, begin)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
			}
		}))
	}
	seen := Send(wiretest.Within(t, 200*time.Millisecond), drip("HTTP/1.1 200 OK\r\nX: "), wiretest.Post("/"))
	if seen.Transport != harness.TimeOut {
		t.Errorf("in the head: %q, want a time-out", seen.Transport)
	}
	seen = Send(wiretest.Within(t, 200*time.Millisecond), drip("HTTP/1.1 401 No\r\n\r\n"), wiretest.Post("/"))
	if seen.Status != 401 || !seen.Truncated {
		t.Errorf("in the body: %d, truncated %v, want 401 and truncated", seen.Status, seen.Truncated)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, interrupt)
	if seen = Send(ctx, drip("HTTP/1.1 200 OK\r\nX: "), wiretest.Post("/")); seen.Transport != harness.TimeOut {
		t.Errorf("interrupted: %q, want a time-out", seen.Transport)
	}
}

// TestBodiesAsTheyCame: nothing is inflated, decoded or repaired.
func TestBodiesAsTheyCame(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 8<<20))
	_ = z.Close()
	hostile := "\x1b[2J\x1b]0;owned\x07\xff\xfe\xc0\x80\u202e<script>\x00"
	for name, row := range map[string]struct {
		raw, body string
		truncated bool
	}{
		"gzip bomb":        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb.String(), bomb.String(), false},
		"terminal escapes": {"HTTP/1.1 200 OK\r\nX-Evil: \xff\xfe\r\n\r\n" + hostile, hostile, false},
		"broken chunks":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n", "abc", true},
		"cut off":          {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "abc", true},
		"interim first":    {"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", false},
	} {
		t.Run(name, func(t *testing.T) {
			seen := Send(wiretest.Within(t, 20*time.Second), wiretest.PlainTarget(wiretest.Listen(t, wiretest.Answering(row.raw))),
				wiretest.Post("/"))
			if seen.Status != 200 || string(seen.Body) != row.body || seen.Truncated != row.truncated {
				t.Errorf("%d, %d bytes, truncated %v (%s); want 200, %d bytes, %v", seen.Status, len(seen.Body), seen.Truncated, seen.Detail,
					len(row.body), row.truncated)
			}
			if strings.Contains(row.raw, "X-Evil") && seen.Header.Get("X-Evil") != "\xff\xfe" {
				t.Errorf("header field %q, want its bytes", seen.Header.Get("X-Evil"))
			}
		})
	}
}

func TestTogether(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, row := range map[string]struct {
		answers []string // one per request; the connection ends after the last
		want    []harness.Transport
	}{
		"kept alive":     {[]string{answer, answer, answer}, []harness.Transport{"", "", ""}},
		"closed as said": {[]string{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"}, []harness.Transport{"", harness.Broken, harness.Broken}},
		"closed unsaid":  {[]string{answer}, []harness.Transport{"", harness.Broken, harness.Broken}},
		"closed at once": {nil, []harness.Transport{harness.EOF, harness.EOF, harness.EOF}},
		"unasked bytes": {[]string{answer + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answer, answer}, []harness.Transport{"",
			harness.Broken, harness.Broken}},
		"body of no end": {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + strings.Repeat("x", 99999), answer, answer},
			[]harness.Transport{"", harness.Broken, harness.Broken}},
		"no HTTP in second": {[]string{answer, "nonsense\r\n\r\n", ""}, []harness.Transport{"", harness.Malformed, harness.Malformed}},
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			heads := make(chan string, 3)
			address := wiretest.Listen(t, func(conn net.Conn) {
				connections.Add(1)
				in := bufio.NewReader(conn)
				for _, a := range row.answers {
					text := wiretest.Head(in)
					if text == "" {
						return
					}
					heads <- text
					_, _ = io.WriteString(conn, a)
				}
				goodbye(conn)
			})
			seen := SendTogether(wiretest.Within(t, 20*time.Second), wiretest.PlainTarget(address), []harness.Request{wiretest.Post("/1"),
				wiretest.Post("/2"), wiretest.Post("/3")})
			for i, want := range row.want {
				if seen[i].Transport != want {
					t.Errorf("request %d: %q (%s), want %q", i+1, seen[i].Transport, seen[i].Detail, want)
				}
			}
			if connections.Load() != 1 {
				t.Errorf("%d connections, want 1", connections.Load())
			}
			if name == "kept alive" {
				for i, path := range []string{"/1", "/2", "/3"} {
					text := <-heads
					if !strings.HasPrefix(text, "POST "+path+" ") || strings.Contains(text, "Connection: close") != (i == 2) {
						t.Errorf("request %d: %q", i+1, text)
					}
				}
			}
		})
	}
}
