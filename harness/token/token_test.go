package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"aegis.test/conformance/harness"
)

var profile = harness.Profile{Issuer: "https://idp.test", Audience: "aegis-service"}

// keys are minted once: RSA keys are slow to mint.
var keys = func() map[string]crypto.Signer {
	r, rsaErr := rsa.GenerateKey(rand.Reader, 2048)
	e, ecErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(rsaErr, ecErr); err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"RS256": r, "ES256": e}
}()

// source grants the keys of some algorithms, the first the one to use.
func source(t *testing.T, algorithms ...string) Source {
	t.Helper()
	s := Source{Profile: profile, Now: time.Now()}
	s.Grant.Subject = "caller"
	for _, alg := range algorithms {
		der, err := x509.MarshalPKCS8PrivateKey(keys[alg])
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		s.Grant.Signing = append(s.Grant.Signing, harness.SigningKey{ID: "kid-" + alg, Algorithm: alg, PEM: harness.Secret(text)})
	}
	return s
}

// given is the same target, when it grants a valid token and no key.
func given(t *testing.T, alg string) Source {
	t.Helper()
	s := source(t, alg)
	s.Grant.Valid = harness.Secret(draw(t, Sound(), s))
	s.Grant.Signing = nil
	return s
}

func draw(t *testing.T, r Recipe, s Source) string {
	t.Helper()
	value, err := r.Make(s)
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	return value
}

// verify is a sound verifier that shares no code with this package.
func verify(compact string) error {
	var set jose.JSONWebKeySet
	for alg, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: "kid-" + alg, Algorithm: alg, Use: "sig"})
	}
	parsed, err := jwt.ParseSigned(compact, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := parsed.Claims(set, &claims); err != nil {
		return err
	}
	if claims.Expiry == nil {
		return errors.New("no exp")
	}
	return claims.ValidateWithLeeway(jwt.Expected{Issuer: profile.Issuer, AnyAudience: jwt.Audience{profile.Audience}, Time: time.Now()}, 0)
}

func TestSoundTokenVerifiesElsewhere(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		minted := draw(t, Sound(), source(t, alg))
		if err := verify(minted); err != nil {
			t.Errorf("%s: a sound token is refused by go-jose: %v", alg, err)
		}
		if got := member(t, minted, "header.alg"); got != alg {
			t.Errorf("alg %v, want %s", got, alg)
		}
		if got := member(t, minted, "claims.sub"); got != "caller" {
			t.Errorf("sub %v, want the granted subject", got)
		}
		if lifetime := member(t, minted, "claims.exp").(float64) - member(t, minted, "claims.iat").(float64); lifetime != Lifetime.Seconds() {
			t.Errorf("lifetime %v s, want %v", lifetime, Lifetime)
		}
	}
}

// defective are all recipes of three segments with the members in which each
// differs from a sound token. "signature" stands for one that the trusted key
// did not make over the token's own bytes.
func defective() map[string]struct {
	recipe  Recipe
	differs []string
} {
	type row = struct {
		recipe  Recipe
		differs []string
	}
	rows := map[string]row{
		"Expired":       {Expired(10 * time.Minute), []string{"claims.exp", "claims.iat", "claims.nbf"}},
		"NotYet":        {NotYet(5 * time.Minute), []string{"claims.nbf"}},
		"Without exp":   {Without("exp"), []string{"claims.exp"}},
		"Without aud":   {Without("aud"), []string{"claims.aud"}},
		"Without iss":   {Without("iss"), []string{"claims.iss"}},
		"OtherAudience": {OtherAudience(), []string{"claims.aud"}},
		"OtherIssuer":   {OtherIssuer(), []string{"claims.iss"}},
		"FlippedBit":    {FlippedBit(), []string{"signature"}},
		"OtherPayload":  {OtherPayload(), []string{"claims.sub", "signature"}},
		"OtherHeader":   {OtherHeader(), []string{"header.x", "signature"}},
		"Transplanted":  {Transplanted(), []string{"signature"}},
		"UnknownKey":    {UnknownKey(), []string{"header.kid", "signature"}},
		"StolenKid":     {StolenKid(), []string{"signature"}},
		"EmbeddedKey 0": {EmbeddedKey()[0], []string{"header.jwk", "signature"}},
		"EmbeddedKey 1": {EmbeddedKey()[1], []string{"header.jwk", "header.kid", "signature"}},
		"EmbeddedKey 2": {EmbeddedKey()[2], []string{"header.jwk", "header.kid", "signature"}},
		"Unsigned":      {Unsigned("none"), []string{"header.alg", "signature"}},
		"NoneSigned":    {NoneSigned(), []string{"header.alg", "signature"}},
		"Stripped":      {Stripped()[0], []string{"signature"}},
	}
	for _, r := range slices.Concat(NoneSpellings(), Confused("HS256")) {
		rows[r.Name] = row{r, []string{"header.alg", "signature"}}
	}
	return rows
}

