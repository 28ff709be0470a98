package certs

import (
	"cmp"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Form is which of its names a certificate's client is known by; the zero value is
// FormCN.
type Form string

// Forms.
const (
	FormCN    Form = "cn"    // the subject's common name
	FormDN    Form = "dn"    // the whole subject, as RFC 4514 writes it
	FormURI   Form = "uri"   // the alternative name that is a URI: a SPIFFE ID
	FormDNS   Form = "dns"   // the alternative name that is a DNS name
	FormEmail Form = "email" // the alternative name that is an address of mail
)

// Forms lists every form.
func Forms() []Form { return []Form{FormCN, FormDN, FormURI, FormDNS, FormEmail} }

// Of are the names of the form that a certificate bears, in the order of encoding.
func (f Form) Of(c *x509.Certificate) []string {
	var names []string
	switch cmp.Or(f, FormCN) {
	case FormCN:
		for _, a := range c.Subject.Names {
			if text, ok := a.Value.(string); ok && a.Type.Equal(attributeTypes["CN"]) {
				names = append(names, text)
			}
		}
	case FormDN:
		var subject pkix.RDNSequence
		if _, err := asn1.Unmarshal(c.RawSubject, &subject); err == nil && len(subject) > 0 {
			names = append(names, subject.String())
		}
	case FormURI:
		for _, u := range c.URIs {
			names = append(names, u.String())
		}
	case FormDNS:
		names = slices.Clone(c.DNSNames)
	case FormEmail:
		names = slices.Clone(c.EmailAddresses)
	}
	return names
}

// Client is the client's name in a certificate, or "": the first of the form, and of
// FormCN where there is no common name an alternative one.
func (f Form) Client(c *x509.Certificate) string {
	if f == "" || f == FormCN {
		return Identity(c)
	}
	return strings.Join(f.Of(c)[:min(1, len(f.Of(c)))], "")
}

// Name gives the leaf the name of its CommonName in the form, beside what alternative
// names it has: the subject is another then. A subject of the leaf's own stays.
func (f Form) Name(l Leaf) Leaf {
	name := l.CommonName
	switch cmp.Or(f, FormCN) {
	case FormCN:
	case FormDN:
		if subject, err := ParseDN(name); l.Subject == nil && err == nil {
			l.Subject = subject
		}
	default:
		if l.Subject != nil {
			return l
		}
		l.Subject = []Attribute{{"CN", "Client"}}
		if !slices.Contains(l.Names, name) {
			l.Names = append([]string{name}, l.Names...)
		}
	}
	return l
}

// ParseDN reads a name as RFC 4514 writes it, into the order of encoding. Errors say what
// is no name, or of a type that none of ours has.
func ParseDN(text string) ([]Attribute, error) {
	var name []Attribute
	for _, rdn := range cutOutside(text, ',') {
		typ, value, ok := strings.Cut(rdn, "=")
		if typ = strings.TrimSpace(typ); !ok || attributeTypes[typ] == nil {
			return nil, fmt.Errorf("reading the name %q: no attribute in %q", text, rdn)
		}
		plain, err := unescape(value)
		if err != nil {
			return nil, fmt.Errorf("reading the name %q: %w", text, err)
		}
		name = append(name, Attribute{typ, plain})
	}
	slices.Reverse(name)
	return name, nil
}

// cutOutside cuts a text at a separator that no backslash stands before.
func cutOutside(text string, at byte) []string {
	var parts []string
	from := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case at:
			parts, from = append(parts, text[from:i]), i+1
		}
	}
	return append(parts, text[from:])
}

// unescape takes the backslashes of RFC 4514 section 2.4 from a value.
func unescape(value string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			b.WriteByte(value[i])
			continue
		}
		rest := value[i+1:]
		if rest == "" {
			return "", fmt.Errorf("a backslash ends %q", value)
		}
		if octet, err := hex.DecodeString(rest[:min(2, len(rest))]); err == nil && len(octet) == 1 {
			b.Write(octet)
			i += 2
			continue
		}
		b.WriteByte(rest[0])
		i++
	}
	return b.String(), nil
}
