// Package keyset changes the key set that a target trusts, and calls with tokens that tell
// what comes of it.
package keyset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// keyNeeds is what changes of the key set need: control of it, keys to mint tokens with,
// and more.
func keyNeeds(more ...harness.Capability) []harness.Capability {
	return append([]harness.Capability{harness.ControlJWKS, harness.MintTokens}, more...)
}

// onKeySet does something to the key set that the target trusts, with calls that tell
// what comes of it, and puts the sound one back at the end.
func onKeySet(play func(context.Context, *Set) error) func(context.Context, harness.Client) (harness.Trace, error) {
	return func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		s := Of(client)
		if err := s.warm(ctx); err != nil {
			return s.trace, err
		}
		err := play(ctx, s)
		return s.trace, errors.Join(err, s.Restore(ctx))
	}
}

// Of is the key set of the target that is acted on.
func Of(client harness.Client) *Set {
	return &Set{client: client, t: client.Target(), jwks: client.Target().Control.JWKS}
}

// Set is a key set at work: what is done to it, and what is seen meanwhile.
type Set struct {
	client harness.Client
	t      *harness.Target
	jwks   harness.JWKSControl
	base   int // fetches of the key set when it was last changed
	// uncounted says that nobody tells what the endpoint was asked.
	uncounted bool
	trace     harness.Trace
}

// warm sends every endpoint its control: what stands before the stimulus must
// be of the sound key set.
func (s *Set) warm(ctx context.Context) error {
	calls, err := s.call(ctx, token.Sound())
	if err != nil {
		return err
	}
	if !s.all(calls, s.accepted) {
		return fmt.Errorf("calling under the sound key set: %w: a valid token was not accepted", harness.ErrUnseen)
	}
	return nil
}

// Restore serves the sound key set, and waits until the control is accepted.
func (s *Set) Restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.newKey()+10*time.Second)
	defer cancel()
	if err := s.jwks.Serve(ctx, harness.JWKSAnswer{}); err != nil {
		return fmt.Errorf("putting the sound key set back: %w", err)
	}
	_, _, err := s.until(ctx, 2*s.newKey(), s.accepted, token.Sound())
	return err
}

func (s *Set) newKey() time.Duration {
	return probe.Bound(s.t.Profile.NewKeyBound, harness.DefaultNewKey)
}

func (s *Set) removedKey() time.Duration {
	return probe.Bound(s.t.Profile.RemovedKeyBound, harness.DefaultRemovedKey)
}

// serve makes the key set's endpoint answer so from now on.
func (s *Set) serve(ctx context.Context, answer harness.JWKSAnswer) error {
	if err := s.jwks.Serve(ctx, answer); err != nil {
		return fmt.Errorf("changing the key set: %w", err)
	}
	var err error
	s.base, err = s.jwks.Fetches(ctx)
	if s.uncounted = errors.Is(err, harness.ErrNotOffered); s.uncounted {
		return nil
	}
	if err != nil {
		return fmt.Errorf("changing the key set: %w", err)
	}
	return nil
}

// Digested waits until an answer of the changed endpoint has come and, by the
// next question, been done with; no longer than a service that re-reads its
// keys would need, and so long where nobody counts its questions.
func (s *Set) Digested(ctx context.Context) error { return s.digestedAfter(ctx, 2) }

// digestedAfter is digested by so many questions.
func (s *Set) digestedAfter(ctx context.Context, questions int) error {
	if s.uncounted {
		probe.Pause(ctx, s.patience())
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	for {
		n, err := s.jwks.Fetches(ctx)
		if err == nil && n >= s.base+questions || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("counting fetches of the key set: %w", err)
		}
		probe.Pause(ctx, 2*time.Millisecond)
	}
}

// patience is how long a service may be expected to take until it asks for the
// key set again: twenty times what is declared, or a second.
func (s *Set) patience() time.Duration {
	return probe.Bound(min(20*s.t.Profile.KeyRefresh, s.newKey()), time.Second)
}

// asked reports whether the changed endpoint was asked at all within patience
// of a time.
func (s *Set) asked(ctx context.Context, since time.Time) bool {
	n, err := s.jwks.Fetches(ctx)
	return err != nil || n > s.base || time.Since(since) < s.patience()
}

