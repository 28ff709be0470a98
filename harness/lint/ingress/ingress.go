// Package ingress reads the configurations of proxies into one form: which listener
// asks for client certificates, which way leads to a service, and what becomes of the
// headers there.
package ingress

import (
	"slices"
	"strings"

	"aegis.test/conformance/harness/lint/place"
)

// Verification is what a listener does about client certificates.
type Verification int

// From nothing to a certificate that must verify.
const (
	Unasked    Verification = iota // none is asked for
	Unverified                     // one may be sent, and any is believed
	Optional                       // none may be sent; one that is sent must verify
	Required
)

// Server is a listener, or a virtual host of one.
type Server struct {
	At       place.Place
	Syntax   string // nginx, HAProxy, Caddy, Envoy, ingress-nginx
	Name     string
	TLS      bool
	Verify   Verification
	VerifyAt place.Place // where the verification is said; At where nothing says it
	Says     string      // the words of it there: ssl_verify_client optional
	CA       string      // whose certificates are believed: a file or a name; "" where nothing says it
	Old      []Word      // protocols before TLS 1.2 that it takes
	Routes   []Route
}

// Word is a word of a configuration.
type Word struct {
	At   place.Place
	Text string
}

// Route is a way from a listener to a service.
type Route struct {
	At       place.Place
	Path     string
	Upstream string
	Guarded  bool // who has no verified certificate is refused on the way
	Headers  []Header
	// Underscores says whether x_ssl_client_cn passes, which some services take for
	// x-ssl-client-cn.
	Underscores bool
}

// Header is what a route does to one header of a request.
type Header struct {
	At    place.Place
	Name  string
	Value string
	From  Origin
	Own   bool // the proxy sets it by itself where it verifies
}

// Origin is where a header's value comes from.
type Origin int

// Origins.
const (
	Literal Origin = iota // a text, or another variable
	Nothing               // it is removed
	Subject               // the certificate that was verified
	Caller                // a header that the caller sends
)

// Sets is what a route does to a header, in the order of the file.
func (r Route) Sets(name string) []Header {
	var all []Header
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			all = append(all, h)
		}
	}
	return all
}

// Overwrites says whether nothing that a caller sends under a header's name arrives.
func (r Route) Overwrites(name string) bool {
	sets := r.Sets(name)
	return len(sets) > 0 && !slices.ContainsFunc(sets, func(h Header) bool { return h.From == Caller })
}

// Unresolved is a part of a configuration that is not among the files.
type Unresolved struct {
	At   place.Place
	What string
}

// Configuration is one file, with what it includes.
type Configuration struct {
	File       string
	Servers    []Server
	Maps       []Map
	Unresolved []Unresolved
	Included   []string // files that were read into this one
}

// Map is a table that makes an identity of a certificate's subject.
type Map struct {
	At      place.Place
	Pattern string // a regular expression
	Gives   string // what it gives: $cn, ${1}, or a name of a group
	Legacy  bool   // it matches /O=x/CN=y, and no list with commas
}
