// Package probe acts: it calls a target with credentials, sound and not, in many ways, and
// reports what was seen. It never judges.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Absent is a stimulus that nobody here can give: what it lacks is granted by no
// target, so that it is never exercised.
func Absent(words string, lacks harness.Capability) harness.Stimulus {
	return harness.Stimulus{
		Words: words, Needs: []harness.Capability{harness.VaultWrite, lacks}, Effect: harness.Disruptive, Modes: BothModes,
		Act: func(context.Context, harness.Client) (harness.Trace, error) {
			return harness.Trace{}, fmt.Errorf("%s: %w: nobody here can do that", words, harness.ErrUnseen)
		},
	}
}

// Change is one named change of a request: what it presents, how it is written, or where
// it goes.
type Change struct {
	Name  string // in words, for reports
	Needs []harness.Capability
	// Prepare makes what it takes, once for all endpoints, and gives what is done to each
	// request.
	Prepare func(t *harness.Target) (Edit, error)
	// First says that it is made at the first endpoint only: it is about something that
	// is not an endpoint's.
	First bool
}

// Edit is what is done to a request.
type Edit func(r *harness.Request)

// Alter is a change that nothing need be made for.
func Alter(name string, edit func(t *harness.Target, r *harness.Request)) Change {
	return Change{Name: name, Prepare: func(t *harness.Target) (Edit, error) {
		return func(r *harness.Request) { edit(t, r) }, nil
	}}
}

// Fields is a change that adds header fields.
func Fields(name string, fields func(t *harness.Target) []harness.Field) Change {
	return Alter(name, func(t *harness.Target, r *harness.Request) { r.Fields = append(r.Fields, fields(t)...) })
}

// once makes it at the first endpoint only.
func (c Change) once() Change {
	c.First = true
	return c
}

// needing adds to what it needs.
func (c Change) needing(needs ...harness.Capability) Change {
	c.Needs = Union(c.Needs, needs)
	return c
}

// then makes a further change after it, which is named and needed beside it.
func (c Change) then(next Change, by string) Change {
	first, further := c.Prepare, next.Prepare
	c.Name += by + next.Name
	c.Needs, c.First = Union(c.Needs, next.Needs), c.First || next.First
	c.Prepare = func(t *harness.Target) (Edit, error) {
		one, err := first(t)
		if err != nil {
			return nil, err
		}
		other, err := further(t)
		if err != nil {
			return nil, err
		}
		return func(r *harness.Request) { one(r); other(r) }, nil
	}
	return c
}

// named gives it another name.
func (c Change) named(name string) Change {
	c.Name = name
	return c
}

// Variant is a change of the request of a mode, which comes without a credential.
type Variant struct {
	Change
	Mode harness.Mode
	// Anyhow says that Prepare makes something of ours where the target can have no
	// such credential, because it does not show its mode.
	Anyhow bool
	// Where, if not empty, is what a target must grant for it to be sent at all; it is
	// left out elsewhere, and nothing is missed.
	Where harness.Capability
}

// In are the calls of changes in a mode: one variant each.
func In(mode harness.Mode, words string, changes ...Change) Calls {
	var variants []Variant
	for _, c := range changes {
		variants = append(variants, Variant{Change: c, Mode: mode})
	}
	return Call(words, variants...)
}

// namesOf joins the names of changes.
func namesOf(changes []Change, by string) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.Name)
	}
	return strings.Join(names, by)
}

// Each repeats every variant with each of some changes.
func (c Calls) Each(changes ...Change) Calls {
	c.words += ", " + namesOf(changes, ", ")
	return c.crossed(" ", changes)
}

// Adding repeats every variant with each of some changes, which are told as what is
// added.
func (c Calls) Adding(changes ...Change) Calls {
	c.words += ", with " + namesOf(changes, "; ")
	return c.crossed(" with ", changes)
}

