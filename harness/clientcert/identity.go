package clientcert

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"path"
	"strings"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// Coin is a name of a client that nobody knows, in the form that the profile declares: a
// word where that is the CN, and otherwise what the enrolled client's is with the word in
// its first or last part's place.
func Coin(t *harness.Target, word string) string {
	enrolled := t.Certs.EnrolledCN
	switch t.Profile.Form() {
	case certs.FormDN:
		return "CN=" + word
	case certs.FormURI:
		if u, err := url.Parse(enrolled); err == nil && u.Host != "" {
			u.Path, u.RawPath = path.Join(path.Dir(u.Path), word), ""
			return u.String()
		}
	case certs.FormDNS:
		if _, domain, ok := strings.Cut(enrolled, "."); ok {
			return word + "." + domain
		}
	case certs.FormEmail:
		if _, domain, ok := strings.Cut(enrolled, "@"); ok {
			return word + "@" + domain
		}
	}
	return word
}

// Claim is what the identity header says of a client of a name, verified. Where that is a
// certificate and the client is neither of the two whose certificates are given, it is one
// of an authority that nobody trusts.
func Claim(t *harness.Target, name string) string {
	carriage := t.Profile.Carriage()
	if carriage == harness.CarriesName {
		return name
	}
	chain := map[string][]byte{t.Certs.EnrolledCN: t.Certs.Enrolled.Chain, t.Certs.UnenrolledCN: t.Certs.Unenrolled.Chain}[name]
	if block, _ := pem.Decode(chain); block != nil {
		if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
			return carriage.Carry(leaf, name)
		}
	}
	made, err := Foreign(name, Stranger, func(_ *harness.Target, leaf *certs.Leaf) { leaf.CommonName = name }).Make(t)
	if err != nil { // it is no name of any certificate
		return name
	}
	return carriage.Carry(made.Leaf, name)
}
