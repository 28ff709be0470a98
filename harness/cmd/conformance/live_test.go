package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/token"
)

// deployment is a stack that somebody else started: processes on this host that
// know nothing of the harness. Vault is a stand-in.
type deployment struct {
	dir     string
	servers *certs.Authority
	clients *certs.Authority
	idp     *idp.IDP
	issuer  string
	jwks    string // URL of the key set, which may be PUT there
	vault   string // URL
	root    string // Vault's token
	front   map[harness.Mode]string
	service map[harness.Mode]string
	environ map[harness.Mode][]string // of the services
	fixture string                    // path of the program
}

const (
	enrolledClient   = "payments"
	unenrolledClient = "intruder"
)

// deploy starts HAProxy, an IdP and a service per mode, until the test ends.
func deploy(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{dir: t.TempDir(), front: map[harness.Mode]string{}, service: map[harness.Mode]string{}, environ: map[harness.Mode][]string{}}
	d.servers, d.clients = try(certs.NewAuthority("Staging Servers")), try(certs.NewAuthority("Staging Clients"))
	d.fixture = filepath.Join(d.dir, "fixture")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", d.fixture, "../../../fixtures/images/fixture")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the fixture: %v\n%s", err, out)
	}
	at := free(t, 6)
	d.startIDP(t, at[0])
	d.startJWKS(t)
	d.startVault(t)
	for i, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		d.service[mode], d.front[mode] = at[1+i], at[3+i]
		d.environ[mode] = d.env(mode)
		d.process(t, append(slices.Clone(d.environ[mode]), "AUTH_MODE="+string(mode), "LISTEN_ADDR="+at[1+i]), d.fixture, "aegis")
	}
	d.startHAProxy(t)
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		answers(t, "http://"+d.service[mode]+"/readyz")
		accepts(t, d.front[mode])
	}
	return d
}

func try[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// free are addresses of 127.0.0.1 on which nobody listens now.
func free(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l := try(net.Listen("tcp", "127.0.0.1:0"))
		defer func() { _ = l.Close() }()
		all = append(all, l.Addr().String())
	}
	return all
}

func (d *deployment) file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (d *deployment) process(t *testing.T, env []string, words ...string) {
	t.Helper()
	c := exec.CommandContext(context.Background(), words[0], words[1:]...)
	var said bytes.Buffer
	c.Env, c.Dir, c.Stdout, c.Stderr = env, d.dir, &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s: %.2000s", strings.Join(words[len(words)-1:], " "), said.String())
		}
	})
}

func (d *deployment) startIDP(t *testing.T, at string) {
	d.issuer = "https://" + at
	d.idp = try(idp.New(d.issuer))
	d.idp.SetAudience("aegis")
	pair := try(d.servers.Server("127.0.0.1"))
	d.process(t, []string{"IDP_ISSUER=" + d.issuer, "IDP_STATE=" + string(try(d.idp.Export())), "LISTEN_ADDR=" + at,
		"TLS_CERT=" + string(pair.ChainPEM()), "TLS_KEY=" + string(try(pair.KeyPEM()))}, d.fixture, "idp")
	accepts(t, at)
}

// startJWKS serves the IdP's key set, and what is PUT in its place.
func (d *deployment) startJWKS(t *testing.T) {
	var public []token.JWK
	for _, key := range d.idp.Keys() {
		public = append(public, try(token.Public(key)))
	}
	var mu sync.Mutex
	set := token.KeySet(public...)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Method == http.MethodGet && set == nil:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Method == http.MethodGet:
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write(set)
		default: // a PUT, or a DELETE of all
			if text, _ := io.ReadAll(r.Body); len(text) > 0 {
				set = text
			} else {
				set = nil
			}
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{try(d.servers.Server("127.0.0.1")).TLS()}}
	server.StartTLS()
	t.Cleanup(server.Close)
	d.jwks = server.URL + "/jwks"
}

func (d *deployment) startVault(t *testing.T) {
	standIn := vault.NewStandIn("root-token-of-staging", "service-token-of-staging")
	server := httptest.NewUnstartedServer(standIn)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{try(d.servers.Server("127.0.0.1")).TLS()}}
	server.StartTLS()
	t.Cleanup(server.Close)
	d.vault, d.root = server.URL, "root-token-of-staging"
	public := try(x509.MarshalPKIXPublicKey(d.servers.Pair().Key.Public()))
	client := try(vault.NewClient(d.vault, d.servers.RootPEM()))
	client.SetToken(d.root)
	if err := vault.NewStore(client, client).Write(t.Context(), map[string]string{
		"oidc_jwks_uri": d.jwks, "model_signing_pubkey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), "clients/allowed": `["` + enrolledClient + `"]`,
	}); err != nil {
		t.Fatal(err)
	}
}

