// Package trackrecord_test finds real old bugs again, in the versions that had them: a
// service of the runbook's contract verifies with an old library, and is judged live by
// the command; beside it, the same with the version that mended it.
package trackrecord_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/suites/faults"
)

// bug is a known bug.
type bug struct {
	dir   string // of the module that verifies with the version that has it
	name  string // as it is known
	had   string // module and version
	fixed string
	found []string // IDs of the rows that fail on it, and pass on the fixed one
	other bool     // the fixed version is another module, required by the same go.mod
}

// bugs are the track record, as TRACK-RECORD.md tells it.
var bugs = []bug{
	{
		dir: "jwtgo1", name: "HS256 keyed with the RSA public key: every method takes its key as bytes (CWE-347; RFC 8725 section 2.1)",
		had: "github.com/dgrijalva/jwt-go v2.7.0", fixed: "github.com/dgrijalva/jwt-go v3.2.0", found: []string{"JOSE-004"},
	},
	{
		dir: "jwtgo3", name: "CVE-2020-26160: an aud that is an array counts as none",
		had: "github.com/dgrijalva/jwt-go v3.2.0", fixed: "github.com/golang-jwt/jwt/v5 v5.3.1", found: []string{"CLM-012"}, other: true,
	},
	{
		dir: "jwtgo3", name: "an exp that is no number counts as none (RFC 7519 section 4.1.4)",
		had: "github.com/dgrijalva/jwt-go v3.2.0", fixed: "github.com/golang-jwt/jwt/v5 v5.3.1", found: []string{"CLM-003"}, other: true,
	},
	{
		dir: "gooidc", name: "nbf is not looked at (RFC 7519 section 4.1.5)",
		had: "github.com/coreos/go-oidc v2.0.0", fixed: "github.com/coreos/go-oidc v2.5.0", found: []string{"CLM-006"},
	},
	{
		dir: "gojose1", name: "CVE-2016-9122: a JSON serialization with several signatures is read where a JWT is wanted, and one right one is enough",
		had: "gopkg.in/square/go-jose.v1 v1.0.3", fixed: "github.com/go-jose/go-jose/v4 v4.1.4", found: []string{"OIDC-017"}, other: true,
	},
	{
		dir: "jwx1", name: "jwt.Parse looks at no date unless it is asked to, which version 2 turned round",
		had: "github.com/lestrrat-go/jwx v1.1.0", fixed: "github.com/lestrrat-go/jwx/v2 v2.1.6", found: []string{"OIDC-005", "CLM-006"}, other: true,
	},
}

// settings are those of the tests.
var settings = config.Read(os.Getenv, "")

// TestOldBugsAreFound judges one bug by turns, and its mended version; all where nothing
// is sampled.
func TestOldBugsAreFound(t *testing.T) {
	var names []string
	for _, b := range bugs {
		names = append(names, b.dir+" "+strings.Join(b.found, " "))
	}
	chosen := faults.Sample{Seed: settings.Sample}.Of(names, 1)
	t.Logf("%d of %d bugs: %s", len(chosen), len(names), strings.Join(chosen, ", "))
	program := build(t, "../../../harness/cmd/conformance", ".")
	d := newDeployment(t)
	for i, b := range bugs {
		if !slices.Contains(chosen, names[i]) {
			continue
		}
		t.Run(names[i], func(t *testing.T) {
			for _, id := range b.found {
				if got := d.judge(t, program, b.build(t, false), b.found)[id]; got.Verdict != harness.Fail {
					t.Errorf("%s, which has %s: %s is %s %s, want fail", b.had, b.name, id, got.Verdict, got.Reason)
				}
			}
		})
		t.Run(names[i]+" fixed", func(t *testing.T) {
			for id, got := range d.judge(t, program, b.build(t, true), b.found) {
				if got.Verdict != harness.Pass {
					t.Errorf("%s: %s is %s: %s", b.fixed, id, got.Verdict, got.Reason)
				}
			}
		})
	}
}

// TestTrackRecordIsWritten compares TRACK-RECORD.md with the bugs that are judged, and
// their go.mod with what it says they have.
func TestTrackRecordIsWritten(t *testing.T) {
	text, err := os.ReadFile("../TRACK-RECORD.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		if line := fmt.Sprintf("| %s | %s | %s | %s |\n", b.name, b.had, strings.Join(b.found, ", "), b.fixed); !strings.Contains(string(text), line) {
			t.Errorf("TRACK-RECORD.md lacks this line:\n%s", line)
		}
		mended := "fixed.mod"
		if b.other {
			mended = "go.mod"
		}
		b.requires(t, "go.mod", b.had)
		b.requires(t, mended, b.fixed)
	}
	if lines := strings.Count(string(text), "\n| ") - 1; lines != len(bugs) { // its heading
		t.Errorf("TRACK-RECORD.md has %d bugs, want %d", lines, len(bugs))
	}
}

