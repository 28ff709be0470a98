package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

// TestConnectElsewhere: a face is called where it says, by its own name.
func TestConnectElsewhere(t *testing.T) {
	at := wiretest.Listen(t, wiretest.Answering("HTTP/1.1 204 No Content\r\n\r\n"))
	target := wiretest.Target("http://nowhere.invalid", nil)
	f := target.Faces[harness.OIDC]
	f.Connect = at
	target.Faces[harness.OIDC] = f
	if seen := Send(t.Context(), target, wiretest.Post("/")); seen.Status != http.StatusNoContent {
		t.Errorf("got %d %s %s", seen.Status, seen.Transport, seen.Detail)
	}
}

// TestProxy: the way through a proxy is asked for once, and what comes behind
// its answer is the target's.
func TestProxy(t *testing.T) {
	asked := make(chan string, 2)
	refuse := false
	proxy := wiretest.Listen(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		asked <- strings.SplitN(wiretest.Head(in), "\r\n", 2)[0]
		if refuse {
			_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		_ = wiretest.Head(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	target := wiretest.Target("http://aegis.invalid:8080", nil)
	f := target.Faces[harness.OIDC]
	f.Proxy = "http://" + proxy
	target.Faces[harness.OIDC] = f
	if seen := Send(t.Context(), target, wiretest.Post("/")); seen.Status != http.StatusNoContent {
		t.Errorf("got %d %s %s", seen.Status, seen.Transport, seen.Detail)
	}
	if got := <-asked; got != "CONNECT aegis.invalid:8080 HTTP/1.1" {
		t.Errorf("the proxy was asked %q", got)
	}
	refuse = true
	if seen := Send(t.Context(), target, wiretest.Post("/")); seen.Transport != harness.Broken || !strings.Contains(seen.Detail, "407") {
		t.Errorf("got %s %s, want the proxy's refusal", seen.Transport, seen.Detail)
	}
}
