package wire

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"aegis.test/conformance/harness"
)

// H3 is HTTP/3's name in ALPN (RFC 9114 section 3.1).
const H3 = "h3"

// Bounds of HTTP/3. A port of UDP that nobody listens at, or that a firewall keeps, may say
// nothing at all: for silence it is waited once, and answered for from then on.
const (
	silenceH3  = 1500 * time.Millisecond // without any datagram of the peer's
	exchangeH3 = 15 * time.Second        // of one request, to the end of its answer
)

// noApplicationProtocol is the alert of a server that speaks something else by QUIC (RFC
// 7301 section 3.2).
const noApplicationProtocol = 120

// silentH3 has the addresses that said nothing, spokenH3 those that spoke.
var silentH3, spokenH3 sync.Map

// quicConn is a connection of HTTP/3.
type quicConn struct {
	socket    *socket
	transport *quic.Transport
	conn      *quic.Conn
	client    *http3.ClientConn
}

// Close ends it, and tells the peer.
func (q *quicConn) Close() error {
	err := q.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	return errors.Join(err, q.transport.Close(), q.socket.udp.Close())
}

// dialH3 connects to a face's port of UDP, and shakes hands. Where nobody answers by HTTP/3
// that is errUnoffered.
func dialH3(ctx context.Context, t *harness.Target, r harness.Request, seen *harness.Observation) (*quicConn, error) {
	face, err := faceOf(t, r)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(face.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the target's address: %w", err)
	case u.Scheme != "https":
		return nil, fmt.Errorf("%w: the face is in the clear", errUnoffered)
	case face.Proxy != "":
		return nil, fmt.Errorf("%w: the proxy on the way carries no UDP", errUnoffered)
	}
	config, err := clientTLS(face, u, r)
	if err != nil {
		return nil, err
	}
	dress(config, r)
	config.MinVersion, config.MaxVersion, config.NextProtos = tls.VersionTLS13, 0, []string{H3}
	at := cmp.Or(face.Connect, HostPort(u))
	if _, silent := silentH3.Load(at); silent {
		return nil, fmt.Errorf("%w: nothing came from %s by UDP", errUnoffered, at)
	}
	q, err := openH3(ctx, at, config)
	if err != nil {
		return nil, err
	}
	describe(q.conn.ConnectionState().TLS, seen)
	return q, nil
}

// openH3 shakes hands with an address.
func openH3(ctx context.Context, at string, config *tls.Config) (*quicConn, error) {
	dialled, err := (&net.Dialer{}).DialContext(ctx, "udp", at)
	if err != nil {
		return nil, err
	}
	s := &socket{udp: dialled}
	q := &quicConn{socket: s, transport: &quic.Transport{Conn: s}}
	q.conn, err = q.transport.Dial(ctx, dialled.RemoteAddr(), config, &quic.Config{HandshakeIdleTimeout: silenceH3, MaxIdleTimeout: exchangeH3})
	if err != nil {
		_ = q.transport.Close()
		_ = dialled.Close()
		return nil, absent(ctx, at, s, err)
	}
	spokenH3.Store(at, true)
	q.client = (&http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHead}).NewClientConn(q.conn)
	return q, nil
}

// absent is err, or that nobody speaks HTTP/3 there, where that is what it shows: the port
// is closed, is silent and has never spoken, or speaks something else.
func absent(ctx context.Context, at string, s *socket, err error) error {
	var version *quic.VersionNegotiationError
	_, _, alert := classifyH3(err)
	_, spoke := spokenH3.Load(at)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && !spoke, errors.As(err, &version), alert == noApplicationProtocol:
		return fmt.Errorf("%w: %s by UDP: %w", errUnoffered, at, err)
	case ctx.Err() == nil && !spoke && !s.heard.Load() && timedOut(err):
		silentH3.Store(at, true)
		return fmt.Errorf("%w: nothing came from %s by UDP in %v", errUnoffered, at, silenceH3)
	}
	return err
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// socket is a socket of UDP that is connected: the kernel tells it at once where nobody
// listens, as one that may write to anybody is not told.
type socket struct {
	udp   net.Conn
	heard atomic.Bool // a datagram came
}

