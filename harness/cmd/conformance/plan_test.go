package main

import (
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/suites"
)

// TestWhatEndsBeforeTheRun is told before it begins: a token, a certificate. What is had
// anew, and what outlasts the run, is not.
func TestWhatEndsBeforeTheRun(t *testing.T) {
	authority, err := certs.NewAuthority("Test authority")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	pair, err := authority.Issue(certs.Leaf{CommonName: "client", NotAfter: now.Add(20 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	key, err := pair.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	signing, err := token.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	valid, err := token.Until(now.Add(12 * time.Minute)).Make(token.Source{Now: now, Grant: harness.TokenGrant{Signing: []harness.SigningKey{signing}}})
	if err != nil {
		t.Fatal(err)
	}
	target := &harness.Target{Tokens: harness.TokenGrant{Valid: harness.Secret(valid)},
		Certs: harness.CertGrant{Enrolled: harness.CertPair{Chain: pair.ChainPEM(), Key: harness.Secret(key)}}}
	var given, vaulted, lent config.Loaded
	given.Grants.Tokens.Valid, given.Grants.Certificates.Enrolled.Certificate = "env:TOKEN", "file:client.crt"
	vaulted.Grants.Tokens.Valid, vaulted.Grants.Certificates.Enrolled.Certificate = "vault:a#b", "vault:a#c"
	for name, row := range map[string]struct {
		loaded config.Loaded
		takes  run.Estimate
		want   []string
	}{
		"a short run":           {given, run.Estimate{Least: time.Minute, Most: 5 * time.Minute}, nil},
		"a run that may":        {given, run.Estimate{Least: time.Minute, Most: 15 * time.Minute}, []string{"grants.tokens.valid ends at"}},
		"a long run":            {given, run.Estimate{Least: 25 * time.Minute, Most: time.Hour}, []string{"grants.tokens.valid ends at", "grants.certificates.enrolled ends at"}},
		"what is read of Vault": {vaulted, run.Estimate{Least: time.Hour, Most: time.Hour}, nil},
		"what is had anew":      {lent, run.Estimate{Least: time.Hour, Most: time.Hour}, nil},
	} {
		got := ending(row.loaded, target, now, row.takes)
		if len(got) != len(row.want) {
			t.Errorf("%s: %q, want %q", name, got, row.want)
			continue
		}
		for i, want := range row.want {
			if !strings.HasPrefix(got[i], want) || strings.Contains(got[i], "may last") != (name == "a run that may") {
				t.Errorf("%s: %q, want %q", name, got[i], want)
			}
		}
	}
}

// TestPlanEstimates tells a time that counts what is started and waited for.
func TestPlanEstimates(t *testing.T) {
	path := begun(t)
	takes := func(allow string) int {
		plan, err := planned(read(t, path, []string{"rails.allow=" + allow, `grants.hooks.replica.command=["false"]`, "grants.hooks.replica.url=http://127.0.0.1:{{port}}",
			"grants.tokens.valid=file:valid.jwt"}), suites.All())
		if err != nil {
			t.Fatal(err)
		}
		if plan.MostS < plan.LeastS || plan.LeastS == 0 {
			t.Errorf("%s: %d s, %d s at most", allow, plan.LeastS, plan.MostS)
		}
		if text := plan.text(suites.All(), 5, false); !strings.Contains(text, "it takes about "+span(plan.LeastS)) || (plan.MostS > plan.LeastS) != strings.Contains(text, "and "+span(plan.MostS)+" where") {
			t.Errorf("%s: no estimate is told:\n%s", allow, text)
		}
		return plan.LeastS
	}
	if few, many := takes("auth-failures"), takes("disruptive"); many < few+60 {
		t.Errorf("%d s, and with the starts of replicas %d s: want minutes more", few, many)
	}
}

// TestPlanIsFolded: the summary comes first, rows that lack the same are one line with what
// would give it, and --all has a line of each.
func TestPlanIsFolded(t *testing.T) {
	path := begun(t)
	out, errs, code := conformance(t, "plan", "--config", path, "--set", "mode=oidc", "--set", "grants.tokens.valid=file:valid.jwt")
	if code != exitPass {
		t.Fatalf("status %d, %s", code, errs)
	}
	lines := strings.Split(out, "\n")
	if !strings.Contains(strings.Join(lines[:4], "\n"), " cannot, ") {
		t.Errorf("the summary is not first:\n%s", strings.Join(lines[:6], "\n"))
	}
	if most := 100; len(lines) > most {
		t.Errorf("%d lines; want %d at most", len(lines), most)
	}
	if !strings.Contains(out, "metrics: grants.metrics\n        lacking nothing else: MET-001") || strings.Contains(out, "MET-001   cannot") {
		t.Errorf("what is lacked is not folded, or not said how it is given:\n%s", out)
	}
	whole, _, _ := conformance(t, "plan", "--config", path, "--set", "mode=oidc", "--set", "grants.tokens.valid=file:valid.jwt", "--all")
	for _, x := range suites.All() {
		if !strings.Contains(whole, "\n"+x.ID+" ") {
			t.Errorf("--all leaves out %s", x.ID)
		}
	}
}
