package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // SHA-256 for crypto.Hash
	_ "crypto/sha512" // SHA-384 and SHA-512 for crypto.Hash
	"encoding/asn1"
	"fmt"
	"math/big"
)

// hashes are the digests of the JWA names' numbers (RFC 7518 section 3.1).
var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// sign signs by a JWA algorithm. It signs what go-jose would refuse to: an
// algorithm that does not fit the header, or a header that is no JSON.
func sign(alg string, key crypto.Signer, input []byte) ([]byte, error) {
	if alg == "EdDSA" {
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	}
	if len(alg) != 5 || hashes[alg[2:]] == 0 {
		return nil, fmt.Errorf("no algorithm %q", alg)
	}
	hash := hashes[alg[2:]]
	h := hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		var opts crypto.SignerOpts = hash
		if alg[:2] == "PS" {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		return key.Sign(rand.Reader, digest, opts)
	case *ecdsa.PublicKey:
		der, err := key.Sign(rand.Reader, digest, hash)
		if err != nil {
			return nil, err
		}
		return concatenate(der, (public.Curve.Params().BitSize+7)/8)
	case ed25519.PublicKey:
		return nil, fmt.Errorf("an Ed25519 key does not sign %q", alg)
	default:
		return nil, fmt.Errorf("a %T does not sign %q", public, alg)
	}
}

// concatenate turns an ECDSA signature from ASN.1 into R || S (RFC 7518
// section 3.4); size is the curve's, in bytes.
func concatenate(der []byte, size int) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	out := make([]byte, 2*size)
	rs.R.FillBytes(out[:size])
	rs.S.FillBytes(out[size:])
	return out, nil
}

// mac gives an HMAC signer: what a symmetric algorithm makes of key.
func mac(alg string, key []byte) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		h := hmac.New(hashes[alg[2:]].New, key)
		h.Write(input)
		return h.Sum(nil), nil
	}
}
