package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PEM block types (RFC 7468 §5, §10).
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// Pair is a certificate with what its holder needs to present it.
type Pair struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // intermediates to send, issuer first; not the root
	Key         crypto.Signer       `json:"-"`
}

// Format writes the subject and never the key, whatever the verb.
func (p Pair) Format(f fmt.State, _ rune) {
	if p.Certificate == nil {
		_, _ = fmt.Fprint(f, "no certificate")
		return
	}
	_, _ = fmt.Fprintf(f, "certificate of %q", p.Certificate.Subject)
}

// TLS is the pair as crypto/tls wants it. A client that must present it
// whatever authorities the server names hands it over in
// tls.Config.GetClientCertificate: Certificates is only a choice, from which
// Go takes none when no name fits.
func (p Pair) TLS() tls.Certificate {
	sent := tls.Certificate{PrivateKey: p.Key, Leaf: p.Certificate}
	for _, c := range p.sent() {
		sent.Certificate = append(sent.Certificate, c.Raw)
	}
	return sent
}

// ChainPEM is what is sent, leaf first, in PEM.
func (p Pair) ChainPEM() []byte {
	var out bytes.Buffer
	for _, c := range p.sent() {
		out.Write(certificatePEM(c))
	}
	return out.Bytes()
}

// KeyPEM is the key, PKCS #8 in PEM.
func (p Pair) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

func (p Pair) sent() []*x509.Certificate {
	return append([]*x509.Certificate{p.Certificate}, p.Chain...)
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})
}

// ParsePair reads a chain, leaf first, and the leaf's key: PKCS #8, PKCS #1 or
// SEC 1. Other blocks are passed over, so that one file may hold both.
func ParsePair(chainPEM, keyPEM []byte) (Pair, error) {
	chain, err := parseChain(chainPEM)
	if err != nil {
		return Pair{}, fmt.Errorf("reading a certificate chain: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return Pair{}, fmt.Errorf("reading a private key: %w", err)
	}
	switch at := slices.IndexFunc(chain, belongsTo(key)); {
	case at < 0:
		return Pair{}, fmt.Errorf("reading a certificate and its key: the key is not that of the certificate of %q: give the two files that were made together", chain[0].Subject)
	case at > 0:
		return Pair{}, fmt.Errorf("reading a certificate and its key: the key is that of certificate %d in the chain: put the certificate of %q first", at+1, chain[at].Subject)
	}
	return Pair{Certificate: chain[0], Chain: chain[1:], Key: key}, nil
}

func belongsTo(key crypto.Signer) func(*x509.Certificate) bool {
	return func(c *x509.Certificate) bool {
		public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(key.Public())
	}
}

func parseChain(text []byte) ([]*x509.Certificate, error) {
	blocks, err := decode(text)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for _, block := range blocks {
		if block.Type != certificateBlock {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate in it: give PEM, with BEGIN CERTIFICATE")
	}
	return chain, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	blocks, err := decode(text)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(blocks, func(b *pem.Block) bool {
		return strings.HasSuffix(b.Type, keyBlock)
	})
	if at < 0 {
		return nil, errors.New("no private key in it: give PEM, with BEGIN PRIVATE KEY")
	}
	return signer(blocks[at])
}

// signer reads a key block of any of the three forms in use.
func signer(block *pem.Block) (crypto.Signer, error) {
	// PKCS #8 says so in its type (RFC 7468 §11), the older forms in a header
	// (RFC 1421 §4.6.1.3).
	if strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
		return nil, errors.New("it is encrypted: decrypt it first, with openssl pkey -in FILE -out DECRYPTED")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("block %q: %w", block.Type, err)
	}
	if signs, ok := key.(crypto.Signer); ok {
		return signs, nil
	}
	return nil, fmt.Errorf("a key of type %T cannot sign: give an RSA, ECDSA or Ed25519 key", key)
}

// decode reads every PEM block. encoding/pem passes over a block that is cut
// off, so blocks are counted against their first lines.
func decode(text []byte) ([]*pem.Block, error) {
	begun := bytes.Count(text, []byte("-----BEGIN "))
	var blocks []*pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	switch {
	case begun == 0:
		return nil, errors.New("no PEM in it: convert it with openssl, or give another file")
	case len(blocks) < begun:
		return nil, fmt.Errorf("%d of %d PEM blocks are cut off or garbled: give the whole file", begun-len(blocks), begun)
	}
	return blocks, nil
}
