package report

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// Markdown renders the record as GitHub-flavoured Markdown.
func Markdown(r signoff.Record) ([]byte, error) {
	r = inert(r)
	m := &markdown{}
	m.summary(r)
	m.records(r)
	m.committed(r)
	m.causes(r)
	m.checklist(r)
	m.failures(r)
	m.unseen(r)
	m.chapters(r)
	m.runbook(r)
	m.changes(r)
	m.components(r)
	m.waivers(r)
	m.proof(r)
	m.digests(r)
	return []byte(m.b.String()), nil
}

// markdown writes blocks. Prose goes through md, what a target said
// through code.
type markdown struct{ b strings.Builder }

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(&m.b, format+"\n", args...) }

// table writes a table of cells that are Markdown already.
func (m *markdown) table(head []string, rows [][]string) {
	m.line("| %s |", strings.Join(head, " | "))
	m.line("|%s", strings.Repeat(" --- |", len(head)))
	for _, row := range rows {
		m.line("| %s |", strings.Join(row, " | "))
	}
	m.line("")
}

var special = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `|`, `\|`,
	`#`, `\#`, `~`, `\~`, `!`, `\!`, `://`, `\://`, `www.`, `www\.`, `&`, `&amp;`, `<`, `&lt;`, `>`, `&gt;`, `@`, `&#64;`)

// md is text as Markdown prose, without any markup of its own. It also holds
// inside a table.
func md[T ~string](s T) string { return special.Replace(string(s)) }

