package report

import (
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// card is one cause of failures, as a reader mends it: what is wrong, where it shows, whose
// it is, why it matters, what to change, and how it is seen again.
type card struct {
	signoff.Cause
	Heading string
	Whose   string
	Tone    string // fail, or advice where nothing of it decides
	Rows    []failure
	Also    []string // IDs of what is inconclusive by the same cause
	Lead    signoff.Finding
	// Shown is the request that shows it, and Beside the accepted one; nil where the failure
	// is of no request.
	Shown, Beside *harness.Evidence
	Commands      []string // that send the request again, as near as a shell comes
	Rerun         string   // judges its expectations again, at the same target
	Replay        string   // shows then and now side by side; empty for a stack that has ended
}

// Anchor is where the card stands on the page.
func (c card) Anchor() string { return "cause-" + c.Lead.ID }

// IDs are the expectations that fail by it, the telling one first.
func (c card) IDs() []string {
	ids := make([]string, len(c.Rows))
	for i, row := range c.Rows {
		ids[i] = row.ID
	}
	return ids
}

// few is how many expectations a card or a line tells one by one.
const few = 8

// First and Rest are the expectations that are told one by one, and those by their IDs only.
func (c card) First() []failure { return c.Rows[:min(few, len(c.Rows))] }
func (c card) Rest() []failure  { return c.Rows[min(few, len(c.Rows)):] }

// cards are the causes of what failed, worst first.
func cards(r signoff.Record) []card {
	rows := map[string]signoff.Finding{}
	for _, f := range r.Findings {
		rows[f.ID] = f
	}
	var all []card
	for _, cause := range r.Causes() {
		c := card{Cause: cause, Tone: "advice"}
		for _, id := range cause.IDs {
			if rows[id].Verdict != harness.Fail {
				c.Also = append(c.Also, id)
				continue
			}
			c.Rows = append(c.Rows, failureOf(r, rows[id]))
		}
		if len(c.Rows) == 0 {
			continue
		}
		slices.SortStableFunc(c.Rows, func(a, b failure) int { return b.weight(cause) - a.weight(cause) })
		c.tell(r)
		all = append(all, c)
	}
	return all
}

// byID is the card that tells each failure.
func byID(r signoff.Record) map[string]card {
	of := map[string]card{}
	for _, c := range cards(r) {
		for _, row := range c.Rows {
			of[row.ID] = c
		}
	}
	return of
}

// line is one fact of a card, with what it is.
type line struct{ label, value string }

// advised is what a card says beside its evidence: the cause, why it matters and how it is
// mended.
func (c card) advised() []line {
	if len(c.Rows) == 0 {
		return nil
	}
	lines := []line{{"cause", c.Heading}, {"why it matters", c.Topic.Why}, {"to be mended in", c.Whose}}
	for _, m := range c.Topic.Mend {
		lines = append(lines, line{"mend (" + m.Product + ")", m.Do})
	}
	return lines
}

// again is how a finding is seen once more: the request that shows it, as a shell sends it.
func again(r signoff.Record, f signoff.Finding) []string {
	if e, ok := telling(f); ok {
		return commands(r, e)
	}
	return nil
}

// weight puts what tells a cause best first: what decides, then what is about the cause
// itself, then core.
func (f failure) weight(c signoff.Cause) int {
	weight := 0
	if f.Decides() && f.Waiver == nil {
		weight += 4
	}
	if signoff.TopicOf(f.ID).Name == c.Topic.Name {
		weight += 2
	}
	if f.Tier == harness.Core {
		weight++
	}
	return weight
}

// tell fills in what is made of the card's rows.
func (c *card) tell(r signoff.Record) {
	c.Lead = c.Rows[0].Finding
	if c.Rows[0].Decides() && c.Rows[0].Waiver == nil {
		c.Tone = "fail"
	}
	c.Heading = c.Says
	if c.Lead.Bucket != harness.Security {
		c.Heading = c.Lead.Title + ": " + c.Says
	}
	c.Whose = owner(c.Owner)
	for i, e := range c.Lead.Evidence {
		switch {
		case !e.Control && c.Shown == nil:
			c.Shown = &c.Lead.Evidence[i]
		case e.Control && c.Beside == nil:
			c.Beside = &c.Lead.Evidence[i]
		}
	}
	if c.Shown != nil {
		c.Commands = commands(r, *c.Shown)
	}
	if r.Kind == harness.Live && r.Config != nil {
		file := r.Config.File
		if strings.ContainsAny(file, " '\"$`\\*?;&|<>()") {
			file = quoted(file)
		}
		c.Replay = "conformance replay signoff.json " + c.Lead.ID + " --config " + file
	}
	ids := c.IDs()
	c.Rerun = together(c.Lead, ids[:min(few, len(ids))])
}

// together is the command that judges these expectations at once, made of the one that
// judges the first.
func together(lead signoff.Finding, ids []string) string {
	before, found := strings.CutSuffix(lead.Rerun, lead.ID)
	if !found {
		return lead.Rerun
	}
	return before + strings.Join(ids, ",")
}

func failureOf(r signoff.Record, f signoff.Finding) failure {
	failed := failure{Finding: f, Runbook: clauses(r, f), Leave: waived(r, f), Weight: weight(f)}
	if w, ok := r.Waived(f); ok {
		failed.Waiver = &w
	}
	return failed
}

// because is a cause of what was inconclusive, told once.
type because struct {
	Says, IDs string
	N         int
}

// unclear are the causes that made expectations inconclusive, and failed none.
func unclear(r signoff.Record) []because {
	failed := map[string]bool{}
	for _, f := range r.ByVerdict(harness.Fail) {
		failed[f.ID] = true
	}
	var all []because
	for _, c := range r.Causes() {
		if !slices.ContainsFunc(c.IDs, func(id string) bool { return failed[id] }) {
			all = append(all, because{causeWords(c), strings.Join(c.IDs, ", "), len(c.IDs)})
		}
	}
	return all
}

// causeWords says what a cause is, and whose.
func causeWords(c signoff.Cause) string {
	if c.Owner == "" {
		return c.Says
	}
	return c.Says + "; likely to be mended in " + owner(c.Owner)
}

// named lists the first few IDs, and counts the rest.
func named(ids []string) string {
	if len(ids) <= few {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:few-1], ", "), len(ids)-few+1)
}

