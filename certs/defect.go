package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"time"
)

// Defect is one thing wrong with a client certificate: a sound recipe with one
// field changed, which changes one field of the certificate.
type Defect struct {
	Name  string
	Says  string // one sentence
	Field string // of the certificate, as defect_test.go lists them
	Spoil func(*Leaf)
}

// How far the validity of a spoilt certificate lies from now.
const (
	expiredSince = 5 * time.Minute // less than Backdate, so that it was valid once
	validIn      = time.Hour
)

// Expired is CHN-004.
var Expired = Defect{
	Name:  "expired",
	Says:  "its validity ended five minutes before it was made",
	Field: "notAfter",
	Spoil: func(l *Leaf) { l.NotAfter = time.Now().Add(-expiredSince) },
}

// NotYetValid is CHN-005.
var NotYetValid = Defect{
	Name:  "not-yet-valid",
	Says:  "its validity begins one hour after it was made",
	Field: "notBefore",
	Spoil: func(l *Leaf) { l.NotBefore = time.Now().Add(validIn) },
}

// SelfSigned is CHN-002.
var SelfSigned = Defect{
	Name:  "self-signed",
	Says:  "it is signed with its own key and names itself as its issuer",
	Field: "issuer",
	Spoil: func(l *Leaf) { l.Issuer = IssuerSelf },
}

// UntrustedAuthority is CHN-001.
var UntrustedAuthority = Defect{
	Name:  "untrusted-authority",
	Says:  "an authority that nobody trusts has issued it",
	Field: "issuer",
	Spoil: func(l *Leaf) { l.Issuer = IssuerStranger },
}

// RogueAuthority is CHN-003.
var RogueAuthority = Defect{
	Name:  "rogue-authority",
	Says:  "an authority with the trusted one's name and key identifier, but another key, has issued it",
	Field: "signature",
	Spoil: func(l *Leaf) { l.Issuer = IssuerLookAlike },
}

// WrongUsage is CHN-006.
var WrongUsage = Defect{
	Name:  "wrong-eku",
	Says:  "its extended key usage is serverAuth only",
	Field: "extKeyUsage",
	Spoil: func(l *Leaf) { l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
}

// UnrelatedUsage is CHN-007.
var UnrelatedUsage = Defect{
	Name:  "unrelated-eku",
	Says:  "its extended key usage is emailProtection only",
	Field: "extKeyUsage",
	Spoil: func(l *Leaf) { l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} },
}

// UnknownExtension is CHN-019.
var UnknownExtension = Defect{
	Name:  "unknown-critical-extension",
	Says:  "it has a critical extension that nobody knows",
	Field: "extensions",
	Spoil: func(l *Leaf) { l.Extensions = []pkix.Extension{Strange(4)} },
}

// CorruptSignature is CHN-020.
var CorruptSignature = Defect{
	Name:  "corrupt-signature",
	Says:  "one bit of the authority's signature is flipped",
	Field: "signature",
	Spoil: func(l *Leaf) { l.CorruptSignature = true },
}

// Defects lists every defect.
var Defects = []Defect{
	Expired, NotYetValid, SelfSigned, UntrustedAuthority, RogueAuthority, WrongUsage,
	UnrelatedUsage, UnknownExtension, CorruptSignature,
}
