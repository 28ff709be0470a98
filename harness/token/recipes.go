package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/conformance/harness"
)

// minted is a sound token with one change made before it is signed by the
// trusted key. Without that key there is none: a given token cannot be changed.
func minted(name string, change func(*Draft)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens}, Make: func(s Source) (string, error) {
		d, err := s.mint()
		if err != nil {
			return "", err
		}
		change(&d)
		return d.Compact()
	}}
}

// mint is a sound draft signed by the first granted key.
func (s Source) mint() (Draft, error) {
	if len(s.Grant.Signing) == 0 {
		return Draft{}, errors.New("minting a token: no signing key is granted")
	}
	return s.DraftFor(s.Grant.Signing[0])
}

// forged is an accepted token with one change that the trusted key does not
// cover: made after signing, or signed by somebody else.
func forged(name string, change func(d Draft) (string, error)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.GivenTokens}, Make: func(s Source) (string, error) {
		d, err := s.Draft()
		if err != nil {
			return "", err
		}
		return change(d.Clone())
	}}
}

// rewritten drops a given token's own bytes, so that changes take effect.
func (d Draft) rewritten() Draft {
	d.RawHeader, d.RawPayload = nil, nil
	return d
}

// Sound is the token of a control: minted, or as given.
func Sound() Recipe {
	return Recipe{Name: "valid token", Needs: []harness.Capability{harness.GivenTokens}, Make: func(s Source) (string, error) {
		if len(s.Grant.Signing) == 0 {
			return s.Grant.Valid.Reveal(), nil
		}
		d, err := s.Draft()
		if err != nil {
			return "", err
		}
		return d.Compact()
	}}
}

// Expired is a token whose exp lies ago in the past; it was valid before. One
// that was given expired when it did.
func Expired(ago time.Duration) Recipe {
	name := fmt.Sprintf("token expired %s ago", words(ago))
	return Recipe{Name: name, Needs: []harness.Capability{harness.ExpiredToken}, Make: func(s Source) (string, error) {
		if len(s.Grant.Signing) == 0 {
			return s.Grant.Expired.Reveal(), nil
		}
		s.Now = s.Now.Add(-ago - Lifetime)
		d, err := s.mint()
		if err != nil {
			return "", err
		}
		return d.Compact()
	}}
}

// NotYet is a token whose nbf lies ahead.
func NotYet(ahead time.Duration) Recipe {
	return minted(fmt.Sprintf("token valid only in %s", words(ahead)), func(d *Draft) {
		d.Claims["nbf"] = time.Now().Add(ahead).Unix()
	})
}

// Until is a token that expires at a moment.
func Until(end time.Time) Recipe {
	return minted("short-lived token", func(d *Draft) { d.Claims["exp"] = end.Unix() })
}

// Without is a token that lacks a claim.
func Without(claim string) Recipe {
	return minted("token without "+claim, func(d *Draft) { delete(d.Claims, claim) })
}

// OtherAudience is a token for another service.
func OtherAudience() Recipe {
	return minted("token for another audience", func(d *Draft) { d.Claims["aud"] = "other-" + Random(4) })
}

// OtherIssuer is a token of another issuer, signed by the trusted key.
func OtherIssuer() Recipe {
	return minted("token of another issuer", func(d *Draft) { d.Claims["iss"] = "https://" + Random(4) + ".invalid" })
}

// FlippedBit is an accepted token with one bit in the middle of its signature
// flipped: the last characters may hold unused bits.
func FlippedBit() Recipe {
	return forged("token with one bit of the signature flipped", func(d Draft) (string, error) {
		inner := d.Sign
		d.Sign = func(input []byte) ([]byte, error) {
			sig, err := inner(input)
			if err != nil {
				return nil, err
			}
			flipped := append([]byte(nil), sig...)
			flipped[len(flipped)/2] ^= 0x10
			return flipped, nil
		}
		return d.Compact()
	})
}

