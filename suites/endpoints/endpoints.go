// Package endpoints is the chapter of the critical endpoints: every one of
// them enforces, by every method and at every spelling of its path (runbook,
// goal).
package endpoints

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// methods are those an endpoint may answer though it declares another, and some
// that none declares.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "FOO"}

// slash appends the trailing slash of EPT-004.
var slash = map[string]func(string) string{"a trailing slash": func(path string) string { return path + "/" }}

// Expectations of the chapter.
var Expectations = []Expectation{
	{
		ID: "EPT-001", Title: "Critical endpoint matrix", Clauses: []string{"G.2", "3.1"},
		Source: "OWASP API2:2023, API5:2023; rulings A-01", Level: MUST, Tier: Core,
		Rule:     Says("Every critical endpoint refuses a call with no credential and a call with a bad one, in every mode."),
		Stimulus: probe.NoCredential(OIDC, MTLS).And(probe.Bearer(token.OtherPayload()), probe.Presenting(clientcert.Untrusted())).EvenWhereItWrites(),
		Outcome:  outcome.Unauthenticated(),
	},
	{
		ID: "EPT-002", Title: "Method matrix", Clauses: []string{"G.2"},
		Source: "RFC 9110 sections 9.1 and 15.5.6; ASVS 4.1.4", Level: MUST,
		Rule:     Says("No method opens a critical endpoint to a call without a credential."),
		Stimulus: probe.Methods(OIDC, methods...).And(probe.Methods(MTLS, methods...)),
		Outcome:  outcome.Denied().Or(400), // of a CONNECT to a path (RFC 9110 section 9.3.6)
	},
	{
		ID: "EPT-004", Title: "Trailing slash", Clauses: []string{"G.2"},
		Source: "rulings A-21, A-22", Level: MUST,
		Rule:     Says("A trailing slash opens no critical endpoint; a redirect stays within the origin and leads to a denial."),
		Stimulus: probe.Paths(OIDC, slash).And(probe.Paths(MTLS, slash)).Following(), Outcome: outcome.Denied().SameOrigin(probe.SameOrigin),
	},
}
