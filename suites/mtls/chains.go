package mtls

import (
	"time"

	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/edge"
)

// either is for the shapes of certificate that sound stacks disagree on
// (rulings A-24): served or refused, on every endpoint the same.
var either = outcome.Same{Each: outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).OrInTLS().Recorded()}

// Shapes are the expectations on certificates and chains of odd shape. Like
// Chains they carry the enrolled client's name.
var Shapes = []Expectation{
	{
		ID: "CHN-007", Title: "Unrelated extended key usage", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 4.2.1.12; CVE-2022-21657", Level: MUST,
		Rule:     Says("A certificate for mail only, or for code only, is refused."),
		Stimulus: probe.Presenting(clientcert.UnrelatedUsages()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-008", Title: "No extended key usage", Clauses: []string{"3.3", "4.6"},
		Source: "RFC 5280 section 4.2.1.12; rulings A-24, LAB-1", Level: MAY,
		Rule:     Says("A certificate without an extended key usage is served or refused, everywhere alike: which is recorded."),
		Stimulus: probe.Presenting(clientcert.NoUsage()), Outcome: either,
	},
	{
		ID: "CHN-009", Title: "anyExtendedKeyUsage only", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 4.2.1.12; rulings A-24, LAB-1", Level: MAY,
		Rule:     Says("A certificate for any extended key usage is served or refused, everywhere alike: which is recorded."),
		Stimulus: probe.Presenting(clientcert.AnyUsage()), Outcome: either,
	},
	{
		ID: "CHN-010", Title: "X.509 version 1", Clauses: []string{"3.3", "4.6"},
		Source: "x509-limbo webpki::v1_cert; rulings A-24, LAB-1", Level: MAY,
		Rule:     Says("A certificate of X.509 version 1 is served or refused, everywhere alike: which is recorded."),
		Stimulus: probe.Presenting(clientcert.Version1()), Outcome: either,
	},
	{
		ID: "CHN-011", Title: "End entity as an issuer", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.4(k); x509-limbo rfc5280::intermediate_ca_without_ca_bit", Level: MUST, Tier: Core,
		Rule:     Says("A certificate that a client's certificate has signed is refused."),
		Stimulus: everyWay(clientcert.Usurped()), Outcome: untrusted,
	},
	{
		ID: "CHN-012", Title: "Intermediate that is no authority", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.4(k); x509-limbo intermediate_ca_missing_basic_constraints", Level: MUST,
		Rule:     Says("A certificate of an intermediate without basicConstraints, or of version 1, is refused."),
		Stimulus: probe.Presenting(clientcert.NoAuthorities()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-013", Title: "Intermediate without keyCertSign", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.4(n)", Level: MUST,
		Rule:     Says("A certificate of an intermediate whose key usage is not to sign certificates is refused."),
		Stimulus: probe.Presenting(clientcert.Powerless()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-014", Title: "Path too long", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.4(l) and (m); x509-limbo pathlen; bettertls pathbuilding", Level: MUST,
		Rule:     Says("A certificate of an authority below one that may have none below it is refused."),
		Stimulus: probe.Presenting(clientcert.TooDeep()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-015", Title: "Expired intermediate", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.3(a)(2); x509-limbo expired_intermediate", Level: MUST,
		Rule:     Says("A certificate of an intermediate that expired an hour ago is refused."),
		Stimulus: probe.Presenting(clientcert.ExpiredBranch()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-016", Title: "Intermediate sent", Clauses: []string{"3.3", "6.2"},
		Source: "RFC 8446 section 4.4.2; rulings A-25", Level: SHOULD,
		Rule:     Says("A certificate of an intermediate authority, sent with it, is served, where the profile declares a hierarchy."),
		Stimulus: probe.ByIntermediate(), Outcome: outcome.Accepted(),
		Unless: flat,
	},
	{
		ID: "CHN-017", Title: "Intermediate left out", Clauses: []string{"3.3"},
		Source: "RFC 8446 section 4.4.2; LAB-1", Level: SHOULD,
		Rule:     Says("A certificate of a new intermediate authority that is not sent with it is refused."),
		Stimulus: probe.Presenting(clientcert.Orphan()), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "CHN-018", Title: "Name constraints", Clauses: []string{"3.3"},
		Source: "RFC 5280 sections 4.2.1.10 and 6.1.3(b) and (c); bettertls nameconstraints; CVE-2025-61727", Level: MUST,
		Rule:     Says("A certificate that its intermediate's name constraints do not cover is refused."),
		Stimulus: probe.Presenting(clientcert.OutOfBounds()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-019", Title: "Unknown critical extension", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 4.2; x509-limbo unknown_critical_extension", Level: MUST,
		Rule:     Says("A critical extension that nobody knows, in a leaf or in its intermediate, is refused."),
		Stimulus: probe.Presenting(clientcert.UnknownExtensions()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CHN-020", Title: "Corrupt signature", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.3(a)(1)", Level: MUST, Tier: Core,
		Rule:     Says("The enrolled certificate with one bit of the authority's signature flipped is refused."),
		Stimulus: everyWay(clientcert.Corrupt()), Outcome: untrusted,
	},
	{
		ID: "CHN-021", Title: "Revocation, or short lives", Clauses: []string{"6.2", "6.6"},
		Source: "RFC 5280 section 6.3; ASVS 12.1.4; rulings A-37", Level: SHOULD,
		Rule:     Says("Where revocation is not declared, no client's certificate lives longer than the declared bound, by default 72 hours."),
		Stimulus: probe.Lifetimes(), Outcome: outcome.ShortLived{},
		Unless: revoking,
	},
	{
		ID: "CHN-029", Title: "Revoked certificate", Clauses: []string{"3.3", "6.6"},
		Source: "RFC 5280 section 6.3; ASVS 12.1.4; rulings A-37", Level: MUST,
		Rule:     Says("Where revocation is declared, a certificate that was revoked is refused, over each version of TLS and of HTTP that is offered, and one of the same name that was not is served."),
		Stimulus: probe.Presenting(clientcert.Revoked(), clientcert.Enrolled()).Each(probe.Transports()...),
		Outcome: outcome.WhereOffered{Outcome: each(probe.Transports(), map[string]Outcome{
			clientcert.Revoked().Name: outcome.Unauthenticated(), clientcert.Enrolled().Name: outcome.Accepted(),
		})},
		Unless: notRevoking,
	},
	{
		ID: "CHN-022", Title: "Weak cryptography", Clauses: []string{"3.3"},
		Source: "RFC 8446 section 4.4.2.4; NIST SP 800-131A; rulings A-24, LAB-1", Level: SHOULD,
		Rule:     Says("A certificate signed of an MD5 or SHA-1 digest is refused; whether an RSA key of 1024 bits is, is recorded."),
		Stimulus: probe.Presenting(clientcert.Weak()...),
		Outcome: outcome.PerVariant{
			clientcert.MD5Signed: outcome.Unauthenticated().Genuine().OrInTLS(), clientcert.SHA1Signed: outcome.Unauthenticated().Genuine().OrInTLS(), clientcert.ShortRSA: either,
		},
	},
	{
		ID: "CHN-023", Title: "Publicly trusted certificate", Clauses: []string{"3.3"},
		Source: "CVE-2026-27586", Level: MUST,
		Rule:     Says("A certificate of an authority that the ingress's system trusts, and its configuration does not, is refused."),
		Stimulus: everyWay(clientcert.Public()), Outcome: untrusted,
	},
	{
		ID: "CHN-024", Title: "Certificate made for something else", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 4.2.1.12; Vault PKI, server_flag and client_flag", Level: MUST,
		Rule:     Says("A server's certificate of the trusted authority, or the authority's own, is refused or answered 403."),
		Stimulus: probe.Presenting(clientcert.Reused()...), Outcome: outcome.Unauthenticated().Or(401, 403),
	},
	{
		ID: "CHN-025", Title: "Further certificates in the list", Clauses: []string{"3.4"},
		Source: "RFC 8446 section 4.4.2; CVE-2023-2422", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client who lists the enrolled certificate after his own is answered 403, and before it is refused in TLS."),
		Stimulus: probe.Presenting(clientcert.Listed()...),
		Outcome: outcome.PerVariant{
			clientcert.ListedLast: outcome.Forbidden(), clientcert.ListedTwice: outcome.Forbidden(), clientcert.ListedFirst: outcome.InTLS(),
		},
	},
	{
		ID: "CHN-026", Title: "Hostile chains", Clauses: []string{"3.3"},
		Source: "x509-limbo pathological; CVE-2024-0567", Level: SHOULD,
		Rule:     Says("A chain that is long, circular, full of names or large is refused within 5 seconds, and others are served meanwhile."),
		Stimulus: probe.Presenting(clientcert.Hostile()...), Outcome: outcome.Unauthenticated().Or(400).OrInTLS().Within(5 * time.Second),
	},
	{
		ID: "CHN-027", Title: "Sibling authority", Clauses: []string{"3.3"},
		Source: "ASVS 12.3.4", Level: MUST,
		Rule:     Says("A certificate of another authority of the same estate is refused."),
		Stimulus: everyWay(clientcert.Sibling()), Outcome: untrusted,
	},
	{
		ID: "CHN-030", Title: "No public authority of clients", Clauses: []string{"3.3"},
		Source: "RFC 8446 section 4.2.4; Chrome Root Program Policy 1.6, hierarchies for servers alone", Level: MUST,
		Rule:     Says("None of the authorities whose certificates the ingress says to take in the handshake is one that the public trusts, which gives certificates to anybody."),
		Stimulus: probe.ClientAuthorities(), Outcome: outcome.OwnAuthorities{},
	},
	{
		ID: "CHN-028", Title: "Ingress without its authority", Clauses: []string{"3.3", "3.5"},
		Source: "CVE-2026-27586; ASVS 16.5.3", Level: MUST,
		Rule:     Says("An ingress whose file of authorities is gone or garbled refuses the configuration, or every client: it believes nobody instead of everybody."),
		Stimulus: edge.WithoutAuthority(), Outcome: outcome.Rejected(),
	},
}

// flat is the reason that no intermediate authority need be believed.
func flat(p Profile) string {
	if p.Intermediates {
		return ""
	}
	return "the profile declares no intermediate authorities"
}

// notRevoking is the reason that a revoked certificate may be served.
func notRevoking(p Profile) string {
	if !p.Revocation {
		return "the profile does not declare revocation: CHN-021 asks for short lives in its place"
	}
	return ""
}

// revoking is the reason that certificates may live long.
func revoking(p Profile) string {
	if p.Revocation {
		return "the profile declares revocation, which CHN-029 is about"
	}
	return ""
}
