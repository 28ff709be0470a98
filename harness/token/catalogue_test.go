package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/ssh"

	"aegis.test/conformance/harness"
)

// contents are recipes whose claims alone differ from a sound token's.
func contents() []Recipe {
	a, b := TwiceExpiring()
	return slices.Concat(Mistyped(), MistypedNotBefore(), Boundless(), OddAudiences(), AlmostAudiences(), AlmostIssuers(), Siblings(), Nobodies(), OtherScopes(),
		[]Recipe{ExpiringInWords(), a, b, Futuristic(time.Hour), SharedAudience(), Talkative(), Fractional(), Bound(), Subject()})
}

// forgeries are recipes of tokens that no sound verifier takes, whatever their
// claims.
func forgeries() []Recipe {
	u, v := Unencoded()
	w := Twice()
	return slices.Concat(ConfusedEC("HS256"), ConfusedEC("HS512"), Guessed(), Chained(), Traversing(), Injecting(), OddKids(), []Recipe{LongKid(), AnonymousForged(), Critical(), u, v},
		OddlyCritical(), Extensions(), []Recipe{PassedOver()}, OtherAlgorithms(), Mismatched(), OddAlgorithms(), []Recipe{w.LastNone, w.LastSoundUnsigned, w.LastNoneUnsigned},
		Encrypted(), Expensive(), Uncanonical(), Sized(), Twisted(), JSONSerialized(), Psychic(), Malformed(), Marked())
}