// env is the environment of a service, but for its mode and its address.
func (d *deployment) env(harness.Mode) []string {
	trusted := string(d.servers.RootPEM())
	return []string{
		"OIDC_ISSUER=" + d.issuer, "OIDC_AUDIENCE=aegis", "OIDC_CACERT_BYTES=" + trusted, "MTLS_PROXY_SECRET=between-proxy-and-service",
		"VAULT_ADDR=" + d.vault, "VAULT_TOKEN=service-token-of-staging", "VAULT_CACERT_BYTES=" + trusted,
		"SECRETS_REFRESH=100ms", "JWKS_MAX_AGE=1s", "STARTUP_TIMEOUT=10s",
	}
}

func (d *deployment) startHAProxy(t *testing.T) {
	pair := try(d.servers.Server("aegis.test", "127.0.0.1"))
	cert := d.file(t, "front.pem", slices.Concat(pair.ChainPEM(), try(pair.KeyPEM())))
	ca := d.file(t, "clients.pem", d.clients.RootPEM())
	var servers []ingress.Server
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		servers = append(servers, ingress.Server{
			Name: string(mode), Listen: d.front[mode], Backend: "http://" + d.service[mode], Mode: mode, CertFile: cert, KeyFile: cert,
			ClientCAFile: ca, IdentityHeader: "x-ssl-client-cn", ProxySecret: "between-proxy-and-service",
		})
	}
	words, err := images.Program(t.Context(), images.HAProxy, filepath.Join(d.dir, "haproxy"))
	if err != nil {
		t.Fatal(err)
	}
	d.process(t, nil, append(words, "-db", "-f", d.file(t, "haproxy.cfg", []byte(try(ingress.HAProxy(servers)))))...)
}

