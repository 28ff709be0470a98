package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Tampering presents each token that is made of one the target has just accepted: a
// verification that was remembered by header and payload would accept it too.
type Tampering struct {
	Calls
	recipes []token.Recipe
}

// Tampered presents such tokens, each behind the one that it is made of; on one
// connection per endpoint where they go together.
func Tampered(recipes ...token.Recipe) Tampering {
	calls := Bearer(recipes...)
	calls.words = "tokens made of the one that was accepted just before: " + calls.words
	return Tampering{Calls: calls, recipes: recipes}
}

// Together sends them on one connection per endpoint.
func (t Tampering) Together() Tampering {
	t.Calls = t.Calls.Together()
	return t
}

// Needs is a valid token, and what is made of it.
func (t Tampering) Needs() []harness.Capability {
	return union(token.Sound().Needs, t.Calls.Needs())
}

// Requests are the calls that Act sends.
func (t Tampering) Requests(target *harness.Target) ([]harness.Request, bool) {
	var all []harness.Request
	for _, endpoint := range t.pick(target) {
		requests, _, err := t.pairs(target, endpoint)
		if err != nil {
			return nil, false
		}
		all = append(all, requests...)
	}
	return all, true
}

// Act sends the calls, at one endpoint after the other.
func (t Tampering) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	for _, endpoint := range t.pick(hands.Target()) {
		requests, unfit, err := t.pairs(hands.Target(), endpoint)
		if err != nil {
			return trace, err
		}
		trace.Notes = union(trace.Notes, unfit)
		if t.together {
			trace.Exchanges = append(trace.Exchanges, hands.SendTogether(ctx, requests)...)
			continue
		}
		for _, r := range requests {
			trace.Exchanges = append(trace.Exchanges, hands.Send(ctx, r))
		}
	}
	return trace, nil
}

// pairs are a valid token and what is made of it, for each recipe.
func (t Tampering) pairs(target *harness.Target, endpoint harness.Endpoint) (requests []harness.Request, unfit []string, err error) {
	for _, recipe := range t.recipes {
		from := token.From(target)
		if from.Accepted, err = token.Sound().Make(from); err != nil {
			return nil, nil, fmt.Errorf("preparing %q: %w", token.Sound().Name, err)
		}
		value, err := recipe.Make(from)
		if errors.Is(err, token.ErrUnfit) {
			unfit = append(unfit, fmt.Sprintf("%q was not sent: %v", recipe.Name, err))
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("preparing %q: %w", recipe.Name, err)
		}
		requests = append(requests, bearing(target, endpoint, token.Sound().Name, from.Accepted), bearing(target, endpoint, recipe.Name, value))
	}
	if len(requests) == 0 && len(unfit) > 0 {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnseen, strings.Join(unfit, "; "))
	}
	return requests, unfit, nil
}

// bearing is a call with a token.
func bearing(t *harness.Target, endpoint harness.Endpoint, name, value string) harness.Request {
	r := plain(t, harness.OIDC, endpoint)
	r.Variant = name
	bearer(&r, name, value)
	return r
}