// input is what a compact token's signature is over, and the signature.
func input(t *testing.T, compact string) (string, []byte) {
	t.Helper()
	i := strings.LastIndex(compact, ".")
	signature, err := base64.RawURLEncoding.DecodeString(compact[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	return compact[:i], signature
}

func TestContentsAreAuthenticAndDifferInOneClaim(t *testing.T) {
	s := source(t, "RS256", "ES256")
	s.Profile.Scope = "aegis:call"
	for _, r := range contents() {
		compact := draw(t, r, s)
		signed, signature := input(t, compact)
		want, err := sign("RS256", keys["RS256"], []byte(signed)) // PKCS #1 v1.5 is deterministic
		if err != nil || string(signature) != string(want) {
			t.Errorf("%s is not signed by the trusted key: %v", r.Name, err)
		}
	}
	for _, r := range slices.Concat(Mistyped(), OddAudiences(), AlmostIssuers(), Nobodies(), OtherScopes(), []Recipe{Bound(), Fractional()}) {
		changed := changedClaims(t, draw(t, Sound(), s), draw(t, r, s))
		if len(changed) != 1 {
			t.Errorf("%s: claims %v differ, want one", r.Name, changed)
		}
	}
}

// changedClaims are the claims in which two tokens differ, jti left out.
func changedClaims(t *testing.T, a, b string) []string {
	t.Helper()
	one, other := rawClaims(t, a), rawClaims(t, b)
	var changed []string
	for name := range one {
		if string(one[name]) != string(other[name]) && name != "jti" {
			changed = append(changed, name)
		}
	}
	for name := range other {
		if _, ok := one[name]; !ok {
			changed = append(changed, name)
		}
	}
	return changed
}

func rawClaims(t *testing.T, compact string) map[string]json.RawMessage {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// lenient are the forgeries that go-jose itself takes: it knows b64, an empty
// crit is none to it, and its base64 is not strict.
func lenient() []string {
	encoded, _ := Unencoded()
	names := []string{encoded.Name, OddlyCritical()[0].Name}
	for _, r := range Uncanonical() {
		names = append(names, r.Name)
	}
	return names
}

func TestForgeriesDoNotVerify(t *testing.T) {
	s := source(t, "RS256", "ES256")
	if err := verify(draw(t, Sound(), s)); err != nil {
		t.Fatalf("the sound token: %v", err)
	}
	names := map[string]bool{}
	for _, r := range forgeries() {
		if names[r.Name] {
			t.Errorf("%s stands twice", r.Name)
		}
		names[r.Name] = true
		if compact := draw(t, r, s); verify(compact) == nil && !slices.Contains(lenient(), r.Name) {
			t.Errorf("%s verifies", r.Name)
		}
	}
}

// TestRecipesAreFresh draws every recipe twice: what is the same both times, a
// target could know by heart.
func TestRecipesAreFresh(t *testing.T) {
	s := source(t, "RS256", "ES256")
	s.Profile.Scope = "aegis:call"
	for _, r := range slices.Concat(contents(), forgeries()) {
		if r.Needs == nil {
			continue // a literal: of its size alone
		}
		if draw(t, r, s) == draw(t, r, s) {
			t.Errorf("%s is the same twice", r.Name)
		}
	}
}

func TestUncanonicalTokensAreWrittenOtherwise(t *testing.T) {
	s := source(t, "RS256", "ES256")
	for _, r := range append(Uncanonical(), Padded()) {
		compact := draw(t, r, s)
		signature := compact[strings.LastIndex(compact, ".")+1:]
		if data, err := base64.RawURLEncoding.Strict().DecodeString(signature); err == nil && !strings.ContainsAny(signature, "\r\n") {
			t.Errorf("%s: %d bytes in proper base64url", r.Name, len(data))
		}
	}
}

func TestBombsAreBounded(t *testing.T) {
	s := source(t, "RS256", "ES256")
	for _, r := range Expensive() {
		if size := len(draw(t, r, s)); size > 8<<10 {
			t.Errorf("%s: %d bytes, more than ingresses let by", r.Name, size)
		}
	}
}

func TestSiblingsPresentTheGivenToken(t *testing.T) {
	s := source(t, "RS256")
	s.Grant.OtherRealm = "given.other.realm"
	siblings := Siblings()
	if got := draw(t, siblings[len(siblings)-1], s); got != "given.other.realm" {
		t.Errorf("got %q", got)
	}
}

func TestFamiliesAreMissed(t *testing.T) {
	rsaOnly, ecOnly := source(t, "RS256"), source(t, "ES256")
	if _, err := Psychic()[0].Make(rsaOnly); err == nil {
		t.Error("an ECDSA token was made without an EC key")
	}
	if _, err := OtherAlgorithms()[0].Make(ecOnly); err == nil {
		t.Error("an RSA token was made without an RSA key")
	}
}

// TestOneGivenTokenInTheOtherAlphabet: of a token that is given there is one signature
// only, which may have no letter in which the alphabets differ. That is no error of the
// harness: the recipe says so, of one token of ES256 in fifteen.
func TestOneGivenTokenInTheOtherAlphabet(t *testing.T) {
	recipe, unfit := standardAlphabet(), 0
	for range 400 {
		s := given(t, "ES256")
		signature := s.Grant.Valid.Reveal()[strings.LastIndex(s.Grant.Valid.Reveal(), ".")+1:]
		value, err := recipe.Make(s)
		switch {
		case strings.ContainsAny(signature, "-_"):
			if err != nil || !strings.ContainsAny(value[strings.LastIndex(value, ".")+1:], "+/") {
				t.Fatalf("%v, want a signature in the other alphabet", err)
			}
		case !errors.Is(err, ErrUnfit):
			t.Fatalf("got %v of a signature without such a letter", err)
		default:
			unfit++
		}
	}
	if unfit == 0 {
		t.Error("no token of 400 was unfit: the case was not seen")
	}
	for range 100 {
		if _, err := recipe.Make(source(t, "ES256")); err != nil {
			t.Fatalf("a token that can be minted anew: %v", err)
		}
	}
}

// kinds are a key of each algorithm that a configuration may name.
var kinds = func() map[string]crypto.Signer {
	all := map[string]crypto.Signer{"RS256": keys["RS256"], "RS384": keys["RS256"], "RS512": keys["RS256"], "PS256": keys["RS256"], "PS384": keys["RS256"], "PS512": keys["RS256"], "ES256": keys["ES256"]}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, err521 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, okp, errOKP := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err, err521, errOKP); err != nil {
		panic(err)
	}
	all["ES384"], all["ES512"], all["EdDSA"] = p384, p521, okp
	return all
}()

// TestEveryKindOfKey: of a target that grants one key, of whatever kind, every token
// is made for which it grants what is needed, and no forgery is right by that key.
func TestEveryKindOfKey(t *testing.T) {
	for alg, signer := range kinds {
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		if err != nil {
			t.Fatal(err)
		}
		s := Source{Profile: profile, Now: time.Now()}
		s.Profile.Scope = "aegis:call"
		s.Grant.Signing = []harness.SigningKey{{ID: "kid", Algorithm: alg, PEM: harness.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}}
		grants := (&harness.Target{Tokens: s.Grant}).Grants
		made := 0
		for _, r := range slices.Concat(contents(), forgeries(), Confused("HS256"), Confused("HS384"), Miscounted(), Stripped(), Truncated(), EmbeddedKey(), []Recipe{Sound(), Transplanted(), FlippedBit(), UnknownKey()}) {
			if slices.ContainsFunc(r.Needs, func(c harness.Capability) bool { return !grants(c) }) {
				continue
			}
			made++
			compact, err := r.Make(s)
			if err != nil {
				t.Errorf("%s, with a key of %s: %v", r.Name, alg, err)
			}
			if slices.ContainsFunc(OtherAlgorithms(), func(o Recipe) bool { return o.Name == r.Name }) && rightBy(signer, alg, compact) {
				t.Errorf("%s is right by the key's own algorithm, %s", r.Name, alg)
			}
		}
		if made < 100 {
			t.Errorf("%s: %d tokens made, want most", alg, made)
		}
	}
}

// rightBy reports whether a token is of an algorithm and verifies by a key.
func rightBy(signer crypto.Signer, alg, compact string) bool {
	parsed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return false
	}
	_, err = parsed.Verify(signer.Public())
	return err == nil
}

// TestTextsOfKeys: each text of a public key is read by a library that is not ours,
// as the key that it is of.
func TestTextsOfKeys(t *testing.T) {
	for alg, encodings := range map[string][]encoding{"RS256": rsaEncodings, "ES256": ecEncodings, "ES384": ecEncodings, "ES512": ecEncodings} {
		key := signingKey{id: "kid", alg: alg, signer: kinds[alg]}
		seen := map[string]string{}
		for _, e := range encodings {
			data, err := e.of(key)
			if err != nil || len(data) == 0 {
				t.Errorf("%s, %s: %v", alg, e.name, err)
			}
			if other := seen[string(data)]; other != "" {
				t.Errorf("%s: %s is the same as %s", alg, e.name, other)
			}
			seen[string(data)] = e.name
			switch e.name {
			case "OpenSSH's text":
				parsed, _, _, rest, err := ssh.ParseAuthorizedKey(data)
				if err != nil || len(rest) != 0 || !parsed.(ssh.CryptoPublicKey).CryptoPublicKey().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.signer.Public()) {
					t.Errorf("%s: %q is not its text: %v", alg, data, err)
				}
			case "its compressed point":
				point, err := key.ec().Bytes()
				x, y := elliptic.UnmarshalCompressed(key.ec().Curve, data)
				if err != nil || x == nil || !bytes.Equal(elliptic.Marshal(key.ec().Curve, x, y), point) { //nolint:staticcheck // another implementation
					t.Errorf("%s: %x is not its point", alg, data)
				}
			}
		}
	}
}