// code is text as a code span; no text is no span. It does not hold inside a
// table, where a bar ends it.
func code(s string) string {
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 || strings.TrimSpace(s) != s {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

func (m *markdown) summary(r signoff.Record) {
	m.line("# Aegis conformance sign-off: %s\n", title(r))
	m.line("%s\n", md(answer(r)))
	m.line("**%s** %s\n", md(r.Verdict), md(r.Headline))
	if text := caveat(r); text != "" {
		m.line("> **%s**\n", md(text))
	}
	for _, g := range gains(r) {
		m.line("- The container run adds what needs %s: %s", md(g.Key), md(g.IDs))
	}
	for _, reason := range r.Reasons {
		m.line("- %s", md(reason))
	}
	m.line("")
	m.totals(r)
	rows := [][]string{
		{"kind of run", md(kind(r))},
		{"claim", md(claim(r))},
		{"tokens", md(believed(r))},
		{"target", md(r.Target.Name)},
		{"modes", md(join(r.Target.Modes))},
		{"build", md(build(r))},
		{"clock", md(clock(r))},
		{"run", md(r.Run)},
		{"who", md(r.Who)},
		{"when", fmt.Sprintf("%s, %s", moment(r.Started), duration(r))},
		{"selection", md(selection(r))},
	}
	if words := conduct(r); words != "" {
		rows = append(rows, []string{"on its way", md(words)})
	}
	m.table([]string{"", ""}, rows)
}

func (m *markdown) totals(r signoff.Record) {
	var head, row []string
	for _, v := range harness.Verdicts {
		head = append(head, words(v))
		row = append(row, fmt.Sprint(r.Totals[v]))
	}
	m.table(append(head, "all"), [][]string{append(row, fmt.Sprint(len(r.Findings)))})
}

// records tells what a release was made of.
func (m *markdown) records(r signoff.Record) {
	if len(r.Records) == 0 {
		return
	}
	var rows [][]string
	for _, o := range r.Records {
		rows = append(rows, []string{md(o.Kind), md(o.Target), md(o.Run), md(o.Verdict), md(o.Claim), moment(o.Ended), md(o.Build), md(o.Digest)})
	}
	m.line("## Made of\n")
	m.table([]string{"kind", "target", "run", "verdict", "claim", "ended", "build", "record"}, rows)
}

// committed tells what lint found in the files of a release.
func (m *markdown) committed(r signoff.Record) {
	c := r.Committed
	if c == nil {
		return
	}
	m.line("## What is committed\n")
	m.line("%s. No row is judged by it.\n", md(c.Summary))
	if len(c.Findings) > 0 {
		var rows [][]string
		for _, f := range c.Findings {
			rows = append(rows, []string{md(f.At), md(f.Rule), md(f.Level), md(f.Got), md(f.Want), md(f.Remedy)})
		}
		m.table([]string{"where", "rule", "level", "got", "want", "remedy"}, rows)
	}
	for _, text := range c.Unread {
		m.line("- not read or not decided: %s", md(text))
	}
	m.line("")
}

// selection says what of the catalogue was asked for.
func selection(r signoff.Record) string {
	text := fmt.Sprintf("%d of %d expectations", r.Selection.Selected, r.Selection.Of)
	if r.Selection.Filter != "" {
		text += fmt.Sprintf(", by %q", r.Selection.Filter)
	}
	if r.Selection.DryRun {
		text += ", dry"
	}
	if len(r.Merged) > 0 {
		text += ", merged of the runs " + strings.Join(r.Merged, ", ")
	}
	return text
}

// failures tells each cause as a card.
func (m *markdown) failures(r signoff.Record) {
	all := cards(r)
	if len(all) == 0 {
		return
	}
	m.line("## Failures, by cause\n")
	for _, c := range all {
		m.line("### %s\n", md(c.Heading))
		m.line("%s To be mended in **%s**. %s\n", md(c.Topic.Why), md(c.Whose), md(c.Topic.Elsewhere.String()))
		for _, row := range c.Rows {
			m.failed(row)
		}
		if len(c.Also) > 0 {
			m.line("- inconclusive by the same cause: %s", md(strings.Join(c.Also, ", ")))
		}
		m.line("")
		for _, e := range c.Lead.Evidence {
			m.field("evidence", exchange(e))
		}
		m.field("control", c.Lead.Control)
		for _, note := range c.Lead.Notes {
			m.line("- note: %s", md(note))
		}
		m.line("")
		m.remedies(c.Topic)
		for _, command := range c.Commands {
			m.field("see it again", command)
		}
		m.field("then and now", c.Replay)
		m.field("rerun", c.Rerun)
		m.line("")
	}
}

// failed tells one expectation of a card.
func (m *markdown) failed(f failure) {
	var held []string
	for _, c := range f.Runbook {
		held = append(held, "runbook "+c.ID)
	}
	m.line("- **%s** %s (%s, %s; %s): got %s, want %s", md(f.ID), md(f.Title), md(f.Bucket), md(f.Weight),
		md(strings.Join(held, ", ")), code(or(f.Got, f.Reason)), code(f.Want))
	if f.Leave != "" {
		m.line("  - **waived**: %s", md(f.Leave))
	}
}

// remedies tell how a failure of a topic is mended, by product.
func (m *markdown) remedies(topic signoff.Topic) {
	for _, one := range topic.Mend {
		m.line("- mend, %s: %s", md(one.Product), code(one.Do))
	}
}

func (m *markdown) field(label, value string) {
	if value != "" {
		m.line("- %s: %s", label, code(value))
	}
}

// unseen tells what is neither pass nor fail: why, and what to grant.
func (m *markdown) unseen(r signoff.Record) {
	var rows [][]string
	for _, v := range []harness.Verdict{harness.Error, harness.Inconclusive} {
		for _, f := range r.ByVerdict(v) {
			rows = append(rows, []string{md(f.ID), words(v), md(f.Title), md(f.Reason)})
		}
	}
	lacks := lackings(r)
	if len(rows) == 0 && len(lacks) == 0 {
		return
	}
	m.line("## Not seen\n")
	if len(rows) > 0 {
		m.table([]string{"ID", "verdict", "title", "reason"}, rows)
	}
	rows = nil
	for _, l := range lacks {
		var ids []string
		for _, f := range l.Findings {
			ids = append(ids, f.ID)
		}
		rows = append(rows, []string{fmt.Sprint(len(ids)), md(or(join(l.Lacks), l.Reason)), md(l.Findings[0].Reason),
			md(strings.Join(ids, ", "))})
	}
	if len(rows) > 0 {
		m.table([]string{"not exercised", "lacks", "reason", "expectations"}, rows)
	}
	if yaml := toWrite(r, lacks); yaml != "" && r.Kind == harness.Live {
		m.line("To grant all of it, in the configuration of the target:\n\n```yaml\n%s```\n", yaml)
	}
}

func (m *markdown) chapters(r signoff.Record) {
	m.line("## Catalogue\n")
	for _, c := range chapters(r) {
		m.line("### %s: %s\n", md(c.Name), c.Summary())
		var rows [][]string
		for _, f := range c.Findings {
			rows = append(rows, []string{md(f.ID), md(f.Title), md(f.Level), mark(f), md(f.Reason), md(strings.Join(f.Clauses, ", "))})
		}
		m.table([]string{"ID", "title", "level", "verdict", "reason", "runbook"}, rows)
	}
}

// mark is a verdict, loud unless it is green.
func mark(f signoff.Finding) string {
	switch {
	case f.Verdict == harness.Pass:
		return md(words(f.Verdict))
	case f.Bucket != "":
		return fmt.Sprintf("**%s** (%s)", md(words(f.Verdict)), md(f.Bucket))
	default:
		return fmt.Sprintf("**%s**", md(words(f.Verdict)))
	}
}

func (m *markdown) runbook(r signoff.Record) {
	if len(r.Clauses) == 0 {
		return
	}
	m.line("## Runbook\n")
	verdicts := verdictsByID(r)
	var rows [][]string
	for _, c := range r.Clauses {
		var held []string
		for _, id := range c.Expectations {
			held = append(held, fmt.Sprintf("%s %s", md(id), md(words(verdicts[id]))))
		}
		by := strings.Join(held, ", ")
		if by == "" {
			by = md("silent: " + c.Silence)
		}
		rows = append(rows, []string{md(c.ID), fmt.Sprint(c.Line), md(c.Text), by})
	}
	m.table([]string{"clause", "line", "text", "held by"}, rows)
}

// checklist answers the runbook's section 8.
func (m *markdown) checklist(r signoff.Record) {
	if len(r.Checklist) == 0 {
		return
	}
	var rows [][]string
	for _, c := range r.Checklist {
		verdict := md(words(c.Verdict))
		if c.Verdict != harness.Pass {
			verdict = "**" + verdict + "**"
		}
		rows = append(rows, []string{md(c.Clause), verdict, md(c.Text), md(strings.Join(c.Missing, "; "))})
	}
	m.line("## The runbook's checklist\n")
	m.table([]string{"clause", "verdict", "text", "missing"}, rows)
}

// changes tells the timelines: what changed, and when it bit.
func (m *markdown) changes(r signoff.Record) {
	var rows [][]string
	for _, f := range r.Findings {
		for _, d := range drawings(f) {
			rows = append(rows, []string{md(d.ID), md(d.Change), md(d.Says)})
		}
	}
	if len(rows) > 0 {
		m.line("## Changes under steady traffic\n")
		m.table([]string{"ID", "change", "what came of it"}, rows)
	}
}

func (m *markdown) waivers(r signoff.Record) {
	if len(r.Waivers) == 0 {
		return
	}
	var rows [][]string
	for _, w := range r.Waivers {
		rows = append(rows, []string{md(w.Expectation), "**" + md(w.State) + "** " + md(w.Why), md(w.Reason), md(w.Owner), md(w.Approver), md(w.Ticket), md(w.Expires)})
	}
	m.line("## Waivers\n")
	m.table([]string{"expectation", "state", "reason", "owner", "approver", "ticket", "until"}, rows)
}

// proof tells how the fault matrix ended.
func (m *markdown) proof(r signoff.Record) {
	if f := r.Faults; f != nil {
		m.line("## Fault matrix of this catalogue\n")
		m.table([]string{"planted", "caught", "exactly by what they name", "false alarms"},
			[][]string{{fmt.Sprint(f.Planted), fmt.Sprint(f.Caught), fmt.Sprint(f.Exact), fmt.Sprint(f.FalseAlarms)}})
	}
}

func verdictsByID(r signoff.Record) map[string]harness.Verdict {
	verdicts := map[string]harness.Verdict{}
	for _, f := range r.Findings {
		verdicts[f.ID] = f.Verdict
	}
	return verdicts
}

func (m *markdown) components(r signoff.Record) {
	if len(r.Target.Components) == 0 {
		return
	}
	m.line("## Components\n")
	var rows [][]string
	for _, c := range r.Target.Components {
		is := md(c.Is)
		if c.StandIn {
			is += " **(stand-in)**"
		}
		rows = append(rows, []string{md(c.Name), is, md(c.Origin), md(c.Image), md(c.Digest), fmt.Sprintf("%d ms", c.ReadyMS)})
	}
	m.table([]string{"name", "is", "origin", "image", "digest", "ready"}, rows)
}

func (m *markdown) digests(r signoff.Record) {
	m.line("## Digests\n")
	m.table([]string{"", ""}, [][]string{
		{"catalogue", fmt.Sprintf("%s, %d expectations", md(r.Catalogue.Digest), r.Catalogue.Expectations)},
		{"runbook", md(r.Runbook.Digest)},
		{"harness", fmt.Sprintf("%s %s", md(r.Harness.Version), md(r.Harness.Commit))},
		{"built with", md(r.Harness.Go)},
		{"schema", md(r.Schema)},
	})
}
