package report

import (
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// ctrfVersion is the version of the Common Test Report Format that is written, a published
// one (github.com/ctrf-io/ctrf, CHANGELOG.md).
const ctrfVersion = "0.1.0"

// ctrfReport and what is below it are the part of the format that is written.
type ctrfReport struct {
	Format    string      `json:"reportFormat"`
	Spec      string      `json:"specVersion"`
	Run       string      `json:"runId,omitempty"`
	Timestamp string      `json:"timestamp"`
	By        string      `json:"generatedBy"`
	Results   ctrfResults `json:"results"`
}

type ctrfResults struct {
	Tool        ctrfTool        `json:"tool"`
	Summary     ctrfSummary     `json:"summary"`
	Tests       []ctrfTest      `json:"tests"`
	Environment ctrfEnvironment `json:"environment"`
}

type ctrfTool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type ctrfSummary struct {
	Tests    int            `json:"tests"`
	Passed   int            `json:"passed"`
	Failed   int            `json:"failed"`
	Skipped  int            `json:"skipped"`
	Pending  int            `json:"pending"`
	Other    int            `json:"other"`
	Suites   int            `json:"suites"`
	Start    int64          `json:"start"`    // milliseconds since 1970
	Stop     int64          `json:"stop"`     // milliseconds since 1970
	Duration int64          `json:"duration"` // milliseconds
	Extra    ctrfConclusion `json:"extra"`
}

type ctrfConclusion struct {
	Verdict  signoff.Verdict         `json:"verdict"`
	Headline string                  `json:"headline"`
	Totals   map[harness.Verdict]int `json:"totals"`
}

type ctrfTest struct {
	TestID   string    `json:"testId"`
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	Raw      string    `json:"rawStatus"`
	Duration int64     `json:"duration"` // milliseconds
	Suite    []string  `json:"suite"`
	Message  string    `json:"message,omitempty"`
	Trace    string    `json:"trace,omitempty"`
	File     string    `json:"filePath,omitempty"`
	Line     int       `json:"line,omitempty"`
	Tags     []string  `json:"tags"`
	Labels   ctrfLabel `json:"labels"`
}

type ctrfLabel struct {
	Level  string   `json:"level"`
	Clause []string `json:"clause,omitempty"` // never empty where present
	Source string   `json:"source"`
	Bucket string   `json:"bucket,omitempty"`
	Owner  string   `json:"owner,omitempty"`
	Waiver string   `json:"waiver,omitempty"`
	Rerun  string   `json:"rerun,omitempty"`
}

type ctrfEnvironment struct {
	Report      string `json:"reportName"`
	App         string `json:"appName,omitempty"`
	Environment string `json:"testEnvironment,omitempty"`
	Healthy     bool   `json:"healthy"`
}

// CTRF renders the record in the Common Test Report Format. What is neither
// pass nor fail keeps its verdict in rawStatus: inconclusive and a broken
// harness are "other", not exercised and not applicable are "skipped".
func CTRF(r signoff.Record) ([]byte, error) {
	r = inert(r)
	results := ctrfResults{
		Tool: ctrfTool{"aegis-conformance", r.Harness.Version},
		Summary: ctrfSummary{
			Tests: len(r.Findings), Suites: len(chapters(r)),
			Passed: r.Totals[harness.Pass], Failed: r.Totals[harness.Fail],
			Skipped: r.Totals[harness.NotExercised] + r.Totals[harness.NotApplicable],
			Other:   r.Totals[harness.Inconclusive] + r.Totals[harness.Error],
			Start:   r.Started.UnixMilli(), Stop: r.Ended.UnixMilli(), Duration: r.Ended.Sub(r.Started).Milliseconds(),
			Extra: ctrfConclusion{r.Verdict, r.Headline, r.Totals},
		},
		Tests:       []ctrfTest{},
		Environment: ctrfEnvironment{"Aegis conformance sign-off", r.Target.Name, string(r.Kind), r.Verdict == signoff.Passed},
	}
	of := byID(r)
	for _, f := range r.Findings {
		results.Tests = append(results.Tests, ctrfTestOf(r, f, of[f.ID]))
	}
	return indented(ctrfReport{
		Format: "CTRF", Spec: ctrfVersion, Run: r.Run, Timestamp: stamp(r.Ended), By: "aegis-conformance", Results: results,
	})
}

func ctrfTestOf(r signoff.Record, f signoff.Finding, c card) ctrfTest {
	t := ctrfTest{
		TestID: f.ID, Name: f.ID + " " + f.Title, Status: ctrfStatus(f.Verdict), Raw: string(f.Verdict),
		Duration: f.Millis, Suite: []string{f.Chapter}, Message: f.Reason,
		Tags:   []string{string(f.Level), string(f.Effect)},
		Labels: ctrfLabel{string(f.Level), f.Clauses, f.Source, string(f.Bucket), string(f.Owner), waived(r, f), f.Rerun},
	}
	t.File, t.Line = stands(f)
	if f.Verdict != harness.Pass {
		t.Trace = detail(r, f, c)
	}
	return t
}

func ctrfStatus(v harness.Verdict) string {
	switch v {
	case harness.Pass:
		return "passed"
	case harness.Fail:
		return "failed"
	case harness.NotExercised, harness.NotApplicable:
		return "skipped"
	default:
		return "other"
	}
}
