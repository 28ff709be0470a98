package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Keys is something done to the key set that the target trusts, and calls that
// tell what came of it. The sound key set is put back at the end.
type Keys struct {
	words string
	needs []harness.Capability
	bare  bool // it brings its own controls
	play  func(context.Context, *scene) error
}

// Words says what is done.
func (k Keys) Words() string { return k.words }

// Needs is control of the key set, and keys to mint tokens with.
func (k Keys) Needs() []harness.Capability {
	return union([]harness.Capability{harness.ControlJWKS, harness.MintTokens}, k.needs)
}

// Effect is disruptive: the key set changes for everybody.
func (Keys) Effect() harness.Effect { return harness.Disruptive }

// Modes is oidc.
func (Keys) Modes() []harness.Mode { return []harness.Mode{harness.OIDC} }

// Controlled says whether accepted calls must surround these.
func (k Keys) Controlled() bool { return !k.bare }

// Act plays it, and puts the sound key set back.
func (k Keys) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	s := &scene{hands: hands, t: hands.Target(), jwks: hands.Target().Control.JWKS}
	if !k.bare {
		if err := s.warm(ctx); err != nil {
			return s.trace, err
		}
	}
	err := k.play(ctx, s)
	return s.trace, errors.Join(err, s.restore(ctx))
}

// scene is a key set at work: what is done to it, and what is seen meanwhile.
type scene struct {
	hands harness.Hands
	t     *harness.Target
	jwks  harness.JWKSControl
	base  int // fetches of the key set when it was last changed
	trace harness.Trace
}

// warm sends every endpoint its control: what stands before the stimulus must
// be of the sound key set.
func (s *scene) warm(ctx context.Context) error {
	calls, err := s.call(ctx, token.Sound())
	if err != nil {
		return err
	}
	if !s.all(calls, s.accepted) {
		return fmt.Errorf("calling under the sound key set: %w: a valid token was not accepted", ErrUnseen)
	}
	return nil
}

// restore serves the sound key set, and waits until the control is accepted.
func (s *scene) restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.newKey()+10*time.Second)
	defer cancel()
	if err := s.jwks.Serve(ctx, harness.JWKSAnswer{}); err != nil {
		return fmt.Errorf("putting the sound key set back: %w", err)
	}
	_, _, err := s.until(ctx, 2*s.newKey(), s.accepted, token.Sound())
	return err
}

func (s *scene) newKey() time.Duration { return bound(s.t.Profile.NewKeyBound, harness.DefaultNewKey) }

func (s *scene) removedKey() time.Duration {
	return bound(s.t.Profile.RemovedKeyBound, harness.DefaultRemovedKey)
}

// serve makes the key set's endpoint answer so from now on.
func (s *scene) serve(ctx context.Context, answer harness.JWKSAnswer) error {
	if err := s.jwks.Serve(ctx, answer); err != nil {
		return fmt.Errorf("changing the key set: %w", err)
	}
	var err error
	if s.base, err = s.jwks.Fetches(ctx); err != nil {
		return fmt.Errorf("changing the key set: %w", err)
	}
	return nil
}

// digested waits until an answer of the changed endpoint has come and, by the
// next question, been done with; no longer than a service that re-reads its
// keys would need.
func (s *scene) digested(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	for {
		n, err := s.jwks.Fetches(ctx)
		if err == nil && n >= s.base+2 || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("counting fetches of the key set: %w", err)
		}
		pause(ctx, 2*time.Millisecond)
	}
}

// patience is how long a service may be expected to take until it asks for the
// key set again: twenty times what is declared, or a second.
func (s *scene) patience() time.Duration {
	return bound(min(20*s.t.Profile.KeyRefresh, s.newKey()), time.Second)
}

// asked reports whether the changed endpoint was asked at all within patience
// of a time.
func (s *scene) asked(ctx context.Context, since time.Time) bool {
	n, err := s.jwks.Fetches(ctx)
	return err != nil || n > s.base || time.Since(since) < s.patience()
}

// sound are the public halves of the keys that the target trusts.
func (s *scene) sound() ([]token.JWK, error) { return publics(s.t.Tokens.Signing) }

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
func (s *scene) install(ctx context.Context, more ...token.JWK) error {
	witness, err := token.NewKey()
	if err != nil {
		return err
	}
	if err := s.publish(ctx, witness, more...); err != nil {
		return err
	}
	began, known := time.Now(), false
	_, _, err = s.until(ctx, s.newKey(), func(x harness.Exchange) bool {
		known = s.accepted(x)
		return known || !s.asked(ctx, began) // then it will not be known at all
	}, token.SignedBy("token of a new key", witness))
	if err == nil && !known {
		err = fmt.Errorf("waiting for a new key set: %w: the target took none of it within %s", ErrUnseen, s.newKey())
	}
	return err
}