// answers waits until a URL is answered 200, accepts until somebody listens.
func answers(t *testing.T, url string) {
	wait(t, url, func() error {
		response, err := http.Get(url)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

func accepts(t *testing.T, at string) {
	wait(t, at, func() error {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func wait(t *testing.T, what string, ready func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// staging is the file somebody wrote by hand, with the grants of one situation.
func (d *deployment) staging(t *testing.T, name, grants string) string {
	t.Helper()
	d.file(t, "servers.pem", d.servers.RootPEM())
	return d.file(t, name+".yaml", fmt.Appendf(nil, `mode: both
target:
  name: %s
  environment: staging
  url: https://%s
  mtls_url: https://%s
  ca_bundle: file:servers.pem
endpoints:
  - {name: inference, path: /predict, body: '{"inputs": [1, 2, 3]}', positive_call: harmless}
  - {name: enrollment, path: /enroll, body: '{"client": "{{unique}}"}', positive_call: writes}
  - {name: review, path: /review, body: '{"subject": "{{unique}}"}', positive_call: writes}
profile:
  issuer: %s
  audience: aegis
  no_certificate: tls
  bad_certificate: tls
  propagation: 3s
  jwks_new_key_max: 5s
  jwks_removed_key_max: 5s
rails: {rate: 0, concurrency: 8, journal: journal}
%s`, name, d.front[harness.OIDC], d.front[harness.MTLS], d.issuer, grants))
}

// grants are the situations of issue 4, as their files have them.
func (d *deployment) grants(t *testing.T) map[string]string {
	t.Helper()
	key := d.idp.Keys()[0]
	d.file(t, "idp.key", []byte(key.PEM.Reveal()))
	d.file(t, "ca.crt", d.clients.RootPEM())
	d.file(t, "ca.key", try(d.clients.Pair().KeyPEM()))
	for _, cn := range []string{enrolledClient, unenrolledClient} {
		pair := try(d.clients.Issue(certs.Leaf{CommonName: cn}))
		d.file(t, cn+".crt", pair.ChainPEM())
		d.file(t, cn+".key", try(pair.KeyPEM()))
	}
	minter := &harness.Target{Profile: harness.Profile{Issuer: d.issuer, Audience: "aegis"}, Tokens: harness.TokenGrant{Signing: d.idp.Keys()}}
	d.file(t, "valid.jwt", []byte(try(token.Sound().Make(token.From(minter)))))
	d.file(t, "expired.jwt", []byte(try(token.Expired(time.Hour).Make(token.From(minter)))))
	keys := fmt.Sprintf(`  tokens: {signing_key: {key: file:idp.key, id: %q, algorithm: %s}}
  certificates: {authority: {certificate: file:ca.crt, key: file:ca.key}, enrolled_cn: %s, unenrolled_cn: %s}
`, key.ID, key.Algorithm, enrolledClient, unenrolledClient)
	return map[string]string{
		"url":          "",
		"tokens":       "grants:\n  tokens: {valid: file:valid.jwt, expired: file:expired.jwt}\n",
		"certificates": fmt.Sprintf("grants:\n  certificates:\n    enrolled: {certificate: file:%[1]s.crt, key: file:%[1]s.key}\n    unenrolled: {certificate: file:%[2]s.crt, key: file:%[2]s.key}\n", enrolledClient, unenrolledClient),
		"keys":         "grants:\n" + keys,
		"everything":   "grants:\n" + keys + d.everythingElse(t),
	}
}

func (d *deployment) everythingElse(t *testing.T) string {
	t.Helper()
	env := map[string]string{"LISTEN_ADDR": "127.0.0.1:{{port}}"}
	for _, line := range d.env(harness.OIDC) {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	text := try(json.Marshal(env))
	return fmt.Sprintf(`  vault: {address: %q, ca_bundle: file:servers.pem, login: {token: env:STAGING_VAULT_TOKEN}, write: true}
  metrics: {oidc: "http://%[2]s/metrics", mtls: "http://%[3]s/metrics"}
  backend: {oidc: "http://%[2]s", mtls: "http://%[3]s"}
  hooks:
    replica: {command: [%q, aegis], url: "http://127.0.0.1:{{port}}", env: %s}
    jwks: {url: %[6]q, put: %[6]q}
  proxy_secret: env:STAGING_PROXY_SECRET
`, d.vault, d.service[harness.OIDC], d.service[harness.MTLS], d.fixture, text, d.jwks)
}

// TestGrantCombinations runs the command against a deployment that it did not
// start, with a file for each of issue 4's situations: the plan, the run and the
// sign-off agree to the row, and the deployment, which is sound, is not accused.
func TestGrantCombinations(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	passed := map[string]int{}
	situations := d.grants(t)
	names := slices.Sorted(maps.Keys(situations))
	chosen := sample().Of(names, 2)
	t.Logf("planted nothing in %d of %d situations of a live target: %s", len(chosen), len(names), strings.Join(chosen, ", "))
	for _, name := range chosen {
		grants := situations[name]
		t.Run(name, func(t *testing.T) {
			path := d.staging(t, name, grants)
			effect := "auth-failures"
			if name == "everything" {
				effect = "disruptive"
			}
			plan := d.plan(t, path, effect)
			out := t.TempDir()
			c := command(t, "run", "--config", path, "--out", out, "--allow", effect)
			c.Env = append(c.Env, "STAGING_VAULT_TOKEN="+d.root, "STAGING_PROXY_SECRET=between-proxy-and-service")
			said, errs, code, most := watch(t, c)
			if most > 100<<10 {
				t.Errorf("the run held %d KiB of memory, want 100 MiB at most (issue 4)", most)
			} else {
				t.Logf("%d MiB of memory", most>>10)
			}
			want, status := signoff.Incomplete, exitIncomplete
			if name == "keys" || name == "everything" { // both modes' credentials: all that core claims
				want, status = signoff.Passed, exitPass
			}
			if code != status {
				t.Errorf("status %d, want %d\n%s\n%s", code, status, said, errs)
			}
			r := record(t, out)
			if r.Kind != harness.Live || r.Verdict != want || r.Target.Start == nil || r.Config == nil {
				t.Errorf("%s %s %v, identity %v", r.Kind, r.Verdict, r.Reasons, r.Target.Start)
			}
			for i, f := range r.Findings {
				switch p := plan[i]; {
				case f.ID != p.ID:
					t.Errorf("row %d is %s, planned was %s", i, f.ID, p.ID)
				case p.About && f.Requests > p.Requests*95/100 && f.Requests < p.Requests*105/100 && f.Verdict == cmp.Or(p.Verdict, harness.Pass):
				case f.ID == "ING-007" && f.Verdict == harness.NotApplicable && f.Requests == p.Requests: // what was asked tells
				case p.Verdict == "" && (f.Verdict != harness.Pass || p.Requests >= 0 && f.Requests != p.Requests):
					t.Errorf("%s %s (%s), %d requests; planned to run with %d", f.ID, f.Verdict, f.Reason, f.Requests, p.Requests)
				case p.Verdict != "" && (f.Verdict != p.Verdict || !slices.Equal(f.Missing, p.Missing) || f.Requests != p.Requests):
					t.Errorf("%s %s, lacks %v, %d requests; planned was %s, lacking %v, with %d", f.ID, f.Verdict, f.Missing, f.Requests, p.Verdict, p.Missing, p.Requests)
				}
				if f.Verdict == harness.NotExercised && len(f.Missing) == 0 {
					t.Errorf("%s does not say what is missing: %s", f.ID, f.Reason)
				}
			}
			passed[name] = r.Totals[harness.Pass]
			t.Logf("%d passed, %d not exercised", r.Totals[harness.Pass], r.Totals[harness.NotExercised])
		})
	}
	for name, grants := range situations { // what was sampled out is written for those below
		d.staging(t, name, grants)
	}
	d.ginkgo(t)
	d.several(t)
	d.doctor(t)
	if len(chosen) == len(names) && !(passed["url"] < passed["tokens"] && passed["tokens"] < passed["keys"] && passed["certificates"] < passed["keys"] && passed["keys"] < passed["everything"]) {
		t.Errorf("%v: want more with every grant", passed)
	}
	left := try(filepath.Glob(filepath.Join(d.dir, "journal", "*")))
	if len(left) != 0 {
		t.Errorf("journals are left: %v", left)
	}
}

func (d *deployment) plan(t *testing.T, path, effect string) []run.Planned {
	t.Helper()
	c := command(t, "plan", "--config", path, "--json", "--allow", effect)
	c.Env = append(c.Env, "STAGING_VAULT_TOKEN="+d.root, "STAGING_PROXY_SECRET=between-proxy-and-service")
	out, errs, code := finish(t, c)
	var plans struct{ Targets []targetPlan }
	if err := json.Unmarshal([]byte(out), &plans); err != nil || code != exitPass || len(plans.Targets) != 1 {
		t.Fatalf("status %d, %v, %s", code, err, errs)
	}
	return plans.Targets[0].Rows
}

// ginkgo runs the same file through go test: not everything was seen, so that it is as
// little green there as the command is.
func (d *deployment) ginkgo(t *testing.T) {
	out := t.TempDir()
	c := exec.CommandContext(t.Context(), "go", "test", "../../../suites", "-run", "TestConformance", "-count=1")
	c.Env = append(os.Environ(), "CONFORMANCE_CONFIG="+filepath.Join(d.dir, "tokens.yaml"), "CONFORMANCE_OUT="+out)
	if said, err := c.CombinedOutput(); err == nil || !strings.Contains(string(said), "conformance run gives this exit status") {
		t.Errorf("go test: %v, want it to end as conformance run does\n%.4000s", err, said)
		return
	}
	if r := record(t, out); r.Verdict != signoff.Incomplete || r.Kind != harness.Live || r.Totals[harness.Pass] == 0 || r.Totals[harness.Fail]+r.Totals[harness.Inconclusive] > 0 {
		t.Errorf("go test: %s, %v", r.Kind, r.Totals)
	}
}

// several runs against two targets of one file at once.
func (d *deployment) several(t *testing.T) {
	out := t.TempDir()
	text := try(os.ReadFile(filepath.Join(d.dir, "tokens.yaml")))
	path := d.file(t, "several.yaml", append(text, []byte("targets:\n  - target: {name: eu}\n  - target: {name: us}\n")...))
	said, errs, code := conformance(t, "run", "--config", path, "--out", out)
	if code != exitIncomplete || !strings.Contains(said, "[eu] ") || !strings.Contains(said, "[us] ") {
		t.Errorf("several: status %d\n%s\n%s", code, said, errs)
	}
	var roll struct{ Targets []rolled }
	if err := json.Unmarshal(try(os.ReadFile(filepath.Join(out, "rollup.json"))), &roll); err != nil || len(roll.Targets) != 2 {
		t.Fatalf("several: %v, %d targets", err, len(roll.Targets))
	}
	for _, line := range roll.Targets {
		if r := record(t, filepath.Dir(line.SignOff)); r.Target.Name != line.Target || r.Totals[harness.Pass] != line.Totals[harness.Pass] || r.Totals[harness.Pass] == 0 {
			t.Errorf("several: %s differs from its sign-off of %s", line, r.Target.Name)
		}
	}
}

// doctor finds the deployment well, and a way that is none.
func (d *deployment) doctor(t *testing.T) {
	path := filepath.Join(d.dir, "keys.yaml")
	said, errs, code := conformance(t, "doctor", "--config", path)
	if code != exitPass || !strings.Contains(said, "ok    clock") || !strings.Contains(said, "oidc TLS chain           verifies") || !strings.Contains(said, "ok    mtls, no certificate     it is refused in TLS") || !strings.Contains(said, "ok    mtls, bad certificate") {
		t.Errorf("doctor: status %d\n%s\n%s", code, said, errs)
	}
	for _, want := range []string{"ok    oidc accepted call       POST /predict with valid token is answered 200", "ok    mtls accepted call       POST /predict with enrolled certificate is answered 200"} {
		if !strings.Contains(said, want) {
			t.Errorf("doctor: want %q in\n%s", want, said)
		}
	}
	said, _, code = conformance(t, "doctor", "--config", path, "--set", "profile.audience=other")
	if code != exitEnvironment || !strings.Contains(said, "fail  oidc accepted call       POST /predict with valid token is answered 401") || !strings.Contains(said, "compare iss, aud, kid") {
		t.Errorf("doctor: status %d, tokens of another audience pass\n%s", code, said)
	}
	said, _, _ = conformance(t, "doctor", "--config", path, "--set", "profile.no_certificate=http400")
	if !strings.Contains(said, "ok    mtls, no certificate     it is refused in TLS") {
		t.Errorf("doctor: a refusal in TLS satisfies any declaration\n%s", said)
	}
	said, _, code = conformance(t, "doctor", "--config", path, "--set", "target.url=https://"+free(t, 1)[0])
	if code != exitEnvironment || !strings.Contains(said, "fail  oidc TCP") {
		t.Errorf("doctor: status %d\n%s", code, said)
	}
}

// TestPlanSendsNothing: everything that a configuration names listens, and
// nobody comes.
func TestPlanSendsNothing(t *testing.T) {
	var came atomic.Int64
	l := try(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			_ = conn.Close()
		}
	}()
	at := l.Addr().String()
	path := filepath.Join(t.TempDir(), "staging.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, `mode: both
target: {name: a, environment: test, url: "https://%[1]s", plain_url: "http://%[1]s", siblings: [%[1]q]}
endpoints: [{name: inference, path: /predict, positive_call: harmless}, {name: enrollment, path: /enroll, body: "{{unique}}", content_type: text/plain, positive_call: writes}]
rails: {allow: disruptive}
grants:
  tokens: {client_credentials: {token_url: "http://%[1]s/token", client_id: a, client_secret: "vault:a#b"}, expired: "vault:a#c"}
  certificates: {vault_pki: {role: r}, enrolled_cn: a, unenrolled_cn: b}
  vault: {address: "http://%[1]s", login: {approle: {role_id: env:ROLE, secret_id: env:ROLE}}, write: true, service_token: "vault:a#d"}
  metrics: {oidc: "http://%[1]s"}
  backend: {oidc: "http://%[1]s", mtls: "http://%[1]s"}
  logs: {loki: {url: "http://%[1]s", query: "{}"}, handled: x}
  hooks: {replica: {command: ["false"], url: "http://%[1]s"}}
`, at), 0o600); err != nil {
		t.Fatal(err)
	}
	c := command(t, "plan", "--all", "--config", path)
	c.Env = append(c.Env, "ROLE=x")
	out, errs, code := finish(t, c)
	if code != exitPass || !strings.Contains(out, "OIDC-001  run") || !strings.Contains(out, "lacks control-jwks") {
		t.Errorf("status %d\n%s\n%s", code, out, errs)
	}
	if came.Load() != 0 {
		t.Errorf("%d connections came", came.Load())
	}
}
