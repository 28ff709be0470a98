package outcome

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// ShortIssued wants no certificate to be issued for longer than the declared bound.
type ShortIssued struct{}

// Want says what is wanted.
func (ShortIssued) Want(p harness.Profile) string {
	return "no certificate for longer than " + shortLived(p).String()
}

// Judge judges lives.
func (s ShortIssued) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	lives := harness.CertificateLife.In(t)
	if len(lives) == 0 {
		return nothing()
	}
	for _, life := range lives {
		if life.Duration > shortLived(p) || life.Duration <= 0 { // none at all bounds nothing
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: fmt.Sprintf("%s: %s", life.Of, life.Duration), Want: s.Want(p)})
		}
	}
	return j
}

// OwnNameOnly wants a client to be issued certificates in its own name alone, for
// clients' use, and the sound one that it asks for.
type OwnNameOnly struct{}

// Want says what is wanted.
func (OwnNameOnly) Want(harness.Profile) string {
	return "a certificate of its own name and of a client's use, and for every other request a refusal or just that"
}

// Judge judges. Without a certificate for the sound request, a refusal of the
// others tells nothing.
func (w OwnNameOnly) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	granted := false
	for _, i := range t.Issues {
		if i.Certificate == nil {
			if i.Control {
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
					Got: fmt.Sprintf("asked for %s: %s", i.Variant, i.Refused), Want: "a certificate"})
			}
			continue
		}
		granted = granted || i.Control
		if excess := excess(i.Asker, i.Certificate); len(excess) > 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: -1,
				Got: fmt.Sprintf("asked for %s: a certificate with %s", i.Variant, strings.Join(excess, ", ")), Want: w.Want(p)})
		}
	}
	if !granted && len(j.Problems) == 0 {
		return nothing()
	}
	return j
}

// excess is what a certificate says beyond that its holder is a client of that
// name.
func excess(name string, c *x509.Certificate) []string {
	var found []string
	for _, attribute := range c.Subject.Names {
		if value := fmt.Sprint(attribute.Value); attribute.Type.String() == "2.5.4.3" && value != name || strings.ContainsAny(value, ",/=") {
			found = append(found, fmt.Sprintf("%s=%q in its subject", attribute.Type, value))
		}
	}
	alternatives := slices.Concat(c.DNSNames, c.EmailAddresses)
	for _, ip := range c.IPAddresses {
		alternatives = append(alternatives, ip.String())
	}
	for _, uri := range c.URIs {
		alternatives = append(alternatives, uri.String())
	}
	for _, value := range alternatives {
		if value != name {
			found = append(found, fmt.Sprintf("the alternative name %q", value))
		}
	}
	if c.Subject.CommonName == "" {
		found = append(found, "no common name")
	}
	if len(c.UnknownExtKeyUsage) > 0 || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		found = append(found, "an extended key usage other than a client's")
	}
	if c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		found = append(found, "the powers of an authority")
	}
	return found
}
