package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Tampered presents each token that is made of one the target has just accepted, behind
// that one: a verification that was remembered by header and payload would accept it too.
func Tampered(recipes ...token.Recipe) harness.Stimulus {
	return tampering(Bearer(recipes...), recipes)
}

// TamperedTogether sends them on one connection per endpoint.
func TamperedTogether(recipes ...token.Recipe) harness.Stimulus {
	return tampering(Bearer(recipes...).Together(), recipes)
}

func tampering(calls Calls, recipes []token.Recipe) harness.Stimulus {
	calls.words = "tokens made of the one that was accepted just before: " + calls.words
	s := calls.Build()
	s.Needs = Union(token.Sound().Needs, s.Needs)
	s.Requests = func(t *harness.Target) ([]harness.Request, bool) {
		var all []harness.Request
		for _, endpoint := range calls.pick(t) {
			requests, _, err := tamperedPairs(t, endpoint, recipes)
			if err != nil {
				return nil, false
			}
			all = append(all, requests...)
		}
		return all, true
	}
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		var trace harness.Trace
		for _, endpoint := range calls.pick(client.Target()) {
			requests, unfit, err := tamperedPairs(client.Target(), endpoint, recipes)
			if err != nil {
				return trace, err
			}
			trace.Notes = Union(trace.Notes, unfit)
			if calls.together {
				trace.Exchanges = append(trace.Exchanges, client.SendTogether(ctx, requests)...)
				continue
			}
			for _, r := range requests {
				trace.Exchanges = append(trace.Exchanges, client.Send(ctx, r))
			}
		}
		return trace, nil
	}
	return s
}

// tamperedPairs are a valid token and what is made of it, for each recipe.
func tamperedPairs(target *harness.Target, endpoint harness.Endpoint, recipes []token.Recipe) (requests []harness.Request, unfit []string,
	err error) {
	for _, recipe := range recipes {
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
		return nil, nil, fmt.Errorf("%w: %s", harness.ErrUnseen, strings.Join(unfit, "; "))
	}
	return requests, unfit, nil
}

// bearing is a call with a token.
func bearing(t *harness.Target, endpoint harness.Endpoint, name, value string) harness.Request {
	r := Plain(t, harness.OIDC, endpoint)
	r.Variant = name
	SetToken(&r, name, value)
	return r
}

// Interleaved presents valid and tampered tokens in turn, pairs of them at each
// endpoint, all at once; each valid token has a subject of its own.
func Interleaved(pairs int) Calls {
	var recipes []token.Recipe
	for range pairs {
		recipes = append(recipes, token.Subject(), token.OtherPayload())
	}
	words := fmt.Sprintf("%d pairs of tokens at once: %s; %s", pairs, token.Subject().Name, token.OtherPayload().Name)
	calls := In(harness.OIDC, words, bearers(recipes)...)
	calls.atOnce = true
	return calls
}
