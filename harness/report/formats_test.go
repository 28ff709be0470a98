package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// sarifTotals counts the rules by their verdict, and holds the results and the
// stated totals against them.
func sarifTotals(t *testing.T, data []byte) map[harness.Verdict]int {
	t.Helper()
	var log sarifLog
	if err := json.Unmarshal(data, &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	totals, results := none(), none()
	for _, rule := range run.Tool.Driver.Rules {
		totals[rule.Properties.Verdict]++
	}
	for _, result := range run.Results {
		results[result.Properties.Verdict]++
		if rule := run.Tool.Driver.Rules[result.RuleIndex]; rule.ID != result.RuleID {
			t.Errorf("the result of %s points at the rule of %s", result.RuleID, rule.ID)
		}
	}
	results[harness.Pass], results[harness.NotApplicable] = totals[harness.Pass], totals[harness.NotApplicable]
	for v, n := range totals {
		if results[v] != n || run.Properties.Totals[v] != n {
			t.Errorf("SARIF: %d rules are %s, %d results, and the log says %d", n, v, results[v], run.Properties.Totals[v])
		}
	}
	return totals
}

// ctrfTotals counts the tests by their raw status, and holds the summary
// against their statuses.
func ctrfTotals(t *testing.T, data []byte) map[harness.Verdict]int {
	t.Helper()
	var report ctrfReport
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	totals, status := none(), map[string]int{}
	for _, test := range report.Results.Tests {
		totals[harness.Verdict(test.Raw)]++
		status[test.Status]++
	}
	s := report.Results.Summary
	for name, n := range map[string]int{"passed": s.Passed, "failed": s.Failed, "skipped": s.Skipped, "pending": s.Pending, "other": s.Other} {
		if status[name] != n {
			t.Errorf("CTRF: %d tests are %s, and the summary says %d", status[name], name, n)
		}
	}
	if s.Tests != len(report.Results.Tests) {
		t.Errorf("CTRF: the summary says %d tests; there are %d", s.Tests, len(report.Results.Tests))
	}
	return totals
}

func none() map[harness.Verdict]int {
	totals := map[harness.Verdict]int{}
	for _, v := range harness.Verdicts {
		totals[v] = 0
	}
	return totals
}

// TestSchemas holds what other tools read against the schemas of their formats,
// for sound and for hostile records.
func TestSchemas(t *testing.T) {
	for _, c := range []struct{ file, schema string }{
		{"ctrf.json", "ctrf.schema.json"},
		{"signoff.sarif", "sarif.schema.json"},
	} {
		schema := schemaOf(t, c.schema)
		for _, r := range append(hostileRecords(), sample(), rehearsal(), signoff.Conclude(signoff.Input{})) {
			document := decoded(t, files(t, r)[c.file])
			if err := schema.Validate(document); err != nil {
				t.Errorf("%s: %v", c.file, err)
			}
			document.(map[string]any)["surplus"] = true
			if schema.Validate(document) == nil {
				t.Errorf("%s: the schema lets a surplus field pass", c.file)
			}
		}
	}
}

func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, decoded(t, data)); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decoded(t *testing.T, data []byte) any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestSARIFStandsAtTheRunbook wants every result at the line of the clause it is
// held against.
func TestSARIFStandsAtTheRunbook(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal(files(t, sample())["signoff.sarif"], &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Runs[0].Results) != 5 {
		t.Errorf("%d results; want the 2 that failed and the 3 that were not seen", len(log.Runs[0].Results))
	}
	for _, result := range log.Runs[0].Results {
		at := result.Locations[0].Physical
		if at.Artifact.URI != "suites/runbook.md" || at.Region.Line != 43 {
			t.Errorf("%s stands at %s:%d; want suites/runbook.md:43", result.RuleID, at.Artifact.URI, at.Region.Line)
		}
		if wantLevel := result.Properties.Verdict == harness.Fail; wantLevel != (result.Level == "error") {
			t.Errorf("%s, %s, has level %q", result.RuleID, result.Properties.Verdict, result.Level)
		}
	}
}

// TestJUnitProperties wants ID, clause and level on every case.
func TestJUnitProperties(t *testing.T) {
	text := string(files(t, sample())["junit.xml"])
	for _, want := range []string{`name="id" value="OIDC-005"`, `name="clause" value="4.3"`, `name="level" value="MUST"`} {
		if !strings.Contains(text, want) {
			t.Errorf("JUnit lacks %s", want)
		}
	}
	if n := strings.Count(text, `<property name="clause"`); n != len(sample().Findings) {
		t.Errorf("%d cases name their clause; want %d", n, len(sample().Findings))
	}
}

// TestStepSummaryIsBounded tells a thousand failures in less than the 1 MiB a CI
// job's page takes.
func TestStepSummaryIsBounded(t *testing.T) {
	r := sample()
	for len(r.Findings) < 1000 {
		f := failed(r.Findings[2])
		f.Got, f.Reason = strings.Repeat("x", 4096), strings.Repeat("y", 4096)
		r.Findings = append(r.Findings, f)
	}
	retally(&r)
	summary, err := StepSummary(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(summary) > 64<<10 {
		t.Errorf("%d bytes", len(summary))
	}
	if !bytes.Contains(summary, []byte(fmt.Sprintf("and %d more", r.Totals[harness.Fail]-summaryFailures))) {
		t.Error("the summary does not say that it left some out")
	}
}

// TestChoose finds formats by name, and names those there are.
func TestChoose(t *testing.T) {
	if all, err := Choose(nil); err != nil || len(all) != len(Formats) {
		t.Errorf("%d formats, %v", len(all), err)
	}
	if two, err := Choose([]string{"html", " ctrf"}); err != nil || two[0].File != "signoff.html" || two[1].File != "ctrf.json" {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := Choose([]string{"pdf"}); err == nil || !strings.Contains(err.Error(), "step-summary") {
		t.Errorf("%v; want the names there are", err)
	}
}
