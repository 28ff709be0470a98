package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// macced is an accepted token whose signature is an HMAC, after a change.
func macced(name, alg string, key func(d *Draft) []byte) Recipe {
	return forged(name, func(d Draft) (string, error) {
		d = d.rewritten()
		d.Header["alg"] = alg
		d.Sign = mac(alg, key(&d))
		return d.Compact()
	})
}

// guesses are secrets that people sign with: of tutorials, debuggers and word
// lists (jwt_tool, wallarm/jwt-secrets).
var guesses = []string{"", "\x00", "secret", "your-256-bit-secret", "secretkey", "changeme", "password", "key", "jwt", "aegis"}

// Guessed are tokens signed with a secret that is blank or known (JOSE-006).
func Guessed() []Recipe {
	var recipes []Recipe
	add := func(alg, name string, key func(*Draft) []byte) {
		recipes = append(recipes, macced(fmt.Sprintf("%s token keyed with %s", alg, name), alg, key))
	}
	for _, guess := range guesses {
		add("HS256", fmt.Sprintf("%q", guess), func(*Draft) []byte { return []byte(guess) })
	}
	for _, alg := range []string{"HS384", "HS512"} {
		for _, guess := range guesses[:4] {
			add(alg, fmt.Sprintf("%q", guess), func(*Draft) []byte { return []byte(guess) })
		}
	}
	add("HS256", "its kid", func(d *Draft) []byte { return text(d.Header["kid"]) })
	add("HS256", "its issuer", func(d *Draft) []byte { return text(d.Claims["iss"]) })
	return recipes
}

func text(value any) []byte {
	s, _ := value.(string)
	return []byte(s)
}

// ConfusedEC are HS256 tokens keyed with the trusted EC key's public half, in
// every encoding a verifier may hold it in (JOSE-005, CVE-2022-29217).
func ConfusedEC() []Recipe {
	var recipes []Recipe
	for _, e := range ecEncodings {
		recipes = append(recipes, ecMinted("HS256 token keyed with the EC public key as "+e.name, func(d *Draft) error {
			public, ok := d.key.signer.Public().(*ecdsa.PublicKey)
			if !ok {
				return errors.New("encoding the public key: it is no EC key")
			}
			key, err := e.of(public, d.key.id)
			if err != nil {
				return fmt.Errorf("encoding the public key: %w", err)
			}
			d.Header["alg"] = "HS256"
			d.Sign = mac("HS256", key)
			return nil
		}))
	}
	return recipes
}

var ecEncodings = []struct {
	name string
	of   func(key *ecdsa.PublicKey, kid string) ([]byte, error)
}{
	{"SPKI PEM", func(k *ecdsa.PublicKey, _ string) ([]byte, error) { return spkiPEM(k) }},
	{"SPKI PEM without its last line feed", func(k *ecdsa.PublicKey, _ string) ([]byte, error) {
		data, err := spkiPEM(k)
		return []byte(strings.TrimSuffix(string(data), "\n")), err
	}},
	{"SPKI DER", func(k *ecdsa.PublicKey, _ string) ([]byte, error) { return x509.MarshalPKIXPublicKey(k) }},
	{"its uncompressed point", func(k *ecdsa.PublicKey, _ string) ([]byte, error) { return k.Bytes() }},
	{"its coordinates", func(k *ecdsa.PublicKey, _ string) ([]byte, error) {
		point, err := k.Bytes()
		if err != nil {
			return nil, err
		}
		return point[1:], nil
	}},
	{"JWK", func(k *ecdsa.PublicKey, kid string) ([]byte, error) {
		return jose.JSONWebKey{Key: k, KeyID: kid, Algorithm: "ES256", Use: "sig"}.MarshalJSON()
	}},
}

func spkiPEM(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}
