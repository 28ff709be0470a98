package outcome

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// asked are the further denials of a caller who did not prove who he is, by what
// differs from the endpoint's sound call: a service may look for the endpoint, and at
// the body, before it asks who calls (rulings ), and an ingress at the name
// . Nothing was served; EPT-014 is about the order.
func asked(x harness.Exchange) classes {
	r := x.Request
	var c classes
	path, query, _ := strings.Cut(r.Path, "?")
	at, usual, _ := strings.Cut(r.Endpoint.Path, "?")
	if r.Method != r.Endpoint.Method || path != at {
		c.statuses = append(c.statuses, 404, 405, 501)
	}
	if r.Raw != nil || query != usual || otherBody(r) {
		c.statuses = append(c.statuses, 400, 411, 413, 415, 422)
	}
	if own, err := url.Parse(r.Origin); err == nil && own.Host != "" && otherName(r, own) {
		c.statuses, c.tls = append(c.statuses, 404, 421), true
	}
	return c
}

// otherBody reports whether the body, or what is said of it, is not the sound call's.
func otherBody(r harness.Request) bool {
	sound := r.Endpoint.Body
	if r.Unique != "" {
		sound = bytes.ReplaceAll(sound, []byte("{{unique}}"), []byte(r.Unique))
	}
	kind := r.Endpoint.ContentType
	if len(r.Body) == 0 {
		kind = ""
	}
	return !bytes.Equal(r.Body, sound) || r.Get("Content-Type") != kind || r.Get("Expect")+r.Get("Transfer-Encoding") != ""
}

// otherName reports whether a request asks for somebody else than the face.
func otherName(r harness.Request, own *url.URL) bool {
	return !strings.EqualFold(r.Get("Host"), own.Host) || r.SNI != "" && !strings.EqualFold(r.SNI, own.Hostname())
}

// and takes further answers.
func (c classes) and(other classes) classes {
	c.statuses, c.tls = append(slices.Clip(c.statuses), other.statuses...), c.tls || other.tls
	return c
}

// Foremost wants the caller to be asked who he is before anything else is looked at.
func (a Answers) Foremost() Answers {
	a.allowed = func(p harness.Profile, x harness.Exchange) classes { return unproven(p, x) }
	return a
}
