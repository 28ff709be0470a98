package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	_ "crypto/sha1" //nolint:gosec // SHA-1 for an algorithm that nobody may take
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/conformance/harness"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

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

// Chained are tokens that bring a certificate of their own key in x5c, signed
// by nobody but itself (JOSE-010).
func Chained() []Recipe {
	chain := func(d *Draft, key crypto.Signer) error {
		der, err := selfSigned(key)
		if err != nil {
			return err
		}
		d.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(der)}
		return nil
	}
	return []Recipe{
		attack("token with its own certificate in x5c, known kid", chain),
		attack("token with its own certificate in x5c, unknown kid", func(d *Draft, key crypto.Signer) error {
			d.Header["kid"] = "kid-" + Random(6)
			return chain(d, key)
		}),
		attack("token with its own certificate in x5c, no kid", func(d *Draft, key crypto.Signer) error {
			delete(d.Header, "kid")
			return chain(d, key)
		}),
	}
}

func selfSigned(key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "x5c-" + Random(4)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("minting a certificate for x5c: %w", err)
	}
	return der, nil
}

// Traversing are HS256 tokens whose kid is a path, keyed with what the file
// there holds (JOSE-011).
func Traversing() []Recipe {
	var recipes []Recipe
	for _, file := range []struct{ path, holds string }{
		{"/dev/null", ""}, {"../../../../../../dev/null", ""}, {"file:///dev/null", ""},
		{"/proc/sys/kernel/randomize_va_space", "2\n"}, {"../../../../../../proc/sys/kernel/randomize_va_space", "2"},
	} {
		recipes = append(recipes, macced(fmt.Sprintf("token with kid %q, keyed with the file's content", file.path), "HS256", func(d *Draft) []byte {
			d.Header["kid"] = file.path
			return []byte(file.holds)
		}))
	}
	return recipes
}

// Unknowing is a token under an ordinary kid that nobody knows, signed as the
// injecting ones are: what their timing is held against.
func Unknowing() Recipe {
	return injecting("token with an unknown kid", func() (kid, key string) { return "kid-" + Random(6), Random(4) })
}

// Injecting are tokens whose kid would mean something to a database, a shell,
// a protocol, a directory or a template; signed with what a query so forged
// would give for the key (JOSE-012).
func Injecting() []Recipe {
	same := func(kid string) func() (string, string) {
		return func() (string, string) { return kid, Random(4) }
	}
	return []Recipe{
		injecting("token with SQL in kid, keyed with its result", func() (kid, key string) {
			key = Random(4)
			return "x' UNION SELECT '" + key + "';--", key
		}),
		injecting("token with SQL that is always true in kid", same(`x" OR "1"="1`)),
		injecting("token with a pipe to a shell in kid", same("x|sleep 5")),
		injecting("token with a shell's substitution in kid", same("$(sleep 5)`sleep 5`")),
		injecting("token with CR LF in kid", same("x\r\nSet-Cookie: x=1")),
		injecting("token with LDAP in kid", same("*)(uid=*))(|(uid=*")),
		injecting("token with templates in kid", same("{{7*7}}${7*7}<%= 7*7 %>#{7*7}")),
	}
}

func injecting(name string, of func() (kid, key string)) Recipe {
	return macced(name, "HS256", func(d *Draft) []byte {
		kid, key := of()
		d.Header["kid"] = kid
		return []byte(key)
	})
}

// header is an attacker's token with a member of its header in JSON of its
// own.
func header(name, member, value string) Recipe {
	return attack(name, func(d *Draft, _ crypto.Signer) error {
		d.Header[member] = json.RawMessage(value)
		return nil
	})
}

// OddKids are tokens whose kid is no string (JOSE-013).
func OddKids() []Recipe {
	var recipes []Recipe
	for _, value := range []string{"1", "null", "true", "[]", "{}"} {
		recipes = append(recipes, header("token with kid "+value, "kid", value))
	}
	return recipes
}

// LongKid is a token whose kid is 10 kB long.
func LongKid() Recipe {
	return header("token with a kid of 10 kB", "kid", `"`+strings.Repeat("k", 10<<10)+`"`)
}

