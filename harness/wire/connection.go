// Package wire sends: one request's bytes on a connection, as they are, and one observation
// of what came of them, by HTTP/1.1, HTTP/2, HTTP/3, raw bytes or handshakes. It knows nothing of
// credentials.
package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"aegis.test/conformance/harness"
)

// maxHead is how many bytes of header fields an answer may have, those of its
// interim answers included.
const maxHead = 256 << 10

// Send sends one request on a connection of its own and reports what was seen.
// It honours ctx's deadline. The request's bytes go out as they are: nothing is
// normalised, added or retried.
func Send(ctx context.Context, t *harness.Target, request harness.Request) harness.Observation {
	return SendTogether(ctx, t, []harness.Request{request})[0]
}

// SendTogether sends requests one after the other on one connection, which is
// the first one's: see Connection.Send.
func SendTogether(ctx context.Context, t *harness.Target, requests []harness.Request) []harness.Observation {
	c := Connect(ctx, t, requests[0])
	defer c.Close()
	return c.Send(ctx, requests)
}

// Connection is one that was opened for a request, or the reason why it was not.
type Connection struct {
	conn  *httpConn
	quic  *quicConn // in its place, for HTTP/3
	err   error
	at    time.Time           // when all but waiting began
	first harness.Observation // what the handshake was
	whole bool                // first is all that is to be seen
	turn  func(i int) error   // waits until a request may be sent; nil where none need
	each  time.Duration       // how long one request may take; 0 is as long as all
}

// Connect opens a connection for a request: to its face, with its certificate.
func Connect(ctx context.Context, t *harness.Target, r harness.Request) *Connection {
	c := &Connection{at: time.Now()}
	c.first.At, c.first.Opened = c.at, c.at
	if r.Renegotiate {
		c.whole = true
		renegotiate(ctx, t, r, &c.first)
		return c
	}
	if r.Protocol == H3 {
		c.quic, c.err = dialH3(ctx, t, r, &c.first)
		return c
	}
	c.conn, c.err = dial(ctx, t, r, &c.first)
	return c
}

// Waited says that the connection waited since it was opened, for nothing of the
// target's: that is not counted in what is seen.
func (c *Connection) Waited(d time.Duration) { c.at = c.at.Add(d) }

// Paced makes each request wait for its turn, and then take no longer than a time. A
// turn that does not come is the end: what is left is not sent.
func (c *Connection) Paced(turn func(i int) error, each time.Duration) { c.turn, c.each = turn, each }

// next waits for the turn of a request. Those that have none are told so, from it on.
func (c *Connection) next(i int, requests []harness.Request, seen []harness.Observation) bool {
	if c.turn != nil {
		if err := c.turn(i); err != nil {
			for j := i; j < len(seen); j++ {
				seen[j].Transport, seen[j].Detail, seen[j].At = harness.Broken, err.Error(), time.Now()
				seen[j].Unsent = errors.Is(err, harness.ErrUnsent)
			}
			return false
		}
	}
	if i > 0 {
		seen[i] = again(seen[0], requests[i])
	}
	return true
}

// limited is a context that ends as one request must.
func (c *Connection) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.each == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.each)
}

// Close closes it.
func (c *Connection) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if c.quic != nil {
		_ = c.quic.Close()
	}
}

