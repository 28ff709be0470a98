package rotation

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe/vaultauth"
)

// Issuance are the expectations on how Vault issues clients' certificates.
var Issuance = []Expectation{
	{
		ID: "ROT-005", Title: "Certificates are issued for short", Clauses: []string{"6.2", "6.6"},
		Source: "runbook section 6, \"short-lived\"; Vault PKI, max_ttl", Level: SHOULD,
		Rule:     Says("Vault's PKI role issues no client certificate for longer than the declared bound, by default 72 hours, and none that clients were given lives longer."),
		Stimulus: vaultauth.IssuedLives(), Outcome: outcome.ShortIssued{},
	},
	{
		ID: "ROT-006", Title: "Nobody is issued another's name", Clauses: []string{"6.2"},
		Source: "Vault PKI, allowed_domains, allow_any_name, server_flag and cn_validations; rulings LAB-3", Level: MUST,
		Rule:     Says("A client, by its own identity in Vault, is issued a certificate in its own name for a client's use, and none in another's name, with a comma in its subject, or for a server's or an authority's use."),
		Stimulus: vaultauth.Wishes(), Outcome: outcome.OwnNameOnly{},
	},
}