// OtherPayload is an accepted token whose subject was changed after signing.
func OtherPayload() Recipe {
	return forged("token with its subject changed after signing", func(d Draft) (string, error) {
		header, _, signature, err := d.Segments()
		if err != nil {
			return "", err
		}
		changed := d.Clone().rewritten()
		changed.Claims["sub"] = "someone-" + Random(4)
		_, payload, _, err := changed.Segments()
		return header + "." + payload + "." + signature, err
	})
}

// LaterEnd is an accepted token whose end was put off by a day after signing: one and the
// same token to whoever goes by its subject, its identifier or its signature.
func LaterEnd() Recipe {
	return forged("token with its end put off after signing", func(d Draft) (string, error) {
		header, _, signature, err := d.Segments()
		if err != nil {
			return "", err
		}
		changed := d.Clone().rewritten()
		changed.Claims["exp"] = time.Now().Add(24 * time.Hour).Unix()
		_, payload, _, err := changed.Segments()
		return header + "." + payload + "." + signature, err
	})
}

// OtherHeader is an accepted token whose protected header was given one more
// member after signing.
func OtherHeader() Recipe {
	return forged("token with a header member added after signing", func(d Draft) (string, error) {
		_, payload, signature, err := d.Segments()
		if err != nil {
			return "", err
		}
		changed := d.Clone().rewritten()
		changed.Header["x"] = 1
		header, _, _, err := changed.Segments()
		return header + "." + payload + "." + signature, err
	})
}

// Reshaped is an accepted token whose three segments are put together in
// another way.
func Reshaped(name string, shape func(header, payload, signature string) string) Recipe {
	return forged(name, func(d Draft) (string, error) {
		h, p, s, err := d.Segments()
		return shape(h, p, s), err
	})
}

// Stripped are the two ways to leave the signature out (OIDC-009).
func Stripped() []Recipe {
	return []Recipe{
		Reshaped("token with an empty signature", func(h, p, _ string) string { return h + "." + p + "." }),
		Reshaped("token without its signature segment", func(h, p, _ string) string { return h + "." + p }),
	}
}

// Miscounted are tokens of one, two, four and five segments, and of empty ones
// (OIDC-010).
func Miscounted() []Recipe {
	return []Recipe{
		Reshaped("token of one segment", func(h, _, _ string) string { return h }),
		Reshaped("token of two segments", func(_, p, s string) string { return p + "." + s }),
		Reshaped("token of four segments", func(h, p, s string) string { return h + "." + p + "." + s + "." + s }),
		Reshaped("token of five segments", func(h, p, s string) string { return h + "." + p + "." + s + "." + s + "." + s }),
		Reshaped("token with an empty header", func(_, p, s string) string { return "." + p + "." + s }),
		Reshaped("token with an empty payload", func(h, _, s string) string { return h + ".." + s }),
		Reshaped("token of dots only", func(_, _, _ string) string { return ".." }),
	}
}

// Truncated are tokens whose signature lost four characters at either end
// (OIDC-015).
func Truncated() []Recipe {
	return []Recipe{
		Reshaped("token whose signature lost its last 4 characters", func(h, p, s string) string { return h + "." + p + "." + s[:len(s)-4] }),
		Reshaped("token whose signature lost its first 4 characters", func(h, p, s string) string { return h + "." + p + "." + s[4:] }),
	}
}

// Transplanted is header and payload of one token with the signature of
// another valid one.
func Transplanted() Recipe {
	const name = "token with the signature of another valid token"
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens}, Make: func(s Source) (string, error) {
		other, err := s.mint()
		if err != nil {
			return "", err
		}
		one, err := s.Draft()
		if err != nil {
			return "", err
		}
		h, p, _, err := one.Segments()
		if err != nil {
			return "", err
		}
		_, _, signature, err := other.Segments()
		return h + "." + p + "." + signature, err
	}}
}

func minted2(name string, join func(a, b Draft) (string, error)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens}, Make: func(s Source) (string, error) {
		a, err := s.mint()
		if err != nil {
			return "", err
		}
		return join(a.Clone(), a.Clone())
	}}
}

// Literal is a bearer that is no token.
func Literal(name, value string) Recipe {
	return Recipe{Name: name, Make: func(Source) (string, error) { return value, nil }}
}