// sound are the public halves of the keys that the target trusts.
func (s *Set) sound() ([]token.JWK, error) { return publics(s.t.Tokens.Signing) }

func publics(keys []harness.SigningKey) ([]token.JWK, error) {
	var all []token.JWK
	for _, key := range keys {
		public, err := token.Public(key)
		if err != nil {
			return nil, err
		}
		all = append(all, public)
	}
	return all, nil
}

// install serves the sound keys and some more, and waits until the target knows
// a fresh one among them: then it knows them all.
func (s *Set) install(ctx context.Context, more ...token.JWK) error {
	witness, err := token.NewKey()
	if err != nil {
		return err
	}
	if err := s.Publish(ctx, witness, more...); err != nil {
		return err
	}
	began, known := time.Now(), false
	_, _, err = s.until(ctx, s.newKey(), func(x harness.Exchange) bool {
		known = s.accepted(x)
		return known || !s.asked(ctx, began) // then it will not be known at all
	}, token.SignedBy("token of a new key", witness))
	if err == nil && !known {
		err = fmt.Errorf("waiting for a new key set: %w: the target took none of it within %s", harness.ErrUnseen, s.newKey())
	}
	return err
}

// Publish serves the sound keys, more, and last one more.
func (s *Set) Publish(ctx context.Context, last harness.SigningKey, more ...token.JWK) error {
	keys, err := s.sound()
	if err != nil {
		return err
	}
	public, err := token.Public(last)
	if err != nil {
		return err
	}
	return s.serve(ctx, harness.JWKSAnswer{Body: token.KeySet(slices.Concat(keys, more, []token.JWK{public})...)})
}

// call presents tokens to every critical endpoint.
func (s *Set) call(ctx context.Context, recipes ...token.Recipe) ([]harness.Exchange, error) {
	trace, err := probe.Bearer(recipes...).Build().Act(ctx, s.client)
	return trace.Exchanges, err
}

// note calls, and keeps what was seen under a name of the situation, if any.
func (s *Set) note(ctx context.Context, situation string, recipes ...token.Recipe) error {
	calls, err := s.call(ctx, recipes...)
	s.keep(situation, calls)
	return err
}

func (s *Set) keep(situation string, calls []harness.Exchange) {
	for _, x := range calls {
		if situation != "" {
			x.Request.Variant += ", " + situation
		}
		s.trace.Exchanges = append(s.trace.Exchanges, x)
	}
}

// until presents one token to every endpoint until each answers as wanted, or
// the limit has passed; it gives the last answers, and how long it took.
func (s *Set) until(ctx context.Context, limit time.Duration, wanted func(harness.Exchange) bool,
	recipe token.Recipe) ([]harness.Exchange, time.Duration, error) {
	began, over := time.Now(), s.client.Patience(limit)
	for {
		calls, err := s.call(ctx, recipe)
		took := time.Since(began)
		if err != nil || s.all(calls, wanted) || over() || !probe.Pause(ctx, 5*time.Millisecond) {
			return calls, took, err
		}
	}
}

func (*Set) all(calls []harness.Exchange, wanted func(harness.Exchange) bool) bool {
	return len(calls) > 0 && !slices.ContainsFunc(calls, func(x harness.Exchange) bool { return !wanted(x) })
}

func (s *Set) accepted(x harness.Exchange) bool {
	return s.t.Profile.Accepts(x.Observation.Status)
}

func unauthenticated(x harness.Exchange) bool { return x.Observation.Status == 401 }

// fact keeps a fact.
func (s *Set) fact(f harness.Fact) { s.trace.Facts = append(s.trace.Facts, f) }

// The tokens of the stimuli, by name.
const (
	OfNewKey   = "token of the new key"
	OfGoneKey  = "token of the withdrawn key"
	OfStaying  = "token of a key that stays"
	OfGoodKey  = "token of the good key"
	OfFirst    = "token of the first key of that kid"
	OfSecond   = "token of the second key of that kid"
	OfNeither  = "token of no key of that kid"
	OfDecoy    = "token of the decoy's key"
	OfRedirect = "token of a key that only the redirect leads to"
)
