package run

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// beside asks what tells an answer of the service from one that its server gives to
// whatever name is nobody's: the same call at a path that nobody has, and an accepted
// one. It is asked beside what is no plain denial, under a name that is not the face's.
func (e *Engine) beside(ctx context.Context, r harness.Request, seen harness.Observation) *harness.Beside {
	if !inDoubt(seen) || !nameless(e.target, r) {
		return nil
	}
	there, at, ok := nowhere(r)
	if !ok || e.turn(ctx) != nil {
		return nil
	}
	e.sent.Add(1)
	nothing, err := e.together(ctx, []harness.Request{there})
	if err != nil {
		return nil
	}
	accepted := e.controlCache.before(ctx, e.target.Profile, route{r.Mode, r.Endpoint.Name, r.Endpoint.Path})
	b := &harness.Beside{Nowhere: nothing[0], At: at}
	if accepted.refusal == "" {
		b.Accepted = accepted.exchange.Observation
	}
	return b
}

// likewise makes a call that had to come without a body, and was neither served nor
// refused, at an endpoint that is known to look at who calls: one of the same method that
// takes a body too, and whose accepted call is accepted. Where a method is not allowed or
// a path is nobody's, there is nothing to compare.
func (e *Engine) likewise(ctx context.Context, r harness.Request, seen harness.Observation) *harness.Likewise {
	if !r.Unflanked || seen.Transport != harness.Answered || seen.Status < 400 || slices.Contains([]int{401, 403, 404, 405, 421, 429}, seen.Status) {
		return nil
	}
	at := slices.IndexFunc(e.target.Endpoints, func(own harness.Endpoint) bool { return own.Method == r.Method && len(own.Body) > 0 })
	if at < 0 || e.turn(ctx) != nil {
		return nil
	}
	own := e.target.Endpoints[at]
	if e.controlCache.before(ctx, e.target.Profile, route{r.Mode, own.Name, own.Path}).refusal != "" {
		return nil
	}
	there := r
	there.Endpoint, there.Path, there.Fields = own, strings.Replace(r.Path, r.Endpoint.Path, own.Path, 1), slices.Clone(r.Fields)
	there.Set(harness.ProbeHeader, r.Get(harness.ProbeHeader)+"-likewise")
	e.sent.Add(1)
	answers, err := e.together(ctx, []harness.Request{there})
	if err != nil {
		return nil
	}
	return &harness.Likewise{Endpoint: own.Name, Observation: answers[0]}
}

// inDoubt reports an answer of whom it must be known who gave it: a success, a redirect,
// or that something behind the server is not there.
func inDoubt(o harness.Observation) bool {
	return o.Transport == harness.Answered && (o.Status >= 200 && o.Status < 400 || slices.Contains([]int{502, 503, 504}, o.Status))
}

// nameless reports whether a request asks the ingress for a name that is not the face's,
// in any of the places where it can stand.
func nameless(t *harness.Target, r harness.Request) bool {
	own, err := url.Parse(r.Origin)
	if err != nil || own.Host == "" || r.Face != nil && !faced(t, *r.Face) {
		return false
	}
	if r.SNI != "" && !strings.EqualFold(r.SNI, own.Hostname()) {
		return true
	}
	named := r.Raw != nil && bytes.Contains(bytes.ToLower(r.Raw), []byte("\nhost:"))
	for _, f := range r.Fields {
		if !strings.EqualFold(f.Name, "Host") {
			continue
		}
		named = true
		if !strings.EqualFold(f.Value, own.Host) {
			return true
		}
	}
	if u, err := url.Parse(r.Path); err == nil && u.Host != "" && !strings.HasPrefix(r.Path, "/") && !strings.EqualFold(u.Host, own.Host) {
		return true
	}
	return !named
}

// faced reports whether a face is a way to the ingress: neither the service's own address,
// which is somebody's whatever it is called by, nor the port of plain HTTP.
func faced(t *harness.Target, f harness.Face) bool {
	for _, b := range t.Backends {
		if b.URL == f.URL {
			return false
		}
	}
	return f.URL != t.Plain
}

// nowhere is the same call at a path that nobody has; false where it names none that
// could be replaced.
func nowhere(r harness.Request) (there harness.Request, at string, ok bool) {
	there, at = r, "/conformance-"+token.Random(6)
	switch own := r.Endpoint.Path; {
	case own != "" && strings.Contains(r.Path, own):
		at = strings.Replace(r.Path, own, at, 1)
	case !strings.HasPrefix(r.Path, "/"):
		return there, "", false
	}
	there.Path, there.Fields = at, slices.Clone(r.Fields)
	id := r.Get(harness.ProbeHeader)
	there.Set(harness.ProbeHeader, id+"-nowhere")
	if r.Raw != nil {
		line := []byte(" " + r.Path + " ")
		if !bytes.Contains(r.Raw, line) {
			return there, "", false
		}
		there.Raw = bytes.Replace(r.Raw, line, []byte(" "+at+" "), 1)
		if id != "" {
			there.Raw = bytes.Replace(there.Raw, []byte(id), []byte(id+"-nowhere"), 1)
		}
	}
	return there, at, true
}