// requires wants a module of the bug's to require a version.
func (b bug) requires(t *testing.T, file, version string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, file))
	if err != nil || !strings.Contains(string(data), "\t"+version) {
		t.Errorf("%s/%s does not require %s: %v", b.dir, file, version, err)
	}
}

// build builds the service with the version that has the bug, or with the fixed one.
func (b bug) build(t *testing.T, fixed bool) string {
	t.Helper()
	var flags []string
	if fixed {
		flags = append(flags, "-tags", "fixed")
		if !b.other {
			flags = append(flags, "-modfile", "fixed.mod")
		}
	}
	return build(t, b.dir, append(flags, ".")...)
}

// build builds what is in a folder.
func build(t *testing.T, dir string, words ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	c := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", program}, words...)...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", dir, err, out)
	}
	return program
}

// deployment is what every service of the track record is deployed with.
type deployment struct {
	dir string
	env []string
}

const kid = "record-1"

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{dir: t.TempDir()}
	key := try(rsa.GenerateKey(rand.Reader, 2048))
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: try(x509.MarshalPKCS8PrivateKey(key))})
	public := try(token.Public(harness.SigningKey{ID: kid, Algorithm: "RS256", PEM: harness.Secret(private)}))
	servers := try(certs.NewAuthority("Staging Servers"))
	pair := try(servers.Server("127.0.0.1"))
	for name, content := range map[string][]byte{
		"idp.key": private, "keys.json": token.KeySet(public), "ca.pem": servers.RootPEM(),
		"idp.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: try(x509.MarshalPKIXPublicKey(key.Public()))}),
		"tls.crt": pair.ChainPEM(), "tls.key": try(pair.KeyPEM()), "staging.yaml": []byte(staging),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.env = []string{
		"ISSUER=https://login.staging.example", "AUDIENCE=scoring", "KID=" + kid, "SECRET=" + rand.Text(),
		"JWKS=keys.json", "KEY=idp.pub", "TLS_CERT=tls.crt", "TLS_KEY=tls.key",
	}
	return d
}

// staging is what the owner of such a service would write.
const staging = `mode: oidc
target:
  name: an old library
  environment: staging
  url: https://127.0.0.1
  ca_bundle: file:ca.pem
endpoints:
  - {name: inference, path: /predict, body: '{"inputs": [1]}', positive_call: harmless}
  - {name: enrollment, path: /enroll, body: '{"client": "{{unique}}"}', positive_call: harmless}
  - {name: review, path: /review, body: '{"subject": "{{unique}}"}', positive_call: harmless}
profile: {issuer: "https://login.staging.example", audience: scoring}
grants:
  tokens:
    signing_key: {key: file:idp.key, id: ` + kid + `, algorithm: RS256}
rails: {rate: 100, burst: 20}
`

// judge starts a service, and has the command judge it live by some rows.
func (d *deployment) judge(t *testing.T, program, service string, rows []string) map[string]harness.Finding {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := exec.CommandContext(ctx, service)
	started.Dir, started.Env, started.Stderr = d.dir, d.env, os.Stderr
	said := try(started.StdoutPipe())
	if err := started.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = started.Wait() }()
	address, err := bufio.NewReader(said).ReadString('\n') // it listens
	if err != nil {
		t.Fatalf("waiting until %s listens: %v", service, err)
	}
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, program, "run", "--config", "staging.yaml", "--set", "target.url=https://"+strings.TrimSpace(address),
		"--only", strings.Join(rows, ","), "--out", t.TempDir(), "--output", "json")
	c.Dir, c.Stdout, c.Stderr = d.dir, &out, &errs
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	var record struct{ Findings []harness.Finding }
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatalf("reading the record: %v\n%s\n%s", err, out.String(), errs.String())
	}
	found := map[string]harness.Finding{}
	for _, f := range record.Findings {
		if slices.Contains(rows, f.ID) {
			found[f.ID] = f
		}
	}
	if len(found) != len(rows) {
		t.Fatalf("%d rows judged of %v\n%s", len(found), rows, fmt.Sprint(errs.String()))
	}
	return found
}

func try[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
