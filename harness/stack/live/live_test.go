package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/suites"
)

const bothModesFile = `mode: both
target: {name: aegis, environment: test, url: "https://oidc.test", mtls_url: "https://mtls.test"}
endpoints: [{name: inference, path: /predict, body: "{}", positive_call: harmless}, {name: enrollment, path: /enroll, body: '{"client": "{{unique}}"}', positive_call: writes}, {name: review, path: /review, positive_call: never}]
`

// loaded reads a configuration beside a CA's certificate and key, ca.crt and
// ca.key.
func loaded(t *testing.T, text string, environ ...string) config.Loaded {
	t.Helper()
	dir := t.TempDir()
	a, err := certs.NewAuthority("Clients")
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.Pair().KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"ca.crt": a.RootPEM(), "ca.key": key, "staging.yaml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml"), Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// TestPaperGrantsWhatLiveGrants: what a plan says is granted is granted when it
// is connected.
func TestPaperGrantsWhatLiveGrants(t *testing.T) {
	token, err := paperToken()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		grants string
		want   []harness.Capability
	}{
		"nothing":     {"", nil},
		"tokens":      {"grants: {tokens: {valid: env:TOKEN}}\n", []harness.Capability{harness.GivenTokens}},
		"keys":        {"grants: {certificates: {authority: {certificate: file:ca.crt, key: file:ca.key}, enrolled_cn: a, unenrolled_cn: b}}\n", []harness.Capability{harness.GivenClientCerts, harness.ClientCAKey}},
		"signing key": {"profile: {issuer: \"https://i\", audience: a}\ngrants: {tokens: {signing_key: {key: file:ca.key, id: k, algorithm: ES256}}}\n", []harness.Capability{harness.GivenTokens, harness.ExpiredToken, harness.MintTokens, harness.MintEC, harness.EncryptTokens}},
		"pages":       {"grants: {metrics: {oidc: \"http://127.0.0.1:1/metrics\"}, backend: {mtls: \"http://127.0.0.1:1\"}}\n", []harness.Capability{harness.Metrics, harness.BackendPath}},
		"components":  {"grants: {component_logs: {ingress: [\"true\"], oidc: [\"true\"], mtls: [\"true\"]}}\n", []harness.Capability{harness.ComponentLogs}},
		"alerts":      {"grants: {prometheus: \"http://127.0.0.1:1\", alertmanager: \"http://127.0.0.1:1\"}\n", []harness.Capability{harness.AlertsAPI}},
		"half":        {"grants: {prometheus: \"http://127.0.0.1:1\"}\n", nil},
		"AWS":         {"grants: {aws: {region: r, access_key_id: env:TOKEN, secret_access_key: env:TOKEN, write: true}}\n", []harness.Capability{harness.VaultRead, harness.VaultWrite}},
		"logs":        {"grants: {logs: {file: ca.crt, handled: x}}\n", []harness.Capability{harness.Logs}},
		"hooks":       {"grants: {hooks: {replica: {command: [\"true\"], url: \"http://127.0.0.1:1\"}, reload: [\"true\"], trust_file: ca.crt}}\n", []harness.Capability{harness.RestartService, harness.IngressControlled}},
	} {
		l := loaded(t, bothModesFile+row.grants, "TOKEN="+token)
		paper, err := Paper(l, "run")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		live, err := Connect(t.Context(), l, "run", func(string, string) {})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, x := range suites.All() {
			for _, c := range x.Stimulus.Build().Needs {
				if want := slices.Contains(row.want, c); paper.Grants(c) != want && c != harness.URL || live.Target.Grants(c) != paper.Grants(c) {
					t.Errorf("%s: %s: paper grants %v, live %v, want %v", name, c, paper.Grants(c), live.Target.Grants(c), want)
				}
			}
			if !slices.Equal(x.Missing(paper), x.Missing(live.Target)) {
				t.Errorf("%s: %s lacks %v on paper and %v live", name, x.ID, x.Missing(paper), x.Missing(live.Target))
			}
		}
		if err := live.Stop(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWithheld: where no accepted call may be made, none is, and what is about that
// endpoint says so; calls that must be refused go there where they can lack a body.
func TestWithheld(t *testing.T) {
	paper, err := Paper(loaded(t, bothModesFile), "run")
	if err != nil {
		t.Fatal(err)
	}
	if len(paper.Endpoints) != 1 || len(paper.Withheld) != 2 || len(paper.Refusing) != 1 || paper.Refusing[0].Name != "enrollment" {
		t.Errorf("endpoints %v, withheld %v, refusing %v", paper.Endpoints, paper.Withheld, paper.Refusing)
	}
	for id, want := range map[string][]harness.Capability{
		"OIDC-001": {harness.GivenTokens},
		"OIDC-002": {harness.CallsEndpoint("enrollment"), harness.Allows(harness.Writes), harness.GivenTokens},
		"OIDC-003": {harness.CallsEndpoint("review"), harness.GivenTokens},
		"OIDC-004": {harness.GivenTokens}, // of its controls
	} {
		x, _ := suites.Find(id)
		if got := x.Missing(paper); !slices.Equal(got, want) {
			t.Errorf("%s lacks %v, want %v", id, got, want)
		}
	}
}

// TestClientCredentials: tokens come from the endpoint, a new one when half the
// life of the last is over, and what it answers wrongly is told without its body.
func TestClientCredentials(t *testing.T) {
	var asked atomic.Int64
	answer := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "s" || id != "me" || secret != "p%40ss" {
			t.Errorf("asked by %q with %v", id, r.Form)
		}
		w.WriteHeader(answer)
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprintf("token-%d", asked.Add(1)), "expires_in": 3600, "error": "invalid_client"})
	}))
	t.Cleanup(server.Close)
	l := loaded(t, bothModesFile+"grants: {tokens: {client_credentials: {token_url: \""+server.URL+"\", client_id: me, client_secret: env:SECRET, scope: s}}}\n", "SECRET=p@ss")
	var met []string
	live, err := Connect(t.Context(), l, "run", func(kind, value string) { met = append(met, value) })
	if err != nil {
		t.Fatal(err)
	}
	bearer := live.Target.Control.Bearer
	for range 2 {
		if token := bearer.Token(); token != "token-1" || asked.Load() != 1 {
			t.Errorf("got %q, asked %d times: want the first token, asked for once", token, asked.Load())
		}
	}
	if !slices.Contains(met, "token-1") || !slices.Contains(met, "p@ss") {
		t.Errorf("met %d secrets", len(met))
	}
	bearer.(*source).stale = bearer.(*source).stale.AddDate(-1, 0, 0)
	if got := bearer.Token(); got.Reveal() != "token-2" {
		t.Errorf("got %q, want a new one", got.Reveal())
	}
	answer = http.StatusUnauthorized
	if _, err := Connect(t.Context(), l, "run", func(string, string) {}); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "token-3") {
		t.Errorf("got %v", err)
	}
}