// publish serves the sound keys, more, and last one more.
func (s *scene) publish(ctx context.Context, last harness.SigningKey, more ...token.JWK) error {
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
func (s *scene) call(ctx context.Context, recipes ...token.Recipe) ([]harness.Exchange, error) {
	trace, err := Bearer(recipes...).Act(ctx, s.hands)
	return trace.Exchanges, err
}

// note calls, and keeps what was seen under a name of the situation, if any.
func (s *scene) note(ctx context.Context, situation string, recipes ...token.Recipe) error {
	calls, err := s.call(ctx, recipes...)
	s.keep(situation, calls)
	return err
}

func (s *scene) keep(situation string, calls []harness.Exchange) {
	for _, x := range calls {
		if situation != "" {
			x.Request.Variant += ", " + situation
		}
		s.trace.Exchanges = append(s.trace.Exchanges, x)
	}
}

// until presents one token to every endpoint until each answers as wanted, or
// the limit has passed; it gives the last answers, and how long it took.
func (s *scene) until(ctx context.Context, limit time.Duration, wanted func(harness.Exchange) bool, recipe token.Recipe) ([]harness.Exchange, time.Duration, error) {
	began := time.Now()
	for {
		calls, err := s.call(ctx, recipe)
		took := time.Since(began)
		if err != nil || s.all(calls, wanted) || took > limit || !pause(ctx, 5*time.Millisecond) {
			return calls, took, err
		}
	}
}

func (*scene) all(calls []harness.Exchange, wanted func(harness.Exchange) bool) bool {
	return len(calls) > 0 && !slices.ContainsFunc(calls, func(x harness.Exchange) bool { return !wanted(x) })
}

func (s *scene) accepted(x harness.Exchange) bool {
	return s.t.Profile.Accepts(x.Observation.Status)
}

func unauthenticated(x harness.Exchange) bool { return x.Observation.Status == 401 }

// fact keeps a fact.
func (s *scene) fact(name string, values ...string) {
	s.trace.Facts = append(s.trace.Facts, harness.Fact{Name: name, Values: values})
}

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

// NewKey publishes a key beside the others and waits until its tokens are
// accepted.
func NewKey() Keys {
	return Keys{words: "publish a new key, and call every critical endpoint with its token until it is accepted or the declared bound has passed",
		play: func(ctx context.Context, s *scene) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			if err := s.publish(ctx, key); err != nil {
				return err
			}
			calls, took, err := s.until(ctx, s.newKey(), s.accepted, token.SignedBy(OfNewKey, key))
			s.keep("", calls)
			s.fact("a new key was accepted after", took.Round(time.Millisecond).String())
			return err
		}}
}

// WithdrawnKey takes the first trusted key out and waits until its tokens are
// refused; a new key stays.
func WithdrawnKey() Keys {
	return Keys{words: "withdraw a key, and call every critical endpoint with its token until it is refused or the declared bound has passed; then with a token of another key",
		play: func(ctx context.Context, s *scene) error {
			gone, other := s.t.Tokens.Signing[0], s.t.Tokens.Signing[1:]
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			left, err := publics(append(slices.Clone(other), key))
			if err != nil {
				return err
			}
			if err := s.serve(ctx, harness.JWKSAnswer{Body: token.KeySet(left...)}); err != nil {
				return err
			}
			calls, took, err := s.until(ctx, s.removedKey(), unauthenticated, token.SignedBy(OfGoneKey, gone))
			s.keep("", calls)
			s.fact("a withdrawn key was refused after", took.Round(time.Millisecond).String())
			if err != nil {
				return err
			}
			calls, _, err = s.until(ctx, s.newKey(), s.accepted, token.SignedBy(OfStaying, key))
			s.keep("", calls)
			return err
		}}
}

// Overlap presents tokens of an old and a new key in turn, while both are
// published.
func Overlap() Keys {
	return Keys{words: "publish a new key beside the old ones, and once it is known call every critical endpoint with tokens of both",
		play: func(ctx context.Context, s *scene) error {
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
		}}
}

// KeyOutage closes every connection to the key set after it was read.
func KeyOutage() Keys {
	return Keys{words: "let the JWKS endpoint fall silent, and once it was asked again call every critical endpoint with a valid token",
		play: func(ctx context.Context, s *scene) error {
			if err := s.fall(ctx); err != nil {
				return err
			}
			return s.note(ctx, "", token.Sound())
		}}
}

// fall is an outage that the target has noticed, if it looks.
func (s *scene) fall(ctx context.Context) error {
	if err := s.serve(ctx, harness.JWKSAnswer{Down: true}); err != nil {
		return err
	}
	return s.digested(ctx)
}

