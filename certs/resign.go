package certs

import (
	"crypto"
	"crypto/ecdsa"
	_ "crypto/md5" // #nosec G501 -- what a sound ingress refuses has to be made
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // #nosec G505 -- as above
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// statement is TBSCertificate (RFC 5280 §4.1), as far as it is rewritten.
type statement struct {
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

// signed is Certificate.
type signed struct {
	Statement asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// Signature algorithms by digest (RFC 3279 §2.2.1 and §2.2.3, RFC 4055 §5, RFC
// 5758 §3.2). There is none of ECDSA with MD5.
var (
	withRSA = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.MD5:    {1, 2, 840, 113549, 1, 1, 4},
		crypto.SHA1:   {1, 2, 840, 113549, 1, 1, 5},
		crypto.SHA256: {1, 2, 840, 113549, 1, 1, 11},
	}
	withECDSA = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1:   {1, 2, 840, 10045, 4, 1},
		crypto.SHA256: {1, 2, 840, 10045, 4, 3, 2},
	}
)

// resigned is a's own certificate signed anew in a way that crypto/x509 does
// not: as version 1, or of another digest than SHA-256.
func (a *Authority) resigned(c *x509.Certificate, version1 bool, digest crypto.Hash) (*x509.Certificate, error) {
	var s statement
	if _, err := asn1.Unmarshal(c.RawTBSCertificate, &s); err != nil {
		return nil, fmt.Errorf("taking a certificate apart: %w", err)
	}
	if version1 {
		s.Version, s.Extensions = 0, nil
	}
	if digest == 0 {
		digest = crypto.SHA256
	}
	var err error
	if s.Algorithm, err = algorithm(a.pair.Key, digest); err != nil {
		return nil, err
	}
	der, err := a.seal(s, digest)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate anew: %w", err)
	}
	return x509.ParseCertificate(der)
}

func (a *Authority) seal(s statement, digest crypto.Hash) ([]byte, error) {
	der, err := asn1.Marshal(s)
	if err != nil {
		return nil, err
	}
	h := digest.New()
	h.Write(der)
	signature, err := a.pair.Key.Sign(rand.Reader, h.Sum(nil), digest)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(signed{
		Statement: asn1.RawValue{FullBytes: der},
		Algorithm: s.Algorithm,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
}

func algorithm(key crypto.Signer, digest crypto.Hash) (pkix.AlgorithmIdentifier, error) {
	var found pkix.AlgorithmIdentifier
	switch key.Public().(type) {
	case *rsa.PublicKey:
		found = pkix.AlgorithmIdentifier{Algorithm: withRSA[digest], Parameters: asn1.NullRawValue}
	case *ecdsa.PublicKey:
		found = pkix.AlgorithmIdentifier{Algorithm: withECDSA[digest]}
	}
	if found.Algorithm == nil {
		return found, fmt.Errorf("there is no signature algorithm of %v with a key of type %T", digest, key)
	}
	return found, nil
}

// RSAKey makes an RSA key of so many bits; 1024 is the least.
func RSAKey(bits int) (crypto.Signer, error) {
	if bits < 1024 {
		return nil, errors.New("making an RSA key: at least 1024 bits")
	}
	key, err := rsa.GenerateKey(rand.Reader, bits) // #nosec G403 -- a weak one is what is asked for
	if err != nil {
		return nil, fmt.Errorf("making an RSA key: %w", err)
	}
	return key, nil
}

// Corrupt is the pair with one bit of the leaf's signature flipped.
func (p Pair) Corrupt() (Pair, error) {
	certificate, err := corrupted(p.Certificate)
	p.Certificate = certificate
	return p, err
}