// Send sends requests one after the other. When the connection ends early, what is
// left was not sent: its transport outcome is the end's, or Broken where the end
// came between two answers, as is a server's right: that tells nothing of the next
// request. It is called once.
func (c *Connection) Send(ctx context.Context, requests []harness.Request) []harness.Observation {
	seen := make([]harness.Observation, len(requests))
	for i := range seen {
		seen[i] = harness.Observation{ProbeID: requests[i].Get(harness.ProbeHeader), At: c.at}
	}
	if c.err != nil {
		for i := range seen {
			seen[i].Transport, seen[i].Detail, seen[i].AlertCode = classifyH3(c.err)
			seen[i].Total = time.Since(seen[i].At)
		}
		return seen
	}
	c.first.ProbeID, c.first.At = seen[0].ProbeID, c.at
	seen[0] = c.first
	if c.whole {
		return seen
	}
	if c.quic != nil {
		c.overQUIC(ctx, requests, seen)
		return seen
	}
	w := c.conn
	end := func() { _ = w.SetDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(ctx, end)()
	if requests[0].Protocol == H2 && requests[0].Raw != nil {
		if err := w.frames(requests[0].Raw, &seen[0]); err != nil {
			seen[0].Transport, seen[0].Detail, seen[0].AlertCode = classifyStream(err)
		}
		seen[0].Total = time.Since(seen[0].At)
		return seen
	}
	if requests[0].Protocol == H2 {
		c.streams(ctx, requests, seen)
		return seen
	}
	for i, request := range requests {
		if !c.next(i, requests, seen) {
			break
		}
		limited, cancel := c.limited(ctx)
		stop := context.AfterFunc(limited, end)
		err := w.exchange(request, &seen[i], i == len(requests)-1)
		stop()
		cancel()
		if err != nil {
			seen[i].Total = time.Since(seen[i].At)
			for j := i; j < len(seen); j++ {
				seen[j].Transport, seen[j].Detail, seen[j].AlertCode = w.classify(err)
				seen[j].Unsent = errors.Is(err, harness.ErrUnsent)
			}
			break
		}
	}
	return seen
}

// again is the observation of a further request on a connection that exists.
func again(first harness.Observation, request harness.Request) harness.Observation {
	return harness.Observation{
		ProbeID: request.Get(harness.ProbeHeader), At: time.Now(),
		TLSVersion: first.TLSVersion, CipherSuite: first.CipherSuite, ALPN: first.ALPN, Peer: first.Peer,
	}
}

// httpConn is a connection with a count of what was read from it.
type httpConn struct {
	net.Conn
	in     *bufio.Reader
	read   int64  // bytes of HTTP since the last request
	inHead bool   // header fields are being read
	spent  string // why no further request can be sent; "" when one can
	used   bool   // a request was answered on it
	keeps  bool   // the answer's bytes are kept in said
	said   []byte
}

func (w *httpConn) Read(p []byte) (int, error) {
	if w.inHead && w.read >= maxHead {
		return 0, fmt.Errorf("reading the answer: more than %d bytes of header fields", maxHead)
	}
	n, err := w.Conn.Read(p)
	w.read += int64(n)
	if w.keeps && len(w.said) < maxSaid {
		w.said = append(w.said, p[:n]...)
	}
	return n, err
}

// classify names the end of an exchange. Bytes that came and are no HTTP are
// malformed, whatever ended them; a close between two answers is no refusal.
func (w *httpConn) classify(err error) (harness.Transport, string, uint8) {
	kind, detail, code := classify(err)
	switch {
	case w.read > 0 && kind != harness.TimeOut:
		kind = harness.Malformed
	case w.used && (kind == harness.EOF || kind == harness.Reset):
		kind, detail = harness.Broken, "the connection ended after an earlier answer: "+detail
	}
	return kind, detail, code
}

// dial connects, and shakes hands where the face is https.
func dial(ctx context.Context, t *harness.Target, r harness.Request, seen *harness.Observation) (*httpConn, error) {
	face, err := faceOf(t, r)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(face.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	raw, err := connect(ctx, face, u)
	if err != nil {
		return nil, err
	}
	seen.Connect = time.Since(seen.At)
	if u.Scheme != "https" {
		return newWire(raw), nil
	}
	conn, err := secure(ctx, raw, face, u, r, seen)
	if wantsHybrid(err, r) {
		_ = raw.Close()
		if raw, err = connect(ctx, face, u); err != nil {
			return nil, err
		}
		r.Groups = append(slices.Clone(groups), hybrids...)
		conn, err = secure(ctx, raw, face, u, r, seen)
		if err == nil {
			hybridAt.Store(HostPort(u), true)
		}
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	describe(conn.ConnectionState(), seen)
	return newWire(conn), nil
}

// connect connects to a face: at its own address or another, through its proxy
// or not.
func connect(ctx context.Context, face harness.Face, u *url.URL) (net.Conn, error) {
	at := cmp.Or(face.Connect, HostPort(u))
	if face.Proxy == "" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", at)
	}
	proxy, err := url.Parse(face.Proxy)
	if err != nil {
		return nil, fmt.Errorf("reading the proxy's address: %w", err)
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", HostPort(proxy))
	if err != nil {
		return nil, fmt.Errorf("connecting to the proxy: %w", err)
	}
	if err := tunnel(ctx, raw, at); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("asking the proxy for %s: %w", at, err)
	}
	return raw, nil
}

// tunnel asks a proxy for a way to an address (RFC 9110 section 9.3.6). It reads
// no byte past the proxy's answer.
func tunnel(ctx context.Context, raw net.Conn, at string) error {
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(raw, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", at, at); err != nil {
		return err
	}
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		one := make([]byte, 1)
		if _, err := raw.Read(one); err != nil {
			return err
		}
		if head = append(head, one[0]); len(head) > maxHead {
			return errors.New("its answer does not end")
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %d", response.StatusCode)
	}
	return nil
}

func newWire(conn net.Conn) *httpConn {
	w := &httpConn{Conn: conn}
	w.in = bufio.NewReader(w)
	return w
}

func describe(state tls.ConnectionState, seen *harness.Observation) {
	seen.Handshake = time.Since(seen.At)
	seen.TLSVersion, seen.CipherSuite = state.Version, state.CipherSuite
	seen.Group = state.CurveID
	if state.Version == tls.VersionTLS12 {
		_, err := state.ExportKeyingMaterial("EXPERIMENTAL conformance", nil, 16) // refused without it
		seen.Unbound = err != nil
	}
	seen.ALPN, seen.Resumed = state.NegotiatedProtocol, state.DidResume
	if len(state.PeerCertificates) > 0 {
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		seen.Peer = hex.EncodeToString(sum[:])
	}
}

func faceOf(t *harness.Target, r harness.Request) (harness.Face, error) {
	if r.Face != nil {
		return *r.Face, nil
	}
	face, ok := t.Faces[r.Mode]
	if !ok {
		return face, fmt.Errorf("the target shows no face for mode %q", r.Mode)
	}
	return face, nil
}

// HostPort is where a URL leads to, its scheme's own port where it names none.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// groups are the key exchanges that are offered. The hybrid ones are not, unless the
// server has no other: they cost a third of a handshake, and make a ClientHello of two
// segments, which some middleboxes drop.
var (
	groups  = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	hybrids = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}
)

// hybridAt has the addresses of servers that took a hybrid and nothing else, so that they
// are offered one at once.
var hybridAt sync.Map

// alertHandshakeFailure is what a server of no common group answers (RFC 8446 section
// 4.1.1).
const alertHandshakeFailure = 40

// wantsHybrid reports whether the server may have refused the groups that were offered:
// no request was sent by then. A ClientHello that is odd by itself stays as it is.
func wantsHybrid(err error, r harness.Request) bool {
	odd := r.Groups != nil || r.Suites != nil || r.Split != "" || len(r.Preface) > 0 || r.MaxTLS != 0 && r.MaxTLS < tls.VersionTLS13
	if err == nil || odd {
		return false
	}
	_, _, alert := classify(err)
	return alert == alertHandshakeFailure
}

// clientTLS presents the request's certificate whatever authorities the server
// names: crypto/tls would silently send none to a server that does not name
// the certificate's issuer.
func clientTLS(face harness.Face, u *url.URL, r harness.Request) (*tls.Config, error) {
	config := &tls.Config{ServerName: face.Host, MinVersion: tls.VersionTLS12, MaxVersion: r.MaxTLS, CurvePreferences: groups}
	if r.MinTLS != 0 {
		config.MinVersion = r.MinTLS
	}
	if _, hybrid := hybridAt.Load(HostPort(u)); hybrid && r.Split == "" {
		config.CurvePreferences = append(slices.Clone(groups), hybrids...)
	}
	if r.Groups != nil {
		config.CurvePreferences = r.Groups
	}
	config.CipherSuites = r.Suites
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	if r.SNI != "" {
		config.ServerName = r.SNI
	}
	if len(face.RootCAs) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(face.RootCAs) {
			return nil, errors.New("reading the target's CA bundle: no certificate in it")
		}
	}
	certificate := r.Certificate
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if certificate == nil {
			return &tls.Certificate{}, nil
		}
		return certificate, nil
	}
	return config, nil
}

