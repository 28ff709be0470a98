package probe

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Pointers are tokens whose header says where their key is to be had: at a
// listener of ours.
type Pointers struct{ member string }

// PointingTo presents tokens that point out of band by a header member: jku or
// x5u.
func PointingTo(member string) Pointers { return Pointers{member} }

// Words says what is done.
func (p Pointers) Words() string {
	return "call every critical endpoint with tokens of a key nobody trusts, whose " + p.member +
		" is a listener of ours: as it is, by an open redirect of the trusted host, behind the trusted host as user information, before it in the fragment and in the query"
}

// Needs is the listener, and a token to forge from.
func (Pointers) Needs() []harness.Capability {
	return []harness.Capability{harness.OutOfBand, harness.GivenTokens}
}

// Effect raises the count of auth failures.
func (Pointers) Effect() harness.Effect { return harness.AuthFailures }

// Counts is true: only this process knows the listener.
func (Pointers) Counts() bool { return true }

// Modes is oidc.
func (Pointers) Modes() []harness.Mode { return []harness.Mode{harness.OIDC} }

// Controlled says that accepted calls surround these.
func (Pointers) Controlled() bool { return true }

// Act listens, calls and counts.
func (p Pointers) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	s := &scene{hands: hands, t: hands.Target()}
	key, err := token.NewKey()
	if err != nil {
		return s.trace, err
	}
	body, err := p.body(key)
	if err != nil {
		return s.trace, err
	}
	mark := p.member + "-" + token.Random(8)
	spot, err := s.t.Control.Outside.Listen(ctx, mark, body)
	if err != nil {
		return s.trace, fmt.Errorf("listening out of band: %w", err)
	}
	known := key
	if len(s.t.Tokens.Signing) > 0 {
		known.ID = s.t.Tokens.Signing[0].ID
	}
	for _, form := range forms(spot, s.t.Profile.Issuer) {
		err := s.note(ctx, "",
			token.Pointing(fmt.Sprintf("token with %s %s", p.member, form.name), p.member, form.url, key),
			token.Pointing(fmt.Sprintf("token with %s %s, known kid", p.member, form.name), p.member, form.url, known))
		if err != nil {
			return s.trace, err
		}
	}
	return s.trace, s.hits(ctx, mark)
}

// body is what the listener answers: the key set, or the chain, that a service
// led there would believe.
func (p Pointers) body(key harness.SigningKey) ([]byte, error) {
	public, err := token.Public(key)
	if err != nil || p.member == "jku" {
		return token.KeySet(public), err
	}
	return token.Chain(key)
}

type form struct{ name, url string }

// forms are the ways to write the listener's address that a careless check of
// it would let pass (WSTG-SESS-10).
func forms(spot harness.Spot, issuer string) []form {
	trusted, err := url.Parse(issuer)
	there := strings.TrimPrefix(spot.URL, "https://")
	all := []form{{"of ours", spot.URL + "/jwks"}}
	if spot.Through != "" {
		all = append(all, form{"by an open redirect", spot.Through})
	}
	if err != nil || trusted.Host == "" {
		return all
	}
	return append(all,
		form{"behind the trusted host as user information", "https://" + trusted.Host + "@" + there + "/jwks"},
		form{"with the trusted host in its fragment", spot.URL + "/jwks#" + issuer + "/jwks"},
		form{"with the trusted host in its query", spot.URL + "/jwks?" + issuer + "/jwks"},
	)
}

// Flood sends unknown kids, each another one, and counts what the key set's
// endpoint has of them.
type Flood struct{ kids int }

// floodLanes are few: of unknown kids that come at once, a service may fetch for all.
const floodLanes = 4

// KidFlood sends so many unknown kids.
func KidFlood(kids int) Flood { return Flood{kids} }

// Words says what is done.
func (f Flood) Words() string {
	return fmt.Sprintf("send the critical endpoints %d tokens of as many unknown kids on %d connections at once, and count the fetches of the JWKS meanwhile", f.kids, floodLanes)
}

// Needs is the count of fetches, and a token to forge from.
func (Flood) Needs() []harness.Capability {
	return []harness.Capability{harness.ControlJWKS, harness.GivenTokens}
}

// Effect raises the count of auth failures.
func (Flood) Effect() harness.Effect { return harness.AuthFailures }

// Counts is true: others' fetches would be counted too.
func (Flood) Counts() bool { return true }

// Modes is oidc.
func (Flood) Modes() []harness.Mode { return []harness.Mode{harness.OIDC} }

// Controlled says that accepted calls surround these.
func (Flood) Controlled() bool { return true }

// Facts of a flood.
const (
	FloodFetches = "fetches of the JWKS"
	FloodLasted  = "the flood lasted"
)

// Act floods.
func (f Flood) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	s := &scene{hands: hands, t: hands.Target(), jwks: hands.Target().Control.JWKS}
	if err := s.warm(ctx); err != nil { // also the controls: their fetches are none of the flood's
		return s.trace, err
	}
	requests, err := f.requests(s.t)
	if err != nil {
		return s.trace, err
	}
	began := time.Now()
	before, err := s.jwks.Fetches(ctx)
	if err != nil {
		return s.trace, err
	}
	s.trace.Exchanges = sendLots(ctx, hands, slices.Collect(slices.Chunk(requests, (len(requests)+floodLanes-1)/floodLanes)))
	after, err := s.jwks.Fetches(ctx)
	s.fact(FloodFetches, fmt.Sprint(after-before))
	s.fact(FloodLasted, time.Since(began).String())
	return s.trace, err
}

func (f Flood) requests(t *harness.Target) ([]harness.Request, error) {
	name := token.UnknownKey().Name
	values, err := token.UnknownKeys(token.From(t), f.kids)
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", name, err)
	}
	var requests []harness.Request
	for i, value := range values {
		r := plain(t, harness.OIDC, t.Endpoints[i%len(t.Endpoints)])
		r.Variant = name
		bearer(&r, name, value)
		requests = append(requests, r)
	}
	return requests, nil
}
