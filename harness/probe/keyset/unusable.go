package keyset

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Unusable puts a good key among keys that cannot be used.
func Unusable() harness.Stimulus {
	return harness.Stimulus{
		Words: "publish keys of an unknown type, on an unknown curve and without a modulus, and readable ones to encrypt to, of another " +
			"curve and of EdDSA, around a good one with an unknown member, and " +
			"call every critical endpoint with the good one's token until it is accepted or the declared bound has passed",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
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
			other, err := notForThis()
			if err != nil {
				return err
			}
			set := slices.Concat([]token.JWK{
				unusable(token.JWK{"kty": "X-" + token.Random(3), "use": "sig", "x": token.Random(8)}),
				unusable(token.JWK{"kty": "RSA", "use": "sig", "e": "AQAB"}),
			}, other, keys, []token.JWK{
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
		}),
	}
}

// notForThis are sound keys that verify no token here: one to encrypt to, one of another
// curve and one of EdDSA (RFC 7517 section 4.2; RFC 7518 section 6.2.1.1; RFC 8037 section 2).
func notForThis() ([]token.JWK, error) {
	point := func(curve elliptic.Curve, name string) (token.JWK, error) {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		text, err := key.PublicKey.Bytes() // 04 || x || y (SEC 1 section 2.3.3)
		if err != nil {
			return nil, err
		}
		size := (len(text) - 1) / 2
		return token.JWK{"kty": "EC", "crv": name, "kid": "kid-" + token.Random(8),
			"x": base64.RawURLEncoding.EncodeToString(text[1 : 1+size]), "y": base64.RawURLEncoding.EncodeToString(text[1+size:])}, nil
	}
	encrypting, err := point(elliptic.P256(), "P-256")
	if err != nil {
		return nil, err
	}
	larger, err := point(elliptic.P384(), "P-384")
	if err != nil {
		return nil, err
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	return []token.JWK{
		encrypting.With("use", "enc"), larger.With("use", "sig"),
		{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "kid-" + token.Random(8), "x": base64.RawURLEncoding.EncodeToString(public)},
	}, err
}

// tries is how often each token of a kid that two keys bear is presented.
const tries = 20

// DuplicateKid publishes two keys of one kid.
func DuplicateKid() harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("publish two keys of one kid, and call the critical endpoints %d times with a token of the first, of the second "+
			"and of neither", tries),
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
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
				if err := s.note(ctx, "", token.SignedAs(OfFirst, keys[0], kid), token.SignedAs(OfSecond, keys[1], kid), token.SignedAs(OfNeither,
					keys[2], kid)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// Secret publishes a symmetric key, and a private one.
func Secret() harness.Stimulus {
	return harness.Stimulus{
		Words: "publish a symmetric key and a private RSA key, and call every critical endpoint with HS256 tokens keyed with them",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
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
		}),
	}
}

// Algless publishes an RSA key that says no algorithm.
func Algless() harness.Stimulus {
	return harness.Stimulus{
		Words: "publish an RSA key without alg, and call every critical endpoint with HS256 tokens keyed with its public half in every encoding",
		Needs: keyNeeds(), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Act: onKeySet(func(ctx context.Context, s *Set) error {
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
		}),
	}
}

// keyedWithPublic are HS256 tokens keyed with the public half of an RSA key.
func keyedWithPublic(key harness.SigningKey) ([]token.Recipe, error) {
	encodings, err := token.Encodings(key)
	if err != nil {
		return nil, err
	}
	var recipes []token.Recipe
	for _, name := range slices.Sorted(maps.Keys(encodings)) {
		recipes = append(recipes, token.KeyedWith("HS256 token keyed with the public half as "+name, key.ID, encodings[name]))
	}
	return recipes, nil
}
