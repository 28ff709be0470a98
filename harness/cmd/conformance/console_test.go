package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// told is what a console says of a run in which one expectation failed.
func told(c console) string {
	var out bytes.Buffer
	c.out = &out
	selected := suites.All()
	c.begin(selected)
	for i, x := range selected {
		f := harness.Finding{ID: x.ID, Verdict: harness.Pass}
		if i == 3 {
			f.Verdict, f.Reason = harness.Fail, "got 200\n\x1b[31m, want 401"
		}
		c.finding(x, f)
	}
	return out.String()
}

// TestProgressIsToldByChapter wants a line for each chapter, one for what failed,
// and in CI only the latter.
func TestProgressIsToldByChapter(t *testing.T) {
	var chapters []string
	for _, x := range suites.All() {
		if !slices.Contains(chapters, x.Chapter()) {
			chapters = append(chapters, x.Chapter())
		}
	}
	plain, quiet := told(console{}), told(console{quiet: true})
	if got, want := strings.Count(plain, "\n"), len(chapters)+2; got != want || strings.ContainsAny(plain, "\r\x1b") {
		t.Errorf("%d lines; want %d without control characters:\n%s", got, want, plain)
	}
	if got := strings.Count(quiet, "\n"); got != 2 || !strings.Contains(quiet, "fail "+suites.All()[3].ID+": got 200\\n") {
		t.Errorf("in CI %d lines; want the beginning and the failure:\n%s", got, quiet)
	}
	if verbose := told(console{quiet: true, verbose: true}); strings.Count(verbose, "\n") != len(suites.All())+1 {
		t.Errorf("verbose does not tell every finding")
	}
}

// TestMovingLine wants what is done, gone and left, and where it is.
func TestMovingLine(t *testing.T) {
	c := console{all: 200, done: 50, chapters: map[string]*progress{"oidc": {all: 80, done: 20}}}
	if got, want := c.moving("oidc", 10*time.Second), "  50 of 200, 10s gone, about 30s left, oidc 20 of 80"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got := remaining(0, 0, 10); got != 0 {
		t.Errorf("%s are left of what has not begun", got)
	}
	if moving := told(console{terminal: true}); !strings.Contains(moving, "gone, about") || !strings.HasSuffix(moving, "\n") {
		t.Errorf("a terminal is told %q", moving[max(0, len(moving)-200):])
	}
}

// TestOutputs runs one expectation for each --output.
func TestOutputs(t *testing.T) {
	run := func(t *testing.T, kind string, want int, env []string, args ...string) (stdout, stderr string) {
		t.Helper()
		c := command(t, append([]string{"run", "--runtime", "embedded", "--output", kind, "--out", t.TempDir()}, args...)...)
		c.Env = append(c.Env, env...)
		stdout, stderr, code := finish(t, c)
		if code != want {
			t.Fatalf("status %d\n%s%s", code, stdout, stderr)
		}
		return stdout, stderr
	}
	t.Run("json", func(t *testing.T) {
		stdout, stderr := run(t, "json", exitPass, nil, "--only", "CLM-006")
		if _, err := signoff.Read([]byte(stdout)); err != nil || !strings.Contains(stderr, "judging 1 expectations") {
			t.Errorf("%v, beside it %q", err, stderr)
		}
	})
	t.Run("github", func(t *testing.T) {
		summary := filepath.Join(t.TempDir(), "summary")
		stdout, _ := run(t, "github", exitIncomplete, []string{"GITHUB_STEP_SUMMARY=" + summary}, "--dry-run")
		data, err := os.ReadFile(summary)
		if err != nil || !strings.Contains(string(data), "## Aegis conformance") || !strings.Contains(stdout, "\n::error title=Aegis conformance%3A INVALID::") {
			t.Errorf("%v, %q, %q", err, data, stdout)
		}
		if stdout, _ := run(t, "github", exitPass, []string{"GITHUB_STEP_SUMMARY="}, "--only", "CLM-006"); !strings.Contains(stdout, "\n::notice title=Aegis conformance::1 of 1 selected hold") || strings.Contains(stdout, "::error") {
			t.Errorf("what was selected holds: %q", stdout)
		}
	})
}

// TestNothingAskedShowsThreeCommands runs the program without arguments.
func TestNothingAskedShowsThreeCommands(t *testing.T) {
	stdout, stderr, code := conformance(t)
	if code != exitPass || stderr != "" || strings.Count(stdout, "\n  conformance ") != 3 {
		t.Errorf("status %d, %q, %q", code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "  conformance ") {
			continue
		}
		if found, _, err := root().Find(fields[1:2]); err != nil || found.Name() != fields[1] {
			t.Errorf("there is no command %q", fields[1])
		}
	}
}

// TestCompletion asks for completions as a shell does.
func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"explain", "OIDC-00"}, "OIDC-005\t"},
		{[]string{"run", "--only", "mtls,oidc-00"}, "mtls,OIDC-005"},
		{[]string{"run", "--output", ""}, "github"},
		{[]string{"run", "--ingress", "nginx,hap"}, "nginx,haproxy"},
		{[]string{"report", "--format", "ju"}, "junit"},
		{[]string{"faults", "--only", "M-00"}, "M-006"},
		{[]string{"ru"}, "run\t"},
	} {
		stdout, _, code := conformance(t, append([]string{"__complete"}, c.args...)...)
		if code != 0 || !strings.Contains(stdout, c.want) {
			t.Errorf("%q completes to %q; want %q among it", c.args, stdout, c.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if stdout, _, code := conformance(t, "completion", shell); code != 0 || !strings.Contains(stdout, "conformance") {
			t.Errorf("no completion script for %s", shell)
		}
	}
}

// TestJSONIsAlone wants nothing but the record where --output json is asked for.
func TestJSONIsAlone(t *testing.T) {
	stdout, _, _ := conformance(t, "run", "--dry-run", "--output", "json", "--out", t.TempDir())
	var record map[string]any
	if err := json.Unmarshal([]byte(stdout), &record); err != nil {
		t.Errorf("standard output is no JSON: %v", err)
	}
}
