package harness

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"

	"aegis.test/conformance/certs"
)

// IdentityCarriage is how an identity header says who was verified.
type IdentityCarriage string

// Carriages.
const (
	CarriesName IdentityCarriage = "name"                    // the identity, and nothing else
	CarriesXFCC IdentityCarriage = "x-forwarded-client-cert" // Envoy's list of elements, of keys and values
	CarriesDER  IdentityCarriage = "client-cert"             // the certificate (RFC 9440 section 2.2)
	CarriesPEM  IdentityCarriage = "pem"                     // the certificate in PEM, percent-encoded
)

// CarriageOf is what the name of an identity header says of it.
func CarriageOf(header string) IdentityCarriage {
	switch strings.ToLower(header) {
	case "x-forwarded-client-cert":
		return CarriesXFCC
	case "client-cert":
		return CarriesDER
	case "ssl-client-cert", "x-ssl-client-cert", "x-amzn-mtls-clientcert", "x-amzn-mtls-clientcert-leaf":
		return CarriesPEM
	}
	return CarriesName
}

// Carriage is how the identity header says who was verified.
func (p Profile) Carriage() IdentityCarriage { return CarriageOf(p.Header()) }

// Form is which of a certificate's names is the identity.
func (p Profile) Form() certs.Form { return cmp.Or(p.Identity, certs.FormCN) }

// ingressID is how an ingress calls itself in By of X-Forwarded-Client-Cert.
const ingressID = "spiffe://ingress.test/ns/ingress/sa/ingress"

// Carry is the value that an ingress sends of a certificate, which it has verified, of a
// client of a name.
func (c IdentityCarriage) Carry(leaf *x509.Certificate, name string) string {
	switch c {
	case CarriesXFCC:
		return xfcc(leaf)
	case CarriesDER:
		return ":" + base64.StdEncoding.EncodeToString(leaf.Raw) + ":"
	case CarriesPEM:
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
		return strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20") // as $ssl_client_escaped_cert
	default:
		return name
	}
}

// xfcc is one element of X-Forwarded-Client-Cert, as Envoy writes it with subject, uri and
// dns of set_current_client_cert_details.
func xfcc(leaf *x509.Certificate) string {
	hash := sha256.Sum256(leaf.Raw)
	pairs := []string{"By=" + ingressID, "Hash=" + hex.EncodeToString(hash[:]), `Subject="` + strings.Join(certs.FormDN.Of(leaf), "") + `"`}
	for _, u := range certs.FormURI.Of(leaf) {
		pairs = append(pairs, "URI="+quoted(u))
	}
	for _, name := range certs.FormDNS.Of(leaf) {
		pairs = append(pairs, "DNS="+quoted(name))
	}
	return strings.Join(pairs, ";")
}

// quoted is a value of X-Forwarded-Client-Cert: in quotes where a delimiter is in it.
func quoted(value string) string {
	if !strings.ContainsAny(value, `,;="`) {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
}
