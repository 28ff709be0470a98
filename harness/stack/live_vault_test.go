package stack

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack/localhost"
	"aegis.test/conformance/suites"
)

// harnessPolicy is what a live run needs of Vault for its certificates.
const harnessPolicy = `path "pki/issue/conformance" { capabilities = ["update"] }
path "pki/roles/aegis-client" { capabilities = ["read"] }
path "pki/revoke" { capabilities = ["update"] }
path "secret/data/aegis/runtime" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }`

// TestLiveVault has certificates issued by the real Vault for a live run, which
// logs in by AppRole and by JWT: they are accepted, and after the run they are in
// the CRL, and the login is over.
func TestLiveVault(t *testing.T) {
	t.Parallel()
	s := stacked(t, Spec{Run: "test-" + localhost.Nonce(), Log: testLog{t}})
	own, root := s.Target, s.Target.Control.Launcher.(*containers).vault.root
	role := approle(t, root, own)
	trustIDP(t, root, own)
	environ := []string{
		"ROLE_ID=" + role["role_id"], "SECRET_ID=" + role["secret_id"],
		"IDP_TOKEN=" + strings.TrimPrefix(bearer(t, own).Get("Authorization"), "Bearer "),
		"CLIENT=" + clientToken(t, root, own.Certs.EnrolledCN),
	}
	for _, login := range []string{"approle: {role_id: env:ROLE_ID, secret_id: env:SECRET_ID}", "jwt: {role: conformance, token: env:IDP_TOKEN}"} {
		way, _, _ := strings.Cut(login, ":")
		t.Run(way, func(t *testing.T) { liveBy(t, own, root, login, environ) })
	}
}

