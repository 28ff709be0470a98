package outcome

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// certified is a certificate as a client's should be, changed.
func certified(change func(*x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "own", Names: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "own"}}},
		DNSNames: []string{"own"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(c)
	return c
}

func TestOwnNameOnly(t *testing.T) {
	attribute := func(number int, value string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject.Names = append(c.Subject.Names, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, number}, Value: value})
		}
	}
	for name, row := range map[string]struct {
		change func(*x509.Certificate)
		want   judged
	}{
		"its own":                {func(*x509.Certificate) {}, pass},
		"an organisation":        {attribute(10, "Aegis"), pass},
		"an organisation, comma": {attribute(10, "x,CN=other"), hole},
		"a unit with a slash":    {attribute(11, "x/CN=other"), hole},
		"a second common name":   {attribute(3, "other"), hole},
		"another name beside it": {func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "other") }, hole},
		"a mail address":         {func(c *x509.Certificate) { c.EmailAddresses = []string{"other@example.org"} }, hole},
		"a server's use too":     {func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }, hole},
		"any use":                {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, hole},
		"an authority":           {func(c *x509.Certificate) { c.IsCA = true }, hole},
		"no name":                {func(c *x509.Certificate) { c.Subject.CommonName = "" }, hole},
	} {
		sound := harness.Issue{Variant: "sound", Control: true, Asker: "own", Certificate: certified(func(*x509.Certificate) {})}
		asked := harness.Issue{Variant: "other", Asker: "own", Certificate: certified(row.change)}
		if got := verdict(t, OwnNameOnly{}.Judge(harness.Profile{}, harness.Trace{Issues: []harness.Issue{sound, asked}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestRefusalsNeedAGrant: where the sound request is refused too, refusals say
// nothing.
func TestRefusalsNeedAGrant(t *testing.T) {
	refused := harness.Issue{Variant: "other", Asker: "own", Refused: "no"}
	sound := harness.Issue{Variant: "sound", Control: true, Asker: "own", Certificate: certified(func(*x509.Certificate) {})}
	denied := harness.Issue{Variant: "sound", Control: true, Asker: "own", Refused: "no"}
	for name, row := range map[string]struct {
		issues []harness.Issue
		want   judged
	}{"granted": {[]harness.Issue{sound, refused}, pass}, "denied": {[]harness.Issue{denied, refused},
		unseenYet}, "not asked": {[]harness.Issue{refused}, unseenYet}} {
		if got := verdict(t, OwnNameOnly{}.Judge(harness.Profile{}, harness.Trace{Issues: row.issues})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestShortIssued(t *testing.T) {
	for life, want := range map[time.Duration]judged{72 * time.Hour: pass, 72*time.Hour + time.Second: undocumented, 0: undocumented} {
		trace := harness.Trace{Facts: []harness.Fact{harness.CertificateLife.Was(life)}}
		if got := verdict(t, ShortIssued{}.Judge(harness.Profile{}, trace)); got != want {
			t.Errorf("%s: %q, want %q", life, got, want)
		}
	}
}