// exchange writes a request and reads its answer. In TLS 1.3 a refused
// certificate shows on the first read (rulings A-02), so it is always read,
// even where the write failed.
func (w *httpConn) exchange(r harness.Request, seen *harness.Observation, last bool) error {
	w.read = 0
	if w.spent != "" {
		return fmt.Errorf("%w: %s", harness.ErrUnsent, w.spent)
	}
	if w.keeps = r.Raw != nil; w.keeps {
		_ = w.SetReadDeadline(time.Now().Add(firstSilence))
	}
	writeErr := w.put(r, seen, last)
	response, err := w.answer(r.Method)
	if err != nil {
		seen.Body = w.said // what is no HTTP, for whoever sent none either
		if writeErr != nil && errors.Is(err, io.ErrUnexpectedEOF) {
			err = writeErr
		}
		return err
	}
	w.used = true
	seen.FirstByte = time.Since(seen.At)
	seen.Status, seen.Header = response.StatusCode, response.Header
	body, err := io.ReadAll(io.LimitReader(response.Body, harness.MaxBody+1))
	seen.Truncated = err != nil || len(body) > harness.MaxBody
	seen.Body = body[:min(len(body), harness.MaxBody)]
	if r.Raw != nil {
		w.further(seen)
	}
	seen.Total = time.Since(seen.At)
	switch {
	case seen.Truncated:
		w.spent = "the body of an earlier answer did not end"
	case w.in.Buffered() > 0:
		w.spent = "an earlier answer was followed by bytes that nothing asked for"
	}
	return nil
}

