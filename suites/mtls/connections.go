package mtls

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/rotation"
)

// each joins the names of variants and of ways, as probe.Calls.Each does, and
// wants the same of each variant in every way.
func each(ways []probe.Change, wanted map[string]Outcome) outcome.PerVariant {
	all := outcome.PerVariant{}
	for _, way := range ways {
		for variant, want := range wanted {
			all[variant+" "+way.Name] = want
		}
	}
	return all
}

const (
	none    = "no credential"
	claimed = none + " with identity header of the enrolled client"
)

// bare are calls without a certificate, one of which claims the enrolled
// identity: where an ingress checks nothing, that one would be served.
func bare() probe.Calls {
	return probe.NoCredential(MTLS).And(probe.NoCredential(MTLS).Adding(probe.ClaimEnrolled()))
}

// whoever are the callers of every kind, answers what each is answered, however he calls.
var (
	whoever = bare().And(probe.Presenting(clientcert.Enrolled(), clientcert.Unenrolled(), clientcert.Untrusted()),
		probe.Presenting(clientcert.Unenrolled(), clientcert.Untrusted()).Adding(probe.ClaimEnrolled()))
	answers = map[string]Outcome{
		none: outcome.Unauthenticated(), claimed: outcome.Unauthenticated(),
		clientcert.Enrolled().Name: outcome.Accepted(), clientcert.Unenrolled().Name: outcome.Forbidden(),
		clientcert.Untrusted().Name:            outcome.Unauthenticated(),
		claiming(clientcert.Unenrolled().Name): outcome.Forbidden(),
		claiming(clientcert.Untrusted().Name):  outcome.Unauthenticated(),
	}
)

// claiming is the name of a caller who claims the enrolled identity, too.
func claiming(caller string) string { return caller + " with " + probe.ClaimEnrolled().Name }

