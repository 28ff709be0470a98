package vaultauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// IssuedLives reads how long a certificate may live by the role that issues them,
// and how long those live that clients were given (ROT-005).
func IssuedLives() harness.Stimulus {
	s := probe.Lifetimes()
	read := s.Act
	s.Words = "read the longest life that Vault's PKI role allows; " + s.Words
	s.Needs = append(s.Needs, harness.VaultPKI)
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		trace, err := read(ctx, client)
		if err != nil {
			return trace, err
		}
		most, err := client.Target().Control.Issuer.MaxTTL(ctx)
		trace.Facts = append(trace.Facts, harness.CertificateLife.Was(most).Of("longest life by the PKI role"))
		return trace, err
	}
	return s
}

// wish is a certificate that a client asks for.
type wish struct {
	variant  string
	control  bool
	verbatim bool
	// request makes the request, in the asker's own name to begin with; other is
	// somebody else's.
	request func(r *x509.CertificateRequest, own, other string)
}

// wishes are a sound one, and others that no client may have fulfilled.
var wishes = []wish{
	{variant: "its own name", control: true, request: func(*x509.CertificateRequest, string, string) {}},
	{variant: "another client's name", request: func(r *x509.CertificateRequest, _, other string) { r.Subject.CommonName = other }},
	{variant: "a name below its own", request: func(r *x509.CertificateRequest, own, other string) {
		r.Subject.CommonName = other + "." +
			own
	}},
	{variant: "both names in one", request: func(r *x509.CertificateRequest, own, other string) {
		r.Subject.CommonName = own + ",CN=" +
			other
	}},
	{variant: "another client's name beside its own", request: func(r *x509.CertificateRequest, _,
		other string) {
		r.DNSNames = []string{other}
	}},
	{variant: "an organisation with a comma and another's name", request: func(r *x509.CertificateRequest, _,
		other string) {
		r.Subject.Organization = []string{"x,CN=" + other}
	}},
	{variant: "the key usage of a server", request: func(r *x509.CertificateRequest, _, _ string) {
		r.ExtraExtensions = []pkix.Extension{extension(29, 37, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}})}
	}},
	{variant: "the constraints of an authority", request: func(r *x509.CertificateRequest, _, _ string) {
		r.ExtraExtensions = []pkix.Extension{extension(29, 19, struct{ CA bool }{true})}
	}},
	{variant: "another client's name, past the role", verbatim: true, request: func(r *x509.CertificateRequest, _,
		other string) {
		r.Subject.CommonName = other
	}},
}

// extension is one of certificates (RFC 5280 section 4.2.1): id-ce is 2.5.29.
func extension(arc, number int, value any) pkix.Extension {
	der, err := asn1.Marshal(value)
	if err != nil {
		panic("encoding a constant: " + err.Error())
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, arc, number}, Value: der}
}

// Wishes asks Vault's PKI role for certificates, as the enrolled client: for a
// sound one, and for such as are not his (ROT-006).
func Wishes() harness.Stimulus {
	var all []string
	for _, w := range wishes {
		all = append(all, w.variant)
	}
	return harness.Stimulus{
		Words: "ask Vault's PKI role, as the enrolled client by his own identity in Vault, for certificates: " + strings.Join(all, "; "),
		Needs: []harness.Capability{harness.VaultPKIClient}, Modes: probe.MTLSOnly,
		Effect:     harness.AuthFailures, // the one certificate that is due is revoked after the run
		OwnControl: true,                 // the sound request
		Act:        asking,
	}
}

// asking asks. The key is thrown away: nobody can use what is issued.
func asking(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return trace, err
	}
	own, other := t.Certs.EnrolledCN, "client-"+token.Random(4)
	for _, w := range wishes {
		request := &x509.CertificateRequest{Subject: pkix.Name{CommonName: own}}
		w.request(request, own, other)
		der, err := x509.CreateCertificateRequest(rand.Reader, request, key)
		if err != nil {
			return trace, fmt.Errorf("asking for %s: %w", w.variant, err)
		}
		signed, refused, err := t.Control.OwnIssuer.Sign(ctx, harness.SigningRequest{
			CommonName: request.Subject.CommonName, TTL: 5 * time.Minute, Verbatim: w.verbatim,
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		})
		if err != nil {
			return trace, fmt.Errorf("asking for %s: %w", w.variant, err)
		}
		trace.Issues = append(trace.Issues, harness.Issue{Variant: w.variant, Control: w.control, Asker: own, Refused: refused,
			Certificate: signed})
	}
	return trace, nil
}
