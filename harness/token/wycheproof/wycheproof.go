// Package wycheproof drafts tokens from Wycheproof's vectors (github.com/c2sp/wycheproof,
// Apache License 2.0, LICENSE beside them), of which it keeps the two files that are about
// tokens: the whole module is 110 MB in every program that reads one of them. The vectors
// sign "foo" and the like, which no service takes for a token whatever its signature: so
// what is wrong with a vector's signature is carried over to a token with right claims,
// under a key minted per run.
package wycheproof

import (
	"bytes"
	"compress/gzip"
	"crypto/rsa"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// group is a key and its vectors, as in the files.
type group struct {
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Tests   []vector        `json:"tests"`
}

type vector struct {
	ID      int      `json:"tcId"`
	Comment string   `json:"comment"`
	JWS     string   `json:"jws"`
	Result  string   `json:"result"`
	Flags   []string `json:"flags"`
}

func (v vector) name() string { return fmt.Sprintf("tcId %d %s", v.ID, v.Comment) }

// kept are the files of vectors, as they were published, compressed: keys and all, which
// everybody has. The test compares them with the module's.
//
//go:embed vectors
var kept embed.FS

// unpacked is a file of vectors.
func unpacked(file string) ([]byte, error) {
	packed, err := kept.Open("vectors/" + file + ".gz")
	if err != nil {
		return nil, err
	}
	defer func() { _ = packed.Close() }()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}

// groups reads a file of vectors.
func groups(file string) ([]group, error) {
	data, err := unpacked(file)
	if err != nil {
		return nil, fmt.Errorf("reading Wycheproof's %s: %w", file, err)
	}
	var all struct {
		Groups []group `json:"testGroups"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("reading Wycheproof's %s: %w", file, err)
	}
	return all.Groups, nil
}

// Replay is a key set to publish, and the tokens to present then.
type Replay struct {
	Keys []token.JWK
	// Controls are right tokens of keys that a service may take; the names say
	// which.
	Controls []token.Recipe
	// Hostile are the vectors, each under its own name.
	Hostile []token.Recipe
}

// The names of the controls.
const (
	ControlPKCS1 = "RS256 token of the key that the PKCS #1 vectors are carried over to"
	ControlPSS   = "PS256 token of the key that the PSS vectors are carried over to"
)

// damage is a vector with an RSA signature that is wrong: the message that it
// encodes, and its digest.
type damage struct {
	vector
	encoded []byte // nil where the signature is no number of the key's
	digest  []byte
	raw     []byte // the signature
	modulus *big.Int
}

// damaged are the invalid vectors of an algorithm, those with flag.
var damaged = sync.OnceValues(func() (map[string][]damage, error) {
	all, err := groups("json_web_signature_test.json")
	if err != nil {
		return nil, err
	}
	found := map[string][]damage{}
	for _, g := range all {
		var key jose.JSONWebKey
		if len(g.Public) == 0 || json.Unmarshal(g.Public, &key) != nil {
			continue // symmetric
		}
		public, ok := key.Key.(*rsa.PublicKey)
		if !ok {
			continue
		}
		for _, v := range g.Tests {
			flag := map[string]string{"RS256": "ModifiedPadding", "PS256": "ModifiedSignature"}[key.Algorithm]
			if v.Result != "invalid" || !slices.Contains(v.Flags, flag) {
				continue
			}
			d, err := open(v, public)
			if err != nil {
				return nil, err
			}
			found[key.Algorithm] = append(found[key.Algorithm], d)
		}
	}
	return found, nil
})

// open undoes the signature with the public key.
func open(v vector, key *rsa.PublicKey) (damage, error) {
	i := strings.LastIndex(v.JWS, ".")
	signature, err := base64.RawURLEncoding.DecodeString(v.JWS[i+1:])
	if err != nil {
		return damage{}, fmt.Errorf("reading Wycheproof's %s: %w", v.name(), err)
	}
	digest := sha256.Sum256([]byte(v.JWS[:i]))
	d := damage{vector: v, digest: digest[:], raw: signature, modulus: key.N}
	if number := new(big.Int).SetBytes(signature); len(signature) == key.Size() && number.Cmp(key.N) < 0 {
		d.encoded = number.Exp(number, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
	}
	return d, nil
}

// RSA is the replay of the invalid RSA signatures: PKCS #1 (tcId 46 to 258) and
// PSS (tcId 276 to 319).
func RSA() (Replay, error) {
	all, err := damaged()
	if err != nil {
		return Replay{}, err
	}
	var r Replay
	for _, scheme := range []struct {
		alg, control string
		encode       func(digest []byte, size int) []byte
		carry        func(d damage, digest []byte) []byte
	}{
		{"RS256", ControlPKCS1, encodePKCS1, carryPKCS1},
		{"PS256", ControlPSS, encodePSS, carryPSS},
	} {
		key, err := newKey(scheme.alg)
		if err != nil {
			return Replay{}, err
		}
		r.Keys = append(r.Keys, key.public())
		r.Controls = append(r.Controls,
			key.recipe(scheme.control, func(digest []byte) ([]byte, bool) { return key.sign(scheme.encode(digest, size)), true }))
		for _, d := range all[scheme.alg] {
			r.Hostile = append(r.Hostile, key.recipe(d.name(), func(digest []byte) ([]byte, bool) {
				encoded, right := scheme.carry(d, digest), scheme.encode(digest, size)
				return key.damaged(d, encoded, right), !bytes.Equal(encoded, right)
			}))
		}
	}
	return r, nil
}

// damaged is the signature that has a vector's damage: of the encoded message,
// or where the signature itself is damaged, of the form of the right one's.
func (k *rsaKey) damaged(d damage, encoded, right []byte) []byte {
	if encoded != nil {
		return k.sign(encoded)
	}
	sound := k.sign(right)
	number := new(big.Int).SetBytes(sound)
	switch extra := len(d.raw) - size; {
	case strings.HasPrefix(d.Comment, "prepending") && extra > 0:
		return append(make([]byte, extra), sound...)
	case extra > 0 && strings.HasPrefix(d.Comment, "appending"):
		return append(bytes.Clone(sound), make([]byte, extra)...)
	case extra < 0:
		return sound[:len(d.raw)]
	case new(big.Int).SetBytes(d.raw).Cmp(d.modulus) == 0:
		return k.n.FillBytes(make([]byte, size))
	default: // not reduced
		return number.Add(number, k.n).FillBytes(make([]byte, size+1))
	}
}

// carryPKCS1 puts a token's digest where a vector's stands, or what is left of
// it.
func carryPKCS1(d damage, digest []byte) []byte {
	for length := len(d.digest); length >= 8; length-- {
		for from := 0; from+length <= len(d.digest); from++ {
			if i := bytes.Index(d.encoded, d.digest[from:from+length]); i >= 0 {
				carried := bytes.Clone(d.encoded)
				copy(carried[i:], digest[from:from+length])
				return carried
			}
		}
	}
	return d.encoded // no digest in it
}

// Weak is the replay of keys that no token may be verified with: too short, of
// exponent 1, for encryption, of an algorithm that is not theirs, or malformed
// (json_web_key tcId 6, 8, 9 and 19 to 24; json_web_signature tcId 353 to 356).
func Weak() (Replay, error) {
	var r Replay
	for file, wanted := range map[string][]int{
		"json_web_key_test.json":       {6, 8, 9, 19, 20, 21, 22, 23, 24},
		"json_web_signature_test.json": {353, 354, 355, 356},
	} {
		all, err := groups(file)
		if err != nil {
			return Replay{}, err
		}
		signers := map[string]harness.SigningKey{}
		for _, g := range all {
			if len(g.Tests) == 0 || !slices.Contains(wanted, g.Tests[0].ID) {
				continue
			}
			if err := r.addWeak(g, signers); err != nil {
				return Replay{}, err
			}
		}
	}
	slices.SortFunc(r.Hostile, func(a, b token.Recipe) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}
