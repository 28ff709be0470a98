package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness/signoff"
)

// TestALookOverwritesNothing: what was selected holds, a word says so, and the sign-off
// of the whole catalogue stays as it was.
func TestALookOverwritesNothing(t *testing.T) {
	out := t.TempDir()
	whole := held()
	data, err := signoff.Encode(whole)
	if err == nil {
		err = signoff.Publish(out, map[string][]byte{signoff.RecordName: data, "signoff.html": []byte(whole.Run)}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := conformance(t, "run", "--runtime", "embedded", "--only", "CLM-006,OIDC-005", "--out", out)
	if code != exitPass || !strings.Contains(stdout, "2 of 2 selected hold; no sign-off, as it was filtered") || strings.Contains(stdout, "INVALID") {
		t.Errorf("status %d\n%s%s", code, stdout, stderr)
	}
	if _, _, code := conformance(t, "run", "--runtime", "embedded", "--dry-run", "--out", out); code != exitIncomplete {
		t.Errorf("a dry run: status %d, want %d", code, exitIncomplete)
	}
	if after, err := os.ReadFile(filepath.Join(out, signoff.RecordName)); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the sign-off is another: %v", err)
	}
	if err := signoff.Whole(out); err != nil {
		t.Error(err)
	}
	if stdout, _, code := conformance(t, "run", "--runtime", "embedded", "--only", "SEC-003", "--out", t.TempDir()); code != exitIncomplete || strings.Contains(stdout, "selected hold") {
		t.Errorf("what was not seen: status %d\n%s", code, stdout)
	}
}

// TestDidYouMean: of commands, flags and IDs.
func TestDidYouMean(t *testing.T) {
	for want, args := range map[string][]string{
		"did you mean verify?": {"verfy"}, "did you mean doctor?": {"docter"}, "did you mean --runtime?": {"run", "--runtim", "embedded"},
		"did you mean --only?": {"faults", "--ony", "M-006"}, "did you mean M-006?": {"explain", "M-06"}, "did you mean OIDC-005?": {"explain", "OIDC-0005"},
	} {
		if _, stderr, code := conformance(t, args...); code != exitUsage || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q: want %q", args, code, stderr, want)
		}
	}
}

// TestExplainTellsOfFaults: by their IDs, in any case.
func TestExplainTellsOfFaults(t *testing.T) {
	for _, id := range []string{"M-006", "m-006", "X-001"} {
		if stdout, _, code := conformance(t, "explain", id); code != exitPass || !strings.Contains(stdout, "caught by") || !strings.Contains(stdout, "faults --only "+strings.ToUpper(id)) {
			t.Errorf("%s: status %d\n%s", id, code, stdout)
		}
	}
}

// TestFaultsAreListed: each with its part, what is wrong and what catches it; none is planted.
func TestFaultsAreListed(t *testing.T) {
	stdout, stderr, code := conformance(t, "faults", "--list")
	for _, want := range []string{"M-006    app        The service takes a token of alg none for authentic. Caught by JOSE-001, JOSE-003.", "explain ID"} {
		if code != exitPass || !strings.Contains(stdout, want) {
			t.Errorf("status %d, %s: want %q in\n%s", code, stderr, want, stdout)
		}
	}
	if some, _, _ := conformance(t, "faults", "--list", "--only", "M-006", "--json"); strings.Count(some, `"id"`) != 1 {
		t.Errorf("of one: %s", some)
	}
}

// TestSixtyColumns: what is longer than the terminal is broken between words.
func TestSixtyColumns(t *testing.T) {
	t.Setenv("COLUMNS", "60")
	stdout, _, code := conformance(t, "plan", "--config", begun(t))
	if code != exitPass {
		t.Fatalf("status %d", code)
	}
	for line := range strings.Lines(stdout) {
		if body := strings.TrimSpace(line); len([]rune(strings.TrimRight(line, "\n"))) > 60 && strings.Contains(body, " ") {
			t.Errorf("%d columns: %q", len([]rune(line)), line)
		}
	}
	t.Setenv("COLUMNS", "")
	if whole, _, _ := conformance(t, "plan", "--config", begun(t)); strings.Count(whole, "\n") >= strings.Count(stdout, "\n") {
		t.Error("what is no terminal is broken too")
	}
}
