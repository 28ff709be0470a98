package report

import (
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// lacking is what was not exercised for one lack: what to grant, and what that would show.
type lacking struct {
	Lacks    []harness.Capability
	Reason   string // where it lacks no capability
	Findings []signoff.Finding
	Claimed  int // how many of them the sign-off claims
}

// lackings groups what was not exercised although this kind of run could show it, what
// would show most first.
func lackings(r signoff.Record) []lacking {
	var all []lacking
	at := map[string]int{}
	for _, f := range r.ByVerdict(harness.NotExercised) {
		if f.BeyondReach {
			continue
		}
		key := join(f.Missing)
		if key == "" {
			key = f.Reason
		}
		if _, known := at[key]; !known {
			at[key] = len(all)
			all = append(all, lacking{Lacks: f.Missing, Reason: f.Reason})
		}
		one := &all[at[key]]
		one.Findings = append(one.Findings, f)
		if r.Claim.Wants(f.Level, f.Tier) {
			one.Claimed++
		}
	}
	slices.SortStableFunc(all, func(a, b lacking) int {
		if a.Claimed != b.Claimed {
			return b.Claimed - a.Claimed
		}
		return len(b.Findings) - len(a.Findings)
	})
	return all
}

// setting is a value of staging.yaml, by its path.
type setting struct{ path, value string }

// settings are what grants a capability, as an example: every reference in it is the
// reader's own to name.
var settings = map[harness.Capability][]setting{
	harness.GivenTokens:       {{"grants.tokens.valid", "env:STAGING_TOKEN"}},
	harness.ExpiredToken:      {{"grants.tokens.expired", "env:STAGING_EXPIRED_TOKEN"}},
	harness.MintTokens:        {{"grants.tokens.signing_key", "{key: file:idp.key, id: KID, algorithm: ES256}"}},
	harness.MintEC:            {{"grants.tokens.signing_key", "{key: file:idp.key, id: KID, algorithm: ES256}"}},
	harness.EncryptTokens:     {{"grants.tokens.signing_key", "{key: file:idp.key, id: KID, algorithm: ES256}"}},
	harness.MintRSA:           {{"grants.tokens.signing_keys", "[{key: file:idp-rsa.key, id: KID-RSA, algorithm: RS256}]"}},
	harness.GivenClientCerts:  {{"grants.certificates.enrolled", "{certificate: file:enrolled.crt, key: file:enrolled.key}"}, {"grants.certificates.unenrolled", "{certificate: file:unenrolled.crt, key: file:unenrolled.key}"}},
	harness.ClientCAKey:       {{"grants.certificates.authority", "{certificate: file:clients-ca.crt, key: file:clients-ca.key}"}, {"grants.certificates.enrolled_cn", "CLIENT-ON-THE-LIST"}, {"grants.certificates.unenrolled_cn", "CLIENT-OFF-THE-LIST"}},
	harness.VaultPKI:          {{"grants.certificates.vault_pki", "{mount: pki, role: conformance}"}, {"grants.certificates.enrolled_cn", "CLIENT-ON-THE-LIST"}, {"grants.certificates.unenrolled_cn", "CLIENT-OFF-THE-LIST"}},
	harness.VaultPKIClient:    {{"grants.certificates.vault_pki", "{mount: pki, role: conformance, client_token: env:STAGING_CLIENT_TOKEN}"}},
	harness.SiblingClient:     {{"grants.certificates.sibling", "{certificate: file:sibling.crt, key: file:sibling.key}"}},
	harness.PublicClient:      {{"grants.certificates.public", "{certificate: file:public.crt, key: file:public.key}"}},
	harness.VaultRead:         {{"grants.vault.address", "https://vault.staging.example:8200"}, {"grants.vault.login", "{token: env:VAULT_TOKEN}"}},
	harness.VaultWrite:        {{"grants.vault.address", "https://vault.staging.example:8200"}, {"grants.vault.login", "{token: env:VAULT_TOKEN}"}, {"grants.vault.write", "true"}},
	harness.RealVault:         {{"grants.vault.service_token", "env:STAGING_SERVICE_TOKEN"}},
	harness.VaultKubernetes:   {{"grants.vault.service_role", "{mount: kubernetes, role: aegis}"}},
	harness.Metrics:           {{"grants.metrics.MODE", "http://aegis.staging.example:8080/metrics"}},
	harness.BackendPath:       {{"grants.backend.MODE", "http://aegis.staging.example:8080"}},
	harness.Logs:              {{"grants.logs.handled", `'handled (?P<identity>\S+)'`}, {"grants.logs.file", "/var/log/aegis/requests.log"}},
	harness.ComponentLogs:     {{"grants.component_logs.ingress", `[tail, -c, "1000000", /var/log/nginx/access.log]`}, {"grants.component_logs.MODE", `[journalctl, -u, aegis, -n, "5000", --no-pager]`}},
	harness.AlertsAPI:         {{"grants.prometheus", "https://prometheus.staging.example"}, {"grants.alertmanager", "https://alertmanager.staging.example"}},
	harness.RestartService:    {{"grants.hooks.replica", `{command: [/opt/aegis/bin/serve], url: "http://127.0.0.1:{{port}}"}`}},
	harness.IngressControlled: {{"grants.hooks.reload", "[systemctl, reload, nginx]"}, {"grants.hooks.trust_file", "/etc/nginx/clients-ca.pem"}},
	harness.DeclaredAudience:  {{"profile.audience", "AUDIENCE"}},
	harness.DeclaredIssuer:    {{"profile.issuer", "https://idp.staging.example"}},
	harness.PlainPort:         {{"target.plain_url", "http://aegis.staging.example"}},
	harness.IngressAddresses:  {{"target.siblings", "[aegis.staging.example:8443]"}},
}

// ToWrite is the YAML that grants what a record lacks, as one piece; empty where it lacks
// nothing that a configuration gives.
func ToWrite(r signoff.Record) string { return toWrite(r, lackings(r)) }

// toWrite is that of some groups.
func toWrite(r signoff.Record, groups []lacking) string {
	tree := &node{}
	var lacks []harness.Capability
	for _, g := range groups {
		for _, c := range g.Lacks {
			if !slices.Contains(lacks, c) {
				lacks = append(lacks, c)
			}
		}
	}
	for _, c := range lacks {
		if effect, ok := strings.CutPrefix(string(c), string(harness.Allows(""))); ok {
			tree.allow(harness.Effect(strings.TrimSpace(effect)))
			continue
		}
		for _, s := range settings[c] {
			tree.settle(s, r.Target.Modes)
		}
	}
	var b strings.Builder
	tree.write(&b, 0)
	return b.String()
}

// node is a mapping of YAML in the order of its keys, or a value.
type node struct {
	key, value string
	under      []*node
}

func (n *node) at(path string) *node {
	for key := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(n.under, func(c *node) bool { return c.key == key })
		if i < 0 {
			n.under = append(n.under, &node{key: key})
			i = len(n.under) - 1
		}
		n = n.under[i]
	}
	return n
}

// settle puts a value where there is none, or a longer one, which says more.
func (n *node) settle(s setting, modes []harness.Mode) {
	paths := []string{s.path}
	if strings.Contains(s.path, "MODE") {
		paths = nil
		for _, mode := range modes {
			paths = append(paths, strings.ReplaceAll(s.path, "MODE", string(mode)))
		}
	}
	for _, path := range paths {
		if at := n.at(path); len(s.value) > len(at.value) {
			at.value = s.value
		}
	}
}

// allow allows the stronger of the effects that are lacked.
func (n *node) allow(effect harness.Effect) {
	if at := n.at("rails.allow"); at.value == "" || harness.Effect(at.value).Within(effect) {
		at.value = string(effect)
	}
}

func (n *node) write(b *strings.Builder, depth int) {
	for _, c := range n.under {
		fmt.Fprintf(b, "%s%s:", strings.Repeat("  ", depth), c.key)
		if c.value != "" {
			b.WriteString(" " + c.value)
		}
		b.WriteByte('\n')
		c.write(b, depth+1)
	}
}
