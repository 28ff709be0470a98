package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"aegis.test/conformance/harness"
)

// H2 is HTTP/2's name in ALPN (RFC 9113 section 3.2).
const H2 = "h2"

// errUnoffered is what a server that does not speak a protocol leads to.
var errUnoffered = errors.New("the server does not offer the protocol that was asked for")

// secure shakes hands over a connection in the way that the request says. Whose clients'
// certificates the server asks for is seen, whatever becomes of it.
func secure(ctx context.Context, raw net.Conn, face harness.Face, u *url.URL, r harness.Request, seen *harness.Observation) (*tls.Conn, error) {
	if _, err := raw.Write(r.Preface); len(r.Preface) > 0 && err != nil {
		return nil, err
	}
	config, err := clientTLS(face, u, r)
	if err != nil {
		return nil, err
	}
	dress(config, r)
	present := config.GetClientCertificate
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		seen.Authorities = asked.AcceptableCAs
		return present(asked)
	}
	if r.Split != "" {
		raw = &cutter{Conn: raw, how: r.Split}
	}
	if tickets, ok := r.Sessions.(*Tickets); ok {
		raw = tickets.watch(raw, config)
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if r.Protocol != "" && conn.ConnectionState().NegotiatedProtocol != r.Protocol {
		return nil, errUnoffered
	}
	return conn, nil
}

// dress changes a configuration to the request's odd ways. Under another SNI
// than the face's own the server may show the certificate of another virtual
// host: its chain is verified, and not its name.
func dress(config *tls.Config, r harness.Request) {
	if r.Protocol != "" {
		config.NextProtos = []string{r.Protocol, "http/1.1"}
	}
	if r.SNI == harness.NoSNI {
		config.ServerName = ""
	}
	if r.Sessions != nil {
		config.ClientSessionCache = r.Sessions
	}
	if r.SNI == "" && r.Sessions == nil {
		return
	}
	roots := config.RootCAs
	config.InsecureSkipVerify = true // #nosec G402 -- verified below
	config.VerifyConnection = func(state tls.ConnectionState) error { return believe(state.PeerCertificates, roots) }
}

func believe(chain []*x509.Certificate, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// cutter cuts the first write, which is the ClientHello's record, into pieces.
type cutter struct {
	net.Conn
	how harness.Split
	cut bool
}

// piece is how many bytes of a ClientHello go together; the first piece is too
// short for its SNI.
const piece = 40

// recordHeader is the length of a TLS record's header (RFC 8446 section 5.1).
const recordHeader = 5

func (c *cutter) Write(hello []byte) (int, error) {
	if c.cut || len(hello) < recordHeader {
		return c.Conn.Write(hello)
	}
	c.cut = true
	for _, part := range pieces(c.how, hello) {
		if _, err := c.Conn.Write(part); err != nil {
			return 0, err
		}
	}
	return len(hello), nil
}

func pieces(how harness.Split, hello []byte) [][]byte {
	var parts [][]byte
	header := hello[:recordHeader-2]
	if how == harness.SplitRecords {
		hello = hello[recordHeader:]
	}
	for len(hello) > 0 {
		part := hello[:min(piece, len(hello))]
		hello = hello[len(part):]
		if how == harness.SplitRecords {
			record := binary.BigEndian.AppendUint16(append([]byte(nil), header...), uint16(len(part))) // #nosec G115 -- at most piece
			part = append(record, part...)
		}
		parts = append(parts, part)
	}
	return parts
}

// streams sends requests at once, as streams of one connection of HTTP/2.
func (c *Connection) streams(ctx context.Context, requests []harness.Request, seen []harness.Observation) {
	transport := &http2.Transport{DisableCompression: true, MaxHeaderListSize: maxHead}
	end := &ending{Conn: c.conn.Conn}
	client, err := transport.NewClientConn(end)
	if err != nil {
		for i := range seen {
			seen[i].Transport, seen[i].Detail, seen[i].AlertCode = classify(err)
		}
		return
	}
	defer func() { _ = client.Close() }()
	var wait sync.WaitGroup
	for i, r := range requests {
		if !c.next(i, requests, seen) {
			break
		}
		wait.Go(func() {
			limited, cancel := c.limited(ctx)
			defer cancel()
			if err := stream(limited, client, r, &seen[i]); err != nil {
				seen[i].Transport, seen[i].Detail, seen[i].AlertCode = classifyStream(end.instead(err))
			}
			seen[i].Total = time.Since(seen[i].At)
		})
	}
	wait.Wait()
}

// ending keeps what ended a connection's reading: a refusal that comes before
// the first request reaches the caller of http2 as no more than "could not be
// established".
type ending struct {
	net.Conn
	mu  sync.Mutex
	err error
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.err == nil {
			e.err = err
		}
	}
	return n, err
}

// instead is what ended the reading, where err is only that it had ended.
func (e *ending) instead(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if kind, _, _ := classifyStream(err); kind == harness.Broken && e.err != nil && !errors.Is(e.err, net.ErrClosed) {
		return e.err
	}
	return err
}

func stream(ctx context.Context, client *http2.ClientConn, r harness.Request, seen *harness.Observation) error {
	request, err := http.NewRequestWithContext(ctx, r.Method, "https://"+r.Get("Host")+r.Path, strings.NewReader(string(r.Body)))
	if err != nil {
		return fmt.Errorf("making a request of HTTP/2: %w", err)
	}
	for _, f := range r.Fields {
		if !strings.EqualFold(f.Name, "Host") {
			request.Header.Add(f.Name, f.Value)
		}
	}
	response, err := client.RoundTrip(request)
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

// classifyStream names the way a stream ended without an answer: a reset
// stream, or a connection that goes away, is a reset (rulings A-31).
func classifyStream(err error) (harness.Transport, string, uint8) {
	var reset http2.StreamError
	var away http2.GoAwayError
	if errors.As(err, &reset) || errors.As(err, &away) {
		return harness.Reset, err.Error(), 0
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return harness.TimeOut, err.Error(), 0
	}
	return classify(err)
}
