package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

// lacks is a record of a live target of both modes that lacks capabilities, one by one.
func lacks(all []harness.Capability) signoff.Record {
	r := signoff.Record{Kind: harness.Live, Claim: signoff.CoreClaim, Target: signoff.Target{Modes: []harness.Mode{harness.MTLS, harness.OIDC}}}
	for _, c := range all {
		r.Findings = append(r.Findings, signoff.Finding{ID: "X-" + string(c), Verdict: harness.NotExercised, Missing: []harness.Capability{c}})
	}
	return r
}

// TestWhatToGrantCanBeWritten: for each capability that a configuration can grant the page
// shows YAML, and what it shows is read by the strict reader.
func TestWhatToGrantCanBeWritten(t *testing.T) {
	out := config.OutOfReach()
	for _, c := range harness.Capabilities() {
		reachable := c != harness.URL
		for _, never := range out {
			reachable = reachable && never != c
		}
		written := report.ToWrite(lacks([]harness.Capability{c}))
		if reachable != (written != "") {
			t.Errorf("%s can be granted: %v; the YAML is %q", c, reachable, written)
		}
		if written != "" {
			read(t, string(c), written)
		}
	}
	allow := report.ToWrite(lacks([]harness.Capability{harness.Allows(harness.Disruptive), harness.Allows(harness.Writes)}))
	if allow != "rails:\n  allow: disruptive\n" {
		t.Errorf("allowing both effects is %q", allow)
	}
}

// read reads YAML as a part of a configuration: no key of it may be unknown, and no value of
// another form.
func read(t *testing.T, what, written string) {
	t.Helper()
	dir := t.TempDir()
	head := "mode: both\n"
	for key, lines := range map[string]string{
		"target":    "  environment: staging\n  url: https://aegis.staging.example\n",
		"endpoints": "  - {name: inference, path: /predict, positive_call: harmless}\n",
	} {
		if strings.HasPrefix(written, key+":\n") {
			written = key + ":\n" + lines + strings.TrimPrefix(written, key+":\n")
			continue
		}
		head += key + ":\n" + lines
	}
	path := filepath.Join(dir, "staging.yaml")
	if err := os.WriteFile(path, []byte(head+written), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Sources{Path: path})
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		for _, wrong := range []string{"no such key", "want", "is none of"} {
			if strings.Contains(line, wrong) && !strings.Contains(line, "grants nothing") {
				t.Errorf("%s: %s%s", what, line, written)
			}
		}
	}
}
