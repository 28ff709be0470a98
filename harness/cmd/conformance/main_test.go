package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
	"aegis.test/conformance/suites/faults"
)

// asMain makes this test binary the command itself.
const asMain = "AS_CONFORMANCE"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append(os.Environ(), asMain+"=1")
	return c
}

// conformance runs the command to its end.
func conformance(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return finish(t, command(t, args...))
}

func finish(t *testing.T, c *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	stdout, stderr, code, _ = watch(t, c)
	return stdout, stderr, code
}

// watch is finish, with the most memory that the command held, in KiB; 0 where the
// system does not tell. What it tells once a command has ended counts the pages of
// its parent, too.
func watch(t *testing.T, c *exec.Cmd) (stdout, stderr string, code, held int) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case err := <-ended:
			if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
				t.Fatal(err)
			}
			return out.String(), errs.String(), c.ProcessState.ExitCode(), held
		case <-time.After(20 * time.Millisecond):
			held = max(held, resident(c.Process.Pid))
		}
	}
}

// sample chooses what takes long, by the seed of make test; of everything, all.
func sample() faults.Sample { return faults.Sample{Seed: config.Read(os.Getenv, "").Sample} }

// wholeRuns are the tests that judge everything in a stack of their own.
var wholeRuns = []string{"TestActionRuns", "TestARehearsalSaysSoFirstAndLast", "TestFaultsAreData", "TestShardsMerge"}

// byTurns skips a test that this sample leaves out: it takes two of them.
func byTurns(t *testing.T) {
	t.Helper()
	if !slices.Contains(wholeRuns, t.Name()) {
		t.Fatalf("%s is none of the tests that judge everything", t.Name())
	}
	if !slices.Contains(sample().Of(wholeRuns, 2), t.Name()) {
		t.Skip(faults.NotSampled)
	}
	t.Parallel()
}

// resident is RssAnon of proc_pid_status(5): what a process holds in memory but for the
// pages of its program's file.
func resident(pid int) (kib int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, rest, ok := strings.Cut(string(text), "RssAnon:"); ok {
		_, _ = fmt.Sscan(rest, &kib)
	}
	return kib
}

func record(t *testing.T, dir string) signoff.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	r, err := signoff.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMistakesAreTold gives the command what it cannot take: one line that says
// what to do, the documented status, and an earlier sign-off as it was.
func TestMistakesAreTold(t *testing.T) {
	out := t.TempDir()
	earlier := filepath.Join(out, signoff.RecordName)
	if err := os.WriteFile(earlier, []byte("earlier"), 0o644); err != nil {
		t.Fatal(err)
	}
	notADirectory := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notADirectory, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"command":    {[]string{"frobnicate"}, exitUsage, "--help"},
		"flag":       {[]string{"run", "--bogus"}, exitUsage, "--help lists the flags"},
		"argument":   {[]string{"run", "extra"}, exitUsage, "no arguments"},
		"runtime":    {[]string{"run", "--runtime", "cloud", "--out", out}, exitUsage, "auto, containers or embedded"},
		"label":      {[]string{"run", "--only", "OIDC-05", "--out", out}, exitUsage, "OIDC-005"},
		"output":     {[]string{"run", "--runtime", "embedded", "--out", filepath.Join(notADirectory, "x")}, exitUsage, "--out"},
		"ID":         {[]string{"explain", "OIDC-0005"}, exitUsage, "conformance list"},
		"fault":      {[]string{"faults", "--only", "M-999"}, exitUsage, "M-999"},
		"fault auto": {[]string{"faults", "--runtime", "auto"}, exitUsage, "embedded or containers"},
		"certs":      {[]string{"certs"}, exitUsage, "--out"},
		"image here": {[]string{"run", "--runtime", "embedded", "--service-image", "aegis", "--out", out}, exitUsage, "--runtime containers"},
		"rules here": {[]string{"run", "--runtime", "embedded", "--alert-rules", "rules.yml", "--out", out}, exitUsage, "--runtime containers"},
		"nodes here": {[]string{"run", "--runtime", "embedded", "--ha", "--out", out}, exitUsage, "--runtime containers"},
		"no rules":   {[]string{"run", "--alert-rules", filepath.Join(out, "none.yml"), "--out", out}, exitUsage, "--alert-rules"},
		"shard":      {[]string{"run", "--shard", "4/4", "--out", out}, exitUsage, "0/4 to 3/4"},
		"shard only": {[]string{"run", "--shard", "0/4", "--only", "MTLS", "--out", out}, exitUsage, "--only"},
		"one part":   {[]string{"merge", out}, exitUsage, "two shards or more"},
		"no part":    {[]string{"merge", t.TempDir(), out, "--out", out}, exitUsage, "run --shard"},
		"format":     {[]string{"run", "--output", "xml", "--out", out}, exitUsage, "text, json or github"},
		"paces":      {[]string{"run", "--concurrency", "0", "--out", out}, exitUsage, "--concurrency"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := conformance(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, %q: want %d and one line with %q", code, stderr, c.code, c.says)
			}
		})
	}
	if data, err := os.ReadFile(earlier); err != nil || string(data) != "earlier" {
		t.Errorf("the earlier sign-off is %q, %v: want it as it was", data, err)
	}
}

