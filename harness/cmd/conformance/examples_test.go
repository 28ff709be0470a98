package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

// top is the module's root, from here.
const top = "../../.."

const action = top + "/.github/actions/conformance/action.yml"

// examples are the files that call this program elsewhere.
func examples(t *testing.T) []string {
	t.Helper()
	manifests, err := filepath.Glob(top + "/suites/examples/kubernetes/*.yaml")
	if err != nil || len(manifests) == 0 {
		t.Fatalf("%d manifests, %v", len(manifests), err)
	}
	return append(manifests, top+"/suites/examples/gitlab-ci.yml", action)
}

// TestExamplesCallWhatThereIs: every flag that an example gives is one of a
// command, and every file it takes is one that a run writes.
func TestExamplesCallWhatThereIs(t *testing.T) {
	flag, file := regexp.MustCompile(`(?:^|[\s\[("])--([a-z][a-z-]*)`), regexp.MustCompile(`[a-z-]+\.(?:html|md|xml)\b`)
	written := []string{signoff.RecordName}
	for _, f := range report.Formats {
		written = append(written, f.File)
	}
	for _, name := range examples(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data = regexp.MustCompile(`(?m)^#.*$`).ReplaceAll(data, nil)
		for _, match := range flag.FindAllStringSubmatch(string(data), -1) {
			if !slices.ContainsFunc(root().Commands(), func(c *cobra.Command) bool { return c.Flags().Lookup(match[1]) != nil }) {
				t.Errorf("%s gives --%s, which is no flag", name, match[1])
			}
		}
		for _, taken := range file.FindAllString(string(data), -1) {
			if !slices.Contains(written, taken) {
				t.Errorf("%s takes %s, which no run writes", name, taken)
			}
		}
	}
}

// TestActionRuns runs the step of the GitHub action that runs the harness, as a
// runner would: the status and the summary are where the next steps look.
func TestActionRuns(t *testing.T) {
	byTurns(t)
	var a struct {
		Runs struct {
			Steps []struct{ ID, Run string }
		}
	}
	data, err := os.ReadFile(action)
	if err == nil {
		err = yaml.Unmarshal(data, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "conformance"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range a.Runs.Steps {
		if step.ID != "run" {
			continue
		}
		out, said := filepath.Join(dir, "out"), filepath.Join(dir, "output")
		c := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", step.Run)
		c.Env = append(os.Environ(), asMain+"=1", "RUNNER_TEMP="+dir, "GITHUB_OUTPUT="+said, "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary"),
			"CONFIG=", "IMAGE=", "RUNTIME=embedded", "OUT="+out)
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		status, _ := os.ReadFile(said)
		summary, _ := os.ReadFile(filepath.Join(dir, "summary"))
		if r := record(t, out); string(status) != "status=0\n" || !strings.Contains(string(summary), string(signoff.Rehearsed)) || r.Kind != harness.Rehearsal {
			t.Errorf("said %q of a %s, in summary %q: want a rehearsal that held", status, r.Kind, summary)
		}
		return
	}
	t.Errorf("%s has no step %q", action, "run")
}

// TestActionTakesWhatRunTakes: each flag of run is an input of the action, or is no matter of
// a job's; and the step passes each input on.
func TestActionTakesWhatRunTakes(t *testing.T) {
	data, err := os.ReadFile(action)
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Inputs map[string]any
	}
	if err := yaml.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	ofTheTerminal := []string{"ha", "shard", "done", "dry-run", "verbose", "concurrency", "output", "help"}
	runCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(ofTheTerminal, f.Name) {
			return
		}
		if _, ok := a.Inputs[f.Name]; !ok {
			t.Errorf("run takes --%s, the action does not", f.Name)
		}
		if !strings.Contains(string(data), "--"+f.Name+" ") {
			t.Errorf("the action does not pass --%s on", f.Name)
		}
	})
}

// TestOnlyTheStackNeedsAnEngine: of GitLab's jobs, that which starts containers is privileged.
func TestOnlyTheStackNeedsAnEngine(t *testing.T) {
	data, err := os.ReadFile(top + "/suites/examples/gitlab-ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var jobs map[string]any
	if err := yaml.Unmarshal(data, &jobs); err != nil {
		t.Fatal(err)
	}
	for name, job := range jobs {
		text, err := yaml.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		if engine := strings.Contains(string(text), "dind"); engine != (name == "aegis-image") {
			t.Errorf("%s has an engine: %v", name, engine)
		}
	}
	if !strings.Contains(string(data), "sha256sum -c") {
		t.Error("what is downloaded is not compared with its digest")
	}
}

// TestActionsAreNamedByTheirCommit: a tag can be moved to other code; and no checkout
// leaves its token to what runs after it.
func TestActionsAreNamedByTheirCommit(t *testing.T) {
	files, err := filepath.Glob(top + "/.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v: want the workflows", files, err)
	}
	uses, commit := regexp.MustCompile(`uses: +(\S+)`), regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	for _, name := range append(files, action) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range uses.FindAllStringSubmatch(string(data), -1) {
			if !commit.MatchString(found[1]) && !strings.HasPrefix(found[1], "./") {
				t.Errorf("%s uses %s, want it by its commit", name, found[1])
			}
		}
		if n := strings.Count(string(data), "actions/checkout@"); n != strings.Count(string(data), "persist-credentials: false") {
			t.Errorf("%s checks out %d times, and not each without its credentials", name, n)
		}
		if !strings.Contains(string(data), "permissions:") && name != action {
			t.Errorf("%s does not say what it may do", name)
		}
	}
}

// TestTheNightRunsWhatTheDayDoesNot: what its workflow calls is there.
func TestTheNightRunsWhatTheDayDoesNot(t *testing.T) {
	data, err := os.ReadFile(top + "/.github/workflows/nightly.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"schedule:", "make test-all", "govulncheck@v", ".ci/fuzz"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the nightly workflow lacks %q", want)
		}
	}
	makefile, err := os.ReadFile(top + "/Makefile")
	if err != nil || !strings.Contains(string(makefile), "\ntest-all:") {
		t.Errorf("%v: there is no target test-all", err)
	}
	if _, err := os.Stat(top + "/.ci/fuzz"); err != nil {
		t.Error(err)
	}
}
