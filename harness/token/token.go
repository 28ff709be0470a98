// Package token drafts bearer tokens: sound ones, and ones that are one defect
// away from sound. A hostile token is forged from the same issuer, audience,
// subject, key identifier and a fresh expiry as an accepted one, so that its
// defect is the only reason to refuse it (rulings 0.3, non-vacuity).
package token

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"aegis.test/conformance/harness"
)

// Lifetime is how long a drafted token is valid (rulings 0.6).
const Lifetime = 10 * time.Minute

// Recipe says how one token is made from what a target grants.
type Recipe struct {
	Name  string // in words, for reports; never the token
	Needs []harness.Capability
	Make  func(Source) (string, error)
}

// ErrUnfit is the error of a recipe that cannot be made of the one token that is given,
// and could be of another.
var ErrUnfit = errors.New("the token that is given cannot be made into it")

// Source is what tokens are made from.
type Source struct {
	Grant   harness.TokenGrant
	Profile harness.Profile
	Now     time.Time
	// Accepted is a token that the target has just accepted: what is forged is made of
	// that very one, where it is there.
	Accepted string
}

// From is the source a target grants.
func From(t *harness.Target) Source {
	s := Source{Grant: t.Tokens, Profile: t.Profile, Now: time.Now()}
	if t.Control != nil && t.Control.Bearer != nil {
		s.Grant.Valid = t.Control.Bearer.Token()
	}
	if t.Control != nil && s.Grant.Expired == "" {
		s.Grant.Expired = t.Control.Ended.Token
	}
	return s
}

// Draft is a JWS in compact form, before it is put together.
type Draft struct {
	Header map[string]any
	Claims map[string]any
	// RawHeader and RawPayload, if set, take the place of Header and Claims:
	// bytes that no encoder would write.
	RawHeader, RawPayload []byte
	// Sign gives the signature of the signing input. Nil means no signature.
	Sign func(input []byte) ([]byte, error)
	key  signingKey
}

// Draft is a sound token that is not yet signed: minted where the target
// grants a key, else the given token taken apart, whose signature covers only
// its own bytes.
func (s Source) Draft() (Draft, error) {
	if s.Accepted != "" {
		return parse(s.Accepted)
	}
	if len(s.Grant.Signing) == 0 {
		return parse(s.Grant.Valid.Reveal())
	}
	return s.DraftFor(s.Grant.Signing[0])
}

// DraftFor is a sound draft for one of the granted keys.
func (s Source) DraftFor(granted harness.SigningKey) (Draft, error) {
	key, err := parseKey(granted)
	if err != nil {
		return Draft{}, err
	}
	now := s.Now.Unix()
	subject := s.Grant.Subject
	if subject == "" {
		subject = "aegis-conformance"
	}
	d := Draft{
		Header: map[string]any{"alg": key.alg, "kid": key.id, "typ": "at+jwt"},
		Claims: map[string]any{
			"sub": subject,
			"iat": now, "nbf": now - 60, "exp": now + int64(Lifetime/time.Second),
			"jti": Random(12),
		},
		key: key,
	}
	if s.Profile.Issuer != "" {
		d.Claims["iss"] = s.Profile.Issuer
	}
	if s.Profile.Audience != "" {
		d.Claims["aud"] = s.Profile.Audience
	}
	if s.Profile.Scope != "" {
		d.Claims["scope"] = s.Profile.Scope
	}
	d.SignWith(key.alg, key.signer)
	return d, nil
}

// SignWith makes the draft's signature come from signer by a JWA algorithm. The
// header is left as it is.
func (d *Draft) SignWith(alg string, signer crypto.Signer) {
	d.Sign = func(input []byte) ([]byte, error) { return sign(alg, signer, input) }
}

// Clone copies the draft, its header and its claims.
func (d Draft) Clone() Draft {
	d.Header, d.Claims = maps.Clone(d.Header), maps.Clone(d.Claims)
	return d
}

// Segments are the three parts of the compact form.
func (d Draft) Segments() (header, payload, signature string, err error) {
	if header, err = segment(d.RawHeader, d.Header); err != nil {
		return "", "", "", fmt.Errorf("encoding a token's header: %w", err)
	}
	if payload, err = segment(d.RawPayload, d.Claims); err != nil {
		return "", "", "", fmt.Errorf("encoding a token's claims: %w", err)
	}
	if d.Sign == nil {
		return header, payload, "", nil
	}
	sig, err := d.Sign([]byte(header + "." + payload))
	if err != nil {
		return "", "", "", fmt.Errorf("signing a token: %w", err)
	}
	return header, payload, encode(sig), nil
}

// Compact is the token.
func (d Draft) Compact() (string, error) {
	header, payload, signature, err := d.Segments()
	if err != nil {
		return "", err
	}
	return header + "." + payload + "." + signature, nil
}

func segment(raw []byte, object map[string]any) (string, error) {
	if raw != nil {
		return encode(raw), nil
	}
	data, err := json.Marshal(object)
	return encode(data), err
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// parse takes a given token apart.
func parse(compact string) (Draft, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return Draft{}, fmt.Errorf("taking the given token apart: %d segments, want 3 (a JWS in compact form)", len(parts))
	}
	var d Draft
	var decoded [3][]byte
	for i, part := range parts {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return Draft{}, fmt.Errorf("taking the given token apart: segment %d is not base64url", i+1)
		}
		decoded[i] = data
	}
	if json.Unmarshal(decoded[0], &d.Header) != nil || json.Unmarshal(decoded[1], &d.Claims) != nil {
		return Draft{}, errors.New("taking the given token apart: header or payload is not a JSON object")
	}
	d.RawHeader, d.RawPayload = decoded[0], decoded[1]
	d.Sign = func([]byte) ([]byte, error) { return decoded[2], nil }
	return d, nil
}

// signingKey is a granted key, ready to sign.
type signingKey struct {
	id, alg string
	signer  crypto.Signer
}

// known are the keys that were read: to read an RSA key takes as long as to sign.
var known = struct {
	sync.Mutex
	signers map[harness.Secret]crypto.Signer
}{signers: map[harness.Secret]crypto.Signer{}}

// keptKeys is how many of them are kept.
const keptKeys = 256

func parseKey(granted harness.SigningKey) (signingKey, error) {
	known.Lock()
	signer, ok := known.signers[granted.PEM]
	known.Unlock()
	if ok {
		return signingKey{id: granted.ID, alg: granted.Algorithm, signer: signer}, nil
	}
	block, _ := pem.Decode([]byte(granted.PEM.Reveal()))
	if block == nil {
		return signingKey{}, fmt.Errorf("reading signing key %q: no PEM block", granted.ID)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return signingKey{}, fmt.Errorf("reading signing key %q: %w", granted.ID, err)
	}
	signer, ok = key.(crypto.Signer)
	if !ok {
		return signingKey{}, fmt.Errorf("reading signing key %q: a %T cannot sign", granted.ID, key)
	}
	known.Lock()
	defer known.Unlock()
	if len(known.signers) >= keptKeys {
		clear(known.signers)
	}
	known.signers[granted.PEM] = signer
	return signingKey{id: granted.ID, alg: granted.Algorithm, signer: signer}, nil
}

// Random is n random bytes in hex.
func Random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, crypto/rand
	return hex.EncodeToString(b)
}
