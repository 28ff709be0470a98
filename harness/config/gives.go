package config

import (
	"strings"

	"aegis.test/conformance/harness"
)

// gives says what in a configuration grants a capability.
var gives = map[harness.Capability]string{
	harness.GivenTokens: "grants.tokens (valid, client_credentials, vault_role or signing_key)", harness.ExpiredToken: "grants.tokens (expired, signing_key, or client_credentials whose tokens end within wait_max)",
	harness.MintTokens: "grants.tokens.signing_key", harness.MintEC: "grants.tokens.signing_key, of an ES algorithm", harness.MintRSA: "grants.tokens.signing_key, of an RS or PS algorithm",
	harness.EncryptTokens:    "grants.tokens.signing_key, of an RS, PS or ES algorithm",
	harness.GivenClientCerts: "grants.certificates (enrolled and unenrolled, authority, or vault_pki)", harness.ClientCAKey: "grants.certificates.authority",
	harness.VaultPKI: "grants.certificates.vault_pki", harness.VaultPKIClient: "grants.certificates.vault_pki.client_token",
	harness.VaultKubernetes: "grants.vault.service_role",
	harness.SiblingClient:   "grants.certificates.sibling", harness.PublicClient: "grants.certificates.public",
	harness.VaultRead: "grants.vault or grants.aws", harness.VaultWrite: "grants.vault.write or grants.aws.write", harness.RealVault: "grants.vault.service_token",
	harness.Metrics: "grants.metrics", harness.Logs: "grants.logs", harness.BackendPath: "grants.backend",
	harness.ComponentLogs: "grants.component_logs", harness.AlertsAPI: "grants.prometheus and grants.alertmanager",
	harness.RestartService: "grants.hooks.replica", harness.IngressControlled: "grants.hooks.reload and trust_file",
	harness.DeclaredAudience: "profile.audience (none, where tokens of any are accepted)", harness.DeclaredIssuer: "profile.issuer (none, where those of any are accepted)",
	harness.PlainPort: "target.plain_url", harness.IngressAddresses: "target.siblings",
}

// OursOnly is what grants a capability that no configuration can.
const OursOnly = "only a stack of ours: conformance run"

// Gives says what in a configuration grants a capability, or that nothing does.
func Gives(c harness.Capability) string {
	if effect, ok := strings.CutPrefix(string(c), string(harness.Allows(""))); ok {
		return "--allow " + strings.TrimSpace(effect)
	}
	if strings.HasPrefix(string(c), string(harness.CallsEndpoint(""))) {
		return "endpoints, where an accepted call may be made"
	}
	if said := gives[c]; said != "" {
		return said
	}
	return OursOnly
}

// OutOfReach lists the capabilities that no configuration of a live target grants.
func OutOfReach() []harness.Capability {
	var out []harness.Capability
	for _, c := range harness.Capabilities {
		if c != harness.URL && Gives(c) == OursOnly {
			out = append(out, c)
		}
	}
	return out
}
