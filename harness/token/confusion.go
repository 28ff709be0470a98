package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/ssh"

	"aegis.test/conformance/harness"
)

// Confused are tokens of an HMAC keyed with the trusted RSA key's public half, in
// every text that a verifier may hold it in (JOSE-004, CVE-2015-9235,
// CVE-2022-29217).
func Confused(alg string) []Recipe {
	return confused(alg, " token keyed with the public key as ", rsaEncodings, rsaMinting)
}

// ConfusedEC are the same of the trusted EC key (JOSE-005, CVE-2022-29217).
func ConfusedEC(alg string) []Recipe {
	return confused(alg, " token keyed with the EC public key as ", ecEncodings, ecMinted)
}

func confused(alg, keyed string, encodings []encoding, minted func(name string, change func(*Draft) error) Recipe) []Recipe {
	var recipes []Recipe
	for _, e := range encodings {
		recipes = append(recipes, minted(alg+keyed+e.name, func(d *Draft) error {
			key, err := e.of(d.key)
			if err != nil {
				return fmt.Errorf("encoding the public key: %w", err)
			}
			d.Header["alg"] = alg
			d.Sign = mac(alg, key)
			return nil
		}))
	}
	return recipes
}

// encoding is a form that a verifier may hold a public key in: what may be taken
// for a secret.
type encoding struct {
	name string
	of   func(signingKey) ([]byte, error)
}

// rsaEncodings and ecEncodings are those of the two kinds of key.
var (
	rsaEncodings = slices.Concat(spkiEncodings, lined("PKCS #1 PEM", func(k signingKey) ([]byte, error) {
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(k.rsa())}), nil
	}), []encoding{
		{"PKCS #1 DER", func(k signingKey) ([]byte, error) { return x509.MarshalPKCS1PublicKey(k.rsa()), nil }},
		{"its modulus", func(k signingKey) ([]byte, error) { return k.rsa().N.Bytes(), nil }},
		{"its modulus in base64url", func(k signingKey) ([]byte, error) {
			return []byte(base64.RawURLEncoding.EncodeToString(k.rsa().N.Bytes())), nil
		}},
	}, jwkEncodings)
	ecEncodings = slices.Concat(spkiEncodings, []encoding{
		{"its uncompressed point", func(k signingKey) ([]byte, error) { return k.ec().Bytes() }},
		{"its compressed point", func(k signingKey) ([]byte, error) {
			point, err := k.ec().Bytes()
			if err != nil {
				return nil, err
			}
			return append([]byte{2 + point[len(point)-1]&1}, point[1:1+len(point)/2]...), nil
		}},
		{"its coordinates", func(k signingKey) ([]byte, error) {
			point, err := k.ec().Bytes()
			if err != nil {
				return nil, err
			}
			return point[1:], nil
		}},
	}, jwkEncodings)
)

// spkiEncodings are those that every kind of key has in X.509 and OpenSSH,
// jwkEncodings those that it has in a JWKS.
var (
	spkiEncodings = append(slices.Concat(lined("SPKI PEM", spkiPEM), lined("OpenSSH's text", sshText)),
		encoding{"SPKI PEM after a space", func(k signingKey) ([]byte, error) {
			data, err := spkiPEM(k)
			return append([]byte(" "), data...), err
		}},
		encoding{"SPKI PEM with CR LF", func(k signingKey) ([]byte, error) {
			data, err := spkiPEM(k)
			return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")), err
		}},
		encoding{"SPKI DER", func(k signingKey) ([]byte, error) { return x509.MarshalPKIXPublicKey(k.signer.Public()) }},
		encoding{"SPKI DER in base64", func(k signingKey) ([]byte, error) {
			der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
			return []byte(base64.StdEncoding.EncodeToString(der)), err
		}})
	jwkEncodings = []encoding{
		{"JWK", func(k signingKey) ([]byte, error) { return k.jwk().MarshalJSON() }},
		{
			"JWK of its kind and numbers alone",
			func(k signingKey) ([]byte, error) { return jose.JSONWebKey{Key: k.signer.Public()}.MarshalJSON() },
		},
		{"JWKS", func(k signingKey) ([]byte, error) {
			return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.jwk()}})
		}},
	}
)

func (k signingKey) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.signer.Public(), KeyID: k.id, Algorithm: k.alg, Use: "sig"}
}

func (k signingKey) rsa() *rsa.PublicKey  { return k.signer.Public().(*rsa.PublicKey) }
func (k signingKey) ec() *ecdsa.PublicKey { return k.signer.Public().(*ecdsa.PublicKey) }

// lined are a text that ends in a line feed, and the same without.
func lined(name string, of func(signingKey) ([]byte, error)) []encoding {
	return []encoding{{name, of}, {name + " without its last line feed", func(k signingKey) ([]byte, error) {
		data, err := of(k)
		return bytes.TrimSuffix(data, []byte("\n")), err
	}}}
}

func spkiPEM(k signingKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

// sshText is a public key as OpenSSH's authorized_keys has it.
func sshText(k signingKey) ([]byte, error) {
	public, err := ssh.NewPublicKey(k.signer.Public())
	if err != nil {
		return nil, err
	}
	return ssh.MarshalAuthorizedKey(public), nil
}

// Encodings are the ways a verifier may hold the public half of an RSA key, by
// name.
func Encodings(key harness.SigningKey) (map[string][]byte, error) {
	parsed, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	if _, ok := parsed.signer.Public().(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("encoding the public key: %q is no RSA key", key.ID)
	}
	all := map[string][]byte{}
	for _, e := range rsaEncodings {
		if all[e.name], err = e.of(parsed); err != nil {
			return nil, fmt.Errorf("encoding the public key: %w", err)
		}
	}
	return all, nil
}
