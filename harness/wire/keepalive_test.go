package wire

import (
	"net/http"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

// TestHeldStaysOpen sends over one connection of each protocol, until the server
// ends it.
func TestHeldStaysOpen(t *testing.T) {
	peers := map[string]int{}
	target := wiretest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr]++
		if r.URL.Path == "/last" {
			w.Header().Set("Connection", "close")
		}
	})
	like := wiretest.Post("/")
	line := Hold(target, like)
	defer line.Close()
	last := like
	last.Path = "/last"
	for i, c := range []struct {
		request harness.Request
		want    harness.Transport
		status  int
	}{{like, harness.Answered, 200}, {like, harness.Answered, 200}, {last, harness.Answered, 200}, {like, harness.Broken, 0}} {
		if o := line.Send(t.Context(), c.request); o.Transport != c.want || o.Status != c.status {
			t.Errorf("call %d: got %d %q (%s), want %d %q", i, o.Status, o.Transport, o.Detail, c.status, c.want)
		}
	}
	if len(peers) != 1 {
		t.Errorf("%d connections, want one", len(peers))
	}
}

// TestHeldRefused reports a connection that nobody takes, each time anew.
func TestHeldRefused(t *testing.T) {
	target := wiretest.Target("https://127.0.0.1:1", nil)
	line := Hold(target, wiretest.Post("/"))
	defer line.Close()
	for range 2 {
		if o := line.Send(t.Context(), harness.Request{Method: http.MethodGet, Path: "/"}); o.Transport != harness.Refused {
			t.Errorf("got %d %q, want %q", o.Status, o.Transport, harness.Refused)
		}
	}
}