// Garbage are bearers that are no tokens at all (OIDC-013).
func Garbage() []Recipe {
	return []Recipe{
		Literal(`bearer "abc"`, "abc"),
		Literal(`bearer "null"`, "null"),
		Literal(`bearer "undefined"`, "undefined"),
		Literal("opaque bearer of 40 characters", Random(20)),
	}
}

// attackerRSA is a key nobody trusts, minted once a process: RSA keys are slow
// to mint.
var attackerRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// attacker is a key nobody trusts, for a draft's algorithm.
func attacker(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return attackerRSA()
	}
}

func attack(name string, change func(d *Draft, key crypto.Signer) error) Recipe {
	return forged(name, func(d Draft) (string, error) {
		d = d.rewritten()
		alg, _ := d.Header["alg"].(string)
		key, err := attacker(alg)
		if err != nil {
			return "", fmt.Errorf("minting a key nobody trusts: %w", err)
		}
		d.SignWith(alg, key)
		if err := change(&d, key); err != nil {
			return "", err
		}
		return d.Compact()
	})
}

// UnknownKey is a token signed by a key nobody trusts, under a kid nobody
// knows.
func UnknownKey() Recipe {
	return attack("token signed by an unknown key, unknown kid", func(d *Draft, _ crypto.Signer) error {
		d.Header["kid"] = "kid-" + Random(6)
		return nil
	})
}

// UnknownKeys are tokens of UnknownKey's, each under a kid of its own. They share
// the signature of the first, which nobody can verify: RSA keys are slow to sign.
func UnknownKeys(s Source, number int) ([]string, error) {
	first, err := UnknownKey().Make(s)
	if err != nil {
		return nil, err
	}
	d, err := parse(first)
	if err != nil {
		return nil, err
	}
	d = d.rewritten()
	made := make([]string, number)
	for i := range made {
		d.Header["kid"] = "kid-" + Random(6)
		if made[i], err = d.Compact(); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// StolenKid is a token signed by a key nobody trusts, under a kid of the JWKS.
func StolenKid() Recipe {
	return attack("token signed by an unknown key, known kid", func(*Draft, crypto.Signer) error { return nil })
}

// EmbeddedKey are tokens that bring their own key in the header's jwk, under a
// known and an unknown kid (JOSE-007, CVE-2018-0114).
func EmbeddedKey() []Recipe {
	embed := func(d *Draft, key crypto.Signer) error {
		alg, _ := d.Header["alg"].(string)
		d.Header["jwk"] = jose.JSONWebKey{Key: key.Public(), Algorithm: alg, Use: "sig"}
		return nil
	}
	return []Recipe{
		attack("token with its own key in jwk, known kid", embed),
		attack("token with its own key in jwk, unknown kid", func(d *Draft, key crypto.Signer) error {
			d.Header["kid"] = "kid-" + Random(6)
			return embed(d, key)
		}),
		attack("token with its own key in jwk, no kid", func(d *Draft, key crypto.Signer) error {
			delete(d.Header, "kid")
			return embed(d, key)
		}),
	}
}

// Unsigned is a token whose alg is a spelling of none, without a signature.
func Unsigned(spelling string) Recipe {
	return forged(fmt.Sprintf("unsigned token, alg %q", spelling), func(d Draft) (string, error) {
		d = d.rewritten()
		d.Header["alg"] = spelling
		d.Sign = nil
		return d.Compact()
	})
}

// NoneSpellings are spellings of none other than its own (JOSE-002).
func NoneSpellings() []Recipe {
	var recipes []Recipe
	for _, s := range []string{"None", "NONE", "nOnE", "none ", "none\x00"} {
		recipes = append(recipes, Unsigned(s))
	}
	return recipes
}

// NoneSigned is a token of alg none that keeps its original signature.
func NoneSigned() Recipe {
	return forged("token of alg none with the original signature", func(d Draft) (string, error) {
		_, _, signature, err := d.Segments()
		if err != nil {
			return "", err
		}
		d = d.rewritten()
		d.Header["alg"] = "none"
		header, payload, _, err := d.Segments()
		return header + "." + payload + "." + signature, err
	})
}

// words is a duration as people say it.
func words(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}
