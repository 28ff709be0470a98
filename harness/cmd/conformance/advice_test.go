package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/suites"
)

// given is how each grant that plan may advise is given in truth, as --set would.
var given = map[string][]string{
	grants[0].name: {"grants.tokens.valid=file:valid.jwt"},
	grants[1].name: {
		"grants.certificates.enrolled.certificate=file:enrolled.crt", "grants.certificates.enrolled.key=file:enrolled.key",
		"grants.certificates.unenrolled.certificate=file:unenrolled.crt", "grants.certificates.unenrolled.key=file:unenrolled.key",
	},
	"grants.tokens.expired":               {"grants.tokens.expired=file:expired.jwt"},
	"grants.tokens.signing_key, of ES256": {"grants.tokens.signing_key.key=file:es.key", "grants.tokens.signing_key.id=a", "grants.tokens.signing_key.algorithm=ES256", issuer, audience},
	"grants.tokens.signing_key, of RS256": {"grants.tokens.signing_key.key=file:rs.key", "grants.tokens.signing_key.id=a", "grants.tokens.signing_key.algorithm=RS256", issuer, audience},
	"grants.certificates.authority": {
		"grants.certificates.authority.certificate=file:ca.crt", "grants.certificates.authority.key=file:ca.key",
		"grants.certificates.enrolled_cn=enrolled", "grants.certificates.unenrolled_cn=unenrolled",
	},
	"grants.metrics":                         {"grants.metrics.oidc=http://127.0.0.1:1", "grants.metrics.mtls=http://127.0.0.1:1"},
	"grants.backend":                         {"grants.backend.oidc=http://127.0.0.1:1", "grants.backend.mtls=http://127.0.0.1:1"},
	"grants.logs":                            {"grants.logs.file=log", "grants.logs.handled=x"},
	"grants.component_logs":                  {`grants.component_logs.ingress=["false"]`, `grants.component_logs.oidc=["false"]`, `grants.component_logs.mtls=["false"]`},
	"--allow writes":                         {"rails.allow=writes"},
	"--allow disruptive":                     {"rails.allow=disruptive"},
	"grants.vault or grants.aws":             {vaultAt, vaultLogin},
	"grants.vault or grants.aws, with write": {vaultAt, vaultLogin, "grants.vault.write=true"},
	"grants.vault, with service_token":       {vaultAt, vaultLogin, "grants.vault.service_token=file:vault.token"},
	"grants.vault, with service_role":        {vaultAt, vaultLogin, "grants.vault.service_role.role=a"},
	"grants.certificates.vault_pki, in place of enrolled and unenrolled": {
		vaultAt, vaultLogin, "grants.certificates.vault_pki.role=a", "grants.certificates.enrolled_cn=enrolled", "grants.certificates.unenrolled_cn=unenrolled",
	},
	"grants.certificates.vault_pki, with client_token": {
		vaultAt, vaultLogin, "grants.certificates.vault_pki.role=a", "grants.certificates.vault_pki.client_token=file:vault.token",
		"grants.certificates.enrolled_cn=enrolled", "grants.certificates.unenrolled_cn=unenrolled",
	},
	"grants.certificates.revoked":                      {"grants.certificates.revoked.certificate=file:enrolled.crt", "grants.certificates.revoked.key=file:enrolled.key"},
	"grants.certificates.sibling":                      {"grants.certificates.sibling.certificate=file:enrolled.crt", "grants.certificates.sibling.key=file:enrolled.key"},
	"grants.certificates.public":                       {"grants.certificates.public.certificate=file:enrolled.crt", "grants.certificates.public.key=file:enrolled.key"},
	"grants.hooks.replica":                             {`grants.hooks.replica.command=["false"]`, "grants.hooks.replica.url=http://127.0.0.1:{{port}}"},
	"grants.hooks (reload and trust_file)":             {`grants.hooks.reload=["false"]`, "grants.hooks.trust_file=ca.crt"},
	"grants.hooks.jwks":                                {"grants.hooks.jwks.url=http://127.0.0.1:1", "grants.hooks.jwks.put=http://127.0.0.1:1"},
	"grants.prometheus and grants.alertmanager":        {"grants.prometheus=http://127.0.0.1:1", "grants.alertmanager=http://127.0.0.1:1"},
	"target.plain_url":                                 {"target.plain_url=http://127.0.0.1:1"},
	"target.siblings":                                  {`target.siblings=["127.0.0.1:1"]`},
	"grants.idp":                                       {"grants.idp=https://127.0.0.1:1"},
	"an endpoint named inference that may be called":   {endpointsWith("")},
	"an endpoint named enrollment that may be called":  {endpointsWith("")},
	"an endpoint named review that may be called":      {endpointsWith(", {name: review, path: /review, positive_call: harmless}")},
	"an endpoint named review item that may be called": {endpointsWith(", {name: review item, path: /review/a, positive_call: harmless}")},
}

