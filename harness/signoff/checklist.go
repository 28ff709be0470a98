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
	Verdict      harness.Verdict `json:"verdict"` // the worst of its expectations
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
		return check
	}
	check.Verdict = worstFirst[worst]
	check.Missing = append(check.Missing, r.missing(c)...)
	return check
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
