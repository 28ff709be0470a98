package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if _, errs, code := conformance(t, "config", "--config", path); code != exitUsage || !strings.Contains(errs, `staging.yaml:1:7: mode: •••• (4 characters)`) {
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
