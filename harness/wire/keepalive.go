package wire

import (
	"context"
	"errors"
	"time"

	"golang.org/x/net/http2"

	"aegis.test/conformance/harness"
)

// Conn is a connection that is kept open between requests. It is not for use by
// many at once.
type Conn struct {
	target *harness.Target
	like   harness.Request
	conn   *httpConn
	client *http2.ClientConn
	end    *ending
	first  harness.Observation // what the handshake was
}

// Hold is a connection for requests like one: to its face, with its certificate,
// by its protocol. The first request opens it, and no other.
func Hold(t *harness.Target, like harness.Request) *Conn { return &Conn{target: t, like: like} }

// Send sends one request over the connection and reports what was seen. Where
// the connection ended since the last answer, which is a server's right, the
// transport outcome is Broken.
func (h *Conn) Send(ctx context.Context, r harness.Request) harness.Observation {
	seen := harness.Observation{ProbeID: r.Get(harness.ProbeHeader), At: time.Now()}
	if err := h.open(ctx, r, &seen); err != nil {
		seen.Transport, seen.Detail, seen.AlertCode = classify(err)
		seen.Total = time.Since(seen.At)
		return seen
	}
	var err error
	if h.client == nil {
		deadline, _ := ctx.Deadline()
		_ = h.conn.SetDeadline(deadline)
		if err = h.conn.exchange(r, &seen, false); err != nil {
			seen.Transport, seen.Detail, seen.AlertCode = h.conn.classify(err)
			seen.Unsent = errors.Is(err, harness.ErrUnsent)
		}
	} else if err = stream(ctx, h.client, r, &seen); err != nil {
		seen.Transport, seen.Detail, seen.AlertCode = classifyStream(h.end.instead(err))
		if h.conn.used {
			seen.Transport = harness.Broken
		}
	}
	h.conn.used = h.conn.used || err == nil
	seen.Total = time.Since(seen.At)
	return seen
}

// open opens the connection, once.
func (h *Conn) open(ctx context.Context, r harness.Request, seen *harness.Observation) error {
	if h.conn != nil {
		*seen = again(h.first, r)
		return nil
	}
	conn, err := dial(ctx, h.target, h.like, seen)
	if err != nil {
		return err
	}
	h.conn, h.first = conn, *seen
	if h.like.Protocol == H2 {
		h.end = &ending{Conn: conn.Conn}
		transport := &http2.Transport{DisableCompression: true, MaxHeaderListSize: maxHead}
		h.client, err = transport.NewClientConn(h.end)
	}
	return err
}

// Close closes it.
func (h *Conn) Close() {
	if h.client != nil {
		_ = h.client.Close()
	}
	if h.conn != nil {
		_ = h.conn.Close()
	}
}
