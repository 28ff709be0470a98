package stack

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	s := stacked(t, Spec{Run: "test-" + nonce(), Log: testLog{t}})
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

// TestMountsOfLiveVault: a mount that is none of KV v2, and a Vault that is not there,
// are told before anything is judged.
func TestMountsOfLiveVault(t *testing.T) {
	kinds := map[string]string{
		"v2":     `{"data":{"type":"kv","options":{"version":"2"}}}`,
		"v1":     `{"data":{"type":"kv","options":{"version":"1"}}}`,
		"first":  `{"data":{"type":"kv","options":null}}`,
		"pki":    `{"data":{"type":"pki"}}`,
		"hidden": "",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := kinds[strings.TrimPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/")]
		if kind == "" {
			w.WriteHeader(http.StatusForbidden)
			kind = `{"errors":["preflight capability check returned 403"]}`
		}
		_, _ = io.WriteString(w, kind)
	}))
	address := server.URL
	for mount, want := range map[string]string{"v2": "", "hidden": "", "v1": "want KV v2", "first": "version 1", "pki": "type pki"} {
		wantLive(t, address, mount, want)
	}
	server.Close()
	wantLive(t, address, "v2", "grants.vault.address")
}

// wantLive wants a live run to begin, or the environment's error to say something.
func wantLive(t *testing.T, address, mount, want string) {
	t.Helper()
	l := loaded(t, bothModesFile+fmt.Sprintf("grants: {vault: {address: %q, mount: %s, login: {token: env:TOKEN}}}\n", address, mount), "TOKEN=x")
	live, err := Live(t.Context(), l, "run", func(string, string) {})
	if live != nil {
		_ = live.Stop(t.Context())
	}
	var environment *EnvironmentError
	switch {
	case want == "" && err != nil:
		t.Errorf("mount %s: %v", mount, err)
	case want != "" && (!errors.As(err, &environment) || !strings.Contains(err.Error(), want)):
		t.Errorf("mount %s: got %v, want the environment's error with %q", mount, err, want)
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
