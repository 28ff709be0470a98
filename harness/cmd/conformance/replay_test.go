package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/token"
)

// endpoint is a target of one face, which serves two tokens: the valid one, and, while it is
// open, the expired one too.
type endpoint struct {
	*httptest.Server
	open   atomic.Bool
	flaky  atomic.Int64 // so many further calls with the expired token are served
	config string
}

// serve starts it, and writes its configuration.
func serve(t *testing.T, name string) *endpoint {
	t.Helper()
	key := try(certs.NewAuthority("tokens")).Pair()
	pemKey := try(key.KeyPEM())
	minter := &harness.Target{Profile: harness.Profile{Issuer: "https://idp.test", Audience: "aegis"},
		Tokens: harness.TokenGrant{Signing: []harness.SigningKey{{PEM: harness.Secret(pemKey), ID: "k", Algorithm: "ES256"}}}}
	valid, expired := try(token.Sound().Make(token.From(minter))), try(token.Expired(time.Hour).Make(token.From(minter)))
	e := &endpoint{}
	e.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if bearer == valid || bearer == expired && (e.open.Load() || e.flaky.Add(-1) >= 0) {
			_, _ = fmt.Fprint(w, `{"prediction":0.5}`)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(e.Close)
	dir := t.TempDir()
	write := func(file, text string) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw})))
	write("valid.jwt", valid)
	write("expired.jwt", expired)
	e.config = write("staging.yaml", fmt.Sprintf(`mode: oidc
target: {name: %s, environment: staging, url: %q, ca_bundle: file:ca.pem}
endpoints: [{name: inference, path: /predict, body: '{"inputs": [1]}', positive_call: harmless}]
grants: {tokens: {valid: file:valid.jwt, expired: file:expired.jwt}}
rails: {rate: 0, journal: journal}
`, name, e.URL))
	return e
}

// TestReplay: a finding's requests are sent again to the same target, and then and now stand
// side by side; another target is refused, and the sign-off stays as it was.
func TestReplay(t *testing.T) {
	e := serve(t, "one")
	e.open.Store(true)
	out := t.TempDir()
	if _, stderr, code := conformance(t, "run", "--config", e.config, "--only", "OIDC-005,OIDC-004", "--out", out); code != exitFail {
		t.Fatalf("the run ends %d: %s", code, stderr)
	}
	before, err := os.ReadFile(filepath.Join(out, signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := conformance(t, "replay", out, "OIDC-005", "--config", e.config)
	if code != exitFail || !strings.Contains(stdout, "shown again") || strings.Count(stdout, "fail (security)") != 2 {
		t.Errorf("it is as it was: status %d\n%s%s", code, stdout, stderr)
	}
	e.open.Store(false)
	stdout, stderr, code = conformance(t, "replay", out, "oidc-005", "--config", e.config)
	if code != exitPass || !strings.Contains(stdout, "it failed, and holds now") || !strings.Contains(stdout, "    then  200") || !strings.Contains(stdout, "    now   401") {
		t.Errorf("it is mended: status %d\n%s%s", code, stdout, stderr)
	}
	if after, err := os.ReadFile(filepath.Join(out, signoff.RecordName)); err != nil || string(after) != string(before) {
		t.Errorf("the sign-off is another: %v", err)
	}
	for want, args := range map[string][]string{
		`it names "two", the sign-off is of "one"`: {"replay", out, "OIDC-005", "--config", serve(t, "two").config},
		"which the configuration does not have":    {"replay", out, "OIDC-005", "--config", serve(t, "one").config},
		"did you mean OIDC-005?":                   {"replay", out, "OIDC-0005", "--config", e.config},
		"one ID or more":                           {"replay", out},
	} {
		if _, stderr, code := conformance(t, args...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%v: status %d, %q; want %q", args, code, stderr, want)
		}
	}
}

// TestReplayOfAStackThatHasEnded names the command that starts one.
func TestReplayOfAStackThatHasEnded(t *testing.T) {
	_, stderr, code := conformance(t, "replay", filepath.Join("..", "..", "report", "testdata"), "OIDC-005")
	if code != exitUsage || !strings.Contains(stderr, "of a stack that has ended") || !strings.Contains(stderr, "--only OIDC-005") {
		t.Errorf("status %d, %q", code, stderr)
	}
}
