package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// TestInit: what it writes is read, and it overwrites nothing unless told to.
func TestInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "staging.yaml")
	if out, errs, code := conformance(t, "init", path); code != exitPass || !strings.Contains(out, "conformance plan") {
		t.Fatalf("status %d, %q, %q", code, out, errs)
	}
	out, errs, code := conformance(t, "config", "--config", path, "--set", "target.url=https://other.test")
	if code != exitPass || !strings.Contains(out, `url: "https://other.test"`) || !strings.Contains(out, "staging.yaml:") {
		t.Errorf("status %d, %q, %q", code, out, errs)
	}
	if err := os.WriteFile(path, []byte("mode: oicd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := conformance(t, "init", path); code != exitUsage || !strings.Contains(errs, "--force") {
		t.Errorf("status %d, %q", code, errs)
	}
	if _, errs, code := conformance(t, "config", "--config", path); code != exitUsage || !strings.Contains(errs, `staging.yaml:1:7: mode: "oicd" is none of the values`) {
		t.Errorf("status %d, %q", code, errs)
	}
	if _, errs, code := conformance(t, "config", "--config", path+".none"); code != exitUsage || !strings.Contains(errs, "conformance init") {
		t.Errorf("status %d, %q", code, errs)
	}
}

func TestSchema(t *testing.T) {
	out, _, code := conformance(t, "schema")
	if code != exitPass || !json.Valid([]byte(out)) {
		t.Errorf("status %d, %d bytes", code, len(out))
	}
}

// TestRunWithoutConfig: what is said of a live target is no word about a stack of ours.
func TestRunWithoutConfig(t *testing.T) {
	for _, flag := range []string{"--set=rails.rate=1", "--allow=writes"} {
		if _, errs, code := conformance(t, "run", "--runtime", "embedded", "--dry-run", "--out", t.TempDir(), flag); code != exitUsage || !strings.Contains(errs, "--config staging.yaml names one") {
			t.Errorf("%s: status %d, %q", flag, code, errs)
		}
	}
}

// TestRefusal: each class of answer is held against what is declared, the runbook's
// where nothing is.
func TestRefusal(t *testing.T) {
	for _, row := range []struct {
		declared  harness.Refusal
		transport harness.Transport
		status    int
		want      string
	}{
		{"", harness.Answered, 401, "ok"},
		{"", harness.Answered, 400, "set it to http400"},
		{"", harness.Alert, 0, "ok"}, // a refusal in TLS satisfies any
		{"http401,http400", harness.Answered, 400, "ok"},
		{harness.HTTP400, harness.Answered, 496, "ok"},
		{harness.TLSAlert, harness.EOF, 0, "ok"},
		{harness.TLSAlert, harness.Answered, 401, "set it to http401"},
		{harness.TLSAlert, harness.Answered, 200, "must be refused"},
		{harness.TLSAlert, harness.TimeOut, 0, "http401, http400 and tls, or a list"},
	} {
		a := refusal("x", "no_certificate", row.declared, harness.Observation{Transport: row.transport, Status: row.status})
		if line := a.String(); !strings.Contains(line, row.want) || (a.mark == markOK) != (row.want == "ok") || (a.mark == markFail) != (row.status == 200) {
			t.Errorf("%q declared, %q %d: %q, want %q in it", row.declared, row.transport, row.status, line, row.want)
		}
	}
}
