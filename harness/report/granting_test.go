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

// TestManyLacksAreFewGroups: where expectations lack many things together, each thing is told
// alone, with how many lack it; and what lacks nothing that can be granted keeps its reason.
func TestManyLacksAreFewGroups(t *testing.T) {
	all := harness.Capabilities()
	r := lacks(nil)
	for i, a := range all {
		for _, b := range all[i+1:] {
			r.Findings = append(r.Findings, signoff.Finding{ID: "X-" + string(a) + string(b), Verdict: harness.NotExercised, Missing: []harness.Capability{a, b}})
		}
	}
	r.Findings = append(r.Findings, signoff.Finding{ID: "X-0", Verdict: harness.NotExercised, Reason: "the run stopped"})
	page, err := report.HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	groups := strings.Count(string(page), `<td data-label="Expectations" class="ids">`)
	if want := len(all) + 1; groups != want {
		t.Errorf("%d groups of %d expectations; want %d", groups, len(r.Findings), want)
	}
	if !strings.Contains(string(page), "the run stopped") {
		t.Error("the reason of what lacks nothing is not told")
	}
}