// At repeats every variant at each of some places.
func (c Calls) At(places ...Change) Calls {
	c.words += ", at " + namesOf(places, "; ")
	return c.crossed(" at ", places)
}

// crossed makes each change after every variant's own.
func (c Calls) crossed(by string, changes []Change) Calls {
	var all []Variant
	for _, next := range changes {
		for _, v := range c.variants {
			v.Change = v.then(next, by)
			all = append(all, v)
		}
	}
	c.variants = all
	return c
}

// moot reports whether a target gives the variant nothing to send: it does not show
// its mode, or that of what it presents, or does not grant what it wants.
func (v Variant) moot(t *harness.Target) bool {
	return !t.Shows(v.Mode) || v.Where != "" && !t.Grants(v.Where) || !v.Anyhow && slices.ContainsFunc(v.Needs, t.Moot)
}

// Calls sends every variant to every critical endpoint, one request each.
type Calls struct {
	words     string
	variants  []Variant
	endpoints []string // names; none means all
	// everywhere calls also the endpoints that only those call that name them.
	everywhere bool
	refused    bool // also where an accepted call would write and may not
	positive   bool // the calls are themselves accepted ones
	effect     harness.Effect
	follow     bool
	together   bool
	atOnce     bool
}

// Call makes the stimulus of some variants.
func Call(words string, variants ...Variant) Calls {
	return Calls{words: words, variants: variants, effect: harness.AuthFailures}
}

// On narrows the stimulus to the named endpoints.
func (c Calls) On(endpoints ...string) Calls {
	c.endpoints = endpoints
	return c
}

// Everywhere calls also the critical endpoints that others call only by name.
func (c Calls) Everywhere() Calls {
	c.everywhere = true
	return c
}

// EvenWhereItWrites calls also the critical endpoints at which an accepted call would do
// more than the run may, without the body that it would be about: what must be refused is
// refused before that is missed, and a target that lets it through has nothing to write.
func (c Calls) EvenWhereItWrites() Calls {
	c.refused = true
	return c
}

// Accepted says that the calls are the ones a target must accept: no control
// surrounds them, and they may write what a positive call writes.
func (c Calls) Accepted() Calls {
	c.positive = true
	c.effect = harness.ReadOnly
	if len(c.endpoints) == 0 || slices.Contains(c.endpoints, "enrollment") {
		c.effect = harness.Writes
	}
	return c
}

// Following sends one further request where an answer redirects within the
// same origin.
func (c Calls) Following() Calls {
	c.follow = true
	c.words += ", redirects within the origin followed once"
	return c
}

// Together sends the variants in their order on one connection per endpoint.
func (c Calls) Together() Calls {
	c.together = true
	c.words += ", one after the other on one connection"
	return c
}

// With sets a header field in every variant.
func (c Calls) With(name, value string) Calls {
	c.words += fmt.Sprintf(", with %s: %s", name, value)
	return c.crossed("", []Change{Alter("", func(_ *harness.Target, r *harness.Request) { r.Set(name, value) })})
}

// Once sends each variant to the first endpoint only.
func (c Calls) Once() Calls {
	c.variants = slices.Clone(c.variants)
	for i := range c.variants {
		c.variants[i].First = true
	}
	return c
}

// Made are the requests to a target.
func (c Calls) Made(t *harness.Target) ([]harness.Request, error) {
	requests, _, err := c.requests(t, c.pick(t))
	return requests, err
}

// In narrows them to the variants of a mode.
func (c Calls) In(mode harness.Mode) Calls {
	c.variants = slices.DeleteFunc(slices.Clone(c.variants), func(v Variant) bool { return v.Mode != mode })
	return c
}

// Single are the calls of a target one by one: each variant at each endpoint, by the
// name of both.
func (c Calls) Single(t *harness.Target) (names []string, calls []Calls) {
	for _, v := range c.variants {
		for _, endpoint := range c.pick(t) {
			one := c
			one.variants, one.endpoints, one.everywhere = []Variant{v}, []string{endpoint.Name}, false
			names, calls = append(names, v.Name+" at "+endpoint.Name), append(calls, one)
		}
	}
	return names, calls
}

