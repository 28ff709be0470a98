package certs

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"
)

// Branch is the recipe of an intermediate authority. The zero value with a
// CommonName is sound; every other field changes one thing.
type Branch struct {
	CommonName string
	// NotBefore and NotAfter default to Backdate ago and AuthorityLifetime
	// ahead.
	NotBefore, NotAfter time.Time
	// Unconstrained, if true, causes basicConstraints to be left out (RFC 5280
	// §6.1.4(k)).
	Unconstrained bool
	// Version1, if true, causes a certificate of X.509 version 1: without any
	// extension.
	Version1 bool
	// Powerless, if true, causes the key usage to be cRLSign without
	// keyCertSign (RFC 5280 §6.1.4(n)).
	Powerless bool
	// Last, if true, causes a pathLenConstraint of 0: no authority may stand
	// below this one (RFC 5280 §6.1.4(l)).
	Last bool
	// Permitted and Excluded are the DNS subtrees of name constraints.
	Permitted, Excluded []string
	// Extensions stand after all others.
	Extensions []pkix.Extension
	// Key is the authority's key; nil makes a new one, P-256.
	Key crypto.Signer
}

// Branch makes an intermediate authority after the recipe, certified by a.
func (a *Authority) Branch(b Branch) (*Authority, error) {
	branch, err := a.branch(b)
	if err != nil {
		return nil, fmt.Errorf("making intermediate authority %q: %w", b.CommonName, err)
	}
	return branch, nil
}

func (a *Authority) branch(b Branch) (*Authority, error) {
	subject, err := commonName(b.CommonName)
	if err != nil {
		return nil, err
	}
	key := b.Key
	if key == nil {
		if key, err = newKey(); err != nil {
			return nil, err
		}
	}
	template := b.template(subject)
	if template.SubjectKeyId, err = keyIdentifier(key.Public()); err != nil {
		return nil, err
	}
	certificate, err := a.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	if b.Version1 {
		if certificate, err = a.resigned(certificate, true, 0); err != nil {
			return nil, err
		}
	}
	pair := Pair{Certificate: certificate, Chain: a.sends, Key: key}
	return &Authority{pair: pair, root: a.root, sends: pair.sent()}, nil
}

func (b Branch) template(subject []byte) *x509.Certificate {
	template := ca(subject)
	template.NotBefore = cmp.Or(b.NotBefore, template.NotBefore)
	template.NotAfter = cmp.Or(b.NotAfter, template.NotAfter)
	template.ExtraExtensions = b.Extensions
	template.PermittedDNSDomains, template.ExcludedDNSDomains = b.Permitted, b.Excluded
	template.PermittedDNSDomainsCritical = true
	template.MaxPathLenZero = b.Last
	if b.Unconstrained {
		template.BasicConstraintsValid, template.IsCA = false, false
	}
	if b.Powerless {
		template.KeyUsage = x509.KeyUsageCRLSign
	}
	return template
}

// Usurper lets the holder of any certificate issue others, as if it were an
// authority: what CA:FALSE is there to prevent.
func Usurper(holder Pair) *Authority {
	sent := holder.sent()
	return &Authority{pair: holder, root: sent[len(sent)-1], sends: sent}
}

// CrossSigned are two authorities each of which has certified the other, and
// nobody else has: a chain through them never ends. Leaves of the first send
// both, some times over.
func CrossSigned(name string, rounds int) (*Authority, error) {
	first, err := NewAuthority(name)
	if err != nil {
		return nil, err
	}
	second, err := first.Intermediate(name + " crossed")
	if err != nil {
		return nil, err
	}
	back, err := second.Branch(Branch{CommonName: name, Key: first.pair.Key})
	if err != nil {
		return nil, err
	}
	turning := &Authority{pair: back.pair, root: first.root}
	for range rounds {
		turning.sends = append(turning.sends, back.pair.Certificate, second.pair.Certificate)
	}
	return turning, nil
}

// Deep is an authority some intermediates below a.
func (a *Authority) Deep(levels int) (*Authority, error) {
	var err error
	for level := range levels {
		if a, err = a.Intermediate(fmt.Sprintf("Level %d", level+1)); err != nil {
			return nil, err
		}
	}
	return a, nil
}
