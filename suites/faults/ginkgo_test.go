package faults_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// built is the test binary of the suites, built once.
var built = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "suites.test")
	said, err := exec.Command("go", "test", "-c", "-o", binary, "aegis.test/conformance/suites").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the suites: %w: %s", err, said)
	}
	return binary, nil
})

// binaries is the directory of what the tests build.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "aegis-conformance-suites-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// bound runs the suites as go test or ginkgo would, embedded unless the
// environment says otherwise, and reads the sign-off they leave.
func bound(t *testing.T, environment []string, flags ...string) (record signoff.Record, output string, err error) {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return call(t, environment, binary, append([]string{"-test.run=^TestConformance$"}, flags...)...)
}

// call runs a program in the suites' directory, which leaves a sign-off.
func call(t *testing.T, environment []string, program string, args ...string) (record signoff.Record, output string, err error) {
	t.Helper()
	return callInto(t, t.TempDir(), environment, program, args...)
}

func callInto(t *testing.T, out string, environment []string, program string, args ...string) (record signoff.Record, output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = ".."
	c.Env = append(os.Environ(), config.RuntimeVariable+"=embedded", config.OutVariable+"="+out)
	c.Env = append(c.Env, environment...)
	said, err := c.CombinedOutput()
	data, readErr := os.ReadFile(filepath.Join(out, signoff.RecordName))
	if readErr != nil {
		t.Fatalf("%v\n%s", readErr, said)
	}
	record, readErr = signoff.Read(data)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return record, string(said), err
}

// exercised are the IDs that were judged.
func exercised(r signoff.Record) []string {
	var ids []string
	for _, f := range slices.Concat(r.ByVerdict(harness.Pass), r.ByVerdict(harness.Fail)) {
		ids = append(ids, f.ID)
	}
	return ids
}

// TestWholeSuites runs the suites whole, as Ginkgo and go test may be told to: each
// way, or of a sample one.
func TestWholeSuites(t *testing.T) {
	ways := map[string]func(*testing.T){
		"passes": wholeSuitePasses, "is never replayed": verdictsAreNeverReplayed, "in two processes": processesShareOneStack,
	}
	names := slices.Sorted(maps.Keys(ways))
	chosen := sample.Of(names, 1)
	t.Logf("planted nothing under Ginkgo, whole: %s", strings.Join(chosen, ", "))
	for _, name := range chosen {
		t.Run(name, ways[name])
	}
}

func wholeSuitePasses(t *testing.T) {
	junit := filepath.Join(t.TempDir(), "junit.xml")
	record, output, err := bound(t, nil, "-ginkgo.junit-report="+junit)
	if err != nil || record.Verdict != signoff.Rehearsed {
		t.Fatalf("%s, %v: want REHEARSED\n%s", record.Verdict, err, output)
	}
	if record.Kind != harness.Rehearsal || !strings.Contains(record.Headline, "no release evidence") {
		t.Errorf("kind %q, headline %q: want a rehearsal that says what it is", record.Kind, record.Headline)
	}
	text, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range suites.All() {
		if !strings.Contains(string(text), x.ID+" ") {
			t.Errorf("Ginkgo's JUnit report does not name %s", x.ID)
		}
	}
}

// allBut is a pattern of every ID but one.
func allBut(id string) string {
	var others []string
	for _, x := range suites.All() {
		if x.ID != id {
			others = append(others, x.ID+" ")
		}
	}
	return strings.Join(others, "|")
}

// standingIn are the expectations whose rules stand in a file.
func standingIn(t *testing.T, file string) []string {
	t.Helper()
	var ids []string
	for _, x := range suites.All() {
		if x.Rule.File == file {
			ids = append(ids, x.ID)
		}
	}
	if len(ids) == 0 {
		t.Fatalf("no rule stands in %s", file)
	}
	return ids
}

