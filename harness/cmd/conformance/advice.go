package main

import (
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
)

// grant is something that a configuration could grant beside what it does: the
// capabilities it gives, what it is called, and how its file would then differ. What it
// names is never read: it is for paper.
type grant struct {
	of   []harness.Capability
	name string
	give func(*config.File)
}

// refused reports whether a configuration of one mode refuses the grant, which is for
// the other only.
func (g grant) refused(mode string) bool {
	of := g.of[0].Row().Mode
	return of != "" && mode != bothModes && mode != string(of)
}

// bothModes is the mode of a configuration that shows both.
const bothModes = "both"

const onPaper = config.OnPaper

var paperPair = config.Pair{Certificate: onPaper, Key: onPaper}

func gives(all ...harness.Capability) []harness.Capability { return all }

// grants lists them; of two that add as much, the first is told first. What a capability's
// row names by one key needs no line here.
var grants = slices.Concat(chosen, byKey(), callable("inference", "enrollment", "review", "review item"))

// chosen are those that more than one key gives, or one of several.
var chosen = []grant{
	{gives(harness.GivenTokens), "grants.tokens (valid, client_credentials or vault_role)", func(f *config.File) { give(&f.Grants.Tokens.Valid, onPaper) }},
	{gives(harness.GivenClientCerts), "grants.certificates (enrolled and unenrolled, or vault_pki)", func(f *config.File) {
		give(&f.Grants.Certificates.Enrolled, paperPair)
		give(&f.Grants.Certificates.Unenrolled, paperPair)
	}},
	{gives(harness.ExpiredToken), "grants.tokens.expired", func(f *config.File) { give(&f.Grants.Tokens.Expired, onPaper) }},
	signingKey("ES256", harness.MintEC), signingKey("RS256", harness.MintRSA),
	{gives(harness.ClientCAKey), "grants.certificates.authority", func(f *config.File) {
		give(&f.Grants.Certificates.Authority, paperPair)
		issueFor(f)
	}},
	{gives(harness.Metrics), "grants.metrics", func(f *config.File) { perMode(f, &f.Grants.Metrics) }},
	{gives(harness.BackendPath), "grants.backend", func(f *config.File) { perMode(f, &f.Grants.Backend) }},
	{gives(harness.Logs), "grants.logs", func(f *config.File) {
		give(&f.Grants.Logs.Handled, "on paper")
		give(&f.Grants.Logs.File, "on paper")
	}},
	{gives(harness.ComponentLogs), "grants.component_logs", func(f *config.File) {
		for _, program := range []*[]string{&f.Grants.Components.Ingress, &f.Grants.Components.OIDC, &f.Grants.Components.MTLS} {
			*program = []string{"on paper"}
		}
	}},
	allowing(harness.Writes), allowing(harness.Disruptive),
	{gives(harness.VaultRead), "grants.vault or grants.aws", inVault(func(*config.File) {})},
	{gives(harness.VaultWrite), "grants.vault or grants.aws, with write", func(f *config.File) {
		if f.Grants.AWS.Region != "" {
			f.Grants.AWS.Write = true
			return
		}
		inVault(func(f *config.File) { f.Grants.Vault.Write = true })(f)
	}},
	{gives(harness.RealVault), "grants.vault, with service_token", inVault(func(f *config.File) { give(&f.Grants.Vault.ServiceToken, onPaper) })},
	{gives(harness.VaultKubernetes), "grants.vault, with service_role", inVault(func(f *config.File) {
		give(&f.Grants.Vault.ServiceRole.Role, "on paper")
	})},
	{gives(harness.VaultPKI), "grants.certificates.vault_pki, in place of enrolled and unenrolled", inVault(byPKI)},
	{gives(harness.VaultPKIClient), "grants.certificates.vault_pki, with client_token", inVault(func(f *config.File) {
		byPKI(f)
		give(&f.Grants.Certificates.VaultPKI.ClientToken, onPaper)
	})},
	{gives(harness.RestartService), "grants.hooks.replica", func(f *config.File) {
		if f.Grants.AWS.Region == "" {
			f.Grants.Hooks.Replica = config.Replica{Command: []string{"on paper"}, URL: "http://127.0.0.1:{{port}}"}
		}
	}},
	{gives(harness.IngressControlled), "grants.hooks (reload and trust_file)", func(f *config.File) {
		f.Grants.Hooks.Reload, f.Grants.Hooks.TrustTo = []string{"on paper"}, "on paper"
	}},
	{gives(harness.ControlJWKS, harness.StopJWKS), "grants.hooks.jwks", func(f *config.File) {
		give(&f.Grants.Hooks.JWKS.URL, "http://on.paper")
		give(&f.Grants.Hooks.JWKS.Put, "http://on.paper")
	}},
	{gives(harness.AlertsAPI), "grants.prometheus and grants.alertmanager", func(f *config.File) {
		give(&f.Grants.Prometheus, "http://on.paper")
		give(&f.Grants.Alertmanager, "http://on.paper")
	}},
}