// Rounds are as many stimuli as make the calls some times: one that makes all of them,
// where none goes before another on a connection.
func (c Calls) Rounds(times int) []harness.Stimulus {
	if c.together {
		return slices.Repeat([]harness.Stimulus{c.Build()}, times)
	}
	c.variants = slices.Repeat(c.variants, times)
	return []harness.Stimulus{c.Build()}
}

// Build is the stimulus of the calls.
func (c Calls) Build() harness.Stimulus {
	where := "every critical endpoint"
	if len(c.endpoints) > 0 {
		where = strings.Join(c.endpoints, ", ")
	}
	var modes []harness.Mode
	for _, v := range c.variants {
		modes = Union(modes, []harness.Mode{v.Mode})
	}
	return harness.Stimulus{
		Words: fmt.Sprintf("call %s with %s", where, c.words),
		Needs: c.needs(), Unsuited: c.unsuited, Effect: c.effect, Modes: modes, OwnControl: c.positive, Endpoints: c.endpoints,
		Requests: func(t *harness.Target) ([]harness.Request, bool) {
			requests, err := c.Made(t)
			return requests, err == nil && !c.follow
		},
		Act: c.act,
	}
}

// needs is what the variants need.
func (c Calls) needs() []harness.Capability {
	var needs []harness.Capability
	for _, v := range c.variants {
		needs = Union(needs, v.Needs)
	}
	return needs
}

// ended waits until the token has ended that stands for an expired one, where the
// calls need one and no other is to be had.
func (c Calls) ended(ctx context.Context, t *harness.Target) error {
	if t.Control == nil || t.Tokens.Expired != "" || len(t.Tokens.Signing) > 0 || !slices.Contains(c.needs(), harness.ExpiredToken) {
		return nil
	}
	if wait := time.Until(t.Control.Ended.At); wait > 0 && !Pause(ctx, wait) {
		return fmt.Errorf("waiting for the end of a token: %w: %w", harness.ErrUnseen, ctx.Err())
	}
	return nil
}

// act sends the calls.
func (c Calls) act(ctx context.Context, client harness.Client) (harness.Trace, error) {
	trace := harness.Trace{Moot: c.moot(client.Target())}
	if err := c.ended(ctx, client.Target()); err != nil {
		return trace, err
	}
	if c.together {
		for _, endpoint := range c.pick(client.Target()) {
			requests, unfit, err := c.requests(client.Target(), []harness.Endpoint{endpoint})
			if err != nil {
				return trace, err
			}
			trace.Notes = Union(trace.Notes, unfit)
			trace.Exchanges = append(trace.Exchanges, client.SendTogether(ctx, requests)...)
		}
		return trace, nil
	}
	requests, unfit, err := c.requests(client.Target(), c.pick(client.Target()))
	if err != nil {
		return trace, err
	}
	send := client.SendAll
	if c.atOnce {
		send = client.SendAtOnce
	}
	trace.Notes, trace.Exchanges = unfit, send(ctx, requests)
	if c.follow {
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, followUps(trace.Exchanges))...)
	}
	return trace, nil
}

// unsuited is why a target gives them nothing to send.
func (c Calls) unsuited(t *harness.Target) string {
	if len(c.variants) > len(c.moot(t)) {
		return ""
	}
	return "the target shows one mode, and what is presented is a credential of the other"
}

// moot names the variants that a target gives nothing to send.
func (c Calls) moot(t *harness.Target) []string {
	var names []string
	for _, v := range c.variants {
		if v.moot(t) {
			names = append(names, v.Name)
		}
	}
	return names
}

func (c Calls) pick(t *harness.Target) []harness.Endpoint {
	if c.everywhere {
		return slices.Concat(t.Endpoints, t.Others)
	}
	if len(c.endpoints) == 0 {
		return t.Endpoints
	}
	var picked []harness.Endpoint
	for _, e := range slices.Concat(t.Endpoints, t.Others) {
		if slices.Contains(c.endpoints, e.Name) {
			picked = append(picked, e)
		}
	}
	return picked
}

