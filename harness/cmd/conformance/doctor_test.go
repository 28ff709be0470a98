package main

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/awssecrets"
	"aegis.test/conformance/harness/config"
)

// TestDoctorReadsTheSecretInAWS: keys that may read it are well, and others are told
// what to allow, without a value of the secret.
func TestDoctorReadsTheSecretInAWS(t *testing.T) {
	standIn := awssecrets.NewStandIn()
	server := httptest.NewTLSServer(standIn)
	t.Cleanup(server.Close)
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	store := awssecrets.NewStore(awssecrets.NewClient(awssecrets.Options{Region: "eu-west-1", Endpoint: server.URL, RootPEM: roots, Keys: standIn.Owner()}), awssecrets.SecretID)
	if err := store.Write(t.Context(), map[string]string{"oidc_jwks_uri": "https://idp.test/canary"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf(`mode: mtls
target: {environment: test, url: "https://mtls.test"}
endpoints: [{name: inference, path: /predict, positive_call: harmless}]
grants: {aws: {region: eu-west-1, endpoint: %q, ca_bundle: file:ca.pem, access_key_id: env:KEY, secret_access_key: env:SECRET}}
`, server.URL)
	for name, content := range map[string][]byte{"ca.pem": roots, "staging.yaml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for secret, want := range map[string]string{
		standIn.Owner().Secret.Reveal(): "ok    AWS read                 " + awssecrets.SecretID,
		"another":                       "secretsmanager:GetSecretValue on " + awssecrets.SecretID,
	} {
		all, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml"), Environ: []string{"KEY=" + standIn.Owner().ID, "SECRET=" + secret}})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		examineGrants(t.Context(), all[0], func(a ailment) { lines = append(lines, a.String()) })
		said := strings.Join(lines, "\n")
		if !strings.Contains(said, want) || strings.Contains(said, "canary") || strings.Contains(said, secret) {
			t.Errorf("got %q, want %q in it", said, want)
		}
	}
}
