package report

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness/signoff"
)

// likely are the causes worth telling by themselves: where one explains several
// expectations.
func likely(r signoff.Record) []signoff.Cause {
	all := r.Causes()
	for _, c := range all {
		if len(c.IDs) > 1 {
			return all
		}
	}
	return nil
}

// causeWords says what a cause is, and whose.
func causeWords(c signoff.Cause) string {
	if c.Owner == "" {
		return c.Says
	}
	return c.Says + "; likely to be mended in " + owner(c.Owner)
}

// causes tells the likely causes, the first of them first.
func (m *markdown) causes(r signoff.Record) {
	const width = 300
	var rows [][]string
	for _, c := range likely(r) {
		rows = append(rows, []string{fmt.Sprint(len(c.IDs)), md(clip(causeWords(c), width)), md(clip(strings.Join(c.IDs, ", "), width))})
	}
	if len(rows) > 0 {
		m.line("## Likely causes\n")
		m.table([]string{"number", "cause", "expectations"}, rows)
	}
}

// causes tells them on a terminal.
func (c *console) causes(r signoff.Record) {
	const width = 160
	found := likely(r)
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(&c.b, "%s\n", c.paint(bold, "LIKELY CAUSES"))
	for _, cause := range found {
		fmt.Fprintf(&c.b, "  %3d  %s\n       %s\n", len(cause.IDs), clip(causeWords(cause), width), clip(strings.Join(cause.IDs, ", "), width))
	}
	c.b.WriteByte('\n')
}
