// Package clientcert drafts client certificates: sound, and one defect away from sound.
package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// Recipe says how one client certificate is had from what a target grants.
type Recipe struct {
	Name  string // in words, for reports
	Needs []harness.Capability
	Make  func(t *harness.Target) (tls.Certificate, error)
}

// Enrolled is the certificate of a control.
func Enrolled() Recipe {
	return given("enrolled certificate", func(g harness.CertGrant) harness.CertPair { return g.Enrolled })
}

// Unenrolled verifies, and its identity is not in the list.
func Unenrolled() Recipe {
	return given("unenrolled certificate", func(g harness.CertGrant) harness.CertPair { return g.Unenrolled })
}

func given(name string, pick func(harness.CertGrant) harness.CertPair) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.GivenClientCerts},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			pair := pick(t.Certs)
			return tls.X509KeyPair(pair.Chain, []byte(pair.Key.Reveal()))
		}}
}

// Foreigner is of a client whom the foreign virtual host lets in.
func Foreigner() Recipe {
	c := given("certificate of the foreign host's client", func(g harness.CertGrant) harness.CertPair { return g.Foreign })
	c.Needs = []harness.Capability{harness.ForeignHost}
	return c
}

// For is a sound certificate of the trusted authority for a name.
func For(name string, cn func(*harness.Target) string) Recipe {
	return Issued(name, func(t *harness.Target, leaf *certs.Leaf) { leaf.CommonName = cn(t) })
}

// Issued is a certificate for the enrolled client, signed by the trusted
// authority, with one change.
func Issued(name string, change func(*harness.Target, *certs.Leaf)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.ClientCAKey},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			grant := t.Certs.Authority
			authority, err := certs.ParseAuthority(grant.Chain, []byte(grant.Key.Reveal()))
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("taking the client authority: %w", err)
			}
			return issue1(t, authority, change)
		}}
}

// Foreign is a certificate for the enrolled client that the trusted authority
// did not sign.
func Foreign(name string, authority func(*harness.Target) (*certs.Authority, error), change func(*harness.Target, *certs.Leaf)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.GivenClientCerts},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			a, err := authority(t)
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("making an authority nobody trusts: %w", err)
			}
			return issue1(t, a, change)
		}}
}

func issue1(t *harness.Target, authority *certs.Authority, change func(*harness.Target, *certs.Leaf)) (tls.Certificate, error) {
	leaf := certs.Leaf{CommonName: t.Certs.EnrolledCN}
	if change != nil {
		change(t, &leaf)
	}
	if leaf.Subject == nil && leaf.Names == nil && t.Profile.Form() == certs.FormCN && nameless(t) {
		leaf.Subject, leaf.Names = []certs.Attribute{}, []string{leaf.CommonName}
	}
	pair, err := authority.Issue(t.Profile.Form().Name(leaf))
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair.TLS(), nil
}

// nameless reports whether the target's clients bear alternative names only, and no
// common name.
func nameless(t *harness.Target) bool {
	block, _ := pem.Decode(t.Certs.Enrolled.Chain)
	if block == nil {
		return false
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	return err == nil && leaf.Subject.CommonName == ""
}

func Stranger(*harness.Target) (*certs.Authority, error) {
	return certs.NewAuthority("Authority nobody trusts")
}

// Untrusted is signed by an authority the ingress does not know (CHN-001).
func Untrusted() Recipe {
	return Foreign("certificate of an untrusted authority", Stranger, nil)
}

// UntrustedSent is Untrusted with what a client may send beside it (CHN-001).
func UntrustedSent() []Recipe { return sentWith(Untrusted(), Stranger) }

// LookAlikeSent is LookAlike with what a client may send beside it (CHN-003).
func LookAlikeSent() []Recipe { return sentWith(LookAlike(), lookAlike) }

// sentWith are a certificate of an authority that is not trusted with that one's own, of
// an intermediate with that, and with both: an ingress that takes an authority from the
// client's own list believes them (RFC 8446 section 4.4.2 lets a client send any).
func sentWith(c Recipe, authority func(*harness.Target) (*certs.Authority, error)) []Recipe {
	with := func(name string, below, root bool) Recipe {
		return Recipe{Name: c.Name + ", sent with " + name, Needs: c.Needs, Make: func(t *harness.Target) (tls.Certificate, error) {
			a, err := authority(t)
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("making an authority nobody trusts: %w", err)
			}
			top := a.Pair().Certificate.Raw
			if below {
				if a, err = a.Intermediate("Between"); err != nil {
					return tls.Certificate{}, err
				}
			}
			certificate, err := issue1(t, a, nil)
			if root {
				certificate.Certificate = append(certificate.Certificate, top)
			}
			return certificate, err
		}}
	}
	return []Recipe{with("that one's own", false, true), with("its intermediate's", true, false), with("its intermediate's and that one's",
		true, true)}
}

// SelfSigned is signed by its own key (CHN-002).
func SelfSigned() Recipe {
	return Foreign("self-signed certificate", Stranger, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Issuer = certs.IssuerSelf })
}

// SelfSignedSent is SelfSigned, sent twice and with an authority that did not sign it
// (CHN-002).
func SelfSignedSent() []Recipe {
	with := func(name string, more func(leaf []byte) ([]byte, error)) Recipe {
		c := SelfSigned()
		sound := c.Make
		c.Name += ", sent with " + name
		c.Make = func(t *harness.Target) (tls.Certificate, error) {
			certificate, err := sound(t)
			if err != nil {
				return certificate, err
			}
			further, err := more(certificate.Certificate[0])
			certificate.Certificate = append(certificate.Certificate, further)
			return certificate, err
		}
		return c
	}
	return []Recipe{
		with("itself", func(leaf []byte) ([]byte, error) { return leaf, nil }),
		with("an authority's own", func([]byte) ([]byte, error) {
			a, err := Stranger(nil)
			if err != nil {
				return nil, fmt.Errorf("making an authority nobody trusts: %w", err)
			}
			return a.Pair().Certificate.Raw, nil
		}),
	}
}

// LookAlike is signed by an authority of the trusted one's name and key
// identifier, with another key (CHN-003). It needs the trusted certificate
// only, which is public.
func LookAlike() Recipe {
	c := Foreign("certificate of a look-alike authority", lookAlike, nil)
	c.Needs = []harness.Capability{harness.ClientCAKey}
	return c
}

func lookAlike(t *harness.Target) (*certs.Authority, error) {
	trusted, err := certs.ParsePair(t.Certs.Authority.Chain, []byte(t.Certs.Authority.Key.Reveal()))
	if err != nil {
		return nil, err
	}
	return certs.LookAlike(trusted.Certificate)
}

// Expired was valid until an hour ago (CHN-004).
func Expired() Recipe {
	return Issued("certificate expired an hour ago", func(_ *harness.Target, leaf *certs.Leaf) {
		leaf.NotBefore, leaf.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(-time.Hour)
	})
}

// Future is valid in an hour (CHN-005).
func Future() Recipe {
	return Issued("certificate valid only in an hour", func(_ *harness.Target,
		leaf *certs.Leaf) {
		leaf.NotBefore = time.Now().Add(time.Hour)
	})
}

// ForServer has the extended key usage serverAuth only (CHN-006).
func ForServer() Recipe {
	return Issued("certificate for serverAuth only", func(_ *harness.Target, leaf *certs.Leaf) {
		leaf.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
}
