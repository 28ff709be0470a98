package report

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// runbookPath is where the runbook stands in the repository of the harness: what SARIF names
// where no file of the reader's configured the run.
const runbookPath = "suites/runbook.md"

// sarifLog and what is below it are the part of SARIF 2.1.0 that is written.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Automation  sarifAutomation   `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	Artifacts   []sarifArtifact   `json:"artifacts"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
	Properties  sarifConclusion   `json:"properties"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Rules   []sarifRule `json:"rules"`
}

// sarifRule is one expectation. Each is a rule, so that the log counts the
// whole catalogue.
type sarifRule struct {
	ID         string        `json:"id"`
	Short      sarifText     `json:"shortDescription"`
	Full       sarifText     `json:"fullDescription"`
	Help       sarifHelp     `json:"help"`
	Default    sarifSeverity `json:"defaultConfiguration"`
	Properties sarifTags     `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifHelp struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type sarifSeverity struct {
	Level string `json:"level"`
}

type sarifTags struct {
	Tags     []string        `json:"tags"`
	Verdict  harness.Verdict `json:"verdict"`
	Severity string          `json:"security-severity"` // 0.0 to 10.0, as code scanning sorts by
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifInvocation struct {
	Successful bool   `json:"executionSuccessful"`
	Start      string `json:"startTimeUtc"`
	End        string `json:"endTimeUtc"`
}

type sarifArtifact struct {
	Location sarifURI `json:"location"`
}

type sarifURI struct {
	URI string `json:"uri"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Properties   sarifResultDetails `json:"properties"`
}

// sarifSuppression is a waiver.
type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
	Message  *sarifText    `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifURI    `json:"artifactLocation"`
	Region   sarifRegion `json:"region"`
}

type sarifRegion struct {
	Line int `json:"startLine"`
}

type sarifResultDetails struct {
	Verdict harness.Verdict `json:"verdict"`
	Bucket  harness.Bucket  `json:"bucket,omitempty"`
	Clauses []string        `json:"clauses"`
	Owner   signoff.Layer   `json:"owner,omitempty"`
	Rerun   string          `json:"rerun,omitempty"`
}

type sarifConclusion struct {
	Verdict  signoff.Verdict         `json:"verdict"`
	Headline string                  `json:"headline"`
	Kind     harness.Kind            `json:"kind"`
	Run      string                  `json:"run"`
	Totals   map[harness.Verdict]int `json:"totals"`
}

// SARIF renders the record as a SARIF 2.1.0 log, each result at the file of the reader's that
// configured the run. Every expectation is a rule; a result is only what fails, because
// code scanning takes every result for an alert, whatever its kind: what was not seen is
// counted in the properties.
func SARIF(r signoff.Record) ([]byte, error) {
	r = inert(r)
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "aegis-conformance", Version: r.Harness.Version, Rules: []sarifRule{}}},
		Automation: sarifAutomation{"aegis-conformance/" + string(r.Kind) + "/" + r.Run},
		Invocations: []sarifInvocation{{Successful: r.Verdict != signoff.Invalid,
			Start: stamp(r.Started), End: stamp(r.Ended)}},
		Artifacts:  []sarifArtifact{{Location: sarifURI{place(r).Physical.Artifact.URI}}},
		Results:    []sarifResult{},
		ColumnKind: "utf16CodeUnits",
		Properties: sarifConclusion{r.Verdict, r.Headline, r.Kind, r.Run, r.Totals},
	}
	of := byID(r)
	for i, f := range r.Findings {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(r, f))
		if f.Verdict == harness.Fail {
			run.Results = append(run.Results, sarifResultOf(r, i, of[f.ID]))
		}
	}
	return indented(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifRuleOf(r signoff.Record, f signoff.Finding) sarifRule {
	topic := signoff.TopicOf(f.ID)
	tags := []string{"security", "chapter/" + f.Chapter, "level/" + string(f.Level)}
	if number, ok := strings.CutPrefix(topic.CWE, "CWE-"); ok {
		tags = append(tags, "external/cwe/cwe-"+number)
	}
	for _, c := range f.Clauses {
		tags = append(tags, "runbook/"+c)
	}
	return sarifRule{
		ID: f.ID, Short: sarifText{f.Title}, Full: sarifText{f.Rule}, Help: sarifHelp{helpText(r, f, topic), helpMarkdown(r, f, topic)},
		Default: sarifSeverity{severity(f.Level)}, Properties: sarifTags{tags, f.Verdict, f.SecuritySeverity()},
	}
}

// helpText says what a rule wants, why it matters and how a failure of it is mended.
func helpText(r signoff.Record, f signoff.Finding, topic signoff.Topic) string {
	lines := []line{{"rule", f.Rule}, {"why it matters", topic.Why}}
	for _, m := range topic.Mend {
		lines = append(lines, line{"mend (" + m.Product + ")", m.Do})
	}
	for _, c := range clauses(r, f) {
		lines = append(lines, line{"runbook " + c.ID, c.Text})
	}
	return facts(append(lines, line{"source", f.Source}, line{"elsewhere", topic.Elsewhere.String()}))
}

// helpMarkdown is the same where Markdown is shown.
func helpMarkdown(r signoff.Record, f signoff.Finding, topic signoff.Topic) string {
	m := &markdown{}
	m.line("%s\n\n%s\n", md(f.Rule), md(topic.Why))
	m.remedies(topic)
	for _, c := range clauses(r, f) {
		m.line("- runbook %s: %s", md(c.ID), md(c.Text))
	}
	m.line("- source: %s\n- elsewhere: %s", md(f.Source), md(topic.Elsewhere.String()))
	return m.b.String()
}

// severity is what a failed expectation of a level is called.
func severity(l harness.Level) string {
	switch l {
	case harness.SHOULD:
		return "warning"
	case harness.MAY:
		return "note"
	default:
		return "error"
	}
}

// sarifResultOf is the result of the failure at index i.
func sarifResultOf(r signoff.Record, i int, c card) sarifResult {
	f := r.Findings[i]
	var suppressions []sarifSuppression
	if why := waived(r, f); why != "" {
		suppressions = []sarifSuppression{{"external", "accepted", why}}
	}
	return sarifResult{
		RuleID: f.ID, RuleIndex: i, Kind: "fail", Level: severity(f.Level),
		Message:      sarifText{fmt.Sprintf("%s (%s): %s\n%s", f.Title, words(f.Verdict), f.Reason, detail(r, f, c))},
		Locations:    []sarifLocation{place(r)},
		Suppressions: suppressions,
		Fingerprints: map[string]string{"expectation/v1": f.ID},
		Properties:   sarifResultDetails{f.Verdict, f.Bucket, f.Clauses, f.Owner, f.Rerun},
	}
}

// place is where a finding is shown: the file that configured the run, which the reader has;
// the runbook where none did.
func place(r signoff.Record) sarifLocation {
	if file, ok := configured(r); ok {
		return sarifLocation{Physical: sarifPhysical{sarifURI{file}, sarifRegion{1}}, Message: &sarifText{"this configured the run"}}
	}
	return sarifLocation{Physical: sarifPhysical{sarifURI{runbookPath}, sarifRegion{1}}, Message: &sarifText{"the runbook that it is held against"}}
}

// configured is the file that configured a run as a URI below the repository's root: of a
// path that leads elsewhere, its name.
func configured(r signoff.Record) (uri string, ok bool) {
	if r.Config == nil || r.Config.File == "" {
		return "", false
	}
	file := path.Clean(strings.ReplaceAll(r.Config.File, `\`, "/"))
	if path.IsAbs(file) || strings.HasPrefix(file, "../") {
		file = path.Base(file)
	}
	return (&url.URL{Path: file}).EscapedPath(), true
}

// stands splits where a finding's rule stands.
func stands(f signoff.Finding) (file string, line int) {
	file, number, _ := strings.Cut(f.At, ":")
	line, err := strconv.Atoi(number)
	if err != nil {
		return file, 0
	}
	return file, line
}
