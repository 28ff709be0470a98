package report

import (
	"fmt"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// runbookPath is where the runbook stands in the repository, as SARIF and
// annotations name it.
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
	Help       sarifText     `json:"help"`
	Default    sarifSeverity `json:"defaultConfiguration"`
	Properties sarifTags     `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifSeverity struct {
	Level string `json:"level"`
}

type sarifTags struct {
	Tags    []string        `json:"tags"`
	Verdict harness.Verdict `json:"verdict"`
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
	Location sarifURI          `json:"location"`
	Hashes   map[string]string `json:"hashes,omitempty"`
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
	Related      []sarifLocation    `json:"relatedLocations,omitempty"`
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

// SARIF renders the record as a SARIF 2.1.0 log, each result at the line of the
// runbook it is held against. Every expectation is a rule; a result is only
// what fails or was not seen, because code scanning takes every result for an
// alert, whatever its kind.
func SARIF(r signoff.Record) ([]byte, error) {
	r = inert(r)
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "aegis-conformance", Version: r.Harness.Version, Rules: []sarifRule{}}},
		Automation: sarifAutomation{"aegis-conformance/" + string(r.Kind) + "/" + r.Run},
		Invocations: []sarifInvocation{{Successful: r.Verdict != signoff.Invalid,
			Start: stamp(r.Started), End: stamp(r.Ended)}},
		Artifacts:  []sarifArtifact{runbookArtifact(r)},
		Results:    []sarifResult{},
		ColumnKind: "utf16CodeUnits",
		Properties: sarifConclusion{r.Verdict, r.Headline, r.Kind, r.Run, r.Totals},
	}
	for i, f := range r.Findings {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(r, f))
		if f.Verdict != harness.Pass && f.Verdict != harness.NotApplicable {
			run.Results = append(run.Results, sarifResultOf(r, i))
		}
	}
	return indented(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func runbookArtifact(r signoff.Record) sarifArtifact {
	a := sarifArtifact{Location: sarifURI{runbookPath}}
	if sum, ok := strings.CutPrefix(r.Runbook.Digest, "sha256:"); ok {
		a.Hashes = map[string]string{"sha-256": sum}
	}
	return a
}

func sarifRuleOf(r signoff.Record, f signoff.Finding) sarifRule {
	help := f.Rule
	for _, c := range clauses(r, f) {
		help += fmt.Sprintf("\nRunbook %s: %s", c.ID, c.Text)
	}
	tags := []string{"security", "chapter/" + f.Chapter, "level/" + string(f.Level)}
	for _, c := range f.Clauses {
		tags = append(tags, "runbook/"+c)
	}
	return sarifRule{
		ID: f.ID, Short: sarifText{f.Title}, Full: sarifText{f.Rule}, Help: sarifText{help + "\nSource: " + f.Source},
		Default: sarifSeverity{severity(f.Level)}, Properties: sarifTags{tags, f.Verdict},
	}
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

// sarifResultOf is the result of the finding at index i. What was not seen is
// "open", which has no level (SARIF 2.1.0 section 3.27.10).
func sarifResultOf(r signoff.Record, i int) sarifResult {
	f := r.Findings[i]
	kind, level := "open", "none"
	if f.Verdict == harness.Fail {
		kind, level = "fail", severity(f.Level)
	}
	places := places(r, f)
	var suppressions []sarifSuppression
	if why := waived(r, f); why != "" {
		suppressions = []sarifSuppression{{"external", "accepted", why}}
	}
	return sarifResult{
		RuleID: f.ID, RuleIndex: i, Kind: kind, Level: level,
		Message:      sarifText{fmt.Sprintf("%s (%s): %s\n%s", f.Title, words(f.Verdict), f.Reason, detail(r, f))},
		Locations:    places[:1],
		Related:      places[1:],
		Suppressions: suppressions,
		Fingerprints: map[string]string{"expectation/v1": f.ID},
		Properties:   sarifResultDetails{f.Verdict, f.Bucket, f.Clauses, f.Owner, f.Rerun},
	}
}

// places are the lines of the runbook a finding is held against, and last the
// line of its rule.
func places(r signoff.Record, f signoff.Finding) []sarifLocation {
	var all []sarifLocation
	add := func(file string, line int, says string) {
		if line > 0 {
			all = append(all, sarifLocation{sarifPhysical{sarifURI{file}, sarifRegion{line}}, &sarifText{says}})
		}
	}
	for _, c := range clauses(r, f) {
		add(runbookPath, c.Line, fmt.Sprintf("runbook %s: %s", c.ID, c.Text))
	}
	file, line := stands(f)
	add(file, line, "the rule stands here")
	if len(all) == 0 {
		add(runbookPath, 1, "the finding names no line")
	}
	return all
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
