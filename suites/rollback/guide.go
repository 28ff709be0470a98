package rollback

// Step is a step of an operator through section 7 of the runbook: what to do, what
// that shows when all is well, what else it may show, and what holds it.
type Step struct {
	Clause string // as in suites.Runbook
	Do     []string
	Shows  string
	Else   string
	Holds  []string // IDs of expectations
}

// Guide leads through section 7, in the order to take: from what is looked at to
// what is changed.
var Guide = []Step{
	{
		Clause: "7.1",
		Do: []string{
			"read aegis_auth_failures_total by reason, and the log's records of denials",
			"read aegis_auth_mode_info of every replica",
		},
		Shows: "which reason has risen since enforcing: one reason is one cause; and every replica in the mode that was meant",
		Else:  "missing_credentials: clients were not told. unknown_key or issuer: the key set or the IdP. not_by_ingress or not_enrolled: step 3, and the list",
		Holds: []string{"MET-003", "MET-004", "MET-015", "RBK-003"},
	},
	{
		Clause: "7.2",
		Do: []string{
			"vault kv get -mount=secret -field=oidc_jwks_uri aegis/runtime (and model_signing_pubkey, clients/allowed)",
			"vault kv metadata get -mount=secret aegis/runtime",
		},
		Shows: "each field, not blank; the newest version neither deleted nor destroyed",
		Else:  "a field that is missing or wrong: vault kv rollback -mount=secret -version=N aegis/runtime; the service runs on it within its declared bound, with no restart",
		Holds: []string{"FFS-001", "FFS-003", "MET-016", "RBK-005"},
	},
	{
		Clause: "7.3",
		Do:     []string{"with the service's own token: vault token capabilities secret/data/aegis/runtime", "read the log of a replica that ended"},
		Shows:  "read, and nothing else; the log's last record names the secret, or the refusal",
		Else:   "deny: the policy or the role's bound service account; a replica that cannot read its secrets never becomes ready, and those that stand go on enforcing",
		Holds:  []string{"RBK-004", "SEC-003"},
	},
	{
		Clause: "7.4",
		Do: []string{
			"call a critical endpoint without a certificate, with an enrolled one, and with one that is not enrolled",
			"read the ingress's log: what it refuses, the service never sees",
		},
		Shows: "401 (or the declared refusal), 200, 403; and a line for each refusal",
		Else:  "a refusal of the enrolled client: the bundle of authorities, or the chain. 403 for everybody: the identity header, or the list. 200 without a certificate: close it first, ask later",
		Holds: []string{"HDR-001", "HDR-002", "MET-010", "MTLS-001", "MTLS-002", "MTLS-003"},
	},
	{
		Clause: "7.5",
		Do: []string{
			"last of all: start a debug replica with AUTH_MODE=none that no public address leads to, and set an hour for its end",
			"remedy the secrets, end the debug replica, deploy with AUTH_MODE as it was",
		},
		Shows: "an alert for as long as a replica runs with none (AegisAuthenticationOff); no public call that it answers; after it, forty new connections in each mode that enforce",
		Else:  "one answer without a credential: the debug replica is still behind the address. If the new release is at fault, the one before enforces as well",
		Holds: []string{"EPT-022", "RBK-001", "RBK-002", "RBK-006"},
	},
}