// TestUnknownKeysAreTheirKidsApart: each is under a kid of its own, and none verifies.
func TestUnknownKeysAreTheirKidsApart(t *testing.T) {
	for _, s := range []Source{source(t, "RS256"), given(t, "RS256")} {
		made, err := UnknownKeys(s, 5)
		if err != nil || len(made) != 5 {
			t.Fatalf("%d tokens, %v", len(made), err)
		}
		kids := map[any]bool{}
		for _, value := range made {
			kids[member(t, value, "header.kid")] = true
			if verify(value) == nil {
				t.Error("one verifies")
			}
			if got, want := member(t, value, "claims.sub"), member(t, made[0], "claims.sub"); got != want {
				t.Errorf("sub %v, want %v", got, want)
			}
		}
		if len(kids) != 5 {
			t.Errorf("%d kids, want 5", len(kids))
		}
	}
}

func TestEachRecipeIsOneDefectFromSound(t *testing.T) {
	for name, row := range defective() {
		for _, algorithms := range [][]string{{"RS256", "ES256"}, {"ES256", "RS256"}} {
			t.Run(name+" "+algorithms[0], func(t *testing.T) {
				s := source(t, algorithms...)
				if slices.Contains(row.differs, "header.alg") && strings.HasPrefix(row.recipe.Name, "HS256") {
					s = source(t, "RS256") // they take the first RSA key, whichever comes first
				}
				compact := draw(t, row.recipe, s)
				if got := differences(t, draw(t, Sound(), s), compact); !slices.Equal(got, row.differs) {
					t.Errorf("differs in %v, want %v", got, row.differs)
				}
				if verify(compact) == nil {
					t.Error("a sound verifier accepts it")
				}
			})
		}
	}
}

func TestGivenTokensSuffice(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		s := given(t, alg)
		s.Grant.Expired = "given.expired.token"
		if got := draw(t, Sound(), s); got != s.Grant.Valid.Reveal() {
			t.Errorf("%s: the valid token is not the one that was given", alg)
		}
		for name, row := range defective() {
			t.Run(name+" "+alg, func(t *testing.T) {
				if slices.Contains(row.recipe.Needs, harness.MintTokens) {
					if made, err := row.recipe.Make(s); err == nil {
						t.Fatalf("made from no key, and equal to the valid token: %v", made == s.Grant.Valid.Reveal())
					}
					return
				}
				compact := draw(t, row.recipe, s)
				if slices.Contains(row.recipe.Needs, harness.ExpiredToken) {
					if compact != s.Grant.Expired.Reveal() {
						t.Error("the expired token is not the one that was given")
					}
					return
				}
				if got := differences(t, s.Grant.Valid.Reveal(), compact); !slices.Equal(got, row.differs) {
					t.Errorf("differs in %v, want %v", got, row.differs)
				}
				if verify(compact) == nil {
					t.Error("a sound verifier accepts it")
				}
			})
		}
	}
}

// TestGivenTokenKeepsItsBytes: a header that no encoder of ours would write must
// come through unchanged, or the signature would be the second defect.
func TestGivenTokenKeepsItsBytes(t *testing.T) {
	header, payload := encode([]byte("{ \"typ\":\"JWT\" , \"alg\":\"RS256\" }")), encode([]byte(`{"sub":"a",  "exp":9007199254740993}`))
	valid := header + "." + payload + "." + encode([]byte("signature of the issuer"))
	s := Source{Grant: harness.TokenGrant{Valid: harness.Secret(valid)}}
	flipped := strings.Split(draw(t, FlippedBit(), s), ".")
	if flipped[0] != header || flipped[1] != payload {
		t.Error("header or payload of the given token changed")
	}
	if got, want := bits(t, strings.Split(valid, ".")[2], flipped[2]), 1; got != want {
		t.Errorf("%d bits of the signature flipped, want %d", got, want)
	}
}

func bits(t *testing.T, a, b string) (n int) {
	x, errX := base64.RawURLEncoding.DecodeString(a)
	y, errY := base64.RawURLEncoding.DecodeString(b)
	if errX != nil || errY != nil || len(x) != len(y) {
		t.Fatalf("signatures of %d and %d bytes: %v, %v", len(x), len(y), errX, errY)
	}
	for i := range x {
		for d := x[i] ^ y[i]; d != 0; d &= d - 1 {
			n++
		}
	}
	return n
}

