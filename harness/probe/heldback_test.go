package probe

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire"
)

// TestHeldBack: a body that is held back is sent once it is asked for, or nobody
// answers, and not after a refusal.
func TestHeldBack(t *testing.T) {
	for name, row := range map[string]struct {
		serve     func(t *testing.T) string
		status    int
		continued bool
	}{
		"refused at once": {handling(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }), 401, false},
		"asked for first": {handling(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // which answers 100
			w.WriteHeader(http.StatusUnauthorized)
		}), 401, true},
		"waited for":      {buffering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), 401, true},
		"waited for, 422": {buffering("HTTP/1.1 422 Unprocessable\r\nContent-Length: 0\r\n\r\n"), 422, true},
	} {
		t.Run(name, func(t *testing.T) {
			target := &harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: row.serve(t)}},
				Endpoints: []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", ContentType: "application/json",
					Body: []byte("{}")}}}
			requests, ok := Withheld().Build().Requests(target)
			if !ok || len(requests) != 1 || len(requests[0].Body) != 1<<20 {
				t.Fatalf("%d requests, %v", len(requests), ok)
			}
			requests[0].HeldBack = 300 * time.Millisecond
			o := wire.Send(t.Context(), target, requests[0])
			if o.Status != row.status || o.Continued != row.continued {
				t.Errorf("%d, continued %v (%s), want %d, %v", o.Status, o.Continued, o.Detail, row.status, row.continued)
			}
		})
	}
}

func handling(handle http.HandlerFunc) func(*testing.T) string {
	return func(t *testing.T) string {
		s := httptest.NewServer(handle)
		t.Cleanup(s.Close)
		return s.URL
	}
}

// buffering is a server that answers once it has read the whole body, and never 100.
func buffering(answer string) func(*testing.T) string {
	return func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			for line := ""; line != "\r\n"; {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			_, _ = io.CopyN(io.Discard, in, 1<<20)
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}()
		return "http://" + l.Addr().String()
	}
}
