package wycheproof

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

func source(t *testing.T) token.Source {
	t.Helper()
	key, err := token.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return token.Source{Grant: harness.TokenGrant{Signing: []harness.SigningKey{key}}, Profile: harness.Profile{Issuer: "https://idp.test", Audience: "a"}, Now: time.Now()}
}

func verifies(t *testing.T, jwk token.JWK, compact string) bool {
	t.Helper()
	n, err := base64.RawURLEncoding.DecodeString(jwk["n"].(string))
	if err != nil {
		t.Fatal(err)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}
	i := strings.LastIndex(compact, ".")
	signature, err := base64.RawURLEncoding.DecodeString(compact[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(compact[:i]))
	if jwk["alg"] == "PS256" {
		return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}

func TestEveryVectorIsCarriedOver(t *testing.T) {
	r, err := RSA()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Hostile) != 213+42 || len(r.Keys) != 2 || len(r.Controls) != 2 {
		t.Fatalf("%d vectors, %d keys, %d controls", len(r.Hostile), len(r.Keys), len(r.Controls))
	}
	s := source(t)
	for i, control := range r.Controls {
		compact, err := control.Make(s)
		if err != nil || !verifies(t, r.Keys[i], compact) {
			t.Errorf("%s does not verify: %v", control.Name, err)
		}
	}
	for i, recipe := range r.Hostile {
		compact, err := recipe.Make(s)
		if err != nil {
			t.Fatalf("%s: %v", recipe.Name, err)
		}
		if key := r.Keys[min(i/213, 1)]; verifies(t, key, compact) {
			t.Errorf("%s verifies: its damage is lost", recipe.Name)
		}
	}
}

// TestCarryingKeepsTheMessage carries an undamaged encoding over: the digest is
// the only thing that changes.
func TestCarryingKeepsTheMessage(t *testing.T) {
	one, other := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("other"))
	for name, scheme := range map[string]struct {
		encode func([]byte, int) []byte
		carry  func(damage, []byte) []byte
	}{"PKCS #1": {encodePKCS1, carryPKCS1}, "PSS": {encodePSS, carryPSS}} {
		got := scheme.carry(damage{encoded: scheme.encode(one[:], size), digest: one[:]}, other[:])
		if want := scheme.encode(other[:], size); string(got) != string(want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
}

func TestWeakKeysSign(t *testing.T) {
	r, err := Weak()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Hostile) != 13 || len(r.Keys) != 13 {
		t.Fatalf("%d tokens, %d keys: want 13 of each", len(r.Hostile), len(r.Keys))
	}
	s := source(t)
	for _, recipe := range r.Hostile {
		if _, err := recipe.Make(s); err != nil {
			t.Errorf("%s: %v", recipe.Name, err)
		}
	}
}
