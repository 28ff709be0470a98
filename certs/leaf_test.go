package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"time"
)

func roots(a *Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.RootPEM())
	return pool
}

func verify(a *Authority, p Pair, usage x509.ExtKeyUsage) error {
	between := x509.NewCertPool()
	for _, c := range p.Chain {
		between.AddCert(c)
	}
	_, err := p.Certificate.Verify(x509.VerifyOptions{
		Roots: roots(a), Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

func TestZeroLeafIsSound(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	pair := must(authority.Issue(Leaf{CommonName: "aegis-client"}))(t)
	if err := verify(authority, pair, x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
	c, key := pair.Certificate, pair.Certificate.PublicKey.(*ecdsa.PublicKey)
	for _, part := range []struct {
		name      string
		got, want any
	}{
		{"version", c.Version, 3},
		{"signature algorithm", c.SignatureAlgorithm, x509.ECDSAWithSHA256},
		{"curve", key.Curve, elliptic.P256()},
		{"subject", c.Subject.String(), "CN=aegis-client"},
		{"issuer", c.Issuer.String(), "CN=Test Authority"},
		{"key usage", c.KeyUsage, x509.KeyUsageDigitalSignature},
		{"key usage extension", extension(2, 5, 29, 15)(c), "true 03020780"},
		{"basic constraints are CA:FALSE", c.BasicConstraintsValid && !c.IsCA, true},
		{"SANs", len(c.DNSNames) + len(c.IPAddresses) + len(c.EmailAddresses) + len(c.URIs), 1},
		{"SAN", c.DNSNames[0], "aegis-client"},
		{"EKUs", len(c.ExtKeyUsage) + len(c.UnknownExtKeyUsage), 1},
		{"EKU", c.ExtKeyUsage[0], x509.ExtKeyUsageClientAuth},
		{"SKI length", len(c.SubjectKeyId), 20},
		{"AKI", string(c.AuthorityKeyId), string(authority.Pair().Certificate.SubjectKeyId)},
		{"serial is positive", c.SerialNumber.Sign(), 1},
		{"serial fits 20 bytes", c.SerialNumber.BitLen() < 160, true},
		{"began", c.NotBefore.Before(time.Now()), true},
		{"lasts", c.NotAfter.Sub(c.NotBefore), Backdate + Lifetime},
		{"chain", len(pair.Chain), 0},
	} {
		if part.got != part.want {
			t.Errorf("%s: got %v, want %v", part.name, part.got, part.want)
		}
	}
}

func TestLeafMayBearItsAuthoritysName(t *testing.T) {
	authority := must(NewAuthority("same"))(t)
	pair := must(authority.Issue(Leaf{CommonName: "same"}))(t)
	if err := verify(authority, pair, x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
	if got, want := string(pair.Certificate.AuthorityKeyId), string(authority.Pair().Certificate.SubjectKeyId); got != want {
		t.Errorf("got AKI %x, want %x", got, want)
	}
}

func TestSerialAndKeyAreNewEachTime(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	one := must(authority.Issue(Leaf{CommonName: "c"}))(t).Certificate
	two := must(authority.Issue(Leaf{CommonName: "c"}))(t).Certificate
	if one.SerialNumber.Cmp(two.SerialNumber) == 0 || one.PublicKey.(*ecdsa.PublicKey).Equal(two.PublicKey) {
		t.Error("got the same serial number or key twice")
	}
}

func TestSubjectAlternativeNameFollowsCommonName(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	for cn, want := range map[string]string{
		"client.example.test":           "client.example.test",
		"*.example.test":                "*.example.test",
		"192.0.2.7":                     "192.0.2.7",
		"2001:db8::7":                   "2001:db8::7",
		"Jane Doe":                      "",
		"client_a":                      "",
		"-client":                       "",
		"aegis-client\nX-Foo: y":        "",
		"aegis‐client":                  "",
		strings.Repeat("a", 64):         "",
		strings.Repeat("a.", 127) + "b": "",
	} {
		c := must(authority.Issue(Leaf{CommonName: cn}))(t).Certificate
		got := c.DNSNames
		for _, ip := range c.IPAddresses {
			got = append(got, ip.String())
		}
		if strings.Join(got, " ") != want || c.Subject.CommonName != cn {
			t.Errorf("%q: got CN %q and SAN %q, want SAN %q", cn, c.Subject.CommonName, got, want)
		}
	}
}

func TestSubjectIsEncodedInOrder(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	for _, want := range [][]Attribute{
		{{"O", "x,CN=aegis-client"}, {"CN", "other"}},
		{{"CN", "other"}, {"O", "x/CN=aegis-client"}},
		{{"CN", "one"}, {"CN", "two"}},
		{{"CN", "nul\x00.evil"}, {"OU", "line\r\nfeed"}, {"serialNumber", " CN=aegis-client"}},
		{{"emailAddress", "CN=aegis-client"}, {"C", "DE"}, {"ST", "Ümlaut"}, {"L", ""}},
		{},
	} {
		c := must(authority.Issue(Leaf{CommonName: "other", Subject: want}))(t).Certificate
		if got := decoded(t, c.RawSubject); !slices.Equal(got, want) {
			t.Errorf("got subject %q, want %q", got, want)
		}
		if !slices.Equal(c.DNSNames, []string{"other"}) {
			t.Errorf("%q: got SAN %q, want it unchanged", want, c.DNSNames)
		}
	}
}

// decoded reads a name with encoding/asn1, in order of encoding.
func decoded(t *testing.T, der []byte) []Attribute {
	t.Helper()
	var name []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		t.Fatal(err)
	}
	attributes := []Attribute{}
	for _, rdn := range name {
		var one struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if rest, err := asn1.Unmarshal(rdn.Bytes, &one); err != nil || len(rest) > 0 {
			t.Fatalf("reading an RDN: %v, %d bytes left", err, len(rest))
		}
		for typ, id := range attributeTypes {
			if id.Equal(one.Type) {
				attributes = append(attributes, Attribute{typ, string(one.Value.Bytes)})
			}
		}
	}
	return attributes
}

func TestIssueRefuses(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	for _, bad := range []struct {
		leaf Leaf
		want string
	}{
		{Leaf{}, "no common name"},
		{Leaf{CommonName: "c", Subject: []Attribute{{"XX", "y"}}}, `no such attribute type: "XX"`},
		{Leaf{CommonName: "\xff"}, "encoding a name"},
		{Leaf{CommonName: "c", Issuer: "nobody"}, `no such issuer: "nobody"`},
	} {
		_, err := authority.Issue(bad.leaf)
		wantError(t, err, bad.want)
	}
	_, err := NewAuthority("")
	wantError(t, err, "no common name")
	_, err = authority.Server()
	wantError(t, err, "no host given")
}

// TestAlternativeNamesOfAnyKind: each name stands in the form that it has.
func TestAlternativeNamesOfAnyKind(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	for name, form := range map[string]func(*x509.Certificate) []string{
		"caller.example.org": func(c *x509.Certificate) []string { return c.DNSNames },
		"svc_enrolled_01":    func(c *x509.Certificate) []string { return c.DNSNames },
		"jane@example.org":   func(c *x509.Certificate) []string { return c.EmailAddresses },
		"spiffe://example.org/caller": func(c *x509.Certificate) []string {
			return []string{c.URIs[0].String()}
		},
		"Jane Doe":   directoryNamesOf,
		"Zoë Müller": directoryNamesOf,
	} {
		c := must(authority.Issue(Leaf{CommonName: "other", Names: []string{name}}))(t).Certificate
		if got := form(c); !slices.Equal(got, []string{name}) {
			t.Errorf("%q stands as %q", name, got)
		}
		nameless := must(authority.Issue(Leaf{CommonName: name, Subject: []Attribute{}, Names: []string{name}}))(t).Certificate
		if c.Subject.CommonName != "other" || Identity(c) != "other" || nameless.Subject.CommonName != "" {
			t.Errorf("%q: %q, and %q without a common name", name, Identities(c), Identities(nameless))
		}
		if got := Identity(nameless); got != name && len(directoryNamesOf(nameless)) == 0 {
			t.Errorf("without a common name %q is %q", name, got)
		}
	}
	if _, err := authority.Server("not a host"); err == nil {
		t.Error("a server of no host has a certificate")
	}
}

// directoryNamesOf are the common names of a certificate's directory names.
func directoryNamesOf(c *x509.Certificate) []string {
	var names []string
	for _, e := range c.Extensions {
		var general []asn1.RawValue
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &general); err != nil {
			return nil
		}
		for _, g := range general {
			var rdns pkix.RDNSequence
			if _, err := asn1.Unmarshal(g.Bytes, &rdns); g.Tag == 4 && err == nil {
				var name pkix.Name
				name.FillFromRDNSequence(&rdns)
				names = append(names, name.CommonName)
			}
		}
	}
	return names
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func TestServerAnswersToItsHosts(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	pair := must(authority.Server("vault", "127.0.0.1", "::1"))(t)
	if err := verify(authority, pair, x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	for _, host := range []string{"vault", "127.0.0.1", "::1"} {
		if err := pair.Certificate.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := verify(authority, pair, x509.ExtKeyUsageClientAuth); err == nil {
		t.Error("got a server certificate accepted as a client's")
	}
}