// Anonymous is a sound token without kid (JOSE-014).
func Anonymous() Recipe {
	return minted("token without kid", func(d *Draft) { delete(d.Header, "kid") })
}

// AnonymousForged is a token without kid, signed by a key nobody trusts.
func AnonymousForged() Recipe {
	return attack("token without kid, badly signed", func(d *Draft, _ crypto.Signer) error {
		delete(d.Header, "kid")
		return nil
	})
}

// Critical is a token with a critical extension that nobody knows (JOSE-015).
func Critical() Recipe {
	return minted("token with an unknown critical extension", func(d *Draft) {
		extension := "x-" + Random(4)
		d.Header["crit"], d.Header[extension] = []string{extension}, 1
	})
}

// OddlyCritical are tokens whose crit is not as RFC 7515 has it (JOSE-016).
func OddlyCritical() []Recipe {
	critical := func(name, crit string, present bool) Recipe {
		return minted("token with crit "+name, func(d *Draft) {
			extension := "x-" + Random(4)
			d.Header["crit"] = json.RawMessage(fmt.Sprintf(crit, extension, ""))
			if present {
				d.Header[extension] = 1
			}
		})
	}
	return []Recipe{
		critical("[] and nothing more", `[%[2]s]`, false),
		critical("that is a string", `%[1]q`, true),
		critical("that names what is absent", `[%[1]q]`, false),
		critical("that names one twice", `[%[1]q,%[1]q]`, true),
	}
}

// Unencoded are tokens signed over the payload itself (RFC 7797): with the
// payload encoded, as every parser reads it, and as it is (JOSE-017).
func Unencoded() (encoded, raw Recipe) {
	unencoded := func(name string, join func(header, payload, raw, signature string) string) Recipe {
		return minted2(name, func(d, _ Draft) (string, error) {
			d.Header["b64"], d.Header["crit"] = false, []string{"b64"}
			h, p, _, err := d.Segments()
			if err != nil {
				return "", err
			}
			payload, err := json.Marshal(d.Claims)
			if err != nil {
				return "", err
			}
			signature, err := d.Sign([]byte(h + "." + string(payload)))
			return join(h, p, string(payload), encode(signature)), err
		})
	}
	return unencoded("token with b64 false, signed over the bare payload", func(h, p, _, s string) string { return h + "." + p + "." + s }),
		unencoded("token with b64 false and a bare payload", func(h, _, raw, s string) string { return h + "." + raw + "." + s })
}

// rsaMinted is a sound token of the first granted RSA key, changed.
func rsaMinted(name string, change func(*Draft)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens, harness.MintRSA}, Make: func(s Source) (string, error) {
		d, err := s.draftOf("RS")
		if err != nil {
			return "", err
		}
		change(&d)
		return d.Compact()
	}}
}

// draftOf is a sound draft of the first granted key whose algorithm begins so.
func (s Source) draftOf(family string) (Draft, error) {
	for _, granted := range s.Grant.Signing {
		if strings.HasPrefix(granted.Algorithm, family) {
			return s.DraftFor(granted)
		}
	}
	return Draft{}, fmt.Errorf("minting a token: no signing key of family %s is granted", family)
}

