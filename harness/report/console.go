package report

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// Console tells the record on a terminal: failures first, then what was not
// seen, and at the end, where the eye rests, the verdict.
func Console(r signoff.Record, color bool) string {
	r = inert(r)
	c := console{color: color}
	for _, one := range cards(r) {
		c.card(r, one)
	}
	c.unseen(r)
	c.causes(r)
	c.verdict(r)
	return c.b.String()
}

// console writes lines.
type console struct {
	b     strings.Builder
	color bool
}

// ANSI colours.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

func (c *console) paint(code, text string) string {
	if !c.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// field writes a label and its value, when there is one.
func (c *console) field(label, value string) {
	const width = 400
	if value != "" {
		fmt.Fprintf(&c.b, "  %-8s %s\n", label, clip(value, width))
	}
}

// card tells one cause of failures, by the expectation that tells it best.
func (c *console) card(r signoff.Record, one card) {
	f, colour := one.Lead, red
	if one.Tone != "fail" {
		colour = yellow
	}
	fmt.Fprintf(&c.b, "%s %s (%s, %s), to be mended in %s\n", c.paint(colour, strings.ToUpper(string(f.Verdict))+" "+f.ID),
		one.Heading, f.Bucket, weight(f), one.Whose)
	if ids := one.IDs()[1:]; len(ids) > 0 {
		c.field("also", named(ids))
	}
	if len(one.Also) > 0 {
		c.field("unclear", fmt.Sprintf("%d inconclusive by the same: %s", len(one.Also), named(one.Also)))
	}
	c.field("waived", waived(r, f))
	c.field("rule", f.Title)
	c.field("got", f.Got)
	c.field("want", f.Want)
	if f.Got == "" {
		c.field("reason", f.Reason)
	}
	c.field("control", f.Control)
	if e, ok := telling(f); ok {
		c.field("evidence", exchange(e))
	}
	c.field("why", one.Topic.Why)
	for i, m := range one.Topic.Mend {
		c.field([]string{"mend", ""}[min(i, 1)], m.Product+": "+m.Do)
	}
	for i, command := range one.Commands {
		c.field([]string{"again", ""}[min(i, 1)], command)
	}
	c.field("replay", one.Replay)
	c.field("rerun", one.Rerun)
	c.b.WriteByte('\n')
}

// telling is the exchange that shows a finding best: the first that is no
// control.
func telling(f signoff.Finding) (harness.Evidence, bool) {
	for _, e := range f.Evidence {
		if !e.Control {
			return e, true
		}
	}
	return harness.Evidence{}, false
}

// exchange is one exchange in a line.
func exchange(e harness.Evidence) string {
	text := fmt.Sprintf("%s -> %s [probe %s]", e.Request, e.Response, e.ProbeID)
	if e.Control {
		return "control: " + text
	}
	return text
}

// unseen tells what is neither pass nor fail, grouped by its reason; what is inconclusive
// is told by its causes.
func (c *console) unseen(r signoff.Record) {
	for _, v := range []harness.Verdict{harness.Error, harness.NotExercised} {
		for _, g := range groups(r.ByVerdict(v), func(f signoff.Finding) string { return f.Reason }) {
			const width = 160
			fmt.Fprintf(&c.b, "%s %s: %s\n", c.paint(yellow, strings.ToUpper(words(v))), clip(g.IDs, width), clip(g.Key, width))
		}
	}
}

func (c *console) verdict(r signoff.Record) {
	code := map[signoff.Verdict]string{signoff.Passed: green, signoff.WithWaivers: green, signoff.Failed: red}[r.Verdict]
	if code == "" {
		code = yellow
	}
	if len(r.Findings) > r.Totals[harness.Pass] {
		c.b.WriteByte('\n')
	}
	fmt.Fprintf(&c.b, "%s  %s\n", c.paint(bold+";"+code, string(r.Verdict)), c.paint(bold, r.Headline))
	var counts []string
	for _, v := range harness.Verdicts {
		counts = append(counts, fmt.Sprintf("%d %s", r.Totals[v], words(v)))
	}
	c.b.WriteString("  " + strings.Join(counts, " · ") + "\n")
	for i, step := range nextSteps(r) {
		c.field([]string{"next", ""}[min(i, 1)], step)
	}
	c.field("kind", kind(r))
	c.field("target", r.Target.Name)
	c.field("run", fmt.Sprintf("%s, %s, %s", r.Run, moment(r.Started), duration(r)))
}