// Connections are the expectations on how a connection is made, kept and
// resumed.
var Connections = []Expectation{
	{
		ID: "MTLS-005", Title: "All HTTP versions enforce", Clauses: []string{"3.2"},
		Source: "RFC 9113; CVE-2026-53622", Level: MUST, Tier: Core,
		Rule:     Says("Every version of HTTP that is offered gives each client the same answer: none and an untrusted one refused, enrolled served, unenrolled 403, whatever he claims."),
		Stimulus: whoever.Each(probe.Versions()...),
		Outcome:  outcome.WhereOffered{Outcome: each(probe.Versions(), answers)},
	},
	{
		ID: "MTLS-006", Title: "Proof of possession", Clauses: []string{"3.3", "3.5"},
		Source: "RFC 8446 section 4.4.3; RFC 9440 section 4", Level: MUST, Tier: Core,
		Rule: Says("The enrolled certificate, which is public, is nothing without its key: in TLS the handshake fails, in a header field it is passed over."),
		Stimulus: probe.Presenting(clientcert.NotHolder()).Each(probe.Transports()[:2]...).
			And(probe.NoCredential(MTLS).Each(probe.ClaimCertificate()...)).
			And(probe.Presenting(clientcert.Unenrolled()).Each(probe.ClaimCertificate()...)),
		Outcome: outcome.WhereOffered{Outcome: merge(
			each(probe.Transports()[:2], map[string]Outcome{clientcert.NotHolder().Name: outcome.InTLS()}),
			each(probe.ClaimCertificate(), map[string]Outcome{
				none: outcome.Unauthenticated(), clientcert.Unenrolled().Name: outcome.Forbidden(),
			}))},
	},
	{
		ID: "MTLS-007", Title: "Legacy TLS refused", Clauses: []string{"3.2"},
		Source: "RFC 8996; ASVS 12.1.1", Level: SHOULD,
		Rule:     Says("A client that speaks TLS 1.0 or 1.1 only is refused in the handshake, though he is enrolled."),
		Stimulus: probe.Presenting(clientcert.Enrolled()).Each(probe.LegacyTLS()...), Outcome: outcome.LegacyRefused{},
	},
	{
		ID: "MTLS-022", Title: "Weak key exchange and ciphers refused", Clauses: []string{"3.2"},
		Source: "RFC 9325 sections 3.5, 4.1 and 4.2; RFC 7627; ASVS 12.1.2", Level: SHOULD,
		Rule:     Says("RSA key exchange and 3DES are refused in the handshake, and TLS 1.2 is spoken with an extended master secret only; whether CBC and a hybrid key exchange are offered is recorded."),
		Stimulus: probe.Presenting(clientcert.Enrolled()).Each(probe.Offers()...).Once(),
		Outcome: outcome.WeakRefused{Refused: []string{probe.OfferRSA, probe.Offer3DES}, Bound: []string{probe.OfferTLS12},
			Recorded: []string{probe.OfferCBC, probe.OfferHybrid}},
	},
	{
		ID: "MTLS-008", Title: "No identity change within a connection", Clauses: []string{"3.4"},
		Source: "RFC 8740 section 3; RFC 9113 section 9.2.1; CVE-2019-0215", Level: MUST, Tier: Core,
		Rule:     Says("Whatever a client claims after his first call, his identity is the same on the whole connection, over each version of TLS that is offered, and he gets no second handshake."),
		Stimulus: probe.Steady(), Outcome: outcome.OneHandshake{Calls: outcome.WhereOffered{Outcome: outcome.Forbidden()}},
	},
	{
		ID: "MTLS-009", Title: "Ticket of an open host", Clauses: []string{"3.2", "3.5"},
		Source: "RFC 8446 section 4.6.1; CVE-2025-23419; CVE-2025-23048; GHSA-gv8r-9rw9-9697", Level: MUST,
		Rule:     Says("A session ticket of a virtual host that asks for no certificate opens nothing at the one that does."),
		Stimulus: probe.TicketOfOpenHost(), Outcome: outcome.Unauthenticated().Or(421).OrInTLS(),
	},
	{
		ID: "MTLS-010", Title: "Ticket of another authority's host", Clauses: []string{"3.3"},
		Source: "CVE-2025-23048; CVE-2025-68121", Level: MUST,
		Rule:     Says("A session ticket of a virtual host that trusts another authority opens nothing at this one, whoever its client is called."),
		Stimulus: probe.TicketOfForeignHost(), Outcome: outcome.Unauthenticated().Or(421).OrInTLS(),
	},
	{
		ID: "MTLS-011", Title: "Resumed session authorises anew", Clauses: []string{"3.4", "6.5"},
		Source: "RFC 9440 section 3.3", Level: MUST,
		Rule:     Says("A client taken out of the list is answered 403 on the sessions he resumes, too."),
		Stimulus: rotation.Outlived(), Outcome: outcome.Forbidden(),
	},
	{
		ID: "MTLS-012", Title: "SNI of another host", Clauses: []string{"3.2", "3.5"},
		Source: "RFC 9110 sections 7.4 and 15.5.20; CVE-2026-48491", Level: MUST,
		Rule:     Says("A call without a certificate whose SNI is the open host's, and whose Host is the protected one, is refused."),
		Stimulus: bare().Each(probe.OpenName()), Outcome: outcome.Unauthenticated().Or(400, 403, 404, 421).OrInTLS(),
	},
	{
		ID: "MTLS-013", Title: "Odd SNI", Clauses: []string{"3.2"},
		Source: "RFC 6066 section 3; CVE-2026-53622; rulings A-34, LAB-5", Level: MUST, Tier: Core,
		Rule:     Says("A call without a certificate is refused whether SNI is absent, in upper case, an address or nobody's."),
		Stimulus: bare().Each(probe.Names()...), Outcome: outcome.Unauthenticated().Or(421).OrInTLS(),
	},
	{
		ID: "MTLS-014", Title: "ClientHello in pieces", Clauses: []string{"3.2"},
		Source: "CVE-2026-32305; RFC 8446 section 5.1", Level: MUST, Tier: Core,
		Rule:     Says("A ClientHello in several segments or records changes nothing: none refused, enrolled served."),
		Stimulus: bare().And(probe.Presenting(clientcert.Enrolled())).Each(probe.Pieces()...),
		Outcome: each(probe.Pieces(), map[string]Outcome{
			none: outcome.Unauthenticated(), claimed: outcome.Unauthenticated(), clientcert.Enrolled().Name: outcome.Accepted(),
		}),
	},
	{
		ID: "MTLS-015", Title: "No early data", Clauses: []string{"3.2", "3.5"},
		Source: "RFC 8446 sections 4.6.1 and 8; RFC 8470 sections 3 and 5; rulings A-41", Level: MUST,
		Rule:     Says("No session ticket that an enrolled client is given allows early data, which whoever recorded it can send again without any key."),
		Stimulus: probe.EarlyDataOffers(), Outcome: outcome.NoEarlyData{},
	},
	{
		ID: "MTLS-016", Title: "Identities kept apart", Clauses: []string{"3.4"},
		Source: "RFC 9440 section 2.4; ASVS 4.1.3", Level: MUST, Tier: Core,
		Rule:     Says("Of 200 calls of two clients at once, on connections that are kept, each is answered as its own client's."),
		Stimulus: probe.Interleaving(50),
		Outcome: outcome.WhereOffered{Outcome: outcome.PerVariant{
			clientcert.Enrolled().Name: outcome.Accepted(), clientcert.Unenrolled().Name: outcome.Forbidden(),
		}},
	},
	{
		ID: "MTLS-017", Title: "Plain HTTP at the port of TLS", Clauses: []string{"3.2", "3.5"},
		Source: "ASVS 12.2.1; LAB-3", Level: MUST, Tier: Core,
		Rule:     Says("A call in the clear to the port of TLS is answered 400, or the connection is closed."),
		Stimulus: bare().Each(probe.Cleartext()), Outcome: outcome.InTLS().Or(400),
	},
	{
		ID: "MTLS-018", Title: "Forged PROXY header", Clauses: []string{"3.5"},
		Source: "HAProxy PROXY protocol section 2.2.6; ASVS 4.1.3", Level: MUST, Tier: Core,
		Rule:     Says("A header of the PROXY protocol before the handshake gives nobody another identity: it is refused, or passed over."),
		Stimulus: probe.NoCredential(MTLS).And(probe.Presenting(clientcert.Unenrolled())).Each(probe.Prefaces()...), Outcome: outcome.Rejected(),
	},
	{
		ID: "MTLS-019", Title: "Bearer in place of a certificate", Clauses: []string{"3.2"},
		Source: "runbook, goal: the mode is OIDC or mTLS", Level: MUST,
		Rule:     Says("In mtls mode a valid token without a certificate is refused as nothing is."),
		Stimulus: probe.NoCredential(MTLS).Each(probe.BearerToo()).AlsoBehind(),
		Outcome: outcome.PerVariant{
			none + " " + probe.BearerToo().Name:                   outcome.Unauthenticated(),
			probe.BehindName(none + " " + probe.BearerToo().Name): outcome.Unauthorized(),
		},
	},
	{
		ID: "MTLS-020", Title: "Certificate or header in place of a bearer", Clauses: []string{"2.6", "4.4"},
		Source: "runbook, goal: the mode is OIDC or mTLS; runbook section 3", Level: MUST,
		Rule:     Says("In oidc mode an enrolled certificate, an identity header, or both, without a token, is answered 401."),
		Stimulus: probe.OIDCWith().AlsoBehind(), Outcome: outcome.Unauthorized(),
	},
	{
		ID: "MTLS-021", Title: "Untrusted is not unenrolled", Clauses: []string{"3.3", "3.5"},
		Source: "ASVS 12.1.3; rulings A-04", Level: MUST, Tier: Core,
		Rule:     Says("Certificates of an untrusted authority are refused alike, whether their name is on the list or not: a 403 would say that the chain was believed."),
		Stimulus: probe.Presenting(clientcert.Untrusted(), clientcert.UntrustedUnenrolled()), Outcome: outcome.Same{Each: outcome.Unauthenticated()},
	},
}

func merge(lists ...outcome.PerVariant) outcome.PerVariant {
	all := outcome.PerVariant{}
	for _, list := range lists {
		for variant, want := range list {
			all[variant] = want
		}
	}
	return all
}
