package wire

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

// FuzzAnswer: whatever bytes a target answers with, they are one observation, of a
// bounded size and in a bounded time.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\nzz\r\n", "\x15\x03\x01\x00\x02\x02\x28",
		"HTTP/0.9 1\r\n\r\n", "HTTP/1.1 204 \r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 200 OK\nA:b\n\nx", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\n : \r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	var answer atomic.Pointer[[]byte]
	at := anything(f, &answer)
	target := &harness.Target{Run: "run", Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: "http://" + at}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		answer.Store(&data)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		seen := Send(ctx, target, wiretest.Post("/predict"))
		if ctx.Err() != nil {
			t.Error("no end within five seconds")
		}
		if len(seen.Body) > harness.MaxBody || seen.Transport == harness.Answered && seen.Status == 0 {
			t.Errorf("transport %q, status %d, a body of %d bytes", seen.Transport, seen.Status, len(seen.Body))
		}
	})
}

// anything is a server that answers whatever it is asked with some bytes, and closes.
func anything(f *testing.F, answer *atomic.Pointer[[]byte]) string {
	f.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_ = r.Body.Close()
					_, _ = conn.Write(*answer.Load())
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// FuzzPage: whatever a metrics page holds, in whatever format it says to be, it is read to
// families or refused, without a panic.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{"", "a 1\n", "# TYPE a counter\na_total{x=\"y\"} 1\n# EOF\n", "a{b=\"", "\x00\x01", "a NaN\na +Inf\n"} {
		for format := range 3 {
			f.Add([]byte(seed), format)
		}
	}
	types := []string{"text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"}
	f.Fuzz(func(t *testing.T, page []byte, format int) {
		families, err := parsePage(page, http.Header{"Content-Type": {types[(format%3+3)%3]}})
		if (families == nil) != (err != nil) {
			t.Errorf("%d families and %v", len(families), err)
		}
	})
}
