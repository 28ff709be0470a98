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

// Outage closes every connection to the key set after it was read.
func Outage() harness.Stimulus {
	return harness.Stimulus{
		Words: "let the JWKS endpoint fall silent, and once it was asked again call every critical endpoint with a valid token",
		Needs: keyNeeds(harness.StopJWKS), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			if err := s.fall(ctx); err != nil {
				return err
			}
			return s.note(ctx, "", token.Sound())
		}),
	}
}

// fall is an outage that the target has noticed, if it looks.
func (s *Set) fall(ctx context.Context) error {
	if err := s.serve(ctx, harness.JWKSAnswer{Down: true}); err != nil {
		return err
	}
	return s.digestedAfter(ctx, 3) // a client asks twice, where the connection it had kept is closed
}

// Poison presents unknown kids during an outage, and then a valid token.
func Poison() harness.Stimulus {
	return harness.Stimulus{
		Words: "during an outage of the JWKS endpoint call every critical endpoint with an unknown kid, and then with a valid token",
		Needs: keyNeeds(harness.StopJWKS), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			if err := s.fall(ctx); err != nil {
				return err
			}
			if err := s.note(ctx, "", token.UnknownKey()); err != nil {
				return err
			}
			return s.note(ctx, "", token.Sound())
		}),
	}
}