// TestTokensThatEnd: a token that is got is kept for the expectations on an expired one,
// until a sound verifier takes it no more, and not where that is too far away.
func TestTokensThatEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "token-1", "expires_in": 60})
	}))
	t.Cleanup(server.Close)
	for _, row := range []struct {
		leeway, most string
		after        time.Duration // of the exp; 0 is never
	}{{"", "20m", harness.DefaultLeeway}, {"5s", "20m", 6 * time.Second}, {"", "5m", 0}, {"5s", "1m", 0}} {
		text := bothModesFile + "grants: {tokens: {client_credentials: {token_url: \"" + server.URL + "\", client_id: me, client_secret: env:SECRET, wait_max: " + row.most + "}}}\n"
		if row.leeway != "" {
			text += "profile: {leeway: " + row.leeway + "}\n"
		}
		live, err := Connect(t.Context(), loaded(t, text, "SECRET=p@ss"), "run", func(string, string) {})
		if err != nil {
			t.Fatal(err)
		}
		kept := live.Target.Control.Ended
		if live.Target.Grants(harness.ExpiredToken) != (row.after > 0) {
			t.Errorf("leeway %q, at most %s: granted %v", row.leeway, row.most, live.Target.Grants(harness.ExpiredToken))
		}
		if row.after > 0 && (kept.Token != "token-1" || time.Until(kept.At.Add(-row.after)) > time.Minute || time.Until(kept.At.Add(-row.after)) < 30*time.Second) {
			t.Errorf("leeway %q: over at %s", row.leeway, kept.At)
		}
	}
}

// TestSeveralSigningKeys: keys of several kinds stand beside each other, the first
// given first, on paper as live.
func TestSeveralSigningKeys(t *testing.T) {
	rsa, err := token.NewRSAKey()
	if err != nil {
		t.Fatal(err)
	}
	ec, err := token.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	const keys = `profile: {issuer: "https://i", audience: a}
grants: {tokens: {signing_key: {key: env:RSA, id: one, algorithm: RS256}, signing_keys: [{key: env:EC, id: two, algorithm: ES256}]}}
`
	l := loaded(t, bothModesFile+keys, "RSA="+rsa.PEM.Reveal(), "EC="+ec.PEM.Reveal())
	live, err := Connect(t.Context(), l, "run", func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	paper, err := Paper(l, "run")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []*harness.Target{live.Target, paper} {
		if s := target.Tokens.Signing; len(s) != 2 || s[0].ID != "one" || s[1].ID != "two" || !target.Grants(harness.MintRSA) || !target.Grants(harness.MintEC) {
			t.Errorf("%d keys, want the RSA key and the EC key", len(s))
		}
	}
}

// TestPaperStandIns: what is in Vault is planned for as what it is declared to be.
func TestPaperStandIns(t *testing.T) {
	for algorithm, want := range map[string][2]bool{"ES256": {true, false}, "ES384": {true, false}, "RS256": {false, true}, "PS256": {false, true}, "EdDSA": {false, false}} {
		l := config.Loaded{File: config.File{Mode: "both", Target: config.Target{URL: "https://a.test"}}}
		l.Grants.Tokens.SigningKey = config.SigningKey{Key: "vault:a#b", ID: "a", Algorithm: algorithm}
		l.Grants.Certificates = config.Certificates{Authority: config.Pair{Certificate: "vault:a#c", Key: "vault:a#d"}, EnrolledCN: "a", UnenrolledCN: "b"}
		target, err := Paper(l, "run")
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{target.Grants(harness.MintEC), target.Grants(harness.MintRSA)}; got != want || !target.Grants(harness.MintTokens) || !target.Grants(harness.ClientCAKey) || !target.Grants(harness.GivenClientCerts) {
			t.Errorf("%s: tokens of an EC and of an RSA key %v, want %v; issued certificates %v", algorithm, got, want, target.Grants(harness.GivenClientCerts))
		}
		if _, err := token.Sound().Make(token.From(target)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