func liveBy(t *testing.T, own *harness.Target, root *api.Client, login string, environ []string) {
	var token string
	live, err := Live(t.Context(), vaultFile(t, own, root, login, environ), "run", func(kind, value string) {
		if kind == "Vault token" {
			token = value
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = live.Stop(context.Background())
		}
	}()
	for pair, want := range map[*harness.CertPair]int{&live.Target.Certs.Enrolled: 200, &live.Target.Certs.Unenrolled: 403} {
		if got := callByHand(t, own, harness.MTLS, http.Header{}, pair); got != want {
			t.Errorf("a certificate of Vault's: got %d, want %d", got, want)
		}
	}
	engine := run.New(live.Target, run.Options{})
	defer engine.Close()
	for _, id := range []string{"ROT-005", "ROT-006"} {
		x, _ := suites.Find(id)
		for _, f := range engine.All(t.Context(), []harness.Expectation{x}, nil) {
			if f.Verdict != harness.Pass {
				t.Errorf("%s: %s: %s", id, f.Verdict, f.Reason)
			}
		}
	}
	before := revoked(t, root)
	if err := live.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped = true
	after := revoked(t, root)
	for _, pair := range []harness.CertPair{live.Target.Certs.Enrolled, live.Target.Certs.Unenrolled} {
		if number := leaf(t, pair).SerialNumber.String(); slices.Contains(before, number) || !slices.Contains(after, number) {
			t.Errorf("certificate %s: in the CRL before the end %v, after it %v", number, slices.Contains(before, number), slices.Contains(after, number))
		}
	}
	if len(after) < len(before)+3 {
		t.Errorf("%d more in the CRL, want what ROT-006 was issued there too", len(after)-len(before))
	}
	if _, err := root.Auth().Token().LookupWithContext(t.Context(), token); token == "" || err == nil {
		t.Errorf("the run's token of Vault lives on (%d bytes, %v)", len(token), err)
	}
}

func leaf(t *testing.T, pair harness.CertPair) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(pair.Chain)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// revoked are the serial numbers in Vault's CRL.
func revoked(t *testing.T, root *api.Client) []string {
	t.Helper()
	answer, err := root.Logical().ReadRawWithContext(t.Context(), "pki/crl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	der, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range list.RevokedCertificateEntries {
		all = append(all, entry.SerialNumber.String())
	}
	return all
}

func put(t *testing.T, root *api.Client, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := root.Logical().WriteWithContext(t.Context(), path, data)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// approle makes the harness's own role of the PKI, and its login by AppRole.
func approle(t *testing.T, root *api.Client, own *harness.Target) map[string]string {
	t.Helper()
	put(t, root, "pki/roles/conformance", map[string]any{
		"allowed_domains": own.Certs.EnrolledCN + "," + own.Certs.UnenrolledCN, "allow_bare_domains": true,
		"server_flag": false, "ttl": "1h", "max_ttl": "2h", "key_type": "ec", "key_bits": 256,
	})
	if err := root.Sys().PutPolicyWithContext(t.Context(), "conformance", harnessPolicy); err != nil {
		t.Fatal(err)
	}
	const role = "auth/" + vault.AppRoleMount + "/role/conformance"
	put(t, root, role, map[string]any{"token_policies": "conformance", "token_ttl": "10m"})
	id, err := root.Logical().ReadWithContext(t.Context(), role+"/role-id")
	if err != nil {
		t.Fatal(err)
	}
	secret := put(t, root, role+"/secret-id", nil)
	return map[string]string{"role_id": fmt.Sprint(id.Data["role_id"]), "secret_id": fmt.Sprint(secret.Data["secret_id"])}
}

// trustIDP makes Vault take the IdP's tokens as a login.
func trustIDP(t *testing.T, root *api.Client, own *harness.Target) {
	t.Helper()
	if err := root.Sys().EnableAuthWithOptionsWithContext(t.Context(), "jwt", &api.EnableAuthOptions{Type: "jwt"}); err != nil {
		t.Fatal(err)
	}
	put(t, root, "auth/jwt/config", map[string]any{"jwks_url": idpURL + idp.JWKSPath, "jwks_ca_pem": string(own.Faces[harness.OIDC].RootCAs), "bound_issuer": own.Profile.Issuer})
	put(t, root, "auth/jwt/role/conformance", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": own.Profile.Audience, "token_policies": "conformance", "token_ttl": "10m",
	})
}

// clientToken logs a client in by an identity that may have its own name
// certified.
func clientToken(t *testing.T, root *api.Client, name string) string {
	t.Helper()
	entity, err := root.Logical().ReadWithContext(t.Context(), "identity/entity/name/"+name)
	if err != nil || entity == nil {
		t.Fatalf("there is no entity %s: %v", name, err)
	}
	const role = "auth/" + vault.AppRoleMount + "/role/" + vault.PKIRole
	id, err := root.Logical().ReadWithContext(t.Context(), role+"/role-id")
	if err != nil {
		t.Fatal(err)
	}
	in := put(t, root, "auth/"+vault.AppRoleMount+"/login", map[string]any{
		"role_id": id.Data["role_id"], "secret_id": put(t, root, role+"/secret-id", nil).Data["secret_id"],
	})
	return in.Auth.ClientToken
}

func port(t *testing.T, at string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// vaultFile is a configuration that has its certificates of Vault.
func vaultFile(t *testing.T, own *harness.Target, root *api.Client, login string, environ []string) config.Loaded {
	t.Helper()
	dir := t.TempDir()
	face := own.Faces[harness.MTLS]
	at := strings.TrimPrefix(face.URL, "https://")
	file := fmt.Sprintf(`mode: mtls
target: {name: aegis, environment: test, url: "https://mtls.aegis.test:%s", connect_to: %q, ca_bundle: file:servers.pem}
endpoints: [{name: inference, path: /predict, body: '{"inputs": [1]}', positive_call: harmless}]
rails: {rate: 0}
grants:
  certificates:
    vault_pki: {role: conformance, client_role: aegis-client, client_token: env:CLIENT}
    enrolled_cn: %q
    unenrolled_cn: %q
  vault: {address: %q, ca_bundle: file:servers.pem, login: {%s}}
`, port(t, at), at, own.Certs.EnrolledCN, own.Certs.UnenrolledCN, root.Address(), login)
	for name, content := range map[string][]byte{"servers.pem": face.RootCAs, "staging.yaml": []byte(file)} {
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

// TestNobodyThere: what keeps a live run from beginning is the environment's.
func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "staging.yaml")
	text := bothModesFile + "grants: {vault: {address: \"http://127.0.0.1:1\", login: {token: env:TOKEN}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := config.Load(config.Sources{Path: file, Environ: []string{"TOKEN=x"}})
	if err != nil {
		t.Fatal(err)
	}
	var environment *EnvironmentError
	if s, err := Live(t.Context(), all[0], "run", func(string, string) {}); s != nil || !errors.As(err, &environment) || environment.Runtime != Given {
		t.Errorf("got %v, %v, want the environment's error", s, err)
	}
}

// TestLiveOnAStack judges a stack of ours through a configuration, as a stranger
// would: with keys, by its token endpoint, and with nothing.
func TestLiveOnAStack(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Spec{Runtime: Embedded, Run: "stack"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	dir, own := t.TempDir(), s.Target
	for name, content := range map[string]string{
		"servers.pem": string(own.Faces[harness.OIDC].RootCAs), "ca.crt": string(own.Certs.Authority.Chain), "ca.key": own.Certs.Authority.Key.Reveal(),
		"idp.key": own.Tokens.Signing[0].PEM.Reveal(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(mode harness.Mode) string { return strings.TrimPrefix(own.Faces[mode].URL, "https://") }
	file := fmt.Sprintf(`mode: both
target:
  {name: aegis, environment: test, url: "https://oidc.aegis.test:%s", connect_to: %q, mtls_url: "https://mtls.aegis.test:%s", mtls_connect_to: %q, ca_bundle: file:servers.pem}
endpoints:
  - {name: inference, path: /predict, body: '{"inputs": [1]}', positive_call: harmless}
profile: {issuer: %q, audience: aegis, scope: "aegis:call"}
rails: {rate: 0, concurrency: 8}
grants:
  tokens: {signing_key: {key: file:idp.key, id: %q, algorithm: %s}, subject: %q}
  certificates: {authority: {certificate: file:ca.crt, key: file:ca.key}, enrolled_cn: %q, unenrolled_cn: %q}
`, port(t, at(harness.OIDC)), at(harness.OIDC), port(t, at(harness.MTLS)), at(harness.MTLS), own.Profile.Issuer,
		own.Tokens.Signing[0].ID, own.Tokens.Signing[0].Algorithm, own.Tokens.Subject, own.Certs.EnrolledCN, own.Certs.UnenrolledCN)
	path := filepath.Join(dir, "staging.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := config.Load(config.Sources{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	live, err := Live(t.Context(), all[0], "live", func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	e := run.New(live.Target, run.Options{})
	t.Cleanup(e.Close)
	passed := 0
	for _, f := range e.All(t.Context(), suites.All(), nil) {
		switch f.Verdict {
		case harness.Pass:
			passed++
		case harness.Fail, harness.Error, harness.Inconclusive:
			t.Errorf("%s %s: %s", f.ID, f.Verdict, f.Reason)
		}
	}
	if passed < 100 {
		t.Errorf("%d passed, want a hundred and more", passed)
	}
}

const bothModesFile = `mode: both
target: {name: aegis, environment: test, url: "https://oidc.test", mtls_url: "https://mtls.test"}
endpoints: [{name: inference, path: /predict, body: "{}", positive_call: harmless}]
`
