package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

// h2Face serves a handler by HTTP/2.
func h2Face(t *testing.T, handler http.HandlerFunc) *harness.Target {
	t.Helper()
	config, roots := wiretest.ServerTLS(t)
	server := httptest.NewUnstartedServer(handler)
	server.TLS, server.EnableHTTP2 = config, true
	server.StartTLS()
	t.Cleanup(server.Close)
	return wiretest.Target("https://"+server.Listener.Addr().String(), roots)
}

// TestFramesAreARequest sends frames that nothing is wrong with: what refuses the
// others refuses what is wrong with them.
func TestFramesAreARequest(t *testing.T) {
	target := h2Face(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(r.Method + " " + r.Host + r.URL.Path + " " + r.Header.Get("X-Added") + " " + string(body)))
	})
	r := wiretest.Post("/predict")
	r.Protocol = H2
	r.Raw = Framed(r, []harness.Field{{Name: "x-added", Value: "yes"}}, []byte("{}"))
	seen := Send(wiretest.Within(t, 20*time.Second), target, r)
	if seen.Status != http.StatusTeapot || string(seen.Body) != "POST aegis.test/predict yes {}" || len(seen.Further) > 0 {
		t.Errorf("got %d %q, further %v, %s: want 418 to the request as it was framed", seen.Status, seen.Body, seen.Further, seen.Detail)
	}
	r.Raw = Framed(r, []harness.Field{{Name: "X-ADDED", Value: "yes"}}, nil)
	if seen := Send(wiretest.Within(t, 20*time.Second), target, r); seen.Transport != harness.Reset {
		t.Errorf("got %q, status %d: want a stream that is reset for a name in capitals", seen.Transport, seen.Status)
	}
}

// TestFurtherStreamsAreSeen has a server answer a request that was never sent.
func TestFurtherStreamsAreSeen(t *testing.T) {
	config, roots := wiretest.ServerTLS(t)
	config.NextProtos = []string{H2}
	address := wiretest.Listen(t, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		for _, stream := range []uint32{1, 3} {
			var block bytes.Buffer
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	r := wiretest.Post("/predict")
	r.Protocol, r.Raw = H2, Framed(wiretest.Post("/predict"), nil, nil)
	seen := Send(wiretest.Within(t, 20*time.Second), wiretest.Target("https://"+address, roots), r)
	if seen.Status != 200 || !slices.Equal(seen.Further, []int{200}) {
		t.Errorf("got %d, further %v, %s: want 200 and another", seen.Status, seen.Further, seen.Detail)
	}
}

// TestPacedRequestsWait: of requests on one connection each waits for its turn, and
// those whose turn does not come are not sent.
func TestPacedRequestsWait(t *testing.T) {
	for _, protocol := range []string{"", H2} {
		var came atomic.Int32
		target := h2Face(t, func(http.ResponseWriter, *http.Request) { came.Add(1) })
		var requests []harness.Request
		for range 4 {
			r := wiretest.Post("/predict")
			r.Protocol = protocol
			requests = append(requests, r)
		}
		ctx, turns := wiretest.Within(t, 20*time.Second), 0
		c := Connect(ctx, target, requests[0])
		c.Paced(func(i int) error {
			if turns++; i == 2 {
				return errors.New("no turn")
			}
			return nil
		}, 10*time.Second)
		for i, seen := range c.Send(ctx, requests) {
			if sent := i < 2; sent != (seen.Transport == harness.Answered) || sent != (seen.Detail != "no turn") {
				t.Errorf("%q: request %d: %q (%s)", protocol, i+1, seen.Transport, seen.Detail)
			}
		}
		c.Close()
		if turns != 3 || came.Load() != 2 {
			t.Errorf("%q: %d turns were asked for, and %d requests came: want 3 and 2", protocol, turns, came.Load())
		}
	}
}
