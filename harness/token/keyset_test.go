package token

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"aegis.test/conformance/harness"
)

func TestKeySetVerifiesWhatItsKeySigns(t *testing.T) {
	for name, mint := range map[string]func() (harness.SigningKey, error){"ES256": NewKey, "RS256": NewRSAKey} {
		key, err := mint()
		if err != nil {
			t.Fatal(err)
		}
		public, err := Public(key)
		if err != nil {
			t.Fatal(err)
		}
		if public["d"] != nil || public["alg"] != name {
			t.Errorf("%s: got %v, want a public key that says its alg", name, public)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(KeySet(public.With("kid", "other")), &set); err != nil {
			t.Fatal(err)
		}
		compact, err := SignedAs("token", key, "other").Make(Source{})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.ParseSigned(compact, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Claims(set.Key("other")[0], &map[string]any{}) != nil {
			t.Errorf("%s: its own key set does not verify it", name)
		}
	}
}

func TestJWKWithLeavesTheOriginal(t *testing.T) {
	key := JWK{"kty": "oct", "alg": "HS256"}
	if changed := key.With("alg", nil); changed["alg"] != nil || key["alg"] != "HS256" {
		t.Errorf("got %v of %v", changed, key)
	}
	if got := string(KeySet()); got != `{"keys":[]}` {
		t.Errorf("got %s, want an empty set", got)
	}
}

func TestPrivateKeySetsAreUnusual(t *testing.T) {
	key, err := NewRSAKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := Private(key)
	if err != nil || private["d"] == nil {
		t.Errorf("got %v, %v, want the private half", private, err)
	}
	encodings, err := Encodings(key)
	if err != nil || len(encodings) != len(rsaEncodings) || !strings.HasPrefix(string(encodings["SPKI PEM"]), "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("got %d encodings, %v, want all", len(encodings), err)
	}
	ec, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Encodings(ec); err == nil {
		t.Error("an EC key was encoded as an RSA key")
	}
}