// causes tells what failed by its cause, worst first.
func (m *markdown) causes(r signoff.Record) {
	const width = 300
	var rows [][]string
	for _, c := range cards(r) {
		rows = append(rows, []string{fmt.Sprint(len(c.Rows)), md(clip(c.Heading, width)), md(c.Whose), md(named(c.IDs()))})
	}
	if len(rows) > 0 {
		m.line("## What failed, worst first\n")
		m.table([]string{"number", "cause", "to be mended in", "expectations"}, rows)
	}
	rows = nil
	for _, b := range unclear(r) {
		rows = append(rows, []string{fmt.Sprint(b.N), md(clip(b.Says, width)), md(clip(b.IDs, width))})
	}
	if len(rows) > 0 {
		m.line("## Why something is inconclusive\n")
		m.table([]string{"number", "cause", "expectations"}, rows)
	}
}

// causes tells them on a terminal.
func (c *console) causes(r signoff.Record) {
	const width = 160
	if found := cards(r); len(found) > 0 {
		fmt.Fprintf(&c.b, "%s\n", c.paint(bold, "WHAT FAILED, WORST FIRST"))
		for _, one := range found {
			fmt.Fprintf(&c.b, "  %3d  %s; to be mended in %s\n       %s\n", len(one.Rows), clip(one.Heading, width), one.Whose, named(one.IDs()))
		}
		c.b.WriteByte('\n')
	}
	if found := unclear(r); len(found) > 0 {
		fmt.Fprintf(&c.b, "%s\n", c.paint(bold, "WHY SOMETHING IS INCONCLUSIVE"))
		for _, one := range found {
			fmt.Fprintf(&c.b, "  %3d  %s\n       %s\n", one.N, clip(one.Says, width), clip(one.IDs, width))
		}
		c.b.WriteByte('\n')
	}
}
