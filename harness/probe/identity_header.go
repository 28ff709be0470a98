package probe

import (
	"net/url"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
)

// OfSPIFFE is Presenting, where the enrolled client's identity is a SPIFFE ID.
func OfSPIFFE(recipes ...clientcert.Recipe) harness.Stimulus {
	s := Presenting(recipes...).Build()
	unsuited := s.Unsuited
	s.Unsuited = func(t *harness.Target) string {
		if !strings.HasPrefix(t.Certs.EnrolledCN, "spiffe://") {
			return "the enrolled client's identity is no SPIFFE ID"
		}
		return unsuited(t)
	}
	return s
}

// Elements are values of the identity header that hold the enrolled client and more: what
// an ingress hands on or adds to becomes several elements (HDR-027). Each is one line, and
// a certificate chain is one beside it (RFC 9440 section 2.3).
func Elements() []Change {
	element := func(name string, of func(enrolled, other string) string) Change {
		return Fields("an element of the enrolled client "+name, func(t *harness.Target) []harness.Field {
			enrolled, other := clientcert.Claim(t, t.Certs.EnrolledCN), clientcert.Claim(t, t.Certs.UnenrolledCN)
			return []harness.Field{{Name: t.Profile.Header(), Value: of(enrolled, other)}}
		}).needing(harness.GivenClientCerts)
	}
	return []Change{
		element("alone", func(e, _ string) string { return e }),
		element("before another", func(e, o string) string { return e + "," + o }),
		element("after another", func(e, o string) string { return o + "," + e }),
		element("and an empty one", func(e, _ string) string { return e + "," }),
		element("with a quotation mark that is left open", func(e, _ string) string { return e + `,Subject="` }),
		element("after one whose quotation mark is left open", func(e, o string) string { return o + `;Subject="x,` + e }),
		element("percent-encoded", func(e, _ string) string { return url.QueryEscape(e) }),
		element("with parameters", func(e, _ string) string { return e + ";a=b" }),
		Fields("a chain of the enrolled client's certificate", func(t *harness.Target) []harness.Field {
			return []harness.Field{sibling(t, "Client-Cert-Chain")}
		}).needing(harness.GivenClientCerts),
	}
}
