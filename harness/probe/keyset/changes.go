package keyset

import (
	"context"
	"slices"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// NewKey publishes a key beside the others and waits until its tokens are
// accepted.
func NewKey() harness.Stimulus {
	return harness.Stimulus{
		Words: "publish a new key, and call every critical endpoint with its token until it is accepted or the declared bound has passed",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.NewKeyAccepted},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			if err := s.Publish(ctx, key); err != nil {
				return err
			}
			calls, took, err := s.until(ctx, s.newKey(), s.accepted, token.SignedBy(OfNewKey, key))
			s.keep("", calls)
			s.fact(harness.NewKeyAccepted.Was(took.Round(time.Millisecond)))
			return err
		}),
	}
}

// Withdrawn takes the first trusted key out and waits until its tokens are
// refused; a new key stays.
func Withdrawn() harness.Stimulus {
	return harness.Stimulus{
		Words: "withdraw a key, and call every critical endpoint with new tokens of it, and with one that was served before, until they are " +
			"refused or the declared bound has passed; then with a token of another key",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.WithdrawnKeyRefused},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			gone, other := s.t.Tokens.Signing[0], s.t.Tokens.Signing[1:]
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			left, err := publics(append(slices.Clone(other), key))
			if err != nil {
				return err
			}
			known, err := token.SignedBy(OfGoneKey, gone).Make(token.From(s.t)) // one whose verdict may be remembered
			if err != nil {
				return err
			}
			if _, err := s.call(ctx, token.Literal(OfGoneKey, known)); err != nil {
				return err
			}
			if err := s.serve(ctx, harness.JWKSAnswer{Body: token.KeySet(left...)}); err != nil {
				return err
			}
			calls, took, err := s.until(ctx, s.removedKey(), unauthenticated, token.SignedBy(OfGoneKey, gone))
			s.keep("", calls)
			s.fact(harness.WithdrawnKeyRefused.Was(took.Round(time.Millisecond)))
			if err != nil {
				return err
			}
			calls, _, err = s.until(ctx, s.removedKey(), unauthenticated, token.Literal(OfGoneKey, known))
			s.keep("served before", calls)
			if err != nil {
				return err
			}
			calls, _, err = s.until(ctx, s.newKey(), s.accepted, token.SignedBy(OfStaying, key))
			s.keep("", calls)
			return err
		}),
	}
}

// ReusedKid publishes a new key in the place of the first trusted one, under its kid,
// and waits until the old key's tokens are refused and the new one's accepted.
func ReusedKid() harness.Stimulus {
	return harness.Stimulus{
		Words: "publish a new key in the place of an old one, under its kid, and call every critical endpoint with tokens of both until the " +
			"old one's are refused and the new one's accepted, or the declared bounds have passed",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.ReusedKidRefused},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			gone, other := s.t.Tokens.Signing[0], s.t.Tokens.Signing[1:]
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			key.ID = gone.ID
			left, err := publics(append(slices.Clone(other), key))
			if err != nil {
				return err
			}
			if err := s.serve(ctx, harness.JWKSAnswer{Body: token.KeySet(left...)}); err != nil {
				return err
			}
			calls, took, err := s.until(ctx, s.removedKey(), unauthenticated, token.SignedBy(OfGoneKey, gone))
			s.keep("", calls)
			s.fact(harness.ReusedKidRefused.Was(took.Round(time.Millisecond)))
			if err != nil {
				return err
			}
			calls, _, err = s.until(ctx, s.newKey(), s.accepted, token.SignedBy(OfNewKey, key))
			s.keep("", calls)
			return err
		}),
	}
}

// Overlap presents tokens of an old and a new key in turn, while both are
// published.
func Overlap() harness.Stimulus {
	return harness.Stimulus{
		Words: "publish a new key beside the old ones, and once it is known call every critical endpoint with tokens of both",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			public, err := token.Public(key)
			if err != nil {
				return err
			}
			if err := s.install(ctx, public); err != nil {
				return err
			}
			return s.note(ctx, "", token.Sound(), token.SignedBy(OfNewKey, key))
		}),
	}
}

// Withdraw serves the sound keys but the first, and a new one.
func (s *Set) Withdraw(ctx context.Context, key harness.SigningKey) error {
	left, err := publics(append(slices.Clone(s.t.Tokens.Signing[1:]), key))
	if err != nil {
		return err
	}
	return s.serve(ctx, harness.JWKSAnswer{Body: token.KeySet(left...)})
}
