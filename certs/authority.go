package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// AuthorityLifetime is how long an authority's certificate is valid from now.
const AuthorityLifetime = 30 * 24 * time.Hour

// Authority issues certificates.
type Authority struct {
	pair  Pair                // its own certificate and key; Chain is above it
	root  *x509.Certificate   // where trust is anchored
	sends []*x509.Certificate // what its leaves send beside themselves
}

// NewAuthority makes a root authority of that common name.
func NewAuthority(name string) (*Authority, error) {
	subject, err := commonName(name)
	if err != nil {
		return nil, fmt.Errorf("making authority %q: %w", name, err)
	}
	return newRoot(ca(subject))
}

// LookAlike makes a rogue: a root authority with the subject and the key
// identifier of a trusted one, and another key (RFC 5280 §6.1.3(a)(1) is what
// tells them apart). The trusted authority's certificate, which is public, is
// all that is needed.
func LookAlike(trusted *x509.Certificate) (*Authority, error) {
	template := ca(trusted.RawSubject)
	template.SubjectKeyId = trusted.SubjectKeyId
	return newRoot(template)
}

// Intermediate makes an authority of that common name, certified by a.
func (a *Authority) Intermediate(name string) (*Authority, error) {
	return a.Branch(Branch{CommonName: name})
}

// ParseAuthority reads an authority's chain, its own certificate first, and
// its key. The last certificate is taken for the trust anchor, root or not.
func ParseAuthority(chainPEM, keyPEM []byte) (*Authority, error) {
	pair, err := ParsePair(chainPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading an authority: %w", err)
	}
	if !mayIssue(pair.Certificate) {
		return nil, fmt.Errorf("reading an authority: the certificate of %q may not issue others: give one that is CA:TRUE with keyCertSign",
			pair.Certificate.Subject)
	}
	sent := pair.sent()
	root := sent[len(sent)-1]
	if bytes.Equal(root.RawIssuer, root.RawSubject) {
		sent = sent[:len(sent)-1]
	}
	pair.Chain = sent[min(1, len(sent)):]
	return &Authority{pair: pair, root: root, sends: sent}, nil
}

// mayIssue is RFC 5280 §6.1.4(k) and (n).
func mayIssue(c *x509.Certificate) bool {
	return c.BasicConstraintsValid && c.IsCA &&
		(c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0)
}

// Pair is the authority's own certificate and key.
func (a *Authority) Pair() Pair { return a.pair }

// RootPEM is the trust anchor's certificate.
func (a *Authority) RootPEM() []byte { return certificatePEM(a.root) }

// Server issues a certificate with which a server answers to hosts: DNS names
// and IP addresses. The first is also its common name.
func (a *Authority) Server(hosts ...string) (Pair, error) {
	if len(hosts) == 0 {
		return Pair{}, errors.New("issuing a server certificate: no host given: name at least one")
	}
	for _, host := range hosts {
		if _, err := netip.ParseAddr(host); err != nil && !IsDNSName(host) {
			return Pair{}, fmt.Errorf("issuing a server certificate: %q is neither a DNS name nor an IP address", host)
		}
	}
	return a.Issue(Leaf{
		CommonName: hosts[0],
		Names:      hosts,
		Usages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// sign certifies a public key. The authority key identifier is set even where
// crypto/x509 would leave it out: subject and issuer of the same name.
func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	template.AuthorityKeyId = a.pair.Certificate.SubjectKeyId
	der, err := x509.CreateCertificate(rand.Reader, template, a.pair.Certificate, public, a.pair.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// ca is the recipe of an authority's certificate.
func ca(subject []byte) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		RawSubject:            subject,
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(AuthorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

func newRoot(template *x509.Certificate) (*Authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	if template.SubjectKeyId == nil {
		if template.SubjectKeyId, err = keyIdentifier(key.Public()); err != nil {
			return nil, err
		}
	}
	itself := &Authority{pair: Pair{Certificate: template, Key: key}}
	certificate, err := itself.sign(template, key.Public())
	if err != nil {
		return nil, fmt.Errorf("signing a root certificate: %w", err)
	}
	return &Authority{pair: Pair{Certificate: certificate, Key: key}, root: certificate}, nil
}

func newKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}
