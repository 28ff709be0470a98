package certs

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Validity of a leaf that does not say otherwise.
const (
	Backdate = 10 * time.Minute // how far notBefore lies in the past: clocks differ
	Lifetime = 24 * time.Hour   // from now to notAfter
)

// Leaf is the recipe of an end-entity certificate. The zero value with a
// CommonName is a sound client leaf; every other field changes one thing.
type Leaf struct {
	// CommonName is the identity: the subject is CN=CommonName, and the same
	// value is the subject alternative name if it is a DNS name or an IP
	// address. Of any other text there is no subject alternative name.
	CommonName string
	// Subject, if not nil, is the subject instead: one RDN per attribute, in
	// the order of encoding, which RFC 4514 §2.1 prints backwards. Empty and
	// not nil is the empty subject. The subject alternative name stays.
	Subject []Attribute
	// Names, if not nil, are the subject alternative names instead, each in the form
	// that it has: an IP address, a URI, an address of mail, or a DNS name, which any
	// word is taken for. If one has none of these, as a person's name, all stand as
	// the common names of directory names (RFC 5280 §4.2.1.6).
	Names []string
	// NotBefore and NotAfter default to Backdate ago and Lifetime ahead.
	NotBefore, NotAfter time.Time
	// Usages, if not nil, are the extended key usages instead of clientAuth.
	// Empty and not nil leaves the extension out.
	Usages []x509.ExtKeyUsage
	// Issuer is who signs it.
	Issuer Issuer
	// CorruptSignature, if true, causes one bit of the signature to be flipped.
	CorruptSignature bool
	// Extensions stand after all others.
	Extensions []pkix.Extension
	// Version1, if true, causes a certificate of X.509 version 1: without any
	// extension.
	Version1 bool
	// Digest, if not 0, is what the signature is made of instead of SHA-256:
	// MD5 (of an RSA authority) or SHA-1.
	Digest crypto.Hash
	// Key is the subject's key; nil makes a new one, P-256.
	Key crypto.Signer
	// Serial is the serial number; nil makes a random one.
	Serial *big.Int
}

// Issuer is who signs a leaf, and in whose name.
type Issuer string

// Issuers.
const (
	IssuerAuthority Issuer = ""           // the authority that is asked
	IssuerSelf      Issuer = "self"       // its own key, in its own name
	IssuerStranger  Issuer = "stranger"   // an authority nobody trusts, in that one's name
	IssuerLookAlike Issuer = "look-alike" // a LookAlike of the authority, in the authority's name
)

// strangerName is the common name of the authority nobody trusts.
const strangerName = "Untrusted Authority"

// Attribute is one attribute of a name. Type is a key of attributeTypes; Value
// is any UTF-8 text, control characters included.
type Attribute struct{ Type, Value string }

// attributeTypes are those of RFC 4514 §3 and RFC 5280 appendix A.1 that names
// of people and machines are made of.
var attributeTypes = map[string]asn1.ObjectIdentifier{
	"CN":           {2, 5, 4, 3},
	"serialNumber": {2, 5, 4, 5},
	"C":            {2, 5, 4, 6},
	"L":            {2, 5, 4, 7},
	"ST":           {2, 5, 4, 8},
	"O":            {2, 5, 4, 10},
	"OU":           {2, 5, 4, 11},
	"emailAddress": {1, 2, 840, 113549, 1, 9, 1},
}

// Issue makes a certificate after the recipe, signed by a unless the recipe
// says otherwise.
func (a *Authority) Issue(leaf Leaf) (Pair, error) {
	pair, err := a.issue(leaf)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate for %q: %w", leaf.CommonName, err)
	}
	return pair, nil
}

func (a *Authority) issue(leaf Leaf) (Pair, error) {
	key := leaf.Key
	if key == nil {
		var err error
		if key, err = newKey(); err != nil {
			return Pair{}, err
		}
	}
	template, err := leaf.template(key.Public())
	if err != nil {
		return Pair{}, err
	}
	issuer, err := a.issuer(leaf.Issuer, Pair{Certificate: template, Key: key})
	if err != nil {
		return Pair{}, err
	}
	certificate, err := issuer.sign(template, key.Public())
	if err != nil {
		return Pair{}, err
	}
	if leaf.Version1 || leaf.Digest != 0 {
		if certificate, err = issuer.resigned(certificate, leaf.Version1, leaf.Digest); err != nil {
			return Pair{}, err
		}
	}
	if leaf.CorruptSignature {
		certificate, err = corrupted(certificate)
	}
	return Pair{Certificate: certificate, Chain: issuer.sends, Key: key}, err
}

// issuer is the authority that signs; self is the leaf to be.
func (a *Authority) issuer(who Issuer, self Pair) (*Authority, error) {
	switch who {
	case IssuerAuthority:
		return a, nil
	case IssuerSelf:
		return &Authority{pair: self}, nil
	case IssuerStranger:
		return NewAuthority(strangerName)
	case IssuerLookAlike:
		rogue, err := LookAlike(a.pair.Certificate)
		if err != nil {
			return nil, err
		}
		rogue.sends = a.sends
		return rogue, nil
	}
	return nil, fmt.Errorf("no such issuer: %q", who)
}

