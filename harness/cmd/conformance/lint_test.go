package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness/lint"
	"aegis.test/conformance/suites"
)

// soundFiles is lint's sound example.
const soundFiles = "../../lint/testdata/sound"

// TestLintExits: each exit status that its help names.
func TestLintExits(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	writes := file("aegis-runtime.hcl", `path "secret/data/aegis/runtime" { capabilities = ["update"] }`)
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{soundFiles}, exitPass, "0 MUST"},
		{[]string{writes}, exitFail, "aegis-runtime.hcl:1:52: LNT-030 MUST: got update"},
		{[]string{writes, "--only", "LNT-031"}, exitPass, "0 MUST"},
		{[]string{file("template.yaml", "a: {{ .Values.a }}\n")}, exitUsage, "template.yaml:1: not read: it is a template of Helm's"},
		{[]string{t.TempDir()}, exitIncomplete, "nothing that a rule is about"},
		{nil, exitUsage, "wants a path"},
		{[]string{soundFiles, "--format", "sarf"}, exitUsage, "did you mean sarif?"},
		{[]string{soundFiles, "--mode", "none"}, exitUsage, "want oidc or mtls"},
		{[]string{soundFiles, "--only", "LNT-999"}, exitUsage, "lint --list"},
		{[]string{"--list"}, exitPass, "LNT-030 MUST"},
	} {
		stdout, stderr, code := conformance(t, append([]string{"lint"}, c.args...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.out) {
			t.Errorf("lint %q: exit %d, want %d and %q:\n%s%s", c.args, code, c.code, c.out, stdout, stderr)
		}
	}
}

// TestLintReadsTheStandardInput: as helm template writes it.
func TestLintReadsTheStandardInput(t *testing.T) {
	c := command(t, "lint", "--format", "json", "-")
	c.Stdin = strings.NewReader("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {token: hunter2}\n")
	stdout, stderr, code := finish(t, c)
	var r struct {
		Findings []lint.Finding
		Exit     int
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v:\n%s%s", err, stdout, stderr)
	}
	if code != exitFail || r.Exit != exitFail || len(r.Findings) != 1 || r.Findings[0].Rule != "LNT-013" || r.Findings[0].Line != 4 {
		t.Errorf("got exit %d and %+v, want LNT-013 at line 4", code, r)
	}
}

// TestLintRulesCiteTheRunbook: each clause that a rule names is one.
func TestLintRulesCiteTheRunbook(t *testing.T) {
	known := map[string]bool{}
	for _, c := range suites.Runbook {
		known[c.ID] = true
	}
	for _, r := range lint.Rules() {
		for _, id := range r.Clauses {
			if !known[id] {
				t.Errorf("%s names clause %q, which the runbook has not", r.ID, id)
			}
		}
	}
}

// unsoundPolicy is a file in which lint finds one thing.
func unsoundPolicy(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "aegis-runtime.hcl")
	if err := os.WriteFile(path, []byte(`path "secret/data/aegis/runtime" { capabilities = ["update"] }`), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReleaseRefusesWhatLintDidNotWrite: a file of another kind, or one that is old.
func TestReleaseRefusesWhatLintDidNotWrite(t *testing.T) {
	image, eu := imageRun(t), liveRun(t, "eu", "abc123")
	dir := t.TempDir()
	linted := filepath.Join(dir, "lint.json")
	if _, stderr, code := conformance(t, "lint", "--format", "json", "--out", linted, soundFiles); code != exitPass {
		t.Fatalf("lint: exit %d\n%s", code, stderr)
	}
	fresh, err := os.ReadFile(linted)
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ At string }
	if err := json.Unmarshal(fresh, &said); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"another kind": {"{}", "is not what conformance lint"},
		"another key":  {`{"finding": []}`, "finding"},
		"old":          {strings.Replace(string(fresh), said.At, "2020-01-01T00:00:00Z", 1), "run conformance lint again"},
	} {
		if err := os.WriteFile(linted, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := conformance(t, "release", "--image", image, "--live", eu, "--policy", top+"/suites/examples/release/policy.yaml",
			"--lint", linted, "--out", filepath.Join(dir, "release"))
		if code != exitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", name, code, exitUsage, c.says, stderr)
		}
	}
}