func (s *socket) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := s.udp.Read(p)
	if err == nil {
		s.heard.Store(true)
	}
	return n, s.udp.RemoteAddr(), err
}

func (s *socket) WriteTo(p []byte, _ net.Addr) (int, error) { return s.udp.Write(p) }
func (s *socket) Close() error                              { return s.udp.Close() }
func (s *socket) LocalAddr() net.Addr                       { return s.udp.LocalAddr() }
func (s *socket) SetDeadline(t time.Time) error             { return s.udp.SetDeadline(t) }
func (s *socket) SetReadDeadline(t time.Time) error         { return s.udp.SetReadDeadline(t) }
func (s *socket) SetWriteDeadline(t time.Time) error        { return s.udp.SetWriteDeadline(t) }

// SetReadBuffer and SetWriteBuffer leave the buffers as they are: quic-go wants megabytes for
// them, and writes to the log where it does not get these.
func (s *socket) SetReadBuffer(int) error  { return nil }
func (s *socket) SetWriteBuffer(int) error { return nil }

// overQUIC sends requests one after the other, by HTTP/3.
func (c *Connection) overQUIC(ctx context.Context, requests []harness.Request, seen []harness.Observation) {
	for i, r := range requests {
		if !c.next(i, requests, seen) {
			return
		}
		limited, cancel := c.limited(ctx)
		limited, end := context.WithTimeout(limited, exchangeH3)
		if err := c.quic.exchange(limited, r, &seen[i]); err != nil {
			seen[i].Transport, seen[i].Detail, seen[i].AlertCode = classifyH3(err)
		}
		end()
		cancel()
		seen[i].Total = time.Since(seen[i].At)
	}
}

func (q *quicConn) exchange(ctx context.Context, r harness.Request, seen *harness.Observation) error {
	request, err := http.NewRequestWithContext(ctx, r.Method, "https://"+r.Get("Host")+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return fmt.Errorf("making a request of HTTP/3: %w", err)
	}
	for _, f := range r.Fields {
		if !strings.EqualFold(f.Name, "Host") {
			request.Header.Add(f.Name, f.Value)
		}
	}
	response, err := q.client.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	seen.FirstByte = time.Since(seen.At)
	seen.Status, seen.Header = response.StatusCode, response.Header
	body, err := io.ReadAll(io.LimitReader(response.Body, harness.MaxBody+1))
	seen.Truncated = err != nil || len(body) > harness.MaxBody
	seen.Body = body[:min(len(body), harness.MaxBody)]
	return nil
}

// classifyH3 names the way an exchange by HTTP/3 ended without an answer. A refusal in TLS is
// a transport error of its own range (RFC 9001 section 4.8).
func classifyH3(err error) (harness.Transport, string, uint8) {
	var ended *quic.TransportError
	var closed *quic.ApplicationError
	var stream *http3.Error
	var stateless *quic.StatelessResetError
	switch {
	case errors.Is(err, errUnoffered):
		return harness.Unoffered, err.Error(), 0
	case errors.As(err, &ended) && ended.Remote && ended.ErrorCode.IsCryptoError():
		return harness.Alert, err.Error(), uint8(ended.ErrorCode) // #nosec G115 -- its last byte is the alert
	case errors.As(err, &ended) && ended.Remote && ended.ErrorCode == quic.ConnectionRefused:
		return harness.Refused, err.Error(), 0
	case errors.As(err, &ended) && ended.Remote, errors.As(err, &closed) && closed.Remote, errors.As(err, &stateless):
		return harness.Reset, err.Error(), 0
	case errors.As(err, &stream) && stream.Remote:
		return harness.Reset, err.Error(), 0
	case errors.As(err, &stream):
		return harness.Malformed, err.Error(), 0
	}
	return classify(err)
}
