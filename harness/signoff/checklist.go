package signoff

import (
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// checklistSection is the runbook's "minimal checklist before enabling in
// production".
const checklistSection = "8."

// Check is one point of the runbook's checklist, as the run answers it.
type Check struct {
	Clause       string          `json:"clause"`
	Line         int             `json:"line"` // of the runbook
	Text         string          `json:"text"`
	Verdict      harness.Verdict `json:"verdict"` // the worst of its expectations; fail where another about the same did
	Expectations []string        `json:"expectations"`
	Missing      []string        `json:"missing"` // what stands between it and a pass, in words
}

// worstFirst is the order in which a verdict outweighs another.
var worstFirst = []harness.Verdict{
	harness.Fail, harness.Error, harness.Inconclusive, harness.NotExercised, harness.Pass, harness.NotApplicable,
}

// checklist answers the runbook's checklist by the record's clauses and rows.
func (r Record) checklist() []Check {
	checks := []Check{}
	for _, c := range r.Clauses {
		if strings.HasPrefix(c.ID, checklistSection) {
			checks = append(checks, r.check(c))
		}
	}
	return checks
}

func (r Record) check(c Clause) Check {
	check := Check{Clause: c.ID, Line: c.Line, Text: c.Text, Verdict: harness.NotExercised, Expectations: c.Expectations, Missing: []string{}}
	worst := len(worstFirst)
	for _, f := range r.Findings {
		if slices.Contains(c.Expectations, f.ID) && !f.BeyondReach {
			worst = min(worst, slices.Index(worstFirst, f.Verdict))
		}
	}
	if worst == len(worstFirst) {
		check.Missing = append(check.Missing, "no expectation was held to it")
	} else {
		check.Verdict = worstFirst[worst]
		check.Missing = append(check.Missing, r.missing(c)...)
	}
	if beside := r.failedBeside(c); len(beside) > 0 {
		check.Verdict = harness.Fail
		check.Missing = append([]string{some(beside) + ": fail (about the same)"}, check.Missing...)
	}
	return check
}

// about are the areas of the catalogue that each point of the checklist is about.
var about = map[string][]string{
	"8.1": {"FFS"}, "8.2": {"OIDC", "JOSE", "CLM", "BRR", "JWKS"}, "8.3": {"MTLS", "CHN", "HDR", "ING"}, "8.4": {"ENR"}, "8.5": {"MET"},
}

// failedBeside lists what failed of what a point is about, and is none of the expectations
// that it names: a point does not hold where the rules about the same thing do not.
func (r Record) failedBeside(c Clause) []string {
	return r.ids(func(f Finding) bool {
		area, _, _ := strings.Cut(f.ID, "-")
		_, waived := r.Waived(f)
		return f.Verdict == harness.Fail && f.Decides() && !waived && slices.Contains(about[c.ID], area) && !slices.Contains(c.Expectations, f.ID)
	})
}

// missing says, reason by reason, which of a clause's expectations do not hold.
func (r Record) missing(c Clause) []string {
	var reasons []string
	ids := map[string][]string{}
	for _, f := range r.Findings {
		if !slices.Contains(c.Expectations, f.ID) || f.Verdict == harness.Pass || f.Verdict == harness.NotApplicable || f.BeyondReach {
			continue
		}
		reason := fmt.Sprintf("%s (%s)", f.Verdict, f.Reason)
		if len(ids[reason]) == 0 {
			reasons = append(reasons, reason)
		}
		ids[reason] = append(ids[reason], f.ID)
	}
	for i, reason := range reasons {
		reasons[i] = some(ids[reason]) + ": " + reason
	}
	return reasons
}
