package oidc

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe/keyset"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/token/wycheproof"
)

// Vectors are the expectations that Wycheproof's vectors are held to.
var Vectors = []Expectation{
	{
		ID: "OIDC-018", Title: "Malformed RSA signature encodings", Clauses: []string{"4.4"},
		Source: "RFC 7518 sections 3.3 and 3.5; Wycheproof json_web_signature tcId 46 to 258 and 276 to 319", Level: MUST,
		Rule:     Says("A token with right claims whose RSA signature has the damage of any of Wycheproof's invalid vectors is answered 401; one endpoint is called, for the verifier is one."),
		Stimulus: keyset.Vectors("publish two RSA keys, and call the first critical endpoint with tokens of theirs that carry the damage of each of Wycheproof's invalid RSA vectors", rsaVectors),
		Outcome: outcome.Vectors{
			Rest:     outcome.Unauthenticated(),
			Controls: []string{wycheproof.ControlPKCS1, wycheproof.ControlPSS}, Enough: wycheproof.ControlPKCS1,
		},
	},
	{
		ID: "JOSE-028", Title: "Weak or inappropriate key", Clauses: []string{"4.2", "4.4"},
		Source: "RFC 7518 section 3.3; RFC 7517 sections 4.2 and 4.3; Wycheproof json_web_key tcId 6, 8, 9 and 19 to 24, json_web_signature tcId 353 to 356", Level: SHOULD,
		Rule:     Says("A token of a published key that is too short, of exponent 1, for encryption, malformed or another algorithm's is answered 401."),
		Stimulus: keyset.Everywhere("publish Wycheproof's weak and inappropriate keys beside the sound ones, and call every critical endpoint with a token of each", weakKeys),
		Outcome:  outcome.Unauthenticated(),
	},
}

func rsaVectors() ([]token.JWK, []token.Recipe, []token.Recipe, error) {
	r, err := wycheproof.RSA()
	return r.Keys, r.Controls, r.Hostile, err
}

func weakKeys() ([]token.JWK, []token.Recipe, error) {
	r, err := wycheproof.Weak()
	return r.Keys, r.Hostile, err
}
