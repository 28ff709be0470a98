package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/conformance/harness"
)

// NewKey mints a key that no target knows yet: ES256, under a random kid.
func NewKey() (harness.SigningKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return harness.SigningKey{}, fmt.Errorf("minting a key: %w", err)
	}
	return granted("ES256", key)
}

// NewEdKey is a key of EdDSA that no target knows, under a random kid.
func NewEdKey() (harness.SigningKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return harness.SigningKey{}, fmt.Errorf("minting a key: %w", err)
	}
	return granted("EdDSA", key)
}

// NewRSAKey is a key of RS256 that no target knows, under a random kid. RSA
// keys are slow to mint: it is the same in all of a process.
func NewRSAKey() (harness.SigningKey, error) {
	key, err := attackerRSA()
	if err != nil {
		return harness.SigningKey{}, fmt.Errorf("minting a key: %w", err)
	}
	return granted("RS256", key)
}

func granted(alg string, key any) (harness.SigningKey, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return harness.SigningKey{ID: "kid-" + Random(8), Algorithm: alg, PEM: harness.Secret(text)}, err
}

// JWK is a member of a key set (RFC 7517 section 4).
type JWK map[string]any

// Public is the public half of a key.
func Public(key harness.SigningKey) (JWK, error) { return jwk(key, false) }

// Private is a key with its private half, which no key set should hold.
func Private(key harness.SigningKey) (JWK, error) { return jwk(key, true) }

func jwk(key harness.SigningKey, private bool) (JWK, error) {
	parsed, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	whole := jose.JSONWebKey{Key: parsed.signer, KeyID: key.ID, Algorithm: key.Algorithm, Use: "sig"}
	if !private {
		whole = whole.Public()
	}
	data, err := whole.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding key %q: %w", key.ID, err)
	}
	var members JWK
	return members, json.Unmarshal(data, &members)
}

// Octets is a symmetric key.
func Octets(kid string, secret []byte) JWK {
	return JWK{"kty": "oct", "kid": kid, "alg": "HS256", "use": "sig", "k": base64.RawURLEncoding.EncodeToString(secret)}
}

// With is the key with a member changed; nil takes it out.
func (k JWK) With(name string, value any) JWK {
	changed := JWK{}
	for n, v := range k {
		changed[n] = v
	}
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

// KeySet is a key set in JSON (RFC 7517 section 5).
func KeySet(keys ...JWK) []byte {
	if keys == nil {
		keys = []JWK{}
	}
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(fmt.Sprintf("encoding a key set of our own: %v", err)) // text and numbers only
	}
	return data
}

// SignedBy is a sound token, but for the key that signs it.
func SignedBy(name string, key harness.SigningKey) Recipe {
	return changedBy(name, key, func(*Draft) {})
}

// SignedAs is SignedBy under another kid than the key's own.
func SignedAs(name string, key harness.SigningKey, kid string) Recipe {
	return changedBy(name, key, func(d *Draft) { d.Header["kid"] = kid })
}

// KeyedWith is an HS256 token under a kid, otherwise sound.
func KeyedWith(name, kid string, secret []byte) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens}, Make: func(s Source) (string, error) {
		d, err := s.mint()
		if err != nil {
			return "", err
		}
		d.Header["alg"], d.Header["kid"] = "HS256", kid
		d.Sign = mac("HS256", secret)
		return d.Compact()
	}}
}

// Pointing is an attacker's token whose header says where its key or chain is,
// under a kid.
func Pointing(name, member, url string, key harness.SigningKey) Recipe {
	return changedBy(name, key, func(d *Draft) { d.Header[member] = url })
}

func changedBy(name string, key harness.SigningKey, change func(*Draft)) Recipe {
	return Recipe{Name: name, Make: func(s Source) (string, error) {
		d, err := s.DraftFor(key)
		if err != nil {
			return "", err
		}
		change(&d)
		return d.Compact()
	}}
}

// Chain is a certificate of a key's own, signed by itself, in PEM: what x5u
// points to.
func Chain(key harness.SigningKey) ([]byte, error) {
	parsed, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	der, err := selfSigned(parsed.signer)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}
