// Package outbound is how the harness asks what a configuration names: Vault, an IdP,
// AWS, a log store, a metrics page. It carries credentials there, so that no answer
// sends it anywhere else, and none is read without bound.
package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// MaxAnswer is how much of an answer is read where nothing else is said, bytes.
const MaxAnswer = 1 << 20

// maxHeader bounds an answer's header, bytes; maxHops the redirects within one origin.
const (
	maxHeader = 64 << 10
	maxHops   = 3
)

// Options are what differs between one client and another.
type Options struct {
	TimeOut time.Duration // of a request and its whole answer; 0 is ten seconds
	RootPEM []byte        // that sign the server; empty is the system's
	MorePEM []byte        // that may sign it beside the system's, where there is no RootPEM
	Key     string        // what in the configuration names those authorities
	Most    int64         // bytes of an answer; 0 is MaxAnswer
	Idle    int           // connections to a host that are kept; 0 is none
}

// Client makes a client that goes nowhere but where it is sent: through no proxy of
// the environment, and behind no redirect to another origin.
func Client(o Options) *http.Client {
	if o.TimeOut <= 0 {
		o.TimeOut = 10 * time.Second
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case len(o.RootPEM) > 0:
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM(o.RootPEM)
	case len(o.MorePEM) > 0:
		trust.RootCAs = withSystem(o.MorePEM)
	}
	return &http.Client{
		Timeout: o.TimeOut,
		Transport: Guard(signed{&http.Transport{
			TLSClientConfig: trust, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives: o.Idle == 0, MaxIdleConnsPerHost: o.Idle,
		}, o.Key}, o.Most),
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxHops {
				return fmt.Errorf("stopping after %d redirects", maxHops)
			}
			return nil
		},
	}
}

// By trusts who signs a server.
func (o Options) By(t harness.Trust) Options {
	o.RootPEM, o.MorePEM, o.Key = nil, t.PEM, t.Key
	if t.Alone {
		o.RootPEM, o.MorePEM = t.PEM, nil
	}
	return o
}

// withSystem is the system's authorities and some more.
func withSystem(more []byte) *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(more)
	return pool
}

// signed tells who must say who signs a server that is not believed.
type signed struct {
	*http.Transport
	key string
}

// RoundTrip sends a request.
func (s signed) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.Transport.RoundTrip(r)
	if _, unsigned := errors.AsType[*tls.CertificateVerificationError](err); unsigned && s.key != "" {
		return nil, fmt.Errorf("%w: give the PEM of the authority that signs it as %s", err, s.key)
	}
	return answer, err
}

// Guard is a transport for whoever has a client of its own: an answer that redirects to
// another origin is an error, Elsewhere, and one of more than most bytes is, TooLong; 0
// is MaxAnswer.
func Guard(next http.RoundTripper, most int64) http.RoundTripper {
	if most <= 0 {
		most = MaxAnswer
	}
	return guard{next, most}
}

type guard struct {
	next http.RoundTripper
	most int64
}

// Elsewhere is the error of an answer that redirects to another origin.
type Elsewhere struct{ From, To string }

func (e Elsewhere) Error() string {
	return fmt.Sprintf(
		"%s redirects to %q, which the configuration does not name, and nothing was sent there: name it in its place if it is right", e.From,
		e.To,
	)
}

// ErrTooLong is the error of reading an answer that has no end within the bound.
var ErrTooLong = errors.New("the answer is longer than is read")

// RoundTrip sends a request, and looks where its answer leads.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if to, away := leads(r.URL, answer); away {
		_ = answer.Body.Close()
		return nil, Elsewhere{origin(r.URL), to}
	}
	answer.Body = &bounded{ReadCloser: answer.Body, left: g.most, most: g.most}
	return answer, nil
}

// CloseIdleConnections frees what is kept.
func (g guard) CloseIdleConnections() {
	if keeps, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		keeps.CloseIdleConnections()
	}
}

// leads tells where an answer leads, if that is another origin. A location that
// cannot be read leads nobody anywhere.
func leads(from *url.URL, answer *http.Response) (to string, away bool) {
	if answer.StatusCode/100 != 3 || answer.Header.Get("Location") == "" {
		return "", false
	}
	location, err := from.Parse(answer.Header.Get("Location"))
	if err != nil {
		return "", false
	}
	return origin(location), origin(location) != origin(from)
}

// origin is a URL's scheme, host and port (RFC 6454 section 4).
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// bounded is a body that must end within most bytes.
type bounded struct {
	io.ReadCloser
	left, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return max(0, n-1), fmt.Errorf("%w: %d bytes", ErrTooLong, b.most)
	}
	return n, err
}
