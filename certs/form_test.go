package certs

import (
	"slices"
	"testing"
)

// TestForms: what a leaf is named in a form is what the form reads from its certificate,
// and no other form does.
func TestForms(t *testing.T) {
	authority, err := NewAuthority("Forms")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		form Form
		name string
	}{
		{FormCN, "svc enrolled 01"}, {"", "svc enrolled 01"}, {FormURI, "spiffe://aegis.test/ns/a/sa/enrolled"}, {FormDNS, "enrolled.aegis.test"},
		{FormEmail, "enrolled@aegis.test"}, {FormDN, `CN=enrolled,OU=a\, b,O=Aegis`},
	} {
		pair, err := authority.Issue(row.form.Name(Leaf{CommonName: row.name}))
		if err != nil {
			t.Fatalf("%s: %v", row.form, err)
		}
		for _, form := range Forms() {
			got := slices.Equal(form.Of(pair.Certificate), []string{row.name})
			if want := form == row.form || row.form == "" && form == FormCN; got != want {
				t.Errorf("named %q in the form %q: form %q reads %q", row.name, row.form, form, form.Of(pair.Certificate))
			}
		}
	}
}

// TestParseDN: what is escaped is one value, and what is no name is an error.
func TestParseDN(t *testing.T) {
	got, err := ParseDN(`CN=a\,b\2Bc,O=x\\y`)
	if want := []Attribute{{"O", `x\y`}, {"CN", "a,b+c"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, text := range []string{"", "enrolled", `CN=a\`, "XX=a", "CN=a,,O=b"} {
		if got, err := ParseDN(text); err == nil {
			t.Errorf("%q is no name: got %v", text, got)
		}
	}
}
