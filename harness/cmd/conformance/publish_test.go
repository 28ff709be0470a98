package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness/signoff"
)

// TestAFailedRunMarksTheEarlierSignOff: what stands there was good, and is old now.
func TestAFailedRunMarksTheEarlierSignOff(t *testing.T) {
	out := t.TempDir()
	if stdout, stderr, code := conformance(t, "run", "--runtime", "embedded", "--dry-run", "--out", out); code != exitIncomplete {
		t.Fatalf("status %d\n%s%s", code, stdout, stderr)
	}
	c := command(t, "run", "--runtime", "containers", "--out", out)
	c.Env = append(c.Env, noEngine)
	stdout, _, code := finish(t, c)
	if code != exitEnvironment || !strings.Contains(stdout, "marked as old") {
		t.Errorf("status %d, want %d and the mark told\n%s", code, exitEnvironment, stdout)
	}
	for _, args := range [][]string{{"signoff", out}, {"report", out}, {"diff", out, out}} {
		if _, stderr, code := conformance(t, args...); code != exitUsage || !strings.Contains(stderr, "not of the last run") {
			t.Errorf("%s: status %d, %q: want it refused as old", args[0], code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(out, signoff.RecordName)); err != nil {
		t.Error(err)
	}
}

// TestReportsStandBesideTheirRecord: no page of one run among another's files.
func TestReportsStandBesideTheirRecord(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	for _, out := range []string{one, other} {
		if stdout, stderr, code := conformance(t, "run", "--runtime", "embedded", "--dry-run", "--out", out); code != exitIncomplete {
			t.Fatalf("status %d\n%s%s", code, stdout, stderr)
		}
	}
	if _, stderr, code := conformance(t, "report", one, "--out", other); code != exitUsage || !strings.Contains(stderr, "choose another with --out") {
		t.Errorf("status %d, %q: want it refused", code, stderr)
	}
	if _, stderr, code := conformance(t, "report", one, "--format", "html"); code != exitPass {
		t.Errorf("status %d, %q", code, stderr)
	}
}