// TestNarrowedRunsAreInvalid narrows the run in every way Ginkgo knows.
func TestNarrowedRunsAreInvalid(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		want  []string // exercised
	}{
		"focus":                        {[]string{"-ginkgo.focus=OIDC-005"}, []string{"OIDC-005"}},
		"skip":                         {[]string{"-ginkgo.skip=" + allBut("MTLS-002")}, []string{"MTLS-002"}},
		"label filter":                 {[]string{"-ginkgo.label-filter=CLM-006"}, []string{"CLM-006"}},
		"label filter with no match":   {[]string{"-ginkgo.label-filter=NOSUCH"}, nil},
		"focus with no match":          {[]string{"-ginkgo.focus=NOSUCH"}, nil},
		"focus file":                   {[]string{"-ginkgo.focus-file=oidc/carriers.go"}, standingIn(t, "suites/oidc/carriers.go")},
		"dry run":                      {[]string{"-ginkgo.dry-run"}, nil},
		"dry run of what was narrowed": {[]string{"-ginkgo.dry-run", "-ginkgo.label-filter=mtls"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			record, output, err := bound(t, nil, c.flags...)
			if record.Verdict != signoff.Invalid || record.ExitStatus() == 0 || err == nil {
				t.Errorf("%s, status %d, the program's %v: want INVALID, and never 0\n%s", record.Verdict, record.ExitStatus(), err, output)
			}
			if got := exercised(record); !slices.Equal(got, c.want) {
				t.Errorf("exercised %v, want %v\n%s", got, c.want, output)
			}
			if record.Catalogue.Expectations != len(suites.All()) || len(record.Findings) != len(suites.All()) {
				t.Errorf("%d rows, want one per expectation", len(record.Findings))
			}
		})
	}
}

// TestFailingBeforeSuite points the suite at an engine that is not there.
func TestFailingBeforeSuite(t *testing.T) {
	record, output, err := bound(t, []string{config.RuntimeVariable + "=containers", "DOCKER_HOST=unix:///nonexistent.sock"})
	if err == nil {
		t.Error("the suite passed although its stack did not start")
	}
	if record.Verdict != signoff.Invalid || len(exercised(record)) != 0 {
		t.Errorf("%s: want INVALID with nothing exercised\n%s", record.Verdict, output)
	}
	if !strings.Contains(record.Headline, "did not start") || !strings.Contains(output, "engine") {
		t.Errorf("headline %q: want it to say that the stack did not start\n%s", record.Headline, output)
	}
}

// TestSpecsStandAtTheirRules wants a spec's location to be its expectation's own
// line: what an editor opens.
func TestSpecsStandAtTheirRules(t *testing.T) {
	_, output, _ := bound(t, nil, "-ginkgo.v", "-ginkgo.label-filter=CLM-006")
	x, _ := suites.Find("CLM-006")
	at := regexp.MustCompile(regexp.QuoteMeta(strings.TrimPrefix(x.Rule.File, "suites/")) + ":(\\d+)")
	if found := at.FindStringSubmatch(output); found == nil || found[1] != strconv.Itoa(x.Rule.Line) {
		t.Errorf("the output names %v, want line %d of %s\n%s", found, x.Rule.Line, x.Rule.File, output)
	}
}

// verdictsAreNeverReplayed runs go test twice: its result cache keeps the
// runs of a test that reads nothing new, and must keep none of the suite's.
func verdictsAreNeverReplayed(t *testing.T) {
	out := t.TempDir() // the same: a variable that changed would be reason enough
	var said string
	for range 2 {
		var err error
		if _, said, err = callInto(t, out, nil, "go", "test", ".", "-run", "^TestConformance$"); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	if strings.Contains(said, "(cached)") {
		t.Errorf("a verdict was replayed from the cache\n%s", said)
	}
}

// TestResultsAreCachedElsewhere is the control of the test above: a test of the
// same package that binds nothing is replayed.
func TestResultsAreCachedElsewhere(t *testing.T) {
	var said []byte
	for range 2 {
		c := exec.CommandContext(t.Context(), "go", "test", ".", "-run", "^TestExpectationsAreWhole$")
		c.Dir = ".."
		var err error
		if said, err = c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	if !strings.Contains(string(said), "(cached)") {
		t.Errorf("go test caches nothing here, so that the suite is not cached shows nothing\n%s", said)
	}
}

// processesShareOneStack runs the suite in two Ginkgo processes.
func processesShareOneStack(t *testing.T) {
	record, said, err := call(t, nil, "go", "tool", "ginkgo", "--procs=2", "--no-color", ".")
	if err != nil || record.Verdict != signoff.Rehearsed {
		t.Errorf("%s, %v: want REHEARSED\n%s", record.Verdict, err, said)
	}
}
