package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
)

// Certified is a change that presents a certificate of a recipe.
func Certified(c clientcert.Recipe) Change {
	return Change{Name: c.Name, Needs: c.Needs, Prepare: func(t *harness.Target) (Edit, error) {
		certificate, err := c.Make(t)
		return func(r *harness.Request) { SetCertificate(r, c.Name, certificate) }, err
	}}
}

// Presenting calls with client certificates.
func Presenting(recipes ...clientcert.Recipe) Calls {
	var changes []Change
	for _, c := range recipes {
		changes = append(changes, Certified(c))
	}
	return In(harness.MTLS, namesOf(changes, "; "), changes...)
}

// EnrolledCertificate calls with the certificate of a control.
func EnrolledCertificate() Calls { return Presenting(clientcert.Enrolled()).Accepted() }

// claimed is a change that claims identities by header, one line each.
func claimed(name string, who func(t *harness.Target) []string) Change {
	return Alter(name, func(t *harness.Target, r *harness.Request) {
		for _, one := range who(t) {
			r.Add(t.Profile.Header(), clientcert.Claim(t, one))
		}
	}).needing(harness.GivenClientCerts)
}

// ClaimEnrolled claims to be the enrolled client.
func ClaimEnrolled() Change {
	return claimed("identity header of the enrolled client", func(t *harness.Target) []string { return []string{t.Certs.EnrolledCN} })
}

// ClaimUnenrolled claims to be the client that is not enrolled.
func ClaimUnenrolled() Change {
	return claimed("identity header of another client", func(t *harness.Target) []string { return []string{t.Certs.UnenrolledCN} })
}

// ClaimTwice are the ways to send two lines (HDR-004).
func ClaimTwice() []Change {
	twice := func(name string, who func(enrolled, other string) []string) Change {
		return claimed("identity header twice, "+name, func(t *harness.Target) []string { return who(t.Certs.EnrolledCN, t.Certs.UnenrolledCN) })
	}
	return []Change{
		twice("both enrolled", func(enrolled, _ string) []string { return []string{enrolled, enrolled} }),
		twice("enrolled first", func(enrolled, other string) []string { return []string{enrolled, other} }),
		twice("enrolled last", func(enrolled, other string) []string { return []string{other, enrolled} }),
	}
}

// ByIntermediate presents a certificate of an intermediate: the enrolled client's where
// that was given with one, and a new intermediate's otherwise.
func ByIntermediate() harness.Stimulus {
	c := clientcert.ViaIntermediate()
	branch := c.Make
	c.Make = func(t *harness.Target) (tls.Certificate, error) {
		if clientcert.GivenChain(t) {
			return clientcert.Enrolled().Make(t)
		}
		return branch(t)
	}
	s := Presenting(c).Accepted().Build()
	unsuited := s.Unsuited
	s.NeedsOn = func(t *harness.Target) []harness.Capability { // the authority's key, where no chain was given
		if clientcert.GivenChain(t) {
			return clientcert.Enrolled().Needs
		}
		return c.Needs
	}
	s.Unsuited = func(t *harness.Target) string {
		if clientcert.GivenChain(t) {
			return unsuited(t)
		}
		return cmp.Or(unsuited(t), clientcert.Unlisted(t))
	}
	return s
}

// Lifetimes reads how long the certificates that clients were given live.
func Lifetimes() harness.Stimulus {
	return harness.Stimulus{
		Words: "read the lifetime of the certificates that clients were given",
		Needs: []harness.Capability{harness.GivenClientCerts}, Effect: harness.ReadOnly, Modes: MTLSOnly,
		OwnControl: true, // nothing is refused
		Tells:      []harness.Key{harness.CertificateLife},
		Act:        lifetimes,
	}
}

func lifetimes(_ context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	for _, c := range []clientcert.Recipe{clientcert.Enrolled(), clientcert.Unenrolled()} {
		certificate, err := c.Make(client.Target())
		if err != nil {
			return trace, fmt.Errorf("taking the %s: %w", c.Name, err)
		}
		life := certificate.Leaf.NotAfter.Sub(certificate.Leaf.NotBefore)
		trace.Facts = append(trace.Facts, harness.CertificateLife.Was(life).Of(c.Name))
	}
	return trace, nil
}

// ClientAuthorities calls without a certificate, and reads whose the ingress asks for.
func ClientAuthorities() harness.Stimulus {
	s := NoCredential(harness.MTLS).Once().Build()
	s.Words += ", and read in the handshake whose certificates are asked for"
	s.OwnControl = true // what is read stands before any answer
	s.Tells = []harness.Key{harness.AuthorityNamed}
	call := s.Act
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		trace, err := call(ctx, client)
		if err != nil {
			return trace, err
		}
		for _, x := range trace.Exchanges {
			facts, err := authoritiesNamed(x.Observation)
			if err != nil {
				return trace, err
			}
			trace.Facts = append(trace.Facts, facts...)
		}
		return trace, nil
	}
	return s
}

// publicAuthority is what is wrong of an authority of clients.
const publicAuthority = "public, which anybody has certificates of"

func authoritiesNamed(o harness.Observation) ([]harness.Fact, error) {
	if len(o.Authorities) == 0 {
		if o.TLSVersion == 0 && o.Transport != harness.Alert {
			return nil, fmt.Errorf("reading whose certificates are asked for: %w: %s", harness.ErrUnseen, o.Detail)
		}
		return nil, fmt.Errorf("reading whose certificates are asked for: %w: the ingress names no authority", harness.ErrNotOffered)
	}
	var facts []harness.Fact
	for _, name := range o.Authorities {
		var rdn pkix.RDNSequence
		if _, err := asn1.Unmarshal(name, &rdn); err != nil {
			return nil, fmt.Errorf("reading the name of an authority: %w: %w", harness.ErrUnseen, err)
		}
		fact := harness.AuthorityNamed.Was()
		if clientcert.PublicRoot(name) {
			fact = harness.AuthorityNamed.Was(publicAuthority)
		}
		facts = append(facts, fact.Of(rdn.String()))
	}
	return facts, nil
}
