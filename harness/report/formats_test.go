package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report/reporttest"
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
	for v, n := range totals {
		alerts := 0
		if v == harness.Fail {
			alerts = n
		}
		if results[v] != alerts || run.Properties.Totals[v] != n {
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
		for _, r := range append(reporttest.Hostile(), reporttest.Sample(), reporttest.Rehearsal(), signoff.Conclude(signoff.Input{})) {
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

// TestSARIFStandsAtTheReadersFile wants every result at the file that configured the run,
// which is below the root of the reader's repository; what was not seen is no alert.
func TestSARIFStandsAtTheReadersFile(t *testing.T) {
	for file, want := range map[string]string{
		"staging.yaml": "staging.yaml", "deploy/eu west.yaml": "deploy/eu%20west.yaml", "/etc/aegis/staging.yaml": "staging.yaml", "../up/staging.yaml": "staging.yaml", "": runbookPath,
	} {
		r := reporttest.Sample()
		r.Config.File = file
		var log sarifLog
		if err := json.Unmarshal(files(t, r)["signoff.sarif"], &log); err != nil {
			t.Fatal(err)
		}
		if len(log.Runs[0].Results) != 2 {
			t.Errorf("%d results; want the 2 that failed", len(log.Runs[0].Results))
		}
		for _, result := range log.Runs[0].Results {
			if at := result.Locations[0].Physical; at.Artifact.URI != want || at.Region.Line != 1 || result.Level != "error" {
				t.Errorf("%s of %q stands at %s:%d, level %s; want %s:1", result.RuleID, file, at.Artifact.URI, at.Region.Line, result.Level, want)
			}
		}
	}
}

// TestSARIFRulesHelp: each rule says why it matters and how it is mended, is of a CWE, and has
// a severity that code scanning sorts by; that nobody unauthorised was served is less.
func TestSARIFRulesHelp(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal(files(t, reporttest.Broken(reporttest.Real(t, ".")))["signoff.sarif"], &log); err != nil {
		t.Fatal(err)
	}
	severities := map[string]string{}
	for _, rule := range log.Runs[0].Tool.Driver.Rules {
		severities[rule.ID] = rule.Properties.Severity
		if !strings.Contains(strings.Join(rule.Properties.Tags, " "), "external/cwe/cwe-") {
			t.Errorf("%s is of no CWE", rule.ID)
		}
		for _, help := range []string{rule.Help.Text, rule.Help.Markdown} {
			if !strings.Contains(help, "mend") || len(help) < 100 {
				t.Errorf("%s helps little: %s", rule.ID, help)
			}
		}
	}
	if hole, other := severities["OIDC-005"], severities["MTLS-001"]; hole != "9.1" || other != "4.3" {
		t.Errorf("a hole is %s grave, an answer that is not as documented %s; want critical and medium", hole, other)
	}
}

// junitSchema is what Jenkins' xUnit plugin has in junit-10.xsd, as far as it bounds what is
// written: the attributes an element may have, those it must have, and what may stand in it.
var junitSchema = map[string]struct{ may, must, holds string }{
	"testsuites": {"name time tests failures errors", "", "testsuite"},
	"testsuite":  {"name tests failures errors group time skipped timestamp hostname id package file log url", "name tests failures errors", "testsuite properties testcase system-out system-err"},
	"testcase":   {"name time classname group", "name", "skipped error failure system-out system-err"},
	"properties": {"", "", "property"},
	"property":   {"name value", "name value", ""},
	"failure":    {"type message", "", ""}, "error": {"type message", "", ""}, "skipped": {"type message", "", ""},
	"system-out": {"", "", ""},
}

// TestJUnitHoldsToTheCommonSchema walks the document beside the schema.
func TestJUnitHoldsToTheCommonSchema(t *testing.T) {
	for _, r := range append(reporttest.Hostile(), reporttest.Sample(), reporttest.Rehearsal(), signoff.Conclude(signoff.Input{})) {
		decoder := xml.NewDecoder(bytes.NewReader(files(t, r)["junit.xml"]))
		within, elements := []string{}, 0
		for {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				elements++
				junitElement(t, within, e)
				within = append(within, e.Name.Local)
			case xml.EndElement:
				within = within[:len(within)-1]
			}
		}
		if elements == 0 {
			t.Error("the document is empty")
		}
	}
}

var surefireTime = regexp.MustCompile(`^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$`)

func junitElement(t *testing.T, within []string, e xml.StartElement) {
	t.Helper()
	of, known := junitSchema[e.Name.Local]
	if !known || len(within) > 0 && !slices.Contains(strings.Fields(junitSchema[within[len(within)-1]].holds), e.Name.Local) {
		t.Errorf("%s stands in %v", e.Name.Local, within)
	}
	var has []string
	for _, a := range e.Attr {
		has = append(has, a.Name.Local)
		if !slices.Contains(strings.Fields(of.may), a.Name.Local) {
			t.Errorf("%s has the attribute %s", e.Name.Local, a.Name.Local)
		}
		if a.Name.Local == "time" && !surefireTime.MatchString(a.Value) {
			t.Errorf("%s took %q", e.Name.Local, a.Value)
		}
	}
	for _, must := range strings.Fields(of.must) {
		if !slices.Contains(has, must) {
			t.Errorf("%s lacks %s", e.Name.Local, must)
		}
	}
}

// TestJUnitTellsWhatTheSchemaHasNot wants ID, clause and level of every case.
func TestJUnitTellsWhatTheSchemaHasNot(t *testing.T) {
	text := string(files(t, reporttest.Sample())["junit.xml"])
	for _, want := range []string{"id: OIDC-005", "clause: 4.3", "level: MUST"} {
		if !strings.Contains(text, want) {
			t.Errorf("JUnit lacks %s", want)
		}
	}
	if n := strings.Count(text, "clause: "); n != len(reporttest.Sample().Findings) {
		t.Errorf("%d cases name their clause; want %d", n, len(reporttest.Sample().Findings))
	}
}

// TestEveryFormatTellsTheCard: who reads another format than the page learns the same: the
// cause, why it matters, how it is mended, and how it is judged again at the same target.
func TestEveryFormatTellsTheCard(t *testing.T) {
	r := reporttest.Broken(reporttest.Real(t, "."))
	all := files(t, r)
	all["console"], all["annotations"] = []byte(Console(r, false)), []byte(GitHub(r))
	delete(all, "signoff.json")
	for name, data := range all {
		text := html.UnescapeString(strings.ReplaceAll(strings.ReplaceAll(string(data), `\`, ""), "%3A", ":"))
		wants := []string{"an expired token is served", "A token that leaks, out of a log or a laptop", "the service", "conformance run --config staging.yaml --only OIDC-005"}
		if name != "step-summary.md" {
			wants = append(wants, "PyJWT", "Authorization: Bearer $TOKEN")
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if strings.Contains(text, "run --only OIDC-005") {
			t.Errorf("%s names a command that starts a stack of ours", name)
		}
	}
}

// TestStepSummaryIsBounded tells a thousand failures in less than the 1 MiB a CI
// job's page takes.
func TestStepSummaryIsBounded(t *testing.T) {
	r := reporttest.Sample()
	for i := range 1000 {
		f := reporttest.Contract(r.Findings[2])
		f.Got, f.Reason = fmt.Sprintf("%s %s", strings.Repeat("x", 4096), strings.Repeat("!", i)), strings.Repeat("y", 4096)
		r.Findings = append(r.Findings, f)
	}
	reporttest.Retally(&r)
	summary, err := StepSummary(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(summary) > 64<<10 {
		t.Errorf("%d bytes", len(summary))
	}
	if !bytes.Contains(summary, []byte(fmt.Sprintf("and %d more", len(cards(r))-summaryCauses))) {
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

// TestOSCALHoldsToItsSchema holds the document against NIST's own schema, of sound and of
// hostile records.
func TestOSCALHoldsToItsSchema(t *testing.T) {
	schema := schemaOf(t, "oscal.schema.json")
	for _, r := range append(reporttest.Hostile(), reporttest.Sample(), reporttest.Rehearsal(), reporttest.Broken(reporttest.Real(t, ".")), reporttest.Real(t, "."), signoff.Conclude(signoff.Input{})) {
		document := decoded(t, files(t, r)["oscal.json"])
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %.1500v", r.Run, err)
		}
		document.(map[string]any)["surplus"] = true
		if schema.Validate(document) == nil {
			t.Error("the schema lets a surplus field pass")
		}
	}
}

// TestOSCALSatisfiesOnlyWhatWasSeen: a control is satisfied where what is claimed of it held and
// nothing failed; a rehearsal satisfies none.
func TestOSCALSatisfiesOnlyWhatWasSeen(t *testing.T) {
	state := func(r signoff.Record) map[string]oscalStatus {
		var d oscalDocument
		if err := json.Unmarshal(files(t, r)["oscal.json"], &d); err != nil {
			t.Fatal(err)
		}
		of := map[string]oscalStatus{}
		for _, f := range d.Results.Results[0].Findings {
			of[f.Target.ID] = f.Target.Status
		}
		if n := len(d.Results.Results[0].Observations); n != len(r.Findings) {
			t.Errorf("%d observations of %d expectations", n, len(r.Findings))
		}
		return of
	}
	sound, failed, rehearsed := state(reporttest.Real(t, ".")), state(reporttest.Broken(reporttest.Real(t, "."))), state(reporttest.Rehearsal())
	satisfied, failures := oscalStatus{"satisfied", "pass"}, oscalStatus{"not-satisfied", "fail"}
	if sound["ac-12_obj"] != satisfied || failed["ac-12_obj"] != failures || sound["ia-5.2_obj"] != satisfied {
		t.Errorf("where expired tokens are refused %v, where they are served %v", sound["ac-12_obj"], failed["ac-12_obj"])
	}
	for id, status := range rehearsed {
		if status.State == "satisfied" {
			t.Errorf("a rehearsal satisfies %s", id)
		}
	}
}