// TestNoEngineIsTheEnvironments asks for containers where no engine answers.
func TestNoEngineIsTheEnvironments(t *testing.T) {
	out := t.TempDir()
	c := command(t, "run", "--runtime", "containers", "--out", out)
	c.Env = append(c.Env, "DOCKER_HOST=unix:///nonexistent.sock")
	_, stderr, code := finish(t, c)
	if code != exitEnvironment || !strings.Contains(stderr, "--runtime embedded") {
		t.Errorf("status %d, %q: want %d and the way out", code, stderr, exitEnvironment)
	}
	if _, err := os.Stat(filepath.Join(out, signoff.RecordName)); err == nil {
		t.Error("a sign-off was written although nothing ran")
	}
}

// TestRunsThatSawLessAreNeverPass narrows the run in every way the command
// knows.
func TestRunsThatSawLessAreNeverPass(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"one ID":    {[]string{"--only", "OIDC-005"}, exitPass}, // it holds, and is no sign-off
		"a chapter": {[]string{"--only", "monitoring"}, exitIncomplete},
		"an effect": {[]string{"--only", "disruptive"}, exitIncomplete},
		"dry":       {[]string{"--dry-run"}, exitIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			stdout, stderr, code := conformance(t, slices.Concat([]string{"run", "--runtime", "embedded", "--out", out}, c.args)...)
			r := record(t, out)
			if code != c.code || r.Verdict != signoff.Invalid || len(r.Findings) != len(suites.All()) {
				t.Errorf("status %d, %s, %d rows: want %d, INVALID and every row\n%s%s", code, r.Verdict, len(r.Findings), c.code, stdout, stderr)
			}
			if len(r.ByVerdict(harness.Fail))+len(r.ByVerdict(harness.Inconclusive)) > 0 {
				t.Errorf("the reference is accused\n%s", stdout)
			}
		})
	}
}

// TestShardsMerge judges the catalogue in two parts, and makes one sign-off of
// them: what one run gives, and no part by itself.
func TestShardsMerge(t *testing.T) {
	byTurns(t)
	dir := t.TempDir()
	done := filepath.Join(dir, "done")
	for _, shard := range []string{"0", "1"} {
		out := filepath.Join(dir, shard)
		stdout, stderr, code := conformance(t, "run", "--runtime", "embedded", "--shard", shard+"/2", "--out", out, "--done", done)
		if r := record(t, out); code != exitIncomplete || r.Verdict != signoff.Invalid || len(r.ByVerdict(harness.Fail)) > 0 {
			t.Fatalf("status %d, %s: want %d, INVALID, and nothing failed\n%s%s", code, r.Verdict, exitIncomplete, stdout, stderr)
		}
		if said, err := os.ReadFile(done); err != nil || string(said) != filepath.Join(out, "junit.xml") {
			t.Errorf("done says %q, %v: want where the JUnit file lies", said, err)
		}
	}
	out := filepath.Join(dir, "merged")
	stdout, stderr, code := conformance(t, "merge", filepath.Join(dir, "1"), filepath.Join(dir, "0"), "--out", out)
	r := record(t, out)
	if code != exitPass || r.Verdict != signoff.Rehearsed || len(r.Merged) != 2 {
		t.Errorf("status %d, %s of %d parts: want a rehearsal of 2\n%s%s", code, r.Verdict, len(r.Merged), stdout, stderr)
	}
	if judged := r.Totals[harness.Pass] + r.Totals[harness.Fail]; judged < len(suites.All())-20 {
		t.Errorf("%d judged: want nearly all of %d", judged, len(suites.All()))
	}
}