// requests builds one request per variant and endpoint, leaving out the variants that
// the target gives nothing to send, and those that the given token is unfit for,
// which are told.
func (c Calls) requests(t *harness.Target, endpoints []harness.Endpoint) (requests []harness.Request, unfit []string, err error) {
	for _, v := range c.variants {
		if v.moot(t) {
			continue
		}
		change, err := v.Prepare(t)
		if errors.Is(err, token.ErrUnfit) {
			unfit = append(unfit, fmt.Sprintf("%q was not sent: %v", v.Name, err))
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("preparing %q: %w", v.Name, err)
		}
		requests = append(requests, v.to(t, endpoints, change)...)
		if c.refused && len(c.endpoints) == 0 && !v.First {
			requests = append(requests, v.bodiless(t, change)...)
		}
	}
	if len(requests) == 0 && len(unfit) > 0 {
		return nil, nil, fmt.Errorf("%w: %s", harness.ErrUnseen, strings.Join(unfit, "; "))
	}
	return requests, unfit, nil
}

// to are a variant's requests to some endpoints.
func (v Variant) to(t *harness.Target, endpoints []harness.Endpoint, change Edit) []harness.Request {
	if v.First {
		endpoints = endpoints[:min(1, len(endpoints))]
	}
	var requests []harness.Request
	for _, endpoint := range endpoints {
		r := Plain(t, v.Mode, endpoint)
		r.Variant = v.Name
		change(&r)
		requests = append(requests, r)
	}
	return requests
}

// bodiless are a variant's requests to the endpoints where no accepted call may be made.
func (v Variant) bodiless(t *harness.Target, change Edit) []harness.Request {
	var requests []harness.Request
	for _, endpoint := range t.Refusing {
		endpoint.Body = nil
		r := Plain(t, v.Mode, endpoint)
		r.Variant, r.Unflanked = v.Name, true
		r.Set("Content-Length", "0")
		change(&r)
		requests = append(requests, r)
	}
	return requests
}

// followUps are the requests that follow redirects within the origin; the
// credential, if there was one, is not forwarded.
func followUps(exchanges []harness.Exchange) []harness.Request {
	var requests []harness.Request
	for _, x := range exchanges {
		location := x.Observation.Header.Get("Location")
		if x.Observation.Status < 300 || x.Observation.Status > 399 || !SameOrigin(x.Request, location) {
			continue
		}
		r := x.Request
		r.Fields = slices.Clone(r.Fields)
		r.Remove("Authorization")
		r.Certificate, r.Credential = nil, "no credential"
		r.Set(harness.ProbeHeader, x.Request.Get(harness.ProbeHeader)+"-followed")
		r.Path = destination(x.Request, location).RequestURI()
		r.Variant += ", redirect followed"
		requests = append(requests, r)
	}
	return requests
}