// template is the recipe as crypto/x509 wants it; a nil serial number becomes a
// random one there (RFC 5280 §4.1.2.2).
func (l Leaf) template(public crypto.PublicKey) (*x509.Certificate, error) {
	subject, err := l.subject()
	if err != nil {
		return nil, err
	}
	identifier, err := keyIdentifier(public)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          l.Serial,
		RawSubject:            subject,
		NotBefore:             cmp.Or(l.NotBefore, now.Add(-Backdate)),
		NotAfter:              cmp.Or(l.NotAfter, now.Add(Lifetime)),
		SubjectKeyId:          identifier,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           l.Usages,
		ExtraExtensions:       l.Extensions,
		BasicConstraintsValid: true,
	}
	if l.Usages == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return template, l.name(template)
}

func (l Leaf) subject() ([]byte, error) {
	if l.Subject != nil {
		return distinguishedName(l.Subject)
	}
	return commonName(l.CommonName)
}

// name sets the subject alternative names.
func (l Leaf) name(template *x509.Certificate) error {
	if l.Names == nil {
		alternative(template, l.CommonName)
		return nil
	}
	for _, name := range l.Names {
		if !alternative(template, name) && !otherForm(template, name) {
			return directoryNames(template, l.Names)
		}
	}
	return nil
}

// otherForm adds a subject alternative name that is no DNS name of the preferred
// syntax, in the form that it has.
func otherForm(template *x509.Certificate, name string) bool {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return false // no IA5String, or of several words
	}
	if u, err := url.Parse(name); err == nil && u.Scheme != "" && u.Host != "" {
		template.URIs = append(template.URIs, u)
	} else if strings.Contains(name, "@") {
		template.EmailAddresses = append(template.EmailAddresses, name)
	} else {
		template.DNSNames = append(template.DNSNames, name)
	}
	return true
}

// directoryNames makes the common name of a directory name of each alternative name.
func directoryNames(template *x509.Certificate, names []string) error {
	var general []asn1.RawValue
	for _, name := range names {
		der, err := commonName(name)
		if err != nil {
			return err
		}
		general = append(general, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: der})
	}
	value, err := asn1.Marshal(general)
	if err != nil {
		return fmt.Errorf("encoding alternative names: %w", err)
	}
	template.DNSNames, template.URIs, template.EmailAddresses, template.IPAddresses = nil, nil, nil, nil
	template.ExtraExtensions = append(slices.Clip(template.ExtraExtensions),
		pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
	return nil
}

// Identities are the names that a certificate bears, that of the client first: the
// common name where there is one, and then the alternative ones.
func Identities(c *x509.Certificate) []string {
	var names []string
	if c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	names = append(names, c.DNSNames...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	names = append(names, c.EmailAddresses...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Identity is the client's name in a certificate, or "".
func Identity(c *x509.Certificate) string {
	if names := Identities(c); len(names) > 0 {
		return names[0]
	}
	return ""
}

// IsDNSName reports whether a name is a DNS name of the preferred syntax.
func IsDNSName(name string) bool { return len(name) <= dnsMax && dnsName.MatchString(name) }

// dnsName is the preferred syntax (RFC 5280 §4.2.1.6, RFC 1123 §2.1), with the
// wildcard of RFC 9525 §6.3.
var dnsName = regexp.MustCompile(`^(\*\.)?` + dnsLabel + `(\.` + dnsLabel + `)*$`)

const (
	dnsLabel = `[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
	dnsMax   = 253 // octets, RFC 1035 §2.3.4 as text
)

// alternative adds a subject alternative name, if it can be one.
func alternative(template *x509.Certificate, name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" {
		template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		return true
	}
	if !IsDNSName(name) {
		return false
	}
	template.DNSNames = append(template.DNSNames, name)
	return true
}

// commonName is the name CN=name in DER.
func commonName(name string) ([]byte, error) {
	if name == "" {
		return nil, errors.New("no common name: give one")
	}
	return distinguishedName([]Attribute{{"CN", name}})
}

// distinguishedName is attributes in DER, one RDN each.
func distinguishedName(attributes []Attribute) ([]byte, error) {
	var name pkix.RDNSequence
	for _, a := range attributes {
		typ, known := attributeTypes[a.Type]
		if !known {
			return nil, fmt.Errorf("no such attribute type: %q", a.Type)
		}
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: typ, Value: a.value()}})
	}
	der, err := asn1.Marshal(name)
	if err != nil {
		return nil, fmt.Errorf("encoding a name: %w", err)
	}
	return der, nil
}

// value is an IA5String for emailAddress (RFC 5280 appendix A.1) if it can be one, else what
// encoding/asn1 chooses: PrintableString if it can be one, UTF8String if not
// (§4.1.2.4).
func (a Attribute) value() any {
	if a.Type == "emailAddress" && !strings.ContainsFunc(a.Value, func(c rune) bool { return c > '\x7f' }) {
		return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(a.Value)}
	}
	return a.Value
}

// keyIdentifier is method 1 of RFC 7093 §2.
func keyIdentifier(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

// corrupted flips the last bit of the last field, which is the signature; an
// ECDSA signature stays well-formed DER.
func corrupted(certificate *x509.Certificate) (*x509.Certificate, error) {
	der := append([]byte(nil), certificate.Raw...)
	der[len(der)-1] ^= 1
	return x509.ParseCertificate(der)
}
