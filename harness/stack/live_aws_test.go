package stack

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/awssecrets"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/live"
	"aegis.test/conformance/harness/stack/localhost"
)

// TestLiveAWS has a service read its secrets from a stand-in for AWS Secrets
// Manager, and a live run change them there.
func TestLiveAWS(t *testing.T) {
	s := startHere(t, Spec{})
	standIn := awssecrets.NewStandIn()
	server := httptest.NewTLSServer(standIn)
	t.Cleanup(server.Close)
	dir, roots := t.TempDir(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := fmt.Sprintf(`mode: mtls
target: {environment: test, url: "https://mtls.test"}
endpoints: [{name: inference, path: /predict, positive_call: harmless}]
grants: {aws: {region: eu-west-1, endpoint: %q, ca_bundle: file:ca.pem, access_key_id: env:KEY, secret_access_key: env:SECRET, write: true}}
`, server.URL)
	for name, content := range map[string][]byte{"ca.pem": roots, "staging.yaml": []byte(file)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml"), Environ: []string{"KEY=" + standIn.Owner().ID, "SECRET=" + standIn.Owner().Secret.Reveal()}})
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	journal, err := live.OpenJournal(t.TempDir(), "run", config.Target{Name: "aegis"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close(true) })
	connected, err := Noted(t.Context(), all[0], "run", func(_, value string) { met[value] = true }, journal)
	if err != nil {
		t.Fatal(err)
	}
	if !connected.Target.Grants(harness.VaultRead) || !connected.Target.Grants(harness.VaultWrite) || connected.Target.Grants(harness.RealVault) || !met[standIn.Owner().Secret.Reveal()] {
		t.Errorf("grants read %v, write %v, a real Vault %v", connected.Target.Grants(harness.VaultRead), connected.Target.Grants(harness.VaultWrite), connected.Target.Grants(harness.RealVault))
	}
	store := connected.Target.Control.Secrets
	fields, err := s.Target.Control.Secrets.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own := awssecrets.NewClient(awssecrets.Options{Region: "eu-west-1", Endpoint: server.URL, RootPEM: roots, Keys: standIn.Owner()})
	if err := awssecrets.NewStore(own, awssecrets.SecretID).Write(t.Context(), fields); err != nil { // what is not there could not be put back
		t.Fatal(err)
	}
	r := launched(t, s.Target, harness.Launch{Mode: harness.MTLS, Unset: []string{"VAULT_ADDR", "VAULT_TOKEN"}, Env: map[string]string{
		"AWS_SECRET_ID": awssecrets.SecretID, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL, "AWS_CACERT_BYTES": string(roots),
		"AWS_ACCESS_KEY_ID": standIn.Service().ID, "AWS_SECRET_ACCESS_KEY": standIn.Service().Secret.Reveal(),
	}})
	answers(t, s.Target, r, http.StatusOK)
	fields["clients/allowed"] = "[]"
	if err := store.Write(t.Context(), fields); err != nil {
		t.Fatal(err)
	}
	answers(t, s.Target, r, http.StatusForbidden)
}

// answers waits until a replica in mode mtls answers the enrolled client so.
func answers(t *testing.T, target *harness.Target, r harness.Replica, want int) {
	t.Helper()
	ctx := within(t)
	again := time.NewTicker(localhost.Poll)
	defer again.Stop()
	for got := 0; got != want; {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("got %d, want %d; log: %s", got, want, r.Log())
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL().URL+"/predict", strings.NewReader(`{"inputs":[1]}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(harness.ProxyHeader, target.ProxySecret.Reveal())
		request.Header.Set(target.Profile.Header(), target.Certs.EnrolledCN)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			continue // it does not listen yet
		}
		_ = answer.Body.Close()
		got = answer.StatusCode
	}
}