// SameOrigin reports whether a Location stays with the request's scheme and host
// (rulings A-22). Its port may be another: a server behind a mapping of ports names the
// one it listens on. One that user agents read in different ways, by a backslash or user
// information, does not.
func SameOrigin(r harness.Request, location string) bool {
	u, own := destination(r, location), originOf(r)
	return u != nil && u.User == nil && u.Opaque == "" && !strings.Contains(location, `\`) &&
		u.Scheme == own.Scheme && strings.EqualFold(u.Hostname(), own.Hostname())
}

// originOf is the origin of a request, as it names it in Host.
func originOf(r harness.Request) *url.URL {
	scheme, _, _ := strings.Cut(r.Origin, "://")
	return &url.URL{Scheme: cmp.Or(scheme, "https"), Host: r.Get("Host")}
}

// destination is where a Location leads from a request (RFC 9110 section
// 10.2.2), or nil when that cannot be told.
func destination(r harness.Request, location string) *url.URL {
	base, err := url.ParseRequestURI(r.Path)
	if err != nil || location == "" {
		return nil
	}
	own := originOf(r)
	base.Scheme, base.Host = own.Scheme, own.Host
	u, err := base.Parse(location)
	if err != nil {
		return nil
	}
	return u
}

// Bearer presents tokens.
func Bearer(recipes ...token.Recipe) Calls {
	return In(harness.OIDC, recipeNames(recipes), bearers(recipes)...)
}

func bearers(recipes []token.Recipe) []Change {
	var changes []Change
	for _, recipe := range recipes {
		changes = append(changes, carried(recipe.Name, recipe, func(_ *harness.Target, r *harness.Request, value string) {
			SetToken(r,
				recipe.Name, value)
		}))
	}
	return changes
}

// ValidToken presents the token of a control.
func ValidToken() Calls { return Bearer(token.Sound()).Accepted() }

// NoCredential presents none, in the modes given.
func NoCredential(modes ...harness.Mode) Calls {
	var variants []Variant
	for _, mode := range modes {
		variants = append(variants, bare(mode))
	}
	return Call("no credential", variants...)
}

func bare(mode harness.Mode) Variant {
	return Variant{Change: Alter("no credential", func(*harness.Target, *harness.Request) {}), Mode: mode}
}

// And adds the variants of further calls.
func (c Calls) And(others ...Calls) Calls {
	c.variants = slices.Clone(c.variants)
	for _, o := range others {
		c.variants = append(c.variants, o.variants...)
		c.words += "; " + o.words
	}
	return c
}

// Methods calls without a credential by other methods than the endpoint's.
func Methods(mode harness.Mode, methods ...string) Calls {
	var changes []Change
	for _, method := range methods {
		changes = append(changes, Alter(method, func(_ *harness.Target, r *harness.Request) {
			r.Method = method
			if method == http.MethodGet || method == http.MethodHead || method == http.MethodTrace {
				r.Body = nil
				r.Remove("Content-Type")
			}
		}))
	}
	return In(mode, "no credential by "+namesOf(changes, ", "), changes...)
}

// Paths calls without a credential at another path than the endpoint's.
func Paths(mode harness.Mode, forms map[string]func(path string) string) Calls {
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		changes = append(changes, pathChange(name, forms[name]))
	}
	return In(mode, "no credential at "+namesOf(changes, ", "), changes...)
}

func recipeNames(recipes []token.Recipe) string {
	var names []string
	for _, r := range recipes {
		names = append(names, r.Name)
	}
	return strings.Join(names, "; ")
}

// Union is a with what b holds beside it.
func Union[T comparable](a, b []T) []T {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(slices.Clip(a), x)
		}
	}
	return a
}

// Needing adds a capability to what the calls need.
func (c Calls) Needing(capability harness.Capability) Calls {
	c.variants = slices.Clone(c.variants)
	for i := range c.variants {
		c.variants[i].Needs = Union(c.variants[i].Needs, []harness.Capability{capability})
	}
	return c
}

// InTurn presents tokens one after the other on one connection; each variant's
// name begins with its place.
func InTurn(recipes ...token.Recipe) Calls {
	changes := bearers(recipes)
	for i, c := range changes {
		changes[i].Name = fmt.Sprintf("%d: %s", i+1, c.Name)
	}
	return In(harness.OIDC, recipeNames(recipes), changes...).Together()
}

// SendLots sends some lots at once, each on a connection of its own; exchanges come
// in order.
func SendLots(ctx context.Context, client harness.Client, lots [][]harness.Request) []harness.Exchange {
	answers := make([][]harness.Exchange, len(lots))
	var wait sync.WaitGroup
	for i, lot := range lots {
		wait.Go(func() { answers[i] = client.SendTogether(ctx, lot) })
	}
	wait.Wait()
	return slices.Concat(answers...)
}
