package keyset

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// PointingTo presents tokens whose header says, by a member, jku or x5u, where their key
// is to be had: at a listener of ours.
func PointingTo(member string) harness.Stimulus {
	return harness.Stimulus{
		Words: "call every critical endpoint with tokens of a key nobody trusts, whose " + member +
			" is a listener of ours: as it is, by an open redirect of the trusted host, behind the trusted host as user information, before it " +
			"in the fragment and in the query",
		Needs: []harness.Capability{harness.OutOfBand, harness.GivenTokens}, Effect: harness.AuthFailures, Modes: probe.OIDCOnly,
		Alone: true, // only this process knows the listener
		Tells: []harness.Key{harness.CallsOutOfBand},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			s := Of(client)
			err := s.point(ctx, member)
			return s.trace, err
		},
	}
}

// point listens, calls and counts.
func (s *Set) point(ctx context.Context, member string) error {
	key, err := token.NewKey()
	if err != nil {
		return err
	}
	body, err := pointedTo(member, key)
	if err != nil {
		return err
	}
	mark := member + "-" + token.Random(8)
	spot, err := s.t.Control.Outside.Listen(ctx, mark, body)
	if err != nil {
		return fmt.Errorf("listening out of band: %w", err)
	}
	known := key
	if len(s.t.Tokens.Signing) > 0 {
		known.ID = s.t.Tokens.Signing[0].ID
	}
	for _, form := range forms(spot, s.t.Profile.Issuer) {
		err := s.note(ctx, "",
			token.Pointing(fmt.Sprintf("token with %s %s", member, form.name), member, form.url, key),
			token.Pointing(fmt.Sprintf("token with %s %s, known kid", member, form.name), member, form.url, known))
		if err != nil {
			return err
		}
	}
	return s.hits(ctx, mark)
}

// pointedTo is what the listener answers: the key set, or the chain, that a service
// led there would believe.
func pointedTo(member string, key harness.SigningKey) ([]byte, error) {
	public, err := token.Public(key)
	if err != nil || member == "jku" {
		return token.KeySet(public), err
	}
	return token.Chain(key)
}

type addressForm struct{ name, url string }

// forms are the ways to write the listener's address that a careless check of
// it would let pass (WSTG-SESS-10).
func forms(spot harness.Spot, issuer string) []addressForm {
	trusted, err := url.Parse(issuer)
	there := strings.TrimPrefix(spot.URL, "https://")
	all := []addressForm{{"of ours", spot.URL + "/jwks"}}
	if spot.Through != "" {
		all = append(all, addressForm{"by an open redirect", spot.Through})
	}
	if err != nil || trusted.Host == "" {
		return all
	}
	return append(all,
		addressForm{"behind the trusted host as user information", "https://" + trusted.Host + "@" + there + "/jwks"},
		addressForm{"with the trusted host in its fragment", spot.URL + "/jwks#" + issuer + "/jwks"},
		addressForm{"with the trusted host in its query", spot.URL + "/jwks?" + issuer + "/jwks"},
	)
}

// floodLanes are few: of unknown kids that come at once, a service may fetch for all.
const floodLanes = 4

// Flood sends so many unknown kids, each another one, and counts what the key set's
// endpoint has of them.
func Flood(kids int) harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("send the critical endpoints %d tokens of as many unknown kids on %d connections at once, and count the fetches "+
			"of the JWKS meanwhile", kids, floodLanes),
		Needs: []harness.Capability{harness.JWKSEndpoint, harness.GivenTokens}, Effect: harness.AuthFailures, Modes: probe.OIDCOnly,
		Alone: true, // others' fetches would be counted too
		Tells: []harness.Key{harness.KeySetFetches, harness.FloodLasted},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			return flooding(ctx, client, kids)
		},
	}
}

// flooding sends them, and counts.
func flooding(ctx context.Context, client harness.Client, kids int) (harness.Trace, error) {
	s := Of(client)
	if err := s.warm(ctx); err != nil { // also the controls: their fetches are none of the flood's
		return s.trace, err
	}
	requests, err := unknownKids(s.t, kids)
	if err != nil {
		return s.trace, err
	}
	began := time.Now()
	before, err := s.jwks.Fetches(ctx)
	if err != nil {
		return s.trace, err
	}
	s.trace.Exchanges = probe.SendLots(ctx, client, slices.Collect(slices.Chunk(requests, (len(requests)+floodLanes-1)/floodLanes)))
	after, err := s.jwks.Fetches(ctx)
	s.fact(harness.KeySetFetches.Was(after - before))
	s.fact(harness.FloodLasted.Was(time.Since(began)))
	return s.trace, err
}

func unknownKids(t *harness.Target, kids int) ([]harness.Request, error) {
	name := token.UnknownKey().Name
	values, err := token.UnknownKeys(token.From(t), kids)
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", name, err)
	}
	var requests []harness.Request
	for i, value := range values {
		r := probe.Plain(t, harness.OIDC, t.Endpoints[i%len(t.Endpoints)])
		r.Variant = name
		probe.SetToken(&r, name, value)
		requests = append(requests, r)
	}
	return requests, nil
}
