// Package mtls is the chapter of client certificates: runbook sections 3 and 4,
// "mTLS flow", and what stands around it.
package mtls

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// Expectations of the chapter.
var Expectations = []Expectation{
	{
		ID: "MTLS-001", Title: "No client certificate", Clauses: []string{"3.2", "4.7", "8.3"},
		Source: "RFC 8446 section 4.4.2.4; RFC 9110 section 15.5.2; rulings A-01, A-02", Level: MUST, Tier: Core,
		Rule:     Says("A call without a client certificate is answered 401, or as the profile declares."),
		Stimulus: probe.NoCredential(MTLS).EvenWhereItWrites(), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "MTLS-002", Title: "Enrolled certificate", Clauses: []string{"2.7", "3.4", "4.6", "8.3"},
		Source: "runbook section 4", Level: MUST,
		Rule:     Says("An enrolled client's certificate is answered 200 on every critical endpoint."),
		Stimulus: probe.EnrolledCertificate(), Outcome: outcome.Accepted(),
	},
	{
		ID: "MTLS-003", Title: "Verified but not enrolled", Clauses: []string{"4.8"},
		Source: "RFC 9110 section 15.5.4; rulings A-07", Level: MUST, Tier: Core,
		Rule:     Says("A certificate that verifies, of a client who is not enrolled, is answered 403."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()).EvenWhereItWrites(), Outcome: outcome.Forbidden(),
	},
	{
		ID: "MTLS-004", Title: "Both TLS versions enforce", Clauses: []string{"3.2"},
		Source: "RFC 8446 section 4.4.2; RFC 5246 section 7.4.6", Level: MUST, Tier: Core,
		Rule:     Says("Every version of TLS that is offered, of 1.2 and 1.3, gives each client the same answer: none and an untrusted one refused, enrolled served, unenrolled 403, whatever he claims."),
		Stimulus: whoever.Each(probe.Transports()[:2]...),
		Outcome:  outcome.WhereOffered{Outcome: each(probe.Transports()[:2], answers)},
	},
}

// untrusted is the answer to a certificate that does not verify, by whatever is offered.
var untrusted = outcome.WhereOffered{Outcome: outcome.Unauthenticated()}

// everyWay presents a certificate at every endpoint, and at the first one over each version
// of TLS and HTTP, alone and as it is sent with others: an ingress that verifies under one
// of them, or takes an authority from the client's own list, believes it there.
func everyWay(alone clientcert.Recipe, sent ...clientcert.Recipe) probe.Calls {
	return probe.Presenting(alone).And(probe.Presenting(append(sent, alone)...).Once().Each(probe.Transports()...))
}

// Chains are the expectations on which certificates verify. Each carries the
// enrolled client's name, so that a 403 cannot hide a chain that was believed.
var Chains = []Expectation{
	{
		ID: "CHN-001", Title: "Untrusted authority", Clauses: []string{"3.3", "3.5"},
		Source: "RFC 5280 section 6.1", Level: MUST, Tier: Core,
		Rule:     Says("A certificate of an authority the ingress does not trust is refused, whatever is sent with it, over each version of TLS and HTTP that is offered."),
		Stimulus: everyWay(clientcert.Untrusted(), clientcert.UntrustedSent()...), Outcome: untrusted,
	},
	{
		ID: "CHN-002", Title: "Self-signed leaf", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1", Level: MUST, Tier: Core,
		Rule:     Says("A self-signed certificate is refused, whatever is sent with it, over each version of TLS and HTTP that is offered."),
		Stimulus: everyWay(clientcert.SelfSigned(), clientcert.SelfSignedSent()...), Outcome: untrusted,
	},
	{
		ID: "CHN-003", Title: "Look-alike authority", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.3(a)(1)", Level: MUST,
		Rule:     Says("A certificate of an authority with the trusted one's name and key identifier, and another key, is refused, whatever is sent with it, over each version of TLS and HTTP that is offered."),
		Stimulus: everyWay(clientcert.LookAlike(), clientcert.LookAlikeSent()...), Outcome: untrusted,
	},
	{
		ID: "CHN-004", Title: "Expired leaf", Clauses: []string{"3.3", "6.6"},
		Source: "RFC 5280 sections 4.1.2.5 and 6.1.3(a)(2)", Level: MUST,
		Rule:     Says("A certificate that expired an hour ago is refused."),
		Stimulus: everyWay(clientcert.Expired()), Outcome: untrusted,
	},
	{
		ID: "CHN-005", Title: "Leaf not yet valid", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 6.1.3(a)(2)", Level: MUST,
		Rule:     Says("A certificate that is valid only in an hour is refused."),
		Stimulus: everyWay(clientcert.Future()), Outcome: untrusted,
	},
	{
		ID: "CHN-006", Title: "serverAuth only", Clauses: []string{"3.3"},
		Source: "RFC 5280 section 4.2.1.12; CVE-2022-21657", Level: MUST,
		Rule:     Says("A certificate whose only extended key usage is serverAuth is refused."),
		Stimulus: everyWay(clientcert.ForServer()), Outcome: untrusted,
	},
}