const (
	vaultAt    = "grants.vault.address=https://127.0.0.1:1"
	vaultLogin = "grants.vault.login.token=file:vault.token"
	issuer     = "profile.issuer=https://idp.test"
	audience   = "profile.audience=aegis"
)

func endpointsWith(more string) string {
	return `endpoints=[{name: inference, path: /predict, positive_call: harmless}, {name: enrollment, path: /enroll, body: "{{unique}}", content_type: text/plain, positive_call: writes}` + more + "]"
}

// begun is a configuration that grants nothing, beside files to grant.
func begun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	es, rs := try(token.NewKey()), try(token.NewRSAKey())
	from := token.From(&harness.Target{Profile: harness.Profile{Issuer: "https://idp.test", Audience: "aegis"}, Tokens: harness.TokenGrant{Signing: []harness.SigningKey{es}}})
	write("es.key", []byte(es.PEM.Reveal()))
	write("rs.key", []byte(rs.PEM.Reveal()))
	write("valid.jwt", []byte(try(token.Sound().Make(from))))
	write("expired.jwt", []byte(try(token.Expired(time.Hour).Make(from))))
	write("vault.token", []byte("a"))
	ca := try(certs.NewAuthority("Clients"))
	write("ca.crt", ca.RootPEM())
	write("ca.key", try(ca.Pair().KeyPEM()))
	for _, cn := range []string{"enrolled", "unenrolled"} {
		pair := try(ca.Issue(certs.Leaf{CommonName: cn}))
		write(cn+".crt", pair.ChainPEM())
		write(cn+".key", try(pair.KeyPEM()))
	}
	write("staging.yaml", []byte("mode: both\ntarget: {name: a, environment: test, url: \"https://127.0.0.1:1\"}\n"+strings.Replace(endpointsWith(""), "=", ": ", 1)+"\n"))
	return filepath.Join(dir, "staging.yaml")
}

// read reads a configuration with what is set over it.
func read(t *testing.T, path string, set []string) config.Loaded {
	t.Helper()
	all, err := config.Load(config.Sources{Path: path, Set: set})
	if err != nil {
		t.Fatalf("with %v: %v", set, err)
	}
	return all[0]
}

// running is how many rows would run.
func running(t *testing.T, path string, set []string) int {
	t.Helper()
	n, err := runnable(read(t, path, set), suites.All())
	if err != nil {
		t.Fatalf("with %v: %v", set, err)
	}
	return n
}

// TestAdviceComesTrue: who gives what plan advises, in its order, has exactly as
// many rows more as it says, and none is advised before another that adds more.
func TestAdviceComesTrue(t *testing.T) {
	path := begun(t)
	for name, start := range map[string][]string{
		"nothing": nil,
		"tokens":  given[grants[0].name],
		"RSA":     given["grants.tokens.signing_key, of RS256"],
		"AWS": {"grants.aws.region=a", "grants.aws.access_key_id=file:vault.token", "grants.aws.secret_access_key=file:vault.token",
			"rails.allow=disruptive"},
	} {
		t.Run(name, func(t *testing.T) {
			set := slices.Clone(start)
			before := running(t, path, set)
			advised, err := steps(read(t, path, set), suites.All())
			if err != nil || len(advised) < 10 {
				t.Fatalf("%d steps, want ten and more: %v, %v", len(advised), advised, err)
			}
			for i, s := range advised {
				if i == 0 {
					mostAtOnce(t, path, set, s, before)
				}
				set = append(set, truly(s.Grant, name == "AWS")...)
				n := running(t, path, set)
				if n != before+s.Adds || s.Adds < 1 {
					t.Errorf("%s adds %d rows, want %d", s.Grant, n-before, s.Adds)
				}
				before = n
			}
		})
	}
}