// Recovery ends an outage by a new key.
func Recovery() harness.Stimulus {
	return harness.Stimulus{
		Words: "end an outage of the JWKS endpoint with a new key published, and call every critical endpoint with a token of the new key " +
			"and with a valid one until they are accepted or the declared bound has passed",
		Needs: keyNeeds(harness.StopJWKS), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.RecoveredByNewKey, harness.RecoveredByValidToken},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			if err := s.fall(ctx); err != nil {
				return err
			}
			if err := s.Publish(ctx, key); err != nil {
				return err
			}
			// The new key first: once it is accepted, the key set is the new one.
			for _, c := range []struct {
				recipe    token.Recipe
				recovered harness.TimeOf
			}{{token.SignedBy(OfNewKey, key), harness.RecoveredByNewKey}, {token.Sound(), harness.RecoveredByValidToken}} {
				calls, took, err := s.until(ctx, min(s.newKey(), time.Minute), s.accepted, c.recipe)
				s.keep("", calls)
				s.fact(c.recovered.Was(took.Round(time.Millisecond)))
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// hostileAnswers are answers of a JWKS endpoint that hold no key set (JWKS-008).
var hostileAnswers = []struct {
	name   string
	answer harness.JWKSAnswer
}{
	{"500", harness.JWKSAnswer{Status: 500}},
	{"200 with HTML", harness.JWKSAnswer{ContentType: "text/html", Body: []byte("<!doctype html><title>Sign in</title>")}},
	{"{}", harness.JWKSAnswer{Body: []byte("{}")}},
	{"no keys", harness.JWKSAnswer{Body: []byte(`{"keys":[]}`)}},
	{"keys that are null", harness.JWKSAnswer{Body: []byte(`{"keys":null}`)}},
	{"a key set cut short", harness.JWKSAnswer{Body: []byte(`{"keys":[{"kty":"RSA","n":"`)}},
	{"50 MB", harness.JWKSAnswer{Body: make([]byte, 64<<10), Repeat: 800}},
}

// Hostile answers with what is no key set.
func Hostile() harness.Stimulus {
	return harness.Stimulus{
		Words: "let the JWKS endpoint answer 500, HTML, {}, no keys, null, a key set cut short, 50 MB, and the sound keys as text/plain; " +
			"each time, once it was asked, call every critical endpoint with a valid token and forged ones",
		Needs: keyNeeds(harness.JWKSEndpoint), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			keys, err := s.sound()
			if err != nil {
				return err
			}
			all := append(slices.Clone(hostileAnswers), struct {
				name   string
				answer harness.JWKSAnswer
			}{"the keys as text/plain", harness.JWKSAnswer{ContentType: "text/plain", Body: token.KeySet(keys...)}})
			for _, h := range all {
				if err := s.serve(ctx, h.answer); err != nil {
					return err
				}
				if err := s.Digested(ctx); err != nil {
					return err
				}
				if err := s.note(ctx, "while the JWKS is "+h.name, token.Sound(), token.StolenKid(), token.UnknownKey()); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// Slow holds the key set's answer back while it is asked for.
func Slow() harness.Stimulus {
	return harness.Stimulus{
		Words: "hold the JWKS endpoint's answer back for a minute, and while it is asked for call every critical endpoint with an unknown " +
			"kid and with a valid token",
		Needs: keyNeeds(harness.JWKSEndpoint), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			if err := s.serve(ctx, harness.JWKSAnswer{Delay: time.Minute}); err != nil {
				return err
			}
			var unknown []harness.Exchange
			var failed error
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				unknown, failed = s.call(ctx, token.UnknownKey())
			}()
			err := s.whileHeld(ctx)
			<-ended
			s.keep("", unknown)
			return errors.Join(err, failed)
		}),
	}
}

// whileHeld presents a valid token while the key set is being asked for.
func (s *Set) whileHeld(ctx context.Context) error {
	held, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	if err := s.jwks.Held(held); err != nil {
		return fmt.Errorf("holding the key set back: %w: nobody asked for it within %s", harness.ErrUnseen, s.patience())
	}
	calls, err := s.promptly(ctx)
	s.keep("", calls)
	return err
}

// promptly presents a valid token, which must be answered promptly. Where it was not it is
// presented again and again, for as long as some fetches take, until it was late twice:
// a moment's stall is no verdict, and what waits for fetches waits again.
func (s *Set) promptly(ctx context.Context) ([]harness.Exchange, error) {
	calls, err := s.atOnce(ctx)
	if err != nil || !slices.ContainsFunc(calls, unhurried) {
		return calls, err
	}
	stalls := 0
	if slices.ContainsFunc(calls, late) {
		stalls++
	}
	if err := s.fetchedAgain(ctx); err != nil {
		return nil, err
	}
	for over := s.client.Patience(5 * probe.Promptness); err == nil && stalls < 2 && !over() && probe.Pause(ctx, probe.Promptness/10); {
		if calls, err = s.atOnce(ctx); slices.ContainsFunc(calls, late) {
			stalls++
		}
	}
	for i := range calls {
		if stalls > 1 && late(calls[i]) {
			calls[i].Observation.Earlier = append(calls[i].Observation.Earlier, string(harness.TimeOut))
		}
	}
	return calls, err
}

// late reports a call that had no answer in time.
func late(x harness.Exchange) bool { return x.Observation.Transport == harness.TimeOut }

// unhurried reports a call that was late, or may have waited for the end of a fetch.
func unhurried(x harness.Exchange) bool {
	return late(x) || x.Observation.Total > probe.Promptness/3
}

// atOnce presents a valid token, and waits for as long as an answer without a fetch may
// take.
func (s *Set) atOnce(ctx context.Context) ([]harness.Exchange, error) {
	limited, cancel := context.WithTimeout(ctx, probe.Promptness)
	defer cancel()
	return s.call(limited, token.Sound())
}

// fetchTimeOut is how long a service waits for a key set at most.
const fetchTimeOut = 30 * time.Second

// fetchedAgain waits until the key set is asked for once more.
func (s *Set) fetchedAgain(ctx context.Context) error {
	before, err := s.jwks.Fetches(ctx)
	over := s.client.Patience(fetchTimeOut + s.patience())
	for err == nil && !over() && probe.Pause(ctx, 5*time.Millisecond) {
		var now int
		if now, err = s.jwks.Fetches(ctx); err == nil && now > before {
			return nil
		}
	}
	return err // a fetch that has not ended is held still
}

// Redirected redirects the key set to another host and to plain HTTP.
func Redirected() harness.Stimulus {
	return harness.Stimulus{
		Words: "let the JWKS endpoint redirect to a listener of ours, at another host and over plain HTTP, and once it was asked call every " +
			"critical endpoint with a token of the key that listener serves",
		Needs: keyNeeds(harness.JWKSEndpoint, harness.OutOfBand), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.CallsOutOfBand},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			keys, err := publics(append(slices.Clone(s.t.Tokens.Signing), key))
			if err != nil {
				return err
			}
			mark := "redirect-" + token.Random(8)
			spot, err := s.t.Control.Outside.Listen(ctx, mark, token.KeySet(keys...))
			if err != nil {
				return fmt.Errorf("listening out of band: %w", err)
			}
			for _, to := range []struct{ name, url string }{{"to another host", spot.URL}, {"to plain HTTP", spot.Plain}} {
				if to.url == "" {
					continue
				}
				if err := s.serve(ctx, harness.JWKSAnswer{Status: 302, Location: to.url + "/jwks"}); err != nil {
					return err
				}
				if err := s.Digested(ctx); err != nil {
					return err
				}
				if err := s.note(ctx, "redirected "+to.name, token.SignedBy(OfRedirect, key)); err != nil {
					return err
				}
			}
			return s.hits(ctx, mark)
		}),
	}
}

// hits keeps how often a mark of the outside was called.
func (s *Set) hits(ctx context.Context, mark string) error {
	n, err := s.t.Control.Outside.Hits(ctx, mark)
	if err != nil {
		return fmt.Errorf("counting calls out of band: %w", err)
	}
	s.fact(harness.CallsOutOfBand.Was(n))
	return nil
}
