package report

import (
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// summaryCauses is how many causes a step summary tells at length: a CI
// server refuses a summary of more than 1 MiB.
const summaryCauses = 20

// StepSummary renders the record as the short Markdown that a CI job shows on
// its page: the verdict, what to do next, the failures and what was not seen.
func StepSummary(r signoff.Record) ([]byte, error) {
	r = inert(r)
	m := &markdown{}
	m.line("## Aegis conformance: %s\n", title(r))
	m.line("**%s** %s\n", md(r.Verdict), md(r.Headline))
	if text := caveat(r); text != "" {
		m.line("> %s\n", md(text))
	}
	m.totals(r)
	m.line("%s, run %s by %s at %s, %s\n", md(kind(r)), md(r.Run), md(r.Who), moment(r.Started), duration(r))
	m.line("### What to do next\n")
	for _, step := range nextSteps(r) {
		m.line("- %s", md(step))
	}
	m.line("")
	m.checklist(r)
	m.shortFailures(r)
	m.shortUnseen(r)
	return []byte(m.b.String()), nil
}

func (m *markdown) shortFailures(r signoff.Record) {
	all := cards(r)
	if len(all) == 0 {
		return
	}
	m.line("### %d failed, of %s\n", r.Totals[harness.Fail], counted(len(all), "cause"))
	const width = 400
	for i, c := range all {
		if i == summaryCauses {
			m.line("- and %d more: signoff.html tells them all", len(all)-i)
			break
		}
		f := c.Lead
		m.line("- **%s** (%s, %s), to be mended in %s", md(clip(c.Heading, width)), md(f.Bucket), md(weight(f)), md(c.Whose))
		m.line("  - %s; %s", md(named(c.IDs())), md(c.Topic.Why))
		m.line("  - got: %s, want: %s", code(clip(or(f.Got, f.Reason), width)), code(clip(f.Want, width)))
		if f.Control != "" {
			m.line("  - control: %s", code(clip(f.Control, width)))
		}
		if e, ok := telling(f); ok {
			m.line("  - evidence: %s", code(clip(exchange(e), width)))
		}
		if leave := waived(r, f); leave != "" {
			m.line("  - **waived**: %s", md(clip(leave, width)))
		}
		m.line("  - rerun: %s", code(clip(c.Rerun, width)))
	}
	m.line("")
}

func (m *markdown) shortUnseen(r signoff.Record) {
	var rows [][]string
	const width = 300
	for _, v := range unseenVerdicts {
		for _, g := range groups(r.ByVerdict(v), func(f signoff.Finding) string { return f.Reason }) {
			rows = append(rows, []string{"**" + words(v) + "**", fmt.Sprint(g.N), md(clip(g.IDs, width)), md(clip(g.Key, width))})
		}
	}
	if len(rows) > summaryCauses {
		rows = append(rows[:summaryCauses], []string{"", "", "", "and more: signoff.html tells them all"})
	}
	if len(rows) > 0 {
		m.line("### Not seen, and so not passed\n")
		m.table([]string{"verdict", "number", "expectations", "reason"}, rows)
	}
}