// TestInterruptedRunSaysSo interrupts a run that has begun to judge.
func TestInterruptedRunSaysSo(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			out := t.TempDir()
			c := command(t, "run", "--runtime", "embedded", "--out", out)
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "judging") {
			}
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			_ = c.Wait()
			r := record(t, out)
			if c.ProcessState.ExitCode() != exitIncomplete || r.Verdict != signoff.Invalid || !strings.Contains(r.Headline, "interrupted") {
				t.Errorf("status %d, %s, %q: want %d, INVALID: interrupted", c.ProcessState.ExitCode(), r.Verdict, r.Headline, exitIncomplete)
			}
		})
	}
}

// TestListsAreData reads what --json prints.
func TestListsAreData(t *testing.T) {
	stdout, _, code := conformance(t, "list", "--json")
	var list struct {
		Expectations []suites.Entry `json:"expectations"`
		Digest       string         `json:"digest"`
	}
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 {
		t.Fatalf("status %d, %v", code, err)
	}
	if len(list.Expectations) != len(suites.All()) || list.Digest != suites.CatalogueDigest() {
		t.Errorf("%d expectations, %s", len(list.Expectations), list.Digest)
	}
}

// TestExplainTellsAll explains every expectation.
func TestExplainTellsAll(t *testing.T) {
	for _, x := range suites.All() {
		text := explain(x)
		for _, want := range []string{x.ID, x.Rule.Text, x.Source, "clause", "stimulus", "outcome", "needs", "proven by", "rerun"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the explanation lacks %q", x.ID, want)
			}
		}
	}
	if stdout, _, code := conformance(t, "explain", "oidc-005"); code != 0 || !strings.Contains(stdout, "OIDC-005") {
		t.Errorf("status %d, %q", code, stdout)
	}
}

// TestFaultsAreData plants one fault and reads what --json prints.
func TestFaultsAreData(t *testing.T) {
	byTurns(t)
	stdout, stderr, code := conformance(t, "faults", "--only", "M-006", "--json")
	var matrix struct {
		Faults []struct {
			ID, Component string
			Named         []string
			CaughtBy      []string `json:"caught_by"`
			Caught        bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &matrix); err != nil || code != 0 {
		t.Fatalf("status %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if len(matrix.Faults) != 1 || matrix.Faults[0].ID != "M-006" || !matrix.Faults[0].Caught || !slices.Contains(matrix.Faults[0].CaughtBy, "JOSE-001") {
		t.Errorf("%+v: want M-006, caught by JOSE-001", matrix.Faults)
	}
}

// TestOutputIsPlainWithoutATerminal wants no escape codes in a pipe.
func TestOutputIsPlainWithoutATerminal(t *testing.T) {
	stdout, _, _ := conformance(t, "run", "--runtime", "embedded", "--only", "CLM-006", "--out", t.TempDir())
	if strings.ContainsAny(stdout, "\x1b\r") {
		t.Errorf("%q holds control characters", stdout)
	}
}

// TestCertsRefusesToOverwrite writes twice.
func TestCertsRefusesToOverwrite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "certs")
	if _, stderr, code := conformance(t, "certs", "--out", out); code != 0 {
		t.Fatalf("status %d, %s", code, stderr)
	}
	if _, stderr, code := conformance(t, "certs", "--out", out); code != exitUsage || !strings.Contains(stderr, "--force") {
		t.Errorf("status %d, %q: want %d and --force named", code, stderr, exitUsage)
	}
	if _, stderr, code := conformance(t, "certs", "--out", out, "--force"); code != 0 {
		t.Errorf("status %d, %s", code, stderr)
	}
}

// TestVersionSaysItsBuild: the commit and its date are those of the build, and stand in the
// record as well; and it is no larger than a download should be.
func TestVersionSaysItsBuild(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "conformance")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X aegis.test/conformance/suites.commit="+strings.Repeat("a", 40)+" -X aegis.test/conformance/suites.date=2026-11-23T17:00:00Z", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	said, err := exec.CommandContext(t.Context(), program, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`built     of commit a{40} of \d{4}-\d\d-\d\dT`).Match(said) {
		t.Errorf("%s", said)
	}
	if _, err := exec.CommandContext(t.Context(), program, "run", "--dry-run", "--runtime", "embedded", "--out", dir+"/out").Output(); err == nil {
		t.Error("a dry run passes")
	}
	if h := record(t, dir+"/out").Harness; len(h.Commit) != 40 || h.Date == "" {
		t.Errorf("the record's harness is %+v", h)
	}
	const most = 60 << 20
	if info, err := os.Stat(program); err != nil || info.Size() > most {
		t.Errorf("the program is %d bytes, %v; want %d at most", info.Size(), err, most)
	}
}
