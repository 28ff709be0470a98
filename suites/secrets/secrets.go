// Package secrets is the chapter of runtime secrets: a service that lacks one
// does not start (runbook sections 2 and 5), and may read no more than its own
// (sections 1 and 7).
package secrets

import (
	"time"

	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/leak"
	"aegis.test/conformance/harness/probe/replica"
	"aegis.test/conformance/harness/probe/vaultauth"
	"aegis.test/conformance/harness/token"
)

// FailFast are the expectations on a start without its secrets.
var FailFast = []Expectation{
	{
		ID: "FFS-001", Title: "oidc_jwks_uri missing", Clauses: []string{"G.3", "2.1", "2.2", "2.6", "5.1", "8.1"},
		Source: "runbook sections 2 and 5; rulings A-29", Level: MUST,
		Rule:     Says("Without oidc_jwks_uri in aegis/runtime the service exits with a non-zero status and serves nobody."),
		Stimulus: replica.In(OIDC).Without("oidc_jwks_uri"), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-002", Title: "model_signing_pubkey missing", Clauses: []string{"G.3", "2.1", "2.2", "2.3", "5.1", "8.1"},
		Source: "runbook sections 2 and 5; rulings A-29", Level: MUST,
		Rule:     Says("Without model_signing_pubkey in aegis/runtime the service exits with a non-zero status and serves nobody."),
		Stimulus: replica.In(OIDC).Without("model_signing_pubkey"), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-003", Title: "Secret path absent", Clauses: []string{"G.1", "1.3", "2.3", "2.4", "8.1"},
		Source: "runbook section 2", Level: MUST,
		Rule:     Says("With nothing at secret/data/aegis/runtime the service exits with a non-zero status and serves nobody."),
		Stimulus: replica.In(OIDC).WithoutSecret(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-004", Title: "Blank and placeholder values", Clauses: []string{"G.3", "2.1", "5.1"},
		Source: "runbook section 5; Vault Agent, templates: <no value>", Level: MUST,
		Rule: Says("With a required field that is blank, or holds a placeholder in place of its value, the service exits with a non-zero status and serves nobody."),
		Stimulus: replica.In(OIDC).WithEach("oidc_jwks_uri", "", "   ", "\n", "<no value>", "null", "CHANGEME", "{{ .Data.data.oidc_jwks_uri }}").
			Or(replica.In(OIDC).WithEach("model_signing_pubkey", "", "<no value>")),
		Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-005", Title: "model_signing_pubkey is no public key", Clauses: []string{"1.4", "5.1"},
		Source: "runbook section 1, \"(PEM)\"", Level: SHOULD,
		Rule:     Says("With a model_signing_pubkey that is text, half of a PEM block, a private key or a certificate the service exits with a non-zero status."),
		Stimulus: replica.In(OIDC).MalformedKeys(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-006", Title: "oidc_jwks_uri is no https URL", Clauses: []string{"1.4", "2.6", "5.1"},
		Source: "OpenID Connect Discovery 1.0 section 3", Level: SHOULD,
		Rule:     Says("With an oidc_jwks_uri that is no URL, or one of http or file, the service exits with a non-zero status."),
		Stimulus: replica.In(OIDC).WithEach("oidc_jwks_uri", "foo", "http://idp.invalid/jwks", "file:///etc/passwd"), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-007", Title: "Vault unreachable", Clauses: []string{"G.3", "5.1"},
		Source: "runbook section 5; rulings A-29", Level: MUST,
		Rule:     Says("With nobody at VAULT_ADDR, or somebody who never answers, the service exits with a non-zero status after a bounded time and serves nobody."),
		Stimulus: replica.In(OIDC).Unreachable(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-008", Title: "Vault denies", Clauses: []string{"5.1", "7.3"},
		Source: "runbook sections 5 and 7", Level: MUST,
		Rule:     Says("With a token whose policy does not allow aegis/runtime the service exits with a non-zero status, and its log names the path."),
		Stimulus: replica.In(OIDC).Unentitled().Logging("aegis/runtime", "permission denied"), Outcome: outcome.RefusesToStart().Named(),
	},
	{
		ID: "FFS-009", Title: "Vault token invalid", Clauses: []string{"5.1", "7.3"},
		Source: "runbook sections 1 and 7", Level: MUST,
		Rule:     Says("With a token of Vault's that is unknown, revoked or expired the service exits with a non-zero status and serves nobody."),
		Stimulus: replica.In(OIDC).WithToken(RevokedVaultToken, ExpiredVaultToken), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-010", Title: "Vault sealed", Clauses: []string{"G.3", "5.1"},
		Source: "Vault, /sys/health; runbook section 5", Level: MUST,
		Rule:     Says("While Vault is sealed the service exits with a non-zero status after a bounded time and serves nobody."),
		Stimulus: replica.In(OIDC).Sealed(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-011", Title: "Version deleted or destroyed", Clauses: []string{"G.3", "1.3", "5.1"},
		Source: "Vault, KV v2: 404 with metadata", Level: MUST,
		Rule:     Says("While the newest version of aegis/runtime is deleted or destroyed the service exits with a non-zero status and serves nobody."),
		Stimulus: replica.In(OIDC).Deleted(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-012", Title: "Enrolment list missing", Clauses: []string{"1.4", "2.7", "8.4"},
		Source: "runbook section 8; rulings A-17", Level: SHOULD,
		Rule:     Says("Without clients/allowed a service in mtls mode exits with a non-zero status."),
		Stimulus: replica.In(MTLS).Without(probe.ListField), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-013", Title: "AUTH_MODE unset", Clauses: []string{"2.5", "7.5"},
		Source: "runbook, goal; rulings A-30", Level: MUST,
		Rule:     Says("Without AUTH_MODE the service exits with a non-zero status, or enforces; it never serves unauthenticated calls."),
		Stimulus: replica.In(OIDC).Unset("AUTH_MODE"), Outcome: outcome.RefusesOrEnforces(),
	},
	{
		ID: "FFS-014", Title: "AUTH_MODE misspelt", Clauses: []string{"2.5", "7.5"},
		Source: "ASVS 16.5.3; rulings A-30", Level: MUST,
		Rule:     Says("With an AUTH_MODE that is misspelt, empty or a list the service exits with a non-zero status, or enforces; it never serves unauthenticated calls."),
		Stimulus: replica.In(OIDC).EnvEach("AUTH_MODE", "odic", "none,oidc", "", "off", "OIDC", " mtls "), Outcome: outcome.RefusesOrEnforces(),
	},
	{
		ID: "FFS-015", Title: "What is required depends on the mode", Clauses: []string{"2.2", "2.5"},
		Source: "runbook section 2", Level: MAY,
		Rule:     Says("A service in oidc mode starts without clients/allowed, which it does not use; one in mtls mode without oidc_jwks_uri exits, or enforces."),
		Stimulus: replica.In(OIDC).Without(probe.ListField).Serving().Or(replica.In(MTLS).Without("oidc_jwks_uri")),
		Outcome: outcome.PerStart{
			"while aegis/runtime lacks clients/allowed": outcome.Serves(), "while aegis/runtime lacks oidc_jwks_uri": outcome.RefusesOrEnforces(),
		},
	},
	{
		ID: "FFS-016", Title: "Exit tells what, and not which value", Clauses: []string{"5.1", "8.5"},
		Source: "runbook section 5; ASVS 16.2.5", Level: MUST,
		Rule: Says("A service that exits for a secret that is missing or malformed names each such key in its log, and shows neither a value of the secrets nor its token."),
		Stimulus: replica.In(OIDC).Without("oidc_jwks_uri", "model_signing_pubkey").
			Or(replica.In(OIDC).MalformedKeys(), replica.In(MTLS).Without(probe.ListField)),
		Outcome: outcome.RefusesToStart().Named().Discreet(),
	},
	{
		ID: "FFS-017", Title: "No serving before secrets", Clauses: []string{"G.3", "2.1", "5.1"},
		Source: "runbook section 5; ASVS 16.5.3", Level: MUST,
		Rule:     Says("While Vault holds its answers back nobody is served, from the first moment on; once they come, service begins."),
		Stimulus: replica.In(OIDC).HeldVault(), Outcome: outcome.ServesOnlyWithSecrets(),
	},
	{
		ID: "FFS-018", Title: "Every worker fails", Clauses: []string{"2.1", "5.1"},
		Source: "runbook sections 2 and 5; gunicorn and uvicorn, WEB_CONCURRENCY", Level: MUST,
		Rule:     Says("With several workers and a required field missing the service exits with a non-zero status: no worker serves that has not found its secrets."),
		Stimulus: replica.In(OIDC).Workers("oidc_jwks_uri"), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-019", Title: "Environment does not mask Vault", Clauses: []string{"G.1", "2.4", "2.6"},
		Source: "runbook, goal", Level: SHOULD,
		Rule:     Says("With oidc_jwks_uri missing in Vault, or Vault out of reach, and an environment that holds every field under its own name, the service exits with a non-zero status."),
		Stimulus: replica.In(OIDC).Masked(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "FFS-020", Title: "Issuer and audience unset", Clauses: []string{"G.2", "2.6", "4.4"},
		Source: "OpenID Connect Core section 3.1.3.7; RFC 8725 sections 3.8 and 3.9", Level: MUST,
		Rule: Says("Without OIDC_ISSUER, or OIDC_AUDIENCE, or with a blank one, the service exits with a non-zero status, or refuses tokens of another issuer and for another audience."),
		Stimulus: replica.In(OIDC).Unset("OIDC_ISSUER").Presenting(token.OtherIssuer()).Serving().Or(
			replica.In(OIDC).Unset("OIDC_AUDIENCE").Presenting(token.OtherAudience()).Serving(),
			replica.In(OIDC).Env("OIDC_ISSUER", " ").Presenting(token.OtherIssuer()).Serving(),
			replica.In(OIDC).Env("OIDC_AUDIENCE", " ").Presenting(token.OtherAudience()).Serving()),
		Outcome: outcome.RefusesOrEnforces(),
	},
}

// Hygiene are the expectations on what the service's own identity may do, and
// on whom it trusts.
var Hygiene = []Expectation{
	{
		ID: "SEC-001", Title: "No credentials in logs", Clauses: []string{"5.2", "8.5"},
		Source: "ASVS 16.2.5; RFC 6750 section 5.3; runbook section 5", Level: MUST,
		Rule:     Says("No log of the services, at level info or debug, and none of the ingress shows a token, a password or a secret, in any form: not of good calls, bad calls, rotations or starts that fail; nor does what a service leaves that crashes."),
		Stimulus: leak.InLogs(), Outcome: outcome.Hides("logs without credentials", Contract),
	},
	{
		ID: "SEC-002", Title: "No secrets in answers", Clauses: []string{"G.1"},
		Source: "ASVS 16.5.1", Level: MUST,
		Rule: Says("No answer, of whatever status and to whomever, shows a secret of the service or a credential, in any form, and no error tells of the inside."),
		Stimulus: leak.InAnswers(probe.NoCredential(OIDC, MTLS).And(
			probe.Bearer(token.Sound(), token.Expired(time.Hour), token.FlippedBit(), token.OtherAudience(), token.OtherIssuer(), token.UnknownKey()),
			probe.Bearer(token.Garbage()...), probe.Presenting(clientcert.Enrolled(), clientcert.Unenrolled()), probe.Mistakes()).Writing()),
		Outcome: outcome.Hides("answers without secrets", Security).Mute().Anywhere(),
	},
	{
		ID: "SEC-003", Title: "Vault least privilege", Clauses: []string{"1.2", "7.3"},
		Source: "ASVS 13.3.2; runbook section 1", Level: MUST,
		Rule:     Says("The service's Vault token reads secret/data/aegis/runtime and may do nothing else."),
		Stimulus: vaultauth.Policy("secret/data/aegis/runtime", "secret/metadata/aegis/runtime", "secret/data/aegis/other", "secret/metadata", "sys/mounts", "sys/policies/acl", "auth/token/create"),
		Outcome: outcome.Allows{
			"secret/data/aegis/runtime": {"read"}, "secret/metadata/aegis/runtime": {"deny"}, "secret/data/aegis/other": {"deny"},
			"secret/metadata": {"deny"}, "sys/mounts": {"deny"}, "sys/policies/acl": {"deny"}, "auth/token/create": {"deny"},
		},
	},
	{
		ID: "SEC-005", Title: "No static token of Vault's", Clauses: []string{"1.2", "7.3"},
		Source: "ASVS 13.2.1; runbook section 1", Level: MUST,
		Rule:     Says("The service's Vault token came by a login, is no root token, and ends of itself within a day."),
		Stimulus: vaultauth.Token(), Outcome: outcome.LoggedIn{Life: DefaultTokenLife},
	},
	{
		ID: "SEC-006", Title: "The certificate of who gives the secrets is verified", Clauses: []string{"G.1", "1.2"},
		Source: "ASVS 12.3.2; RFC 9525 section 6; RFC 5280 section 6.1.3", Level: MUST,
		Rule:     Says("With an impostor before Vault, or AWS, who hands on what he reads, whose certificate is of nobody's authority, for another name or expired, the service exits with a non-zero status: it does not take secrets from who cannot prove to hold them."),
		Stimulus: replica.In(OIDC).Impostor(), Outcome: outcome.RefusesToStart(),
	},
	{
		ID: "SEC-007", Title: "Secrets are not deployed", Clauses: []string{"G.1"},
		Source: "ASVS 13.3.1; runbook, goal", Level: MUST,
		Rule:     Says("What aegis/runtime holds in confidence, the service's token of Vault and what its ingress proves itself with are in no image of the services, in no environment or configuration they were started with, and in no file that was copied to them, in any form."),
		Stimulus: leak.InDeployment(), Outcome: outcome.Hides("a deployment without the service's secrets", Contract),
	},
	{
		ID: "SEC-008", Title: "Rendered files are protected", Clauses: []string{"1.6", "1.7"},
		Source: "ASVS 13.3.1; runbook section 1, options A and B", Level: SHOULD,
		Rule:     Says("Secrets that Vault Agent renders to files are the service's user's own, 0440 at most and in memory; the service runs on them alone, and takes up what is rendered anew."),
		Stimulus: leak.InRenderedFiles(), Outcome: outcome.Rendered{},
	},
	{
		ID: "SEC-009", Title: "No tokens in logs by way of the URL", Clauses: []string{"8.5"},
		Source: "RFC 6750 section 5.3; RFC 9700 section 4.3.2", Level: SHOULD,
		Rule:     Says("A token in the query of a call shows in no log of the services or of the ingress, in any form."),
		Stimulus: leak.InURLs(), Outcome: outcome.Hides("logs without the tokens of URLs", Contract),
	},
	{
		ID: "SEC-010", Title: "No callers and no secrets in metrics", Clauses: []string{"5.3"},
		Source: "Prometheus, metric and label naming; ASVS 16.2.5", Level: MUST,
		Rule:     Says("No label on the metrics page shows a token or whom a caller names himself, and further callers make no further series."),
		Stimulus: leak.InMetrics(4), Outcome: outcome.Hides("labels of a bounded set, without callers and secrets", Contract),
	},
	{
		ID: "SEC-011", Title: "Callers cannot forge the log", Clauses: []string{"5.2", "8.5"},
		Source: "ASVS 16.4.1; CWE-117", Level: SHOULD,
		Rule:     Says("CR, LF and escape sequences in a kid, a subject, a common name, a path or Authorization are encoded in the logs of services and ingress: one record an event."),
		Stimulus: leak.Injections(), Outcome: outcome.Hides("records that callers cannot forge, one of each denial", Contract).Whatever().OneEach(),
	},
}