// truly is how a grant is given in truth.
func truly(grant string, inAWS bool) []string {
	if grant == "grants.vault or grants.aws, with write" && inAWS {
		return []string{"grants.aws.write=true"}
	}
	return given[grant]
}

// mostAtOnce wants no grant by itself to add more than the first that is advised.
func mostAtOnce(t *testing.T, path string, set []string, first step, before int) {
	t.Helper()
	has := func(what string) bool { return strings.Contains(strings.Join(set, " "), what) }
	for _, g := range grants {
		more := truly(g.name, has("grants.aws"))
		switch {
		case len(more) == 0:
			t.Errorf("the test does not know how %s is given", g.name)
		case has("signing_key") && strings.HasPrefix(g.name, "grants.tokens.signing_key"): // there is one
		case has("grants.aws") && (slices.Contains(more, vaultAt) || g.name == "grants.hooks.replica"): // not beside AWS
		case has("rails.allow") && strings.HasPrefix(g.name, "--allow"): // it would take away
		default:
			if n := running(t, path, append(slices.Clone(set), more...)); n-before > first.Adds {
				t.Errorf("%s adds %d rows, and %s, which adds %d, is advised first", g.name, n-before, first.Grant, first.Adds)
			}
		}
	}
}

// TestOneModeIsWhole: where one mode is shown, nothing that plan advises is refused by
// the configuration as never used, and no row is left for want of what the
// configuration would refuse.
func TestOneModeIsWhole(t *testing.T) {
	path := begun(t)
	for mode, other := range map[string]string{"oidc": "mtls", "mtls": "oidc"} {
		t.Run(mode, func(t *testing.T) {
			set := []string{"mode=" + mode}
			ours := func(key string) bool { return !strings.Contains(key, "."+other+"=") }
			advised, err := steps(read(t, path, set), suites.All())
			if err != nil || len(advised) < 10 {
				t.Fatalf("%d steps, want ten and more: %v, %v", len(advised), advised, err)
			}
			for _, s := range advised {
				for _, key := range given[s.Grant] {
					if ours(key) {
						set = append(set, key) // read refuses what is never used
					}
				}
			}
			target, err := stack.Paper(read(t, path, set), "plan")
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range suites.All() {
				if x.NotApplicable(target) != "" {
					continue
				}
				for _, c := range x.Missing(target) {
					if string(c.Row().Mode) == other {
						t.Errorf("%s lacks %s, which the configuration refuses", x.ID, c)
					}
				}
			}
		})
	}
}

// TestEveryRowIsAdvised: what the table says that a configuration gives, something that
// plan may advise gives, and what it says that none gives, nothing does.
func TestEveryRowIsAdvised(t *testing.T) {
	declared := []harness.Capability{harness.URL, harness.DeclaredAudience, harness.DeclaredIssuer} // said of the target, not granted
	none := read(t, begun(t), nil)
	bare := try(stack.Paper(none, "plan"))
	for _, row := range harness.CapabilityTable {
		advised := slices.ContainsFunc(grants, func(g grant) bool { return slices.Contains(g.of, row.Name) })
		if want := row.Config != "" && !slices.Contains(declared, row.Name); advised != want {
			t.Errorf("%s is advised: %v, and the table says %q", row.Name, advised, row.Config)
		}
		if bare.Grants(row.Name) != (row.Name == harness.URL) || (row.Config == "") != slices.Contains(bare.Unreachable, row.Name) {
			t.Errorf("%s: granted by nothing %v, out of reach %v", row.Name, bare.Grants(row.Name), slices.Contains(bare.Unreachable, row.Name))
		}
	}
	for _, g := range grants {
		with := none
		g.give(&with.File)
		target := try(stack.Paper(with, "plan"))
		for _, c := range g.of {
			if !slices.Contains(harness.Capabilities(), c) {
				continue // to call an endpoint, or to have an effect
			}
			if granted := target.Grants(c); !granted {
				t.Errorf("%s gives %s: %v", g.name, c, granted)
			}
		}
	}
}
