package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/monitoring"
)

// ruleFile is a rule file with one expression.
func ruleFile(expr string) string {
	return "groups:\n  - name: aegis\n    rules:\n      - alert: A\n        for: 5m\n        expr: |\n          " + expr + "\n        annotations: {says: \"{{ $labels.mode }} fails\"}\n"
}

// TestRuleFilesAreCheckedFirst: what Prometheus would refuse is refused before anything
// starts, with its file and line.
func TestRuleFilesAreCheckedFirst(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, says string }{
		"no YAML":            {"groups: [\n", "rules.yml:"},
		"prose":              {"these are no rules\n", "rules.yml:1: it is no rule file"},
		"an object":          {"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n  groups: []\n", "rules.yml:2:1: it is an object of Kubernetes"},
		"a template":         {"groups:\n{{- range .Values.groups }}\n  - name: {{ .name }}\n{{- end }}\n", "helm template"},
		"a template in expr": {ruleFile("up < {{ .Values.least }}"), "template"},
		"an unknown key":     {strings.Replace(ruleFile("up"), "expr:", "expression:", 1), "rules.yml:6: it is no rule file: yaml: unmarshal errors:   line 6: field expression not found"},
		"no duration":        {strings.Replace(ruleFile("up"), "5m", "soon", 1), "rules.yml:5: it is no rule file: not a valid duration string: \"soon\""},
		"no groups":          {"{}\n", "no groups"},
		"two documents":      {ruleFile("up") + "---\n" + ruleFile("up"), "2 documents"},
		"neither":            {strings.Replace(ruleFile("up"), "alert: A", "labels: {a: b}", 1), "one of 'record' or 'alert'"},
		"UTF-16":             {"\xff\xfeg\x00", "UTF-8"},
		"not closed":         {ruleFile("sum(rate(x[5m]) > 0"), "rules.yml:6:15: it is no rule file: group \"aegis\", rule 1, \"A\": could not parse expression: 2:1: parse error: unclosed left parenthesis"},
		"closed twice":       {ruleFile("rate(x[5m])) > 0"), "unexpected right parenthesis"},
		"a text not closed":  {ruleFile(`x{mode="oidc} > 0`), "unterminated quoted string"},
		"nothing behind":     {ruleFile("rate(x[5m]) >"), "unexpected end of input"},
		"nothing before":     {ruleFile("> 3"), "unexpected <op:>>"},
		"no operator":        {ruleFile("rate(x[5m]) 3"), "unexpected number"},
		"no time":            {ruleFile("rate(x[soon]) > 3"), "duration expression"},
		"two scalars":        {ruleFile("1e3 < Inf"), "BOOL modifier"},
		"a lone equals":      {ruleFile("x = 3"), "unexpected \"=\""},
		"crossed":            {ruleFile("rate(x[5m)] > 3"), "unexpected \")\""},
	} {
		path := filepath.Join(dir, "rules.yml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readRules(path)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "rules.yml") {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	_, stderr, code := conformance(t, "run", "--dry-run", "--alert-rules", filepath.Join(dir, "rules.yml"), "--out", t.TempDir())
	if code != exitUsage || !strings.Contains(stderr, "rules.yml:") {
		t.Errorf("status %d, %q: want %d at once", code, stderr, exitUsage)
	}
}

// TestSoundRuleFilesAreTaken: ours, and what others write.
func TestSoundRuleFilesAreTaken(t *testing.T) {
	texts := []string{string(monitoring.Rules), "\ufeff---\n" + ruleFile("up == 0")}
	for _, expr := range []string{
		"up", "vector(1)", "-1 * up", "rate(aegis_auth_failures_total[5m]) > 0.1", `sum by (mode) (rate(x{job=~"a.*",mode!="b"}[1h30m])) / on (mode) group_left sum(y) > bool 3`,
		"max_over_time(x[1h:1m] offset 5m) >= 1 and up unless on (job) z", `absent(x{a='b"c', d="e]"})`, "x{a=\"#\"} # a comment (\n          > 3", "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))",
		`{__name__=~"aegis_.*"} > 1`, "x @ end() > 1", "sum(x) without (a) > 1", "x offset -1w", "a atan2 b", "rate(x[300])", "sum(x) by (a) > ignoring (b) y", "1e3 < bool Inf", "(up)",
	} {
		texts = append(texts, ruleFile(expr))
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	for _, text := range texts {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readRules(path); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
