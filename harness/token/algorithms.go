package token

import (
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" //nolint:gosec // SHA-1 for an algorithm that nobody may take
	"encoding/json"
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
)

// rsaMinted is a sound token of the first granted RSA key, changed.
func rsaMinted(name string, change func(*Draft)) Recipe {
	return rsaMinting(name, func(d *Draft) error {
		change(d)
		return nil
	})
}

// draftOf is a sound draft of the first granted key of a kind.
func (s Source) draftOf(kind harness.Capability) (Draft, error) {
	for _, granted := range s.Grant.Signing {
		if granted.Mints(kind) {
			return s.DraftFor(granted)
		}
	}
	return Draft{}, fmt.Errorf("minting a token: no signing key is granted that gives %s", kind)
}

// OtherAlgorithms are tokens signed with the trusted RSA key by algorithms that
// are not the key's own (JOSE-018): one that is gives its place to RS256.
func OtherAlgorithms() []Recipe {
	var recipes []Recipe
	for _, alg := range []string{"RS384", "RS512", "PS256"} {
		recipes = append(recipes, rsaMinted("token signed with the RSA key by "+alg+", which is not its own", func(d *Draft) {
			other := alg
			if other == d.key.alg {
				other = "RS256"
			}
			d.Header["alg"] = other
			d.SignWith(other, d.key.signer)
		}))
	}
	return append(recipes, rsaMinted("token signed with the RSA key over SHA-1", func(d *Draft) {
		d.Header["alg"] = "RS1"
		d.Sign = func(input []byte) ([]byte, error) {
			h := crypto.SHA1.New()
			h.Write(input)
			return d.key.signer.Sign(rand.Reader, h.Sum(nil), crypto.SHA1)
		}
	}))
}

// Mismatched are tokens whose algorithm is of another kind than the key of
// their kid, signed by keys nobody trusts (JOSE-019).
func Mismatched() []Recipe {
	var recipes []Recipe
	for _, of := range []struct {
		alg, key string
		kind     harness.Capability
	}{
		{"ES256", "RSA", harness.MintRSA}, {"EdDSA", "RSA", harness.MintRSA},
		{"RS256", "EC", harness.MintEC}, {"EdDSA", "EC", harness.MintEC},
	} {
		recipes = append(recipes, Recipe{
			Name:  fmt.Sprintf("%s token with the kid of the %s key", of.alg, of.key),
			Needs: []harness.Capability{of.kind},
			Make: func(s Source) (string, error) {
				d, err := s.draftOf(of.kind)
				if err != nil {
					return "", err
				}
				key, err := attacker(of.alg)
				if err != nil {
					return "", err
				}
				d.Header["alg"] = of.alg
				d.SignWith(of.alg, key)
				return d.Compact()
			},
		})
	}
	return recipes
}

// OddAlgorithms are tokens without an algorithm that anybody knows, otherwise
// soundly signed (JOSE-020).
func OddAlgorithms() []Recipe {
	odd := func(name, alg string) Recipe {
		return forged("token with "+name, func(d Draft) (string, error) {
			d = d.rewritten()
			delete(d.Header, "alg")
			if alg != "" {
				d.Header["alg"] = json.RawMessage(alg)
			}
			return d.Compact()
		})
	}
	return []Recipe{odd("no alg", ""), odd("alg 1", "1"), odd("alg null", "null"), odd("alg XX999", `"XX999"`), odd("alg []", `["RS256"]`)}
}

// TwiceNamed are tokens with two values of alg, one of them none, in both
// orders, signed and not (JOSE-021).
type TwiceNamed struct{ LastSound, LastNone, LastSoundUnsigned, LastNoneUnsigned Recipe }

// Twice gives them.
func Twice() TwiceNamed {
	twice := func(name string, lastSound, signed bool) Recipe {
		return forged(name, func(d Draft) (string, error) {
			d = d.rewritten()
			alg := d.Header["alg"]
			first, last := any("none"), alg
			if !lastSound {
				first, last = alg, "none"
			}
			d.Header["alg"] = first
			data, err := json.Marshal(d.Header)
			if err != nil {
				return "", err
			}
			d.RawHeader = fmt.Appendf(nil, `%s,"alg":%q}`, strings.TrimSuffix(string(data), "}"), last)
			if !signed {
				d.Sign = nil
			}
			return d.Compact()
		})
	}
	return TwiceNamed{
		LastSound:         twice("token with two alg, none first", true, true),
		LastNone:          twice("token with two alg, none last", false, true),
		LastSoundUnsigned: twice("unsigned token with two alg, none first", true, false),
		LastNoneUnsigned:  twice("unsigned token with two alg, none last", false, false),
	}
}
