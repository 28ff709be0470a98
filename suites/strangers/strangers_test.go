// Package strangers_test holds sound deployments of foreign parts against the runbook as
// their owners would: each has the staging.yaml that is written for it, and is run live
// by the command. None is accused, each says core, and what is planted in one is caught.
package strangers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites/faults"
)

// settings are those of the tests.
var settings = config.Read(os.Getenv, "")

// TestStrangers runs two of them by turns, or all where nothing is sampled: two beside
// each other, as a run that keeps its pace mostly waits.
func TestStrangers(t *testing.T) {
	if settings.Runtime != string(stack.Containers) {
		t.Skip("not in containers: make test judges this where a container engine answers")
	}
	var names []string
	for _, s := range strangers {
		names = append(names, s.name)
	}
	chosen := faults.Sample{Seed: settings.Sample}.Of(names, 2)
	t.Logf("planted the faults of %d of %d strangers: %s", len(chosen), len(names), strings.Join(chosen, ", "))
	program := build(t)
	for _, s := range strangers {
		if slices.Contains(chosen, s.name) {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.judge(t, program)
			})
		}
	}
}

// judge runs the command on a stranger as it is, and with each of its faults.
func (s stranger) judge(t *testing.T, program string) {
	t.Run("sound", func(t *testing.T) { s.deploy(t, fault{}).passes(t, program) })
	for _, f := range s.faults {
		t.Run(f.says, func(t *testing.T) { s.deploy(t, f).catches(t, program, f) })
	}
}

// passes wants PASS, core, no row failed, and none that says nothing of the target; HTTP/3 where it is spoken.
func (d *deployed) passes(t *testing.T, program string) {
	began := time.Now()
	r, status, said := d.run(t, program)
	for _, f := range r.Findings {
		switch f.Verdict {
		case harness.Fail, harness.Error, harness.Inconclusive:
			t.Errorf("%s %s %s: %s", f.ID, f.Level, f.Verdict, f.Reason)
		}
	}
	i := slices.IndexFunc(r.Findings, func(f signoff.Finding) bool { return f.ID == "ING-007" })
	if spoken := i >= 0 && r.Findings[i].Verdict == harness.Pass; spoken != (d.ingress == images.Caddy) {
		t.Errorf("HTTP/3 (ING-007): want it seen where the ingress is Caddy, which speaks it, and nowhere else: %v", spoken)
	}
	if r.Verdict != signoff.Passed || r.Claim != signoff.CoreClaim || r.Kind != harness.Live || status != 0 {
		t.Errorf("status %d, %s, claim %s, %s: want PASS, core, live\n%v\n%s", status, r.Verdict, r.Claim, r.Kind, r.Reasons, said)
	}
	t.Logf("%v in %s", r.Totals, time.Since(began).Round(time.Second))
}

// catches wants what the fault names to fail and the run with it; or, of what a run that
// may not write cannot see, to be in doubt, and no pass.
func (d *deployed) catches(t *testing.T, program string, f fault) {
	r, status, said := d.run(t, program)
	found := map[string]harness.Verdict{}
	for _, row := range r.Findings {
		found[row.ID] = row.Verdict
	}
	for want, ids := range map[harness.Verdict][]string{harness.Fail: f.caught, harness.Inconclusive: f.doubted} {
		for _, id := range ids {
			if found[id] != want {
				t.Errorf("%s: %s, want %s", id, found[id], want)
			}
		}
	}
	want, exit := signoff.Failed, 1
	if len(f.caught) == 0 {
		want, exit = signoff.Incomplete, 3
	}
	if r.Verdict != want || status != exit {
		t.Errorf("status %d, %s: want %s\n%s", status, r.Verdict, want, said)
	}
}

// build makes the command.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "conformance")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../harness/cmd/conformance").CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}
	return program
}

// run runs the command as the owner would, and reads its record. What a host's names
// lead to is overridden: they are nobody's.
func (d *deployed) run(t *testing.T, program string) (record signoff.Record, status int, said string) {
	t.Helper()
	out := t.TempDir()
	words := []string{"run", "--config", filepath.Join(d.dir, "staging.yaml"), "--out", out}
	for _, key := range d.set {
		words = append(words, "--set", key)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, words...)
	var text bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = d.dir, &text, &text
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, "signoff.json"))
	if err == nil {
		err = json.Unmarshal(data, &record)
	}
	if err != nil {
		t.Fatalf("reading the record: %v\n%s", err, text.String())
	}
	return record, c.ProcessState.ExitCode(), text.String()
}

// file writes a file of a deployment's owner.
func (d *deployed) file(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), content, 0o600); err != nil {
		t.Fatal(fmt.Errorf("writing %s: %w", name, err))
	}
}
