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
		if _, swapped := parseKey(chainPEM); swapped == nil && isChain(keyPEM) {
			return Pair{}, errors.New(
				"reading a certificate and its key: no certificate in it, but the key: the two files are swapped, name each where the other stands",
			)
		}
		return Pair{}, fmt.Errorf("reading a certificate chain: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return Pair{}, fmt.Errorf("reading a private key: %w", err)
	}
	switch at := slices.IndexFunc(chain, belongsTo(key)); {
	case at < 0:
		return Pair{}, fmt.Errorf(
			"reading a certificate and its key: the key is not that of the certificate of %q: give the two files that were made together",
			chain[0].Subject,
		)
	case at > 0:
		return Pair{}, fmt.Errorf(
			"reading a certificate and its key: the key is that of certificate %d in the chain: put the certificate of %q first", at+1,
			chain[at].Subject,
		)
	}
	return Pair{Certificate: chain[0], Chain: chain[1:], Key: key}, nil
}

func isChain(text []byte) bool {
	_, err := parseChain(text)
	return err == nil
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
		return nil, fmt.Errorf("no certificate in it, but PEM of %q: give PEM with BEGIN CERTIFICATE", blocks[0].Type)
	}
	return chain, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	blocks, err := decode(text)
	if err != nil {
		return nil, otherKey(text, err)
	}
	at := slices.IndexFunc(blocks, func(b *pem.Block) bool {
		return strings.HasSuffix(b.Type, keyBlock)
	})
	if at < 0 {
		return nil, noKey(blocks[0].Type)
	}
	return signer(blocks[at])
}

// ParseKey reads a private key in PEM: PKCS #8, PKCS #1 or SEC 1. What is none is told
// by name.
func ParseKey(text []byte) (crypto.Signer, error) { return parseKey(text) }

// noKey says what a file holds that was to be a private key.
func noKey(block string) error {
	switch {
	case block == certificateBlock || block == "TRUSTED CERTIFICATE" || block == "X509 CERTIFICATE":
		return errors.New("no private key in it, but a certificate, which anybody may have: give the private key that belongs to it")
	case strings.HasSuffix(block, "PUBLIC KEY"):
		return errors.New("no private key in it, but a public key, which signs nothing: give the private key that belongs to it")
	case strings.HasSuffix(block, "CERTIFICATE REQUEST"):
		return errors.New("no private key in it, but a request for a certificate: give the private key that it was made with")
	default:
		return fmt.Errorf("no private key in it, but PEM of %q: give PEM with BEGIN PRIVATE KEY", block)
	}
}

// otherKey says what a file without PEM holds that was to be a private key.
func otherKey(text []byte, err error) error {
	switch text = bytes.TrimSpace(text); {
	case bytes.HasPrefix(text, []byte("{")) && bytes.Contains(text, []byte(`"kty"`)):
		return errors.New("it is a JWK: give the key as PEM, with BEGIN PRIVATE KEY")
	case bytes.HasPrefix(text, []byte("ssh-")) || bytes.HasPrefix(text, []byte("ecdsa-sha2-")):
		return errors.New("it is a public key of OpenSSH: give the private key that belongs to it, as PEM")
	case len(text) > 0 && text[0] == 0x30: // a SEQUENCE
		return errors.New("it is DER: convert it, with openssl pkey -inform DER -in FILE -out KEY.pem")
	}
	return err
}

// ParseBundle reads the certificates in PEM, every one of them: a block that is cut
// off, garbled or no certificate is an error.
func ParseBundle(text []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(text, []byte("-----BEGIN ")) {
		return nil, errors.New("no certificate in it: give PEM, with BEGIN CERTIFICATE")
	}
	blocks, err := decode(text)
	if err != nil {
		return nil, err
	}
	for i, block := range blocks {
		if strings.HasSuffix(block.Type, keyBlock) {
			return nil, fmt.Errorf("block %d of %d is a private key: give the certificates alone", i+1, len(blocks))
		}
	}
	return parseChain(text)
}

// signer reads a key block of any of the three forms in use.
func signer(block *pem.Block) (crypto.Signer, error) {
	// PKCS #8 says so in its type (RFC 7468 §11), the older forms in a header
	// (RFC 1421 §4.6.1.3).
	if block.Type == "OPENSSH PRIVATE KEY" {
		return nil, errors.New("it is in the form of OpenSSH: convert a copy of it, with ssh-keygen -p -m PKCS8 -f COPY")
	}
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