// Poison presents unknown kids during an outage, and then a valid token.
func Poison() Keys {
	return Keys{words: "during an outage of the JWKS endpoint call every critical endpoint with an unknown kid, and then with a valid token",
		play: func(ctx context.Context, s *scene) error {
			if err := s.fall(ctx); err != nil {
				return err
			}
			if err := s.note(ctx, "", token.UnknownKey()); err != nil {
				return err
			}
			return s.note(ctx, "", token.Sound())
		}}
}

// Recovery ends an outage by a new key.
func Recovery() Keys {
	return Keys{words: "end an outage of the JWKS endpoint with a new key published, and call every critical endpoint with a token of the new key and with a valid one until they are accepted or the declared bound has passed",
		play: func(ctx context.Context, s *scene) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			if err := s.fall(ctx); err != nil {
				return err
			}
			if err := s.publish(ctx, key); err != nil {
				return err
			}
			// The new key first: once it is accepted, the key set is the new one.
			for _, recipe := range []token.Recipe{token.SignedBy(OfNewKey, key), token.Sound()} {
				calls, took, err := s.until(ctx, min(s.newKey(), time.Minute), s.accepted, recipe)
				s.keep("", calls)
				s.fact("after the outage a "+recipe.Name+" was accepted after", took.Round(time.Millisecond).String())
				if err != nil {
					return err
				}
			}
			return nil
		}}
}

// hostile are answers of a JWKS endpoint that hold no key set (JWKS-008).
var hostile = []struct {
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

// HostileKeySets answers with what is no key set.
func HostileKeySets() Keys {
	return Keys{words: "let the JWKS endpoint answer 500, HTML, {}, no keys, null, a key set cut short, 50 MB, and the sound keys as text/plain; each time, once it was asked, call every critical endpoint with a valid token and forged ones",
		play: func(ctx context.Context, s *scene) error {
			keys, err := s.sound()
			if err != nil {
				return err
			}
			all := append(slices.Clone(hostile), struct {
				name   string
				answer harness.JWKSAnswer
			}{"the keys as text/plain", harness.JWKSAnswer{ContentType: "text/plain", Body: token.KeySet(keys...)}})
			for _, h := range all {
				if err := s.serve(ctx, h.answer); err != nil {
					return err
				}
				if err := s.digested(ctx); err != nil {
					return err
				}
				if err := s.note(ctx, "while the JWKS is "+h.name, token.Sound(), token.StolenKid(), token.UnknownKey()); err != nil {
					return err
				}
			}
			return nil
		}}
}

// promptness is how long a call that needs no fetch may take.
const promptness = 3 * time.Second

// SlowKeySet holds the key set's answer back while it is asked for.
func SlowKeySet() Keys {
	return Keys{words: "hold the JWKS endpoint's answer back for a minute, and while it is asked for call every critical endpoint with an unknown kid and with a valid token",
		play: func(ctx context.Context, s *scene) error {
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
		}}
}

// whileHeld presents a valid token while the key set is being asked for.
func (s *scene) whileHeld(ctx context.Context) error {
	held, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	if err := s.jwks.Held(held); err != nil {
		return fmt.Errorf("holding the key set back: %w: nobody asked for it within %s", ErrUnseen, s.patience())
	}
	prompt, cancel := context.WithTimeout(ctx, promptness)
	defer cancel()
	return s.note(prompt, "", token.Sound())
}

// RedirectedKeySet redirects the key set to another host and to plain HTTP.
func RedirectedKeySet() Keys {
	return Keys{words: "let the JWKS endpoint redirect to a listener of ours, at another host and over plain HTTP, and once it was asked call every critical endpoint with a token of the key that listener serves",
		needs: []harness.Capability{harness.OutOfBand},
		play: func(ctx context.Context, s *scene) error {
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
				if err := s.digested(ctx); err != nil {
					return err
				}
				if err := s.note(ctx, "redirected "+to.name, token.SignedBy(OfRedirect, key)); err != nil {
					return err
				}
			}
			return s.hits(ctx, mark)
		}}
}

// hits keeps how often a mark of the outside was called.
func (s *scene) hits(ctx context.Context, mark string) error {
	n, err := s.t.Control.Outside.Hits(ctx, mark)
	if err != nil {
		return fmt.Errorf("counting calls out of band: %w", err)
	}
	s.fact(Called, fmt.Sprint(n))
	return nil
}

// Called is the fact of calls that came to a listener of ours.
const Called = "calls out of band"

