package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack/localhost"
	"aegis.test/conformance/suites"
)

// TestKubernetesLogin lets the service's account into the real Vault by a token of
// the real kube-apiserver, and nobody else. Where the image is not there it is
// skipped: it takes minutes to build.
func TestKubernetesLogin(t *testing.T) {
	t.Parallel()
	have := had(t)
	built, err := images.Ensure(t.Context(), []string{images.Kubernetes}, images.Options{})
	if err != nil {
		t.Skipf("conformance images --build kubernetes has what it needs: %v", err)
	}
	have[images.Kubernetes] = built[images.Kubernetes]
	c := vaultAlone(t, Spec{Run: "test-" + localhost.Nonce(), Log: testLog{t}})
	c.have = have
	if _, err := c.startVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := &cluster{c: c}
	logins, err := k.Logins(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(logins) != 6 {
		t.Errorf("%d logins were tried, want 6", len(logins))
	}
	for _, l := range logins {
		t.Logf("with %s: %s%v", l.With, l.Refused, l.Policies)
		if l.Control != (l.Refused == "") {
			t.Errorf("with %s: refused %q, as %v", l.With, l.Refused, l.Policies)
		}
		if l.Control && !slices.Equal(l.Policies, []string{vault.PolicyName}) {
			t.Errorf("the service's account has the policies %v", l.Policies)
		}
	}
	token, err := k.api.Token(t.Context(), vault.KubernetesNamespace, vault.KubernetesAccount, vault.KubernetesAudience)
	if err != nil {
		t.Fatal(err)
	}
	in := put(t, c.vault.root, "auth/kubernetes/login", map[string]any{"role": vault.KubernetesRole, "jwt": token.Reveal()})
	service, err := vault.WithToken(c.vault.root, harness.Secret(in.Auth.ClientToken))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.NewStore(service, nil).Read(t.Context()); err != nil {
		t.Errorf("the service's login does not read its secrets: %v", err)
	}
	if err := vault.NewStore(service, nil).Write(t.Context(), map[string]string{"a": "b"}); err == nil {
		t.Error("the service's login writes its secrets")
	}
	wide := vault.SoundBinding().Role
	wide["bound_service_account_names"] = []string{"*"}
	for verdict, role := range map[harness.Verdict]map[string]any{harness.Pass: vault.SoundBinding().Role, harness.Fail: wide} {
		put(t, c.vault.root, "auth/kubernetes/role/"+vault.KubernetesRole, role)
		if f := judgeRole(t, c); f.Verdict != verdict {
			t.Errorf("a live run on the role for %v: %s (%s), want %s", role["bound_service_account_names"], f.Verdict, f.Reason, verdict)
		}
	}
}

// judgeRole holds the service's role to SEC-004 as a live run does that may read it.
func judgeRole(t *testing.T, c *containers) harness.Finding {
	t.Helper()
	token := put(t, c.vault.root, "auth/token/create", map[string]any{"policies": []string{"root"}}).Auth.ClientToken
	dir := t.TempDir()
	text := bothModesFile + fmt.Sprintf("grants: {vault: {address: %q, ca_bundle: file:servers.pem, login: {token: env:TOKEN}, service_role: {role: %s}}}\n", c.vault.root.Address(), vault.KubernetesRole)
	for name, content := range map[string][]byte{"servers.pem": c.blueprint.servers.RootPEM(), "staging.yaml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml"), Environ: []string{"TOKEN=" + token}})
	if err != nil {
		t.Fatal(err)
	}
	live, err := Live(t.Context(), all[0], "run", func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = live.Stop(context.WithoutCancel(t.Context())) }()
	x, _ := suites.Find("SEC-004")
	return run.Judge(t.Context(), live.Target, x)
}
