package secrets

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe/vaultauth"
)

// Logins are the expectations on who may log in to Vault as the service.
var Logins = []Expectation{
	{
		ID: "SEC-004", Title: "Login bound to the service account", Clauses: []string{"1.5"},
		Source: "runbook section 1; Vault Kubernetes auth", Level: MUST,
		Rule:     Says("Vault's Kubernetes role lets in aegis-service-account of one namespace and nobody else, with a token for Vault's audience, for at most an hour, and gives no policy with a wildcard."),
		Stimulus: vaultauth.Binding(), Outcome: outcome.BoundTo{Account: "aegis-service-account"},
	},
}
