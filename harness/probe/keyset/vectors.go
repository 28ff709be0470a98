package keyset

import (
	"context"
	"slices"
	"sync"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// connection is how many vectors go over one connection.
const connection = 32

// Vectors publishes keys and presents vectors to the first critical endpoint
// alone: they are about the verifier. The tokens are made by of, once the keys
// are published; the controls are the variants of their own names.
func Vectors(words string, of func() (keys []token.JWK, controls, hostile []token.Recipe, err error)) harness.Stimulus {
	return harness.Stimulus{Words: words, Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			keys, controls, hostile, err := of()
			if err != nil {
				return err
			}
			if err := s.install(ctx, keys...); err != nil {
				return err
			}
			return s.replay(ctx, slices.Concat(controls, hostile))
		})}
}

// replay presents tokens to the first endpoint over a few connections at once.
func (s *Set) replay(ctx context.Context, recipes []token.Recipe) error {
	chunks := slices.Collect(slices.Chunk(recipes, connection))
	traces, failed := make([]harness.Trace, len(chunks)), make([]error, len(chunks))
	var wait sync.WaitGroup
	for i, chunk := range chunks {
		wait.Go(func() {
			traces[i], failed[i] = probe.Bearer(chunk...).On(s.t.Endpoints[0].Name).Together().Build().Act(ctx, s.client)
		})
	}
	wait.Wait()
	for i := range chunks {
		s.keep("", traces[i].Exchanges)
		if failed[i] != nil {
			return failed[i]
		}
	}
	return nil
}

// Everywhere publishes keys and presents tokens of theirs to every endpoint.
func Everywhere(words string, of func() (keys []token.JWK, recipes []token.Recipe, err error)) harness.Stimulus {
	return harness.Stimulus{Words: words, Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			keys, recipes, err := of()
			if err != nil {
				return err
			}
			if err := s.install(ctx, keys...); err != nil {
				return err
			}
			return s.note(ctx, "", recipes...)
		})}
}