func TestSegments(t *testing.T) {
	want := map[string]int{
		"token of one segment": 1, "token of two segments": 2, "token of four segments": 4, "token of five segments": 5,
		"token with an empty header": 3, "token with an empty payload": 3, "token of dots only": 3,
		"token with an empty signature": 3, "token without its signature segment": 2,
	}
	s := source(t, "RS256")
	for _, r := range slices.Concat(Miscounted(), Stripped()) {
		compact := draw(t, r, s)
		if got := strings.Count(compact, ".") + 1; got != want[r.Name] {
			t.Errorf("%s: %d segments, want %d", r.Name, got, want[r.Name])
		}
		if verify(compact) == nil {
			t.Errorf("%s: a sound verifier accepts it", r.Name)
		}
	}
	for _, r := range Garbage() {
		if value := draw(t, r, s); value == "" || strings.Contains(value, ".") {
			t.Errorf("%s: %q looks like a token", r.Name, value)
		}
	}
}

// TestConfusedKeysAreThePublicKey: each is what a verifier that took the public
// key for a secret would compute.
func TestConfusedKeysAreThePublicKey(t *testing.T) {
	for i, r := range Confused("HS256") {
		secret, err := rsaEncodings[i].of(signingKey{id: "kid-RS256", alg: "RS256", signer: keys["RS256"]})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jose.ParseSignedCompact(draw(t, r, source(t, "ES256", "RS256")), []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		if _, err := parsed.Verify(secret); err != nil {
			t.Errorf("%s: the confused verifier refuses it: %v", r.Name, err)
		}
	}
	if _, err := Confused("HS256")[0].Make(source(t, "ES256")); err == nil {
		t.Error("made without an RSA key")
	}
}

// TestAttackersKeyFits: the token of an unknown key is refused for the key
// alone, so its signature must be the algorithm's own.
func TestAttackersKeyFits(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS384, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA} {
		d := Draft{Header: map[string]any{"alg": string(alg)}, Claims: map[string]any{"sub": "a"}}
		signature := encode([]byte("any"))
		header, payload, _, err := d.Segments()
		if err != nil {
			t.Fatal(err)
		}
		s := Source{Grant: harness.TokenGrant{Valid: harness.Secret(header + "." + payload + "." + signature)}}
		parsed, err := jose.ParseSignedCompact(draw(t, EmbeddedKey()[0], s), []jose.SignatureAlgorithm{alg})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if _, err := parsed.Verify(parsed.Signatures[0].Header.JSONWebKey); err != nil {
			t.Errorf("%s: its own embedded key does not verify it: %v", alg, err)
		}
	}
}

// TestErrorsKeepSecrets: what is wrong with a grant is told without it.
func TestErrorsKeepSecrets(t *testing.T) {
	const secret = "c2VjcmV0LXZhbHVl"
	for _, grant := range []harness.TokenGrant{
		{Valid: secret},
		{Valid: secret + "." + secret + "." + secret},
		{Valid: secret + ".!!." + secret},
		{Signing: []harness.SigningKey{{ID: "k", Algorithm: "RS256", PEM: secret}}},
		{Signing: []harness.SigningKey{{ID: "k", Algorithm: "RS256", PEM: "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n"}}},
	} {
		_, err := FlippedBit().Make(Source{Grant: grant})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error %v, want one that does not tell the secret", err)
		}
	}
}

// differences lists the members in which two tokens differ, jti left out: it is
// new in every token.
func differences(t *testing.T, sound, other string) []string {
	t.Helper()
	a, b := members(t, sound), members(t, other)
	var names []string
	for name := range b {
		if !reflect.DeepEqual(a[name], b[name]) {
			names = append(names, name)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "claims.jti" })
	if !signed(other) {
		names = append(names, "signature")
	}
	slices.Sort(names)
	return names
}

// signed reports whether one of the trusted keys signed a token's own bytes.
func signed(compact string) bool {
	parsed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return false
	}
	for _, key := range keys {
		if _, err := parsed.Verify(key.Public()); err == nil {
			return true
		}
	}
	return false
}

func member(t *testing.T, compact, name string) any { return members(t, compact)[name] }

// members are the header's and the payload's.
func members(t *testing.T, compact string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for i, part := range strings.Split(compact, ".")[:2] {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(data, &object); err != nil {
			t.Fatal(err)
		}
		for name, value := range object {
			all[fmt.Sprintf("%s.%s", [...]string{"header", "claims"}[i], name)] = value
		}
	}
	return all
}
