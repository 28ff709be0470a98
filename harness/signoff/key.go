package signoff

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"aegis.test/conformance/harness/saved"
)

// Key verifies, and signs when it knows how: a dsse.SignerVerifier.
type Key struct {
	public crypto.PublicKey
	sign   func(ctx context.Context, data []byte) ([]byte, error) // nil for a public key
}

var _ dsse.SignerVerifier = &Key{}

// Sign signs data whole: Ed25519, or ECDSA over its SHA-256.
func (k *Key) Sign(ctx context.Context, data []byte) ([]byte, error) {
	if k.sign == nil {
		return nil, errors.New("signing: the key is public, a private one is needed")
	}
	return k.sign(ctx, data)
}

// Verify holds a signature against data.
func (k *Key) Verify(_ context.Context, data, signature []byte) error {
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		if sum := sha256.Sum256(data); ecdsa.VerifyASN1(public, sum[:], signature) {
			return nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(public, data, signature) {
			return nil
		}
	}
	return errors.New("the signature is not the key's")
}

// KeyID is the fingerprint that DSSE's own library and cosign give the key.
func (k *Key) KeyID() (string, error) { return dsse.SHA256KeyID(k.public) }

// Public is the public half.
func (k *Key) Public() crypto.PublicKey { return k.public }

// PublicPEM is the public half as a file holds it.
func (k *Key) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return nil, fmt.Errorf("writing the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ReadKey reads a PEM file with a private or a public key of a supported kind.
func ReadKey(path string) (*Key, error) {
	data, err := saved.File(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "EC PARAMETERS" { // openssl ecparam writes it before the key
			continue
		}
		key, err := parseKey(block)
		if err != nil {
			return nil, fmt.Errorf("reading the key in %s: %w", path, err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("reading the key in %s: it is no PEM file", path)
}

// ReadPublicKey reads the key of who verifies, who has no use for a private one.
func ReadPublicKey(path string) (*Key, error) {
	key, err := ReadKey(path)
	if err == nil && key.sign != nil {
		return nil, fmt.Errorf("reading the key in %s: it is a private key, which is not needed to verify: give the public one, which sign --public writes, and keep this where it signs", path)
	}
	return key, err
}

func parseKey(block *pem.Block) (*Key, error) {
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PRIVATE KEY", "RSA PUBLIC KEY":
		return nil, errRSA
	default:
		return nil, fmt.Errorf("it is a PEM file of a %q; %s", block.Type, supported)
	}
	if err != nil {
		return nil, err
	}
	return keyOf(parsed)
}

const supported = "want an unencrypted ECDSA P-256 or Ed25519 key (openssl genpkey -algorithm ed25519), or vault:MOUNT/NAME"

var errRSA = errors.New("it is an RSA key, with which nothing is signed here; " + supported)

func keyOf(parsed any) (*Key, error) {
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return &Key{&key.PublicKey, func(_ context.Context, data []byte) ([]byte, error) {
				sum := sha256.Sum256(data)
				return ecdsa.SignASN1(rand.Reader, key, sum[:])
			}}, nil
		}
	case ed25519.PrivateKey:
		return &Key{key.Public(), func(_ context.Context, data []byte) ([]byte, error) {
			return ed25519.Sign(key, data), nil
		}}, nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return &Key{public: key}, nil
		}
	case ed25519.PublicKey:
		return &Key{public: key}, nil
	case *rsa.PrivateKey, *rsa.PublicKey:
		return nil, errRSA
	}
	return nil, errors.New("it is of another kind; " + supported)
}