// byKey are the grants of the capabilities that one key of the file gives, and no other
// grant.
func byKey() []grant {
	var all []grant
	for _, row := range harness.CapabilityTable {
		key := row.Config
		listed := slices.ContainsFunc(chosen, func(g grant) bool { return slices.Contains(g.of, row.Name) })
		if !listed && new(config.File).Suppose(key) {
			all = append(all, grant{gives(row.Name), key, func(f *config.File) { f.Suppose(key) }})
		}
	}
	return all
}

// give puts a value where there is none.
func give[T comparable](into *T, value T) {
	var none T
	if *into == none {
		*into = value
	}
}

// signingKey is the key to mint with, of which a target has one; its tokens need an
// issuer and an audience.
func signingKey(algorithm string, kind harness.Capability) grant {
	return grant{gives(harness.MintTokens, kind, harness.EncryptTokens, harness.GivenTokens, harness.ExpiredToken), "grants.tokens.signing_key, of " + algorithm, func(f *config.File) {
		give(&f.Profile.Issuer, "https://on.paper")
		give(&f.Profile.Audience, "on paper")
		give(&f.Grants.Tokens.SigningKey, config.SigningKey{Key: onPaper, ID: "on paper", Algorithm: algorithm})
	}}
}

func perMode(f *config.File, into *config.PerMode) {
	if f.Mode != "mtls" {
		give(&into.OIDC, "http://on.paper")
	}
	if f.Mode != "oidc" {
		give(&into.MTLS, "http://on.paper")
	}
}

func allowing(effect harness.Effect) grant {
	return grant{gives(harness.Allows(effect)), "--allow " + string(effect), func(f *config.File) {
		if !effect.Within(harness.Effect(f.Rails.Allow)) {
			f.Rails.Allow = string(effect)
		}
	}}
}

// byPKI has the clients' certificates of Vault: none are given beside it.
func byPKI(f *config.File) {
	give(&f.Grants.Certificates.VaultPKI.Role, "on paper")
	f.Grants.Certificates.Enrolled, f.Grants.Certificates.Unenrolled = config.Pair{}, config.Pair{}
	issueFor(f)
}

// issueFor names clients to issue certificates for.
func issueFor(f *config.File) {
	give(&f.Grants.Certificates.EnrolledCN, "enrolled")
	give(&f.Grants.Certificates.UnenrolledCN, "unenrolled")
}

// inVault is a change that goes with a Vault, where AWS is not in its place.
func inVault(change func(*config.File)) func(*config.File) {
	return func(f *config.File) {
		if f.Grants.AWS.Region == "" {
			give(&f.Grants.Vault.Address, "https://on.paper")
			change(f)
		}
	}
}

// callable are endpoints of the runbook that may be called, where the file has
// none of that name or says never.
func callable(names ...string) []grant {
	var all []grant
	for _, name := range names {
		all = append(all, grant{gives(harness.CallsEndpoint(name)), "an endpoint named " + name + " that may be called", func(f *config.File) {
			f.Endpoints = slices.Clone(f.Endpoints)
			i := slices.IndexFunc(f.Endpoints, func(e config.Endpoint) bool { return e.Name == name })
			if i < 0 {
				i = len(f.Endpoints)
				f.Endpoints = append(f.Endpoints, config.Endpoint{Name: name, Method: "POST", Path: "/" + strings.ReplaceAll(name, " ", "-"), PositiveCall: "never"})
			}
			if f.Endpoints[i].PositiveCall == "never" {
				f.Endpoints[i].PositiveCall = "harmless"
			}
		}})
	}
	return all
}

// step is a grant, and how many expectations more would run with it, after the
// steps before it.
type step struct {
	Grant string `json:"grant"`
	Adds  int    `json:"adds"`
}

// steps are the grants to give, that which adds most first: until none adds any
// by itself.
func steps(l config.Loaded, selected []harness.Expectation) ([]step, error) {
	var steps []step
	now, err := runnable(l, selected)
	if err != nil {
		return nil, err
	}
	for {
		var best grant
		most := now
		for _, g := range grants {
			if g.refused(l.Mode) {
				continue
			}
			next := l
			g.give(&next.File)
			n, err := runnable(next, selected)
			if err != nil {
				return nil, err
			}
			if n > most {
				best, most = g, n
			}
		}
		if best.give == nil {
			return steps, nil
		}
		best.give(&l.File)
		steps = append(steps, step{best.name, most - now})
		now = most
	}
}

// runnable is how many expectations would run.
func runnable(l config.Loaded, selected []harness.Expectation) (int, error) {
	t, err := stack.Paper(l, "plan")
	if err != nil {
		return 0, err
	}
	n := 0
	for _, x := range selected {
		if x.NotApplicable(t) == "" && len(x.Missing(t)) == 0 {
			n++
		}
	}
	return n, nil
}
