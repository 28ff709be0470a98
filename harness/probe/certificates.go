package probe

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// Certificate says how one client certificate is had from what a target grants.
type Certificate struct {
	Name  string // in words, for reports
	Needs []harness.Capability
	Make  func(t *harness.Target) (tls.Certificate, error)
}

// Enrolled is the certificate of a control.
func Enrolled() Certificate {
	return given("enrolled certificate", func(g harness.CertGrant) harness.CertPair { return g.Enrolled })
}

// Unenrolled verifies, and its identity is not in the list.
func Unenrolled() Certificate {
	return given("unenrolled certificate", func(g harness.CertGrant) harness.CertPair { return g.Unenrolled })
}

func given(name string, pick func(harness.CertGrant) harness.CertPair) Certificate {
	return Certificate{Name: name, Needs: []harness.Capability{harness.GivenClientCerts},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			pair := pick(t.Certs)
			return tls.X509KeyPair(pair.Chain, []byte(pair.Key.Reveal()))
		}}
}

// CertificateFor is a sound certificate of the trusted authority for a name.
func CertificateFor(name string, cn func(*harness.Target) string) Certificate {
	return Issued(name, func(t *harness.Target, leaf *certs.Leaf) { leaf.CommonName = cn(t) })
}

// Issued is a certificate for the enrolled client, signed by the trusted
// authority, with one change.
func Issued(name string, change func(*harness.Target, *certs.Leaf)) Certificate {
	return Certificate{Name: name, Needs: []harness.Capability{harness.ClientCAKey},
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
func Foreign(name string, authority func(*harness.Target) (*certs.Authority, error), change func(*harness.Target, *certs.Leaf)) Certificate {
	return Certificate{Name: name, Needs: []harness.Capability{harness.GivenClientCerts},
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
	if leaf.Subject == nil && leaf.Names == nil && nameless(t) {
		leaf.Subject, leaf.Names = []certs.Attribute{}, []string{leaf.CommonName}
	}
	pair, err := authority.Issue(leaf)
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

func stranger(*harness.Target) (*certs.Authority, error) {
	return certs.NewAuthority("Authority nobody trusts")
}

// Untrusted is signed by an authority the ingress does not know (CHN-001).
func Untrusted() Certificate {
	return Foreign("certificate of an untrusted authority", stranger, nil)
}

// UntrustedSent is Untrusted with what a client may send beside it (CHN-001).
func UntrustedSent() []Certificate { return sentWith(Untrusted(), stranger) }

// LookAlikeSent is LookAlike with what a client may send beside it (CHN-003).
func LookAlikeSent() []Certificate { return sentWith(LookAlike(), lookAlike) }

// sentWith are a certificate of an authority that is not trusted with that one's own, of
// an intermediate with that, and with both: an ingress that takes an authority from the
// client's own list believes them (RFC 8446 section 4.4.2 lets a client send any).
func sentWith(c Certificate, authority func(*harness.Target) (*certs.Authority, error)) []Certificate {
	with := func(name string, below, root bool) Certificate {
		return Certificate{Name: c.Name + ", sent with " + name, Needs: c.Needs, Make: func(t *harness.Target) (tls.Certificate, error) {
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
	return []Certificate{with("that one's own", false, true), with("its intermediate's", true, false), with("its intermediate's and that one's", true, true)}
}

// SelfSigned is signed by its own key (CHN-002).
func SelfSigned() Certificate {
	return Foreign("self-signed certificate", stranger, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Issuer = certs.IssuerSelf })
}

// LookAlike is signed by an authority of the trusted one's name and key
// identifier, with another key (CHN-003). It needs the trusted certificate
// only, which is public.
func LookAlike() Certificate {
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

// ExpiredCertificate was valid until an hour ago (CHN-004).
func ExpiredCertificate() Certificate {
	return Issued("certificate expired an hour ago", func(_ *harness.Target, leaf *certs.Leaf) {
		leaf.NotBefore, leaf.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(-time.Hour)
	})
}

// FutureCertificate is valid in an hour (CHN-005).
func FutureCertificate() Certificate {
	return Issued("certificate valid only in an hour", func(_ *harness.Target, leaf *certs.Leaf) { leaf.NotBefore = time.Now().Add(time.Hour) })
}

// ServerCertificate has the extended key usage serverAuth only (CHN-006).
func ServerCertificate() Certificate {
	return Issued("certificate for serverAuth only", func(_ *harness.Target, leaf *certs.Leaf) {
		leaf.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
}

// Presenting calls with client certificates.
func Presenting(recipes ...Certificate) Calls {
	var variants []Variant
	var names []string
	for _, c := range recipes {
		names = append(names, c.Name)
		variants = append(variants, Variant{Name: c.Name, Mode: harness.MTLS, Needs: c.Needs,
			Prepare: func(t *harness.Target) (Change, error) {
				certificate, err := c.Make(t)
				return func(r *harness.Request) { SetCertificate(r, c.Name, certificate) }, err
			}})
	}
	return Call(strings.Join(names, "; "), variants...)
}

// EnrolledCertificate calls with the certificate of a control.
func EnrolledCertificate() Calls { return Presenting(Enrolled()).Accepted() }

// Claim is a way to claim an identity by header; the values are the lines sent.
type Claim struct {
	Name  string
	Lines func(t *harness.Target) []string
}

// ClaimEnrolled claims to be the enrolled client.
func ClaimEnrolled() Claim {
	return Claim{"identity header of the enrolled client", func(t *harness.Target) []string { return []string{t.Certs.EnrolledCN} }}
}

// ClaimUnenrolled claims to be the client that is not enrolled.
func ClaimUnenrolled() Claim {
	return Claim{"identity header of another client", func(t *harness.Target) []string { return []string{t.Certs.UnenrolledCN} }}
}

// ClaimTwice are the ways to send two lines (HDR-004).
func ClaimTwice() []Claim {
	return []Claim{
		{"identity header twice, both enrolled", func(t *harness.Target) []string { return []string{t.Certs.EnrolledCN, t.Certs.EnrolledCN} }},
		{"identity header twice, enrolled first", func(t *harness.Target) []string { return []string{t.Certs.EnrolledCN, t.Certs.UnenrolledCN} }},
		{"identity header twice, enrolled last", func(t *harness.Target) []string { return []string{t.Certs.UnenrolledCN, t.Certs.EnrolledCN} }},
	}
}

// Claiming adds each claim in turn to every variant.
func (c Calls) Claiming(claims ...Claim) Calls {
	var variants []Variant
	var names []string
	for _, claim := range claims {
		names = append(names, claim.Name)
		for _, v := range c.variants {
			claiming := v.then(func(t *harness.Target, r *harness.Request) {
				for _, value := range claim.Lines(t) {
					r.Add(t.Profile.Header(), value)
				}
			})
			claiming.Name += " with " + claim.Name
			claiming.Needs = Union(v.Needs, []harness.Capability{harness.GivenClientCerts})
			variants = append(variants, claiming)
		}
	}
	c.variants = variants
	c.words += ", with " + strings.Join(names, "; ")
	return c
}
