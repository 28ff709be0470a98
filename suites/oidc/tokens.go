package oidc

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Tokens are the expectations on the form of a token and of its signature, and
// on telling tokens apart.
var Tokens = []Expectation{
	{
		ID: "OIDC-016", Title: "Payload not a JSON object", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 7.2, steps 9 and 10", Level: MUST,
		Rule:     Says("An authentic token whose payload is an array, null, a string or empty is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.Shapeless()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "OIDC-017", Title: "JWS in JSON", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 1; Wycheproof, valid JSON serialization", Level: MUST,
		Rule:     Says("A valid token in a JSON serialization of JWS is answered 401 (400 is tolerated): a JWT is compact."),
		Stimulus: probe.Bearer(token.JSONSerialized()...), Outcome: outcome.Unauthenticated().Genuine().Or(400),
	},
	{
		ID: "OIDC-019", Title: "ECDSA signatures of zero and order", Clauses: []string{"4.4"},
		Source: "RFC 7518 section 3.4; CVE-2022-21449; Wycheproof json_web_signature tcId 386 to 401", Level: MUST,
		Rule:     Says("A token with right claims whose r and s are each 0, 1, the order of the curve or the number before it is answered 401."),
		Stimulus: probe.Bearer(token.Psychic()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "OIDC-020", Title: "ECDSA signature in another form", Clauses: []string{"4.4"},
		Source: "RFC 7518 section 3.4; Wycheproof json_web_signature tcId 379 to 385", Level: MUST,
		Rule:     Says("A right ECDSA signature in DER, or of any length but the curve's, is answered 401."),
		Stimulus: probe.Bearer(token.Malformed()...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "OIDC-022", Title: "Concurrent verdicts kept apart", Clauses: []string{"4.3", "4.4"},
		Source: "ASVS 16.5.3", Level: MUST,
		Rule:     Says("Of fifty and more valid and tampered tokens in flight, every valid one is answered 200 as its own subject, every tampered one 401."),
		Stimulus: probe.Interleaved(9),
		Outcome: outcome.PerVariant{
			token.Subject().Name:      outcome.Accepted().AsSubject(),
			token.OtherPayload().Name: outcome.Unauthenticated(),
		},
	},
}
