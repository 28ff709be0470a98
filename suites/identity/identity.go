// Package identity is the chapter of who a caller is taken for: the identity
// header (runbook section 3) and the enrolment list (sections 1, 4 and 8).
package identity

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// Headers are the expectations on the identity header.
var Headers = []Expectation{
	{
		ID: "HDR-001", Title: "Header alone", Clauses: []string{"3.5"},
		Source: "RFC 9440 section 2.4; ASVS 4.1.3", Level: MUST, Tier: Core,
		Rule:     Says("A call without a certificate that claims the enrolled identity by header is refused as if it had not."),
		Stimulus: probe.NoCredential(MTLS).Adding(probe.ClaimEnrolled()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "HDR-002", Title: "Header over an unenrolled certificate", Clauses: []string{"3.4", "3.5"},
		Source: "RFC 9440 section 2.4", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client who claims the enrolled identity by header is answered 403."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()).Adding(probe.ClaimEnrolled()), Outcome: outcome.Forbidden(),
	},
	{
		ID: "HDR-003", Title: "Header over an enrolled certificate", Clauses: []string{"3.4", "8.3"},
		Source: "RFC 9440 section 2.4; ASVS 4.1.3", Level: MUST,
		Rule:     Says("An enrolled client who claims another identity by header is served as the one of his certificate."),
		Stimulus: probe.Presenting(clientcert.Enrolled()).Adding(probe.ClaimUnenrolled()).Needing(Logs),
		Outcome:  outcome.Accepted().AsCertified(),
	},
	{
		ID: "HDR-004", Title: "Header twice", Clauses: []string{"3.4"},
		Source: "RFC 9110 section 5.3; RFC 9440 section 2.4", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client who sends the identity header twice, in any order, is answered 403."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()).Adding(probe.ClaimTwice()...), Outcome: outcome.Forbidden(),
	},
}

// Enrolment are the expectations on the list of allowed clients.
var Enrolment = []Expectation{
	{
		ID: "ENR-001", Title: "Removal takes effect", Clauses: []string{"6.5"},
		Source: "runbook section 6; rulings A-19", Level: MUST,
		Rule:     Says("A client taken out of the list is answered 403 within the declared bound, by default 60 seconds."),
		Stimulus: probe.RemoveClient(), Outcome: outcome.Forbidden(),
	},
	{
		ID: "ENR-003", Title: "List in JSON", Clauses: []string{"1.4", "8.4"},
		Source: "runbook section 1", Level: MUST,
		Rule:     Says("Of a list of two clients in JSON, each member is served and anybody else is answered 403."),
		Stimulus: probe.JSONList(),
		Outcome: outcome.PerVariant{
			"first member": outcome.Accepted(), "second member": outcome.Accepted(), "client outside the list": outcome.Forbidden(),
		},
	},
	{
		ID: "ENR-005", Title: "Empty list is nobody", Clauses: []string{"4.8", "8.4"},
		Source: "ASVS 16.5.3; rulings A-17", Level: MUST,
		Rule:     Says("Once the list is [], every client is answered 403: an empty list enrols nobody."),
		Stimulus: probe.EmptyList(), Outcome: outcome.Forbidden(),
	},
}
