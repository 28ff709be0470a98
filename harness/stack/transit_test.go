package stack

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack/localhost"
)

// TestTransitSigns signs a sign-off with keys that stay in the real Vault, and
// verifies it with the public half alone.
func TestTransitSigns(t *testing.T) {
	have := had(t)
	c := vaultAlone(t, Spec{Run: localhost.Nonce()})
	c.have = have
	if _, err := c.startVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.vault.root.Logical().WriteWithContext(t.Context(), "sys/mounts/signing", map[string]any{"type": "transit"}); err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, c.blueprint.servers.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAULT_ADDR", c.vault.root.Address())
	t.Setenv("VAULT_CACERT", trusted)
	t.Setenv("VAULT_TOKEN", c.vault.root.Token())
	record, err := os.ReadFile(filepath.Join("..", "report", "testdata", signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ecdsa-p256", "ed25519"} {
		if _, err := c.vault.root.Logical().WriteWithContext(t.Context(), "signing/keys/"+kind, map[string]any{"type": kind}); err != nil {
			t.Fatal(err)
		}
		signs(t, record, "signing/"+kind)
		if _, err := c.vault.root.Logical().WriteWithContext(t.Context(), "signing/keys/"+kind+"/rotate", nil); err != nil {
			t.Fatal(err)
		}
		signs(t, record, "signing/"+kind)
	}
	if _, err := signoff.TransitKey(t.Context(), "signing/absent"); err == nil {
		t.Error("want an error for a key that is not there")
	}
}

// vaultAlone is a stack in which nothing has been started, ended with the test.
func vaultAlone(t *testing.T, spec Spec) *containers {
	t.Helper()
	engine, err := openEngine(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := &containers{engine: engine}
	if c.blueprint, err = newBlueprint(spec, idpURL); err != nil {
		t.Fatal(err)
	}
	return c
}

// signs signs with a key of Vault, and verifies with its public half in a file.
func signs(t *testing.T, record []byte, path string) {
	t.Helper()
	key, err := signoff.TransitKey(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := signoff.Sign(t.Context(), record, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := key.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := signoff.ReadKey(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range signoff.Verify(record, envelope, signoff.Wanted{Key: public, Now: time.Now()}) {
		if !c.Holds && c.Name != "verdict" { // which is the sample's, and no matter of who signs
			t.Errorf("%s: %s does not hold: %s", path, c.Name, c.Says)
		}
	}
}