// OtherAlgorithms are tokens signed with the trusted RSA key by algorithms that
// are not the key's own (JOSE-018).
func OtherAlgorithms() []Recipe {
	var recipes []Recipe
	for _, alg := range []string{"RS384", "RS512", "PS256"} {
		recipes = append(recipes, rsaMinted("token signed with the RS256 key by "+alg, func(d *Draft) {
			d.Header["alg"] = alg
			d.SignWith(alg, d.key.signer)
		}))
	}
	return append(recipes, rsaMinted("token signed with the RS256 key over SHA-1", func(d *Draft) {
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
	for _, of := range []struct{ alg, family string }{{"ES256", "RS"}, {"EdDSA", "RS"}, {"RS256", "ES"}, {"EdDSA", "ES"}} {
		need := map[string]harness.Capability{"RS": harness.MintRSA, "ES": harness.MintEC}[of.family]
		recipes = append(recipes, Recipe{
			Name:  fmt.Sprintf("%s token with the kid of the %s256 key", of.alg, of.family),
			Needs: []harness.Capability{need},
			Make: func(s Source) (string, error) {
				d, err := s.draftOf(of.family)
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

// Encrypted are JWE to the trusted key's public half that wrap what nobody
// signed: the claims, and a token of alg none (JOSE-022).
func Encrypted() []Recipe {
	return []Recipe{
		encrypted("JWE of unsigned claims", false, func(d Draft) ([]byte, error) { return json.Marshal(d.Claims) }),
		encrypted("JWE of a token of alg none", false, func(d Draft) ([]byte, error) {
			d.Header["alg"], d.Sign = "none", nil
			compact, err := d.Compact()
			return []byte(compact), err
		}),
	}
}

// bombSize is what a compressed payload becomes, bytes: nothing to us, a spike
// to a service that gives each of some calls as much.
const bombSize = 4 << 20

// Expensive are JWE whose parameters cost the service much: a key derivation of
// 2^31 rounds, and a payload that is a thousand times its size (JOSE-023).
func Expensive() []Recipe {
	return []Recipe{
		{Name: "JWE with PBES2 of 2^31 rounds", Make: func(Source) (string, error) {
			header := fmt.Sprintf(`{"alg":"PBES2-HS256+A128KW","enc":"A128CBC-HS256","p2s":"%s","p2c":2147483648}`, encode([]byte(Random(8))))
			return strings.Join([]string{encode([]byte(header)), encode([]byte(Random(20))), encode([]byte(Random(8))), encode([]byte(Random(32))), encode([]byte(Random(8)))}, "."), nil
		}},
		encrypted("JWE that decompresses to megabytes", true, func(Draft) ([]byte, error) { return make([]byte, bombSize), nil }),
	}
}

func encrypted(name string, deflate bool, payload func(Draft) ([]byte, error)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens}, Make: func(s Source) (string, error) {
		d, err := s.mint()
		if err != nil {
			return "", err
		}
		recipient := jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: d.key.signer.Public(), KeyID: d.key.id}
		if _, ok := recipient.Key.(*ecdsa.PublicKey); ok {
			recipient.Algorithm = jose.ECDH_ES_A128KW
		}
		data, err := payload(d.Clone())
		if err != nil {
			return "", err
		}
		options := (&jose.EncrypterOptions{}).WithType("at+jwt").WithContentType("JWT")
		if deflate {
			options.Compression = jose.DEFLATE
		}
		encrypter, err := jose.NewEncrypter(jose.A128GCM, recipient, options)
		if err != nil {
			return "", fmt.Errorf("encrypting to the trusted key: %w", err)
		}
		jwe, err := encrypter.Encrypt(data)
		if err != nil {
			return "", fmt.Errorf("encrypting to the trusted key: %w", err)
		}
		return jwe.CompactSerialize()
	}}
}

// OtherTypes are sound tokens of a type that is no access token's (JOSE-024).
func OtherTypes() []Recipe {
	var recipes []Recipe
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "secevent+jwt"} {
		recipes = append(recipes, minted("token of type "+typ, func(d *Draft) { d.Header["typ"] = typ }))
	}
	return recipes
}

// Padded is an accepted token whose signature ends in base64's padding.
func Padded() Recipe {
	return Reshaped("token with padding after its signature", func(h, p, s string) string {
		return h + "." + p + "." + s + strings.Repeat("=", (4-len(s)%4)%4)
	})
}

// alphabet is base64url's, in its order.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Uncanonical are accepted tokens whose signature is written in base64 as RFC
// 7515 section 2 does not allow (JOSE-026).
func Uncanonical() []Recipe {
	inside := func(name, what string) Recipe {
		return Reshaped("token with "+name+" in its signature", func(h, p, s string) string {
			return h + "." + p + "." + s[:len(s)/2] + what + s[len(s)/2:]
		})
	}
	return []Recipe{
		inside("a space", " "), inside("a CR", "\r"), inside("an LF", "\n"),
		standardAlphabet(),
		Reshaped("token with stray bits after its signature", func(h, p, s string) string {
			if len(s)%4 == 0 { // no bits to spare: a letter too many
				return h + "." + p + "." + s + "A"
			}
			last := strings.IndexByte(alphabet, s[len(s)-1])
			return h + "." + p + "." + s[:len(s)-1] + string(alphabet[last+1])
		}),
	}
}

// standardAlphabet is a token with + and / in its signature. A signature that
// has no letter to show it by is one in thousands: another is tried.
func standardAlphabet() Recipe {
	const name = "token with a signature in base64's other alphabet"
	try := forged(name, func(d Draft) (string, error) {
		h, p, s, err := d.Segments()
		return h + "." + p + "." + strings.NewReplacer("-", "+", "_", "/").Replace(s), err
	})
	draft := try.Make
	try.Make = func(s Source) (string, error) {
		for range 20 {
			compact, err := draft(s)
			if err != nil || strings.ContainsAny(compact, "+/") {
				return compact, err
			}
		}
		return "", errors.New("minting a token: no signature has a letter in which the alphabets differ")
	}
	return try
}

// deep is a token, signed by nobody, whose header is nested levels deep.
func deep(name string, levels int) Recipe {
	return Literal(name, encode([]byte(`{"alg":"RS256","x":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+"}"))+"."+encode([]byte("{}"))+"."+encode([]byte("x")))
}

// Sized are tokens that are too much for a parser or for whatever reads
// headers before it (JOSE-027).
func Sized() []Recipe {
	return []Recipe{
		deep("token with a header nested 10000 deep", 10_000),
		Literal("token of 100000 dots", strings.Repeat(".", 100_000)),
		Literal("token of 1 MB", strings.Repeat("A", 1<<20)),
	}
}

// Twisted are tokens that fit into a header field and are hard to read: deeply
// nested, of many dots, with bytes that are no text (JOSE-027).
func Twisted() []Recipe {
	raw := func(name string, header, payload func([]byte) []byte) Recipe {
		return forged(name, func(d Draft) (string, error) {
			d = d.rewritten()
			h, err := json.Marshal(d.Header)
			if err != nil {
				return "", err
			}
			p, err := json.Marshal(d.Claims)
			if err != nil {
				return "", err
			}
			d.RawHeader, d.RawPayload = header(h), payload(p)
			d.Sign = func([]byte) ([]byte, error) { return []byte(Random(128)), nil }
			return d.Compact()
		})
	}
	same := func(data []byte) []byte { return data }
	prefix := func(mark string) func([]byte) []byte {
		return func(data []byte) []byte { return append([]byte(mark), data...) }
	}
	return []Recipe{
		deep("token with a header nested 2000 deep", 2000),
		Literal("token of 5000 dots", strings.Repeat(".", 5000)),
		raw("token with a BOM before its header", prefix("\ufeff"), same),
		raw("token with a NUL before its header", prefix("\x00"), same),
		raw("token with a BOM before its payload", same, prefix("\ufeff")),
		raw("token with a header that is no UTF-8", func(data []byte) []byte {
			return append(data[:len(data)-1:len(data)-1], "\xff\xfe\xc0\x80}"...)
		}, same),
		raw("token with a lone surrogate in its payload", same, func(data []byte) []byte {
			return append(data[:len(data)-1:len(data)-1], `,"x":"\ud800"}`...)
		}),
	}
}

// ecMinted is a sound token of the first granted EC key, changed.
func ecMinted(name string, change func(*Draft) error) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens, harness.MintEC}, Make: func(s Source) (string, error) {
		d, err := s.draftOf("ES")
		if err != nil {
			return "", err
		}
		if err := change(&d); err != nil {
			return "", err
		}
		return d.Compact()
	}}
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

// JSONSerialized are an accepted token in the two JSON forms of RFC 7515
// section 7.2 (OIDC-017).
func JSONSerialized() []Recipe {
	return []Recipe{
		Reshaped("token in flattened JSON", func(h, p, s string) string {
			return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, p, h, s)
		}),
		Reshaped("token in general JSON", func(h, p, s string) string {
			return fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, p, h, s)
		}),
	}
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
