package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
)

// noEngine is an environment in which no container engine answers.
const noEngine = "DOCKER_HOST=unix:///nonexistent.sock"

// TestAStagingFileIsMeantOrAskedAbout: a run in a folder that describes a deployment
// never judges a stack of its own without being told to.
func TestAStagingFileIsMeantOrAskedAbout(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		there bool
		code  int
	}{
		"nothing said":     {nil, true, exitUsage},
		"narrowed":         {[]string{"--only", "CLM-006"}, true, exitUsage},
		"dry":              {[]string{"--dry-run"}, true, exitUsage},
		"embedded":         {[]string{"--runtime", "embedded", "--dry-run"}, true, exitIncomplete},
		"auto":             {[]string{"--runtime", "auto", "--dry-run"}, true, exitIncomplete},
		"an ingress":       {[]string{"--ingress", "nginx", "--dry-run"}, true, exitIncomplete},
		"there is no file": {[]string{"--dry-run"}, false, exitIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			command := command(t, append([]string{"run", "--out", t.TempDir()}, c.args...)...)
			command.Env = append(command.Env, noEngine)
			command.Dir = t.TempDir()
			if c.there {
				if err := os.WriteFile(filepath.Join(command.Dir, usualConfig), []byte("target: {}\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, stderr, code := finish(t, command)
			if code != c.code {
				t.Errorf("status %d, want %d\n%s", code, c.code, stderr)
			}
			if code == exitUsage && (!strings.Contains(stderr, "run --config staging.yaml") || !strings.Contains(stderr, "run --runtime auto")) {
				t.Errorf("%q: want both commands", stderr)
			}
		})
	}
}

// TestARehearsalSaysSoFirstAndLast runs what make conformance runs where no engine
// answers.
func TestARehearsalSaysSoFirstAndLast(t *testing.T) {
	byTurns(t)
	out := t.TempDir()
	c := command(t, "run", "--runtime", "auto", "--out", out)
	c.Env = append(c.Env, noEngine, "CI=")
	stdout, stderr, code := finish(t, c)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if r := record(t, out); code != exitPass || r.Verdict != signoff.Rehearsed {
		t.Fatalf("status %d, %s: want %d, %s\n%s%s", code, r.Verdict, exitPass, signoff.Rehearsed, stdout, stderr)
	}
	if !strings.HasPrefix(lines[0], "rehearsal") || !strings.HasPrefix(lines[len(lines)-1], "rehearsed") || strings.Contains(stdout, "PASS") {
		t.Errorf("said first %q and last %q: want what it is, and PASS nowhere", lines[0], lines[len(lines)-1])
	}
}

// TestAFallbackIsNoPass: a rehearsal that nobody asked for ends as what was not seen.
func TestAFallbackIsNoPass(t *testing.T) {
	for name, c := range map[string]struct {
		flags   []string
		runtime stack.Runtime
		ci      string
		code    int
	}{
		"auto, not written out":   {nil, stack.Auto, "", exitIncomplete},
		"auto, written out":       {[]string{"runtime"}, stack.Auto, "", exitPass},
		"auto, written out in CI": {[]string{"runtime"}, stack.Auto, "true", exitIncomplete},
		"embedded, in CI":         {[]string{"runtime"}, stack.Embedded, "true", exitPass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv("CI", c.ci)
			var said strings.Builder
			s := session{runtime: c.runtime, out: t.TempDir(), console: console{out: &said, answer: &said}}
			if err := s.ours(func(flag string) bool { return slices.Contains(c.flags, flag) }); err != nil {
				t.Fatal(err)
			}
			r := held()
			r.Kind, r.Verdict = harness.Rehearsal, signoff.Rehearsed
			var code status
			if err := s.publish(r); err != nil && !errors.As(err, &code) {
				t.Fatal(err)
			}
			if int(code) != c.code || !strings.Contains(said.String(), "\nrehearsed") {
				t.Errorf("status %d, want %d, and a last word\n%s", code, c.code, said.String())
			}
		})
	}
}

// held is a record that nothing stands against.
func held() signoff.Record {
	return signoff.Conclude(signoff.Input{Run: "r-1"})
}