// UnusableKeys puts a good key among keys that cannot be used.
func UnusableKeys() Keys {
	return Keys{words: "publish keys of an unknown type, on an unknown curve and without a modulus around a good one with an unknown member, and call every critical endpoint with the good one's token until it is accepted or the declared bound has passed",
		play: func(ctx context.Context, s *scene) error {
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			good, err := token.Public(key)
			if err != nil {
				return err
			}
			keys, err := s.sound()
			if err != nil {
				return err
			}
			unusable := func(members token.JWK) token.JWK { return members.With("kid", "kid-"+token.Random(8)) }
			set := slices.Concat([]token.JWK{
				unusable(token.JWK{"kty": "X-" + token.Random(3), "use": "sig", "x": token.Random(8)}),
				unusable(token.JWK{"kty": "RSA", "use": "sig", "e": "AQAB"}),
			}, keys, []token.JWK{
				good.With("x-"+token.Random(3), map[string]any{"note": 1}),
				unusable(token.JWK{"kty": "EC", "crv": "P-0", "x": "AA", "y": "AA", "use": "sig"}),
				unusable(token.JWK{"use": "sig"}),
			})
			if err := s.serve(ctx, harness.JWKSAnswer{Body: token.KeySet(set...)}); err != nil {
				return err
			}
			calls, _, err := s.until(ctx, s.newKey(), s.accepted, token.SignedBy(OfGoodKey, key))
			s.keep("", calls)
			return err
		}}
}

// tries is how often each token of a kid that two keys bear is presented.
const tries = 20

// DuplicateKid publishes two keys of one kid.
func DuplicateKid() Keys {
	return Keys{words: fmt.Sprintf("publish two keys of one kid, and call the critical endpoints %d times with a token of the first, of the second and of neither", tries),
		play: func(ctx context.Context, s *scene) error {
			var keys [3]harness.SigningKey
			var published []token.JWK
			kid := "kid-" + token.Random(8)
			for i := range keys {
				var err error
				if keys[i], err = token.NewKey(); err != nil {
					return err
				}
				public, err := token.Public(keys[i])
				if err != nil {
					return err
				}
				published = append(published, public.With("kid", kid))
			}
			if err := s.install(ctx, published[:2]...); err != nil {
				return err
			}
			for range (tries + len(s.t.Endpoints) - 1) / max(1, len(s.t.Endpoints)) {
				if err := s.note(ctx, "", token.SignedAs(OfFirst, keys[0], kid), token.SignedAs(OfSecond, keys[1], kid), token.SignedAs(OfNeither, keys[2], kid)); err != nil {
					return err
				}
			}
			return nil
		}}
}

// SecretKeys publishes a symmetric key, and a private one.
func SecretKeys() Keys {
	return Keys{words: "publish a symmetric key and a private RSA key, and call every critical endpoint with HS256 tokens keyed with them",
		play: func(ctx context.Context, s *scene) error {
			secret, kid := []byte(token.Random(16)), "kid-"+token.Random(8)
			key, err := token.NewRSAKey()
			if err != nil {
				return err
			}
			private, err := token.Private(key)
			if err != nil {
				return err
			}
			if err := s.install(ctx, token.Octets(kid, secret), private.With("alg", nil)); err != nil {
				return err
			}
			recipes, err := keyedWithPublic(key)
			if err != nil {
				return err
			}
			return s.note(ctx, "", append(recipes,
				token.KeyedWith("HS256 token keyed with a published symmetric key", kid, secret),
				token.KeyedWith("HS256 token keyed with a published private key as PEM", key.ID, []byte(key.PEM.Reveal())),
			)...)
		}}
}

// AlglessKey publishes an RSA key that says no algorithm.
func AlglessKey() Keys {
	return Keys{words: "publish an RSA key without alg, and call every critical endpoint with HS256 tokens keyed with its public half in every encoding",
		play: func(ctx context.Context, s *scene) error {
			key, err := token.NewRSAKey()
			if err != nil {
				return err
			}
			public, err := token.Public(key)
			if err != nil {
				return err
			}
			if err := s.install(ctx, public.With("alg", nil)); err != nil {
				return err
			}
			recipes, err := keyedWithPublic(key)
			if err != nil {
				return err
			}
			return s.note(ctx, "", recipes...)
		}}
}

// keyedWithPublic are HS256 tokens keyed with the public half of an RSA key.
func keyedWithPublic(key harness.SigningKey) ([]token.Recipe, error) {
	encodings, err := token.Encodings(key)
	if err != nil {
		return nil, err
	}
	var recipes []token.Recipe
	for _, name := range sortedKeys(encodings) {
		recipes = append(recipes, token.KeyedWith("HS256 token keyed with the public half as "+name, key.ID, encodings[name]))
	}
	return recipes, nil
}