// put writes a request; a body that is held back follows once 100 was answered, or
// nothing was for so long (RFC 9110 section 10.1.1). After another answer it is kept.
func (w *httpConn) put(r harness.Request, seen *harness.Observation, last bool) error {
	message := Encode(r, last)
	if r.HeldBack == 0 {
		_, err := w.Write(message)
		return err
	}
	head := len(message) - len(r.Body)
	if _, err := w.Write(message[:head]); err != nil {
		return err
	}
	_ = w.SetReadDeadline(time.Now().Add(r.HeldBack))
	first, err := w.in.Peek(len("HTTP/1.1 100"))
	_ = w.SetReadDeadline(time.Now().Add(bodyBound)) // who closes meanwhile ends it all the same
	if err == nil && !bytes.HasSuffix(first, []byte(" 100")) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.spent = "a body that was announced was not sent"
		return nil
	}
	seen.Continued = true
	_, err = w.Write(message[head:])
	return err
}

// bodyBound is how long an answer may take once the body was sent that was held back.
const bodyBound = 15 * time.Second

// answer reads the final answer, past interim ones.
func (w *httpConn) answer(method string) (*http.Response, error) {
	w.inHead = true
	defer func() { w.inHead = false }()
	for {
		response, err := http.ReadResponse(w.in, &http.Request{Method: method})
		if err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}

// Encode is the request on the wire.
func Encode(r harness.Request, last bool) []byte {
	if r.Raw != nil {
		return r.Raw
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
	for _, f := range r.Fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	if len(r.Body) > 0 {
		b.WriteString("Content-Length: " + strconv.Itoa(len(r.Body)) + "\r\n")
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return []byte(b.String())
}

// classify names the way an exchange ended without an answer.
func classify(err error) (harness.Transport, string, uint8) {
	detail := err.Error()
	var op *net.OpError
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var timeout net.Error
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		return harness.Alert, detail, alertCode(op.Err)
	case errors.As(err, &dns):
		return harness.DNS, detail, 0
	case errors.As(err, &verify):
		return harness.Untrusted, detail, 0
	case errors.As(err, &noTLS):
		return harness.Malformed, detail, 0
	case errors.Is(err, errUnoffered):
		return harness.Unoffered, detail, 0
	case errors.Is(err, syscall.ECONNREFUSED):
		return harness.Refused, detail, 0
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return harness.Reset, detail, 0
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return harness.TimeOut, detail, 0
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return harness.EOF, detail, 0
	default:
		return harness.Broken, detail, 0
	}
}

// alertCode is the number of the alert in a "remote error" of crypto/tls,
// whose type is not exported (RFC 8446 section 6).
func alertCode(err error) uint8 {
	code, parseErr := strconv.ParseUint(fmt.Sprintf("%d", err), 10, 8)
	if parseErr != nil {
		return 0
	}
	return uint8(code)
}
