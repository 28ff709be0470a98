package token

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"aegis.test/conformance/harness"
)

// ecMinted is a sound token of the first granted EC key, changed; rsaMinting the
// same of the first RSA key.
func ecMinted(name string, change func(*Draft) error) Recipe {
	return mintedOf(name, harness.MintEC, change)
}

func rsaMinting(name string, change func(*Draft) error) Recipe {
	return mintedOf(name, harness.MintRSA, change)
}

func mintedOf(name string, kind harness.Capability, change func(*Draft) error) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens, kind}, Make: func(s Source) (string, error) {
		d, err := s.draftOf(kind)
		if err != nil {
			return "", err
		}
		if err := change(&d); err != nil {
			return "", err
		}
		return d.Compact()
	}}
}

// Psychic are tokens whose ECDSA signature is made of 0, 1, the order of the
// curve and the number before it: the sixteen pairs of Wycheproof's tcId 386 to
// 401 (OIDC-019, CVE-2022-21449).
func Psychic() []Recipe {
	edges := []struct {
		name string
		of   func(n *big.Int) *big.Int
	}{
		{"0", func(*big.Int) *big.Int { return new(big.Int) }},
		{"1", func(*big.Int) *big.Int { return big.NewInt(1) }},
		{"n-1", func(n *big.Int) *big.Int { return new(big.Int).Sub(n, big.NewInt(1)) }},
		{"n", func(n *big.Int) *big.Int { return n }},
	}
	var recipes []Recipe
	for _, r := range edges {
		for _, s := range edges {
			recipes = append(recipes, ecMinted(fmt.Sprintf("ECDSA token with r=%s, s=%s", r.name, s.name), func(d *Draft) error {
				public, ok := d.key.signer.Public().(*ecdsa.PublicKey)
				if !ok {
					return errors.New("forging a signature: the key is no EC key")
				}
				n := public.Params().N
				size := (n.BitLen() + 7) / 8
				signature := slices.Concat(r.of(n).FillBytes(make([]byte, size)), s.of(n).FillBytes(make([]byte, size)))
				d.Sign = func([]byte) ([]byte, error) { return signature, nil }
				return nil
			}))
		}
	}
	return recipes
}

// Malformed are tokens whose ECDSA signature is right and in another form than
// RFC 7518 section 3.4 has it (OIDC-020).
func Malformed() []Recipe {
	var recipes []Recipe
	add := func(name string, form func(r, s []byte) ([]byte, error)) {
		recipes = append(recipes, ecMinted("ES256 token with its signature "+name, func(d *Draft) error {
			inner := d.Sign
			d.Sign = func(input []byte) ([]byte, error) {
				sig, err := inner(input)
				if err != nil {
					return nil, err
				}
				return form(sig[:len(sig)/2], sig[len(sig)/2:])
			}
			return nil
		}))
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	add("in DER", inDER)
	add("a byte short", func(r, s []byte) ([]byte, error) { return slices.Concat(r, s[:len(s)-1]), nil })
	add("with a zero before", func(r, s []byte) ([]byte, error) { return slices.Concat(zeros(1), r, s), nil })
	add("with a zero after", func(r, s []byte) ([]byte, error) { return slices.Concat(r, s, zeros(1)), nil })
	add("with 64 zeros after", func(r, s []byte) ([]byte, error) { return slices.Concat(r, s, zeros(64)), nil })
	add("with r and s of 48 bytes", func(r, s []byte) ([]byte, error) { return slices.Concat(zeros(16), r, zeros(16), s), nil })
	add("with zeros between r and s", func(r, s []byte) ([]byte, error) { return slices.Concat(r, zeros(2), s), nil })
	return recipes
}

// inDER is a signature as X.509 writes it.
func inDER(r, s []byte) ([]byte, error) {
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
}
