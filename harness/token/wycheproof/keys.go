package wycheproof

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// size is that of the keys, bytes.
const size = 256

// rsaKey is an RSA key that signs encoded messages as they are. It has eight
// primes: some two hundred signatures in a fraction of a second.
type rsaKey struct {
	kid, alg string
	numbers
}

type numbers struct {
	n      *big.Int
	primes []*big.Int
	powers []*big.Int // of the private operation, by prime
}

const (
	exponent   = 65537
	primeCount = 8
)

// newKey is a key under a kid of its own.
func newKey(alg string) (*rsaKey, error) {
	k, err := minted()
	return &rsaKey{kid: "kid-" + token.Random(8), alg: alg, numbers: k}, err
}

// minted are the numbers of all keys of a process.
var minted = sync.OnceValues(func() (k numbers, err error) {
	for k.n == nil || k.n.BitLen() != size*8 {
		p, err := rand.Prime(rand.Reader, size*8/primeCount)
		if err != nil {
			return k, fmt.Errorf("minting a key: %w", err)
		}
		k.take(p)
	}
	for _, p := range k.primes {
		k.powers = append(k.powers, new(big.Int).ModInverse(big.NewInt(exponent), new(big.Int).Sub(p, big.NewInt(1))))
	}
	return k, nil
})

// take keeps a prime, in place of the smallest where there are enough; one that
// leaves no private power is not kept.
func (k *numbers) take(p *big.Int) {
	if new(big.Int).Mod(p, big.NewInt(exponent)).Cmp(big.NewInt(1)) == 0 ||
		slices.ContainsFunc(k.primes, func(q *big.Int) bool { return q.Cmp(p) == 0 }) {
		return
	}
	k.primes = append(k.primes, p)
	slices.SortFunc(k.primes, func(a, b *big.Int) int { return b.Cmp(a) })
	k.primes = k.primes[:min(len(k.primes), primeCount)]
	k.n = big.NewInt(1)
	for _, p := range k.primes {
		k.n.Mul(k.n, p)
	}
}

// sign is the private operation, by the Chinese remainder theorem.
func (k *rsaKey) sign(encoded []byte) []byte {
	m := new(big.Int).SetBytes(encoded)
	sum, product := new(big.Int), big.NewInt(1)
	for i, p := range k.primes {
		root := new(big.Int).Exp(new(big.Int).Mod(m, p), k.powers[i], p)
		root.Sub(root, sum)
		root.Mul(root, new(big.Int).ModInverse(product, p))
		root.Mod(root, p)
		sum.Add(sum, root.Mul(root, product))
		product.Mul(product, p)
	}
	return sum.FillBytes(make([]byte, size))
}

func (k *rsaKey) public() token.JWK {
	return token.JWK{"kty": "RSA", "kid": k.kid, "alg": k.alg, "use": "sig", "e": "AQAB",
		"n": base64.RawURLEncoding.EncodeToString(k.n.Bytes())}
}

// recipe is a token with right claims whose signature is made of its digest. A
// token whose digest happens to undo the damage is drafted anew.
func (k *rsaKey) recipe(name string, signature func(digest []byte) (made []byte, fits bool)) token.Recipe {
	return token.Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens}, Make: func(s token.Source) (string, error) {
		for {
			d, err := s.DraftFor(s.Grant.Signing[0])
			if err != nil {
				return "", err
			}
			d.Header["alg"], d.Header["kid"] = k.alg, k.kid
			fits := false
			d.Sign = func(input []byte) (made []byte, _ error) {
				digest := sha256.Sum256(input)
				made, fits = signature(digest[:])
				return made, nil
			}
			compact, err := d.Compact()
			if err != nil || fits {
				return compact, err
			}
		}
	}}
}

// info is what stands before a SHA-256 digest (RFC 8017 section 9.2, note 1).
var info = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// encodePKCS1 is EMSA-PKCS1-v1_5 (RFC 8017 section 9.2).
func encodePKCS1(digest []byte, size int) []byte {
	tail := append(append([]byte{0}, info...), digest...)
	head := append([]byte{0, 1}, []byte(strings.Repeat("\xff", size-2-len(tail)))...)
	return append(head, tail...)
}

