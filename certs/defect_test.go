package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"time"
)

// field is one field of a certificate (RFC 5280 §4.1): a member of
// TBSCertificate or one extension with its criticality. Three things are not
// counted for themselves:
//   - the authority key identifier is part of "issuer": it names him too
//     (§4.2.1.1);
//   - the signature's bytes differ with every signing. "signature" is whether
//     it verifies under the key of the issuer the certificate names, as far as
//     that key is known to the test: the authority's, or the leaf's own;
//   - its algorithm stands twice and is read once.
type field struct {
	name string
	of   func(*x509.Certificate) any
}

func fields(authority *x509.Certificate) []field {
	return []field{
		{"version", func(c *x509.Certificate) any { return c.Version }},
		{"serialNumber", func(c *x509.Certificate) any { return c.SerialNumber.String() }},
		{"signatureAlgorithm", func(c *x509.Certificate) any { return c.SignatureAlgorithm }},
		{"issuer", func(c *x509.Certificate) any { return fmt.Sprintf("%x %x", c.RawIssuer, c.AuthorityKeyId) }},
		{"notBefore", func(c *x509.Certificate) any { return c.NotBefore }},
		{"notAfter", func(c *x509.Certificate) any { return c.NotAfter }},
		{"subject", func(c *x509.Certificate) any { return string(c.RawSubject) }},
		{"subjectPublicKeyInfo", func(c *x509.Certificate) any { return string(c.RawSubjectPublicKeyInfo) }},
		{"subjectKeyIdentifier", extension(2, 5, 29, 14)},
		{"keyUsage", extension(2, 5, 29, 15)},
		{"subjectAltName", extension(2, 5, 29, 17)},
		{"basicConstraints", extension(2, 5, 29, 19)},
		{"extKeyUsage", extension(2, 5, 29, 37)},
		{"extensions", func(c *x509.Certificate) any { return extensionIDs(c) }},
		{"signature", func(c *x509.Certificate) any { return signatureHolds(c, authority) }},
	}
}

func extension(id ...int) func(*x509.Certificate) any {
	return func(c *x509.Certificate) any {
		for _, e := range c.Extensions {
			if e.Id.Equal(asn1.ObjectIdentifier(id)) {
				return fmt.Sprintf("%v %x", e.Critical, e.Value)
			}
		}
		return "absent"
	}
}

func extensionIDs(c *x509.Certificate) string {
	var ids []string
	for _, e := range c.Extensions {
		ids = append(ids, e.Id.String())
	}
	return fmt.Sprint(ids)
}

func signatureHolds(c, authority *x509.Certificate) bool {
	for _, issuer := range []*x509.Certificate{authority, c} {
		if bytes.Equal(c.RawIssuer, issuer.RawSubject) && bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId) {
			return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		}
	}
	return true // by a key that the test does not have
}

func differing(a, b, authority *x509.Certificate) []string {
	var names []string
	for _, f := range fields(authority) {
		if !reflect.DeepEqual(f.of(a), f.of(b)) {
			names = append(names, f.name)
		}
	}
	return names
}

// soundLeaf pins what would otherwise differ between two leaves.
func soundLeaf(t *testing.T) Leaf {
	t.Helper()
	return Leaf{
		CommonName: "aegis-client",
		NotBefore:  time.Now().Add(-Backdate),
		NotAfter:   time.Now().Add(Lifetime),
		Key:        must(newKey())(t),
		Serial:     big.NewInt(4711),
	}
}

func TestDefectIsOneFieldFromSound(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	sound := soundLeaf(t)
	reference := must(authority.Issue(sound))(t)
	for _, defect := range Defects {
		t.Run(defect.Name, func(t *testing.T) {
			spoilt := sound
			defect.Spoil(&spoilt)
			if n := recipeFieldsApart(sound, spoilt); n != 1 {
				t.Errorf("recipe: got %d fields apart, want 1", n)
			}
			got := must(authority.Issue(spoilt))(t)
			apart := differing(reference.Certificate, got.Certificate, authority.Pair().Certificate)
			if want := []string{defect.Field}; !slices.Equal(apart, want) {
				t.Errorf("certificate: got fields %q apart, want %q", apart, want)
			}
		})
	}
}

func recipeFieldsApart(a, b Leaf) int {
	n := 0
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			n++
		}
	}
	return n
}

// The count is worth something only if it counts.
func TestFieldCountSeesEveryChange(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	sound := soundLeaf(t)
	reference := must(authority.Issue(sound))(t)
	for _, change := range []struct {
		want  []string
		spoil func(*Leaf)
	}{
		{nil, func(*Leaf) {}},
		{[]string{"serialNumber"}, func(l *Leaf) { l.Serial = big.NewInt(4712) }},
		{[]string{"subject", "subjectAltName"}, func(l *Leaf) { l.CommonName = "other-client" }},
		{[]string{"subject"}, func(l *Leaf) { l.Subject = []Attribute{{"O", "x"}} }},
		{[]string{"subjectAltName"}, func(l *Leaf) { l.Names = []string{"other"} }},
		{[]string{"extKeyUsage", "extensions"}, func(l *Leaf) { l.Usages = []x509.ExtKeyUsage{} }},
		{[]string{"subjectPublicKeyInfo", "subjectKeyIdentifier"}, func(l *Leaf) { l.Key = nil }},
		{[]string{"issuer", "extKeyUsage"}, func(l *Leaf) { SelfSigned.Spoil(l); WrongUsage.Spoil(l) }},
	} {
		leaf := sound
		change.spoil(&leaf)
		got := differing(reference.Certificate, must(authority.Issue(leaf))(t).Certificate, authority.Pair().Certificate)
		if !slices.Equal(got, change.want) {
			t.Errorf("got fields %q apart, want %q", got, change.want)
		}
	}
}

func TestSelfSignedNamesAndProvesItself(t *testing.T) {
	leaf := soundLeaf(t)
	SelfSigned.Spoil(&leaf)
	c := must(must(NewAuthority("Test Authority"))(t).Issue(leaf))(t).Certificate
	if !bytes.Equal(c.RawIssuer, c.RawSubject) || !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId) {
		t.Errorf("got issuer %q, want itself", c.Issuer)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Error(err)
	}
}

func TestDefectsAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Defects {
		if d.Name == "" || d.Says == "" || seen[d.Name] {
			t.Errorf("got name %q, sentence %q: want both, and the name once", d.Name, d.Says)
		}
		seen[d.Name] = true
	}
}

func TestRogueAuthorityHasNameAndKeyIdentifierOfTheTrustedOne(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	trusted := authority.Pair().Certificate
	rogue := must(LookAlike(trusted))(t).Pair().Certificate
	if !bytes.Equal(rogue.RawSubject, trusted.RawSubject) || !bytes.Equal(rogue.SubjectKeyId, trusted.SubjectKeyId) {
		t.Errorf("got %x %x, want %x %x", rogue.RawSubject, rogue.SubjectKeyId, trusted.RawSubject, trusted.SubjectKeyId)
	}
	if rogue.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(trusted.PublicKey) {
		t.Error("got the trusted key, want another")
	}
}

// must gives the value, or ends the test that the result is handed to.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
