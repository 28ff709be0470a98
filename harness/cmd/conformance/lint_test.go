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

// linted is lint's sound example.
const linted = "../../lint/testdata/sound"

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
		{[]string{linted}, exitPass, "0 MUST"},
		{[]string{writes}, exitFail, "aegis-runtime.hcl:1:52: LNT-030 MUST: got update"},
		{[]string{writes, "--only", "LNT-031"}, exitPass, "0 MUST"},
		{[]string{file("template.yaml", "a: {{ .Values.a }}\n")}, exitUsage, "template.yaml:1: not read: it is a template of Helm's"},
		{[]string{t.TempDir()}, exitIncomplete, "nothing that a rule is about"},
		{nil, exitUsage, "wants a path"},
		{[]string{linted, "--format", "sarf"}, exitUsage, "did you mean sarif?"},
		{[]string{linted, "--mode", "none"}, exitUsage, "want oidc or mtls"},
		{[]string{linted, "--only", "LNT-999"}, exitUsage, "lint --list"},
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