// encodePSS is EMSA-PSS (RFC 8017 section 9.1) with a salt of zeros.
func encodePSS(digest []byte, size int) []byte {
	db := make([]byte, size-sha256.Size-1)
	db[len(db)-sha256.Size-1] = 1
	return masked(db, pssHash(digest, db[len(db)-sha256.Size:]), 0, 0xbc)
}

// masked puts an encoded message together; top is its first bit.
func masked(db, hash []byte, top, trailer byte) []byte {
	out := make([]byte, 0, len(db)+len(hash)+1)
	for i, m := range mask(hash, len(db)) {
		out = append(out, db[i]^m)
	}
	out[0] = out[0]&0x7f | top
	return append(append(out, hash...), trailer)
}

// mask is MGF1 (RFC 8017 appendix B.2.1).
func mask(seed []byte, length int) []byte {
	var out []byte
	for i := uint32(0); len(out) < length; i++ {
		block := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte(nil), seed...), i))
		out = append(out, block[:]...)
	}
	return out[:length]
}

func pssHash(digest, salt []byte) []byte {
	h := sha256.Sum256(append(append(make([]byte, 8), digest...), salt...))
	return h[:]
}

// carryPSS computes a vector's hash anew for a token's digest, with the same
// difference from the right one, under the same padding, salt and trailer.
func carryPSS(d damage, digest []byte) []byte {
	if d.encoded == nil {
		return nil
	}
	edge := len(d.encoded) - sha256.Size - 1
	hash, db := d.encoded[edge:len(d.encoded)-1], make([]byte, edge)
	for i, m := range mask(hash, edge) {
		db[i] = d.encoded[i] ^ m
	}
	salt := db[edge-sha256.Size:]
	for i := 1; i < edge; i++ {
		if db[i] != 0 {
			if db[i] == 1 {
				salt = db[i+1:]
			}
			break
		}
	}
	was, is := pssHash(d.digest, salt), pssHash(digest, salt)
	for i := range is {
		is[i] ^= was[i] ^ hash[i]
	}
	return masked(db, is, d.encoded[0]&0x80, d.encoded[len(d.encoded)-1])
}

// addWeak adds a key that no token may be verified with, and a token of it.
// Where the private key is as malformed as the public one, the sound key of the
// same numbers signs: one of signers, by key type.
func (r *Replay) addWeak(g group, signers map[string]harness.SigningKey) error {
	name := "weak key, " + g.Tests[0].name()
	public, err := member(g.Public)
	if err != nil {
		return fmt.Errorf("reading Wycheproof's %s: %w", g.Tests[0].name(), err)
	}
	kid := "kid-" + token.Random(8)
	r.Keys = append(r.Keys, public.With("kid", kid))
	if public["e"] == "AQ" { // exponent 1: whoever encodes a message signs it
		r.Hostile = append(r.Hostile, (&rsaKey{kid: kid, alg: "RS256"}).recipe(name, func(digest []byte) ([]byte, bool) {
			return encodePKCS1(digest, size), true
		}))
		return nil
	}
	key, ok := signer(g.Private)
	if ok {
		signers[key.Algorithm] = key
	} else if key, ok = signers["ES256"]; !ok {
		return fmt.Errorf("reading Wycheproof's %s: no private key", g.Tests[0].name())
	}
	r.Hostile = append(r.Hostile, token.SignedAs(name, key, kid))
	return nil
}

// member is a key, or the only key of a set.
func member(data json.RawMessage) (token.JWK, error) {
	var set struct {
		Keys []token.JWK `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err == nil && len(set.Keys) == 1 {
		return set.Keys[0], nil
	}
	var key token.JWK
	return key, json.Unmarshal(data, &key)
}

// signer is a private key with the algorithm that is soundly its own, and
// whether it is one.
func signer(data json.RawMessage) (harness.SigningKey, bool) {
	private, err := member(data)
	if err != nil {
		return harness.SigningKey{}, false
	}
	alone, err := json.Marshal(private)
	var key jose.JSONWebKey
	if err != nil || json.Unmarshal(alone, &key) != nil {
		return harness.SigningKey{}, false
	}
	alg := ""
	switch key.Key.(type) {
	case *rsa.PrivateKey:
		alg = "RS256"
	case *ecdsa.PrivateKey:
		alg = "ES256"
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Key)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return harness.SigningKey{ID: "kid", Algorithm: alg, PEM: harness.Secret(text)}, err == nil && alg != ""
}
