package report

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness/signoff"
)

// GitHub tells the record as workflow commands: the verdict, an annotation per cause of
// failures at the file that configured the run, and a notice of what was not seen. GitHub
// shows ten of a kind for a step, so the verdict comes first, and the worst cause next.
func GitHub(r signoff.Record) string {
	r = inert(r)
	var b strings.Builder
	level := map[signoff.Verdict]string{signoff.Passed: "notice", signoff.Rehearsed: "warning", signoff.WithWaivers: "warning", signoff.Incomplete: "warning"}[r.Verdict]
	fmt.Fprintf(&b, "::%s title=%s::%s\n", or(level, "error"), attribute("Aegis conformance: "+string(r.Verdict)), data(r.Headline))
	at := ""
	if file, ok := configured(r); ok {
		at = "file=" + attribute(file) + ",line=1,"
	}
	for _, c := range cards(r) {
		level := "error"
		if c.Tone != "fail" {
			level = "warning"
		}
		lead := c.Lead
		lead.Rerun = c.Rerun
		text := fmt.Sprintf("%s\n%s\n%s", named(c.IDs()), lead.Rule, detail(r, lead, c))
		fmt.Fprintf(&b, "::%s %stitle=%s::%s\n", level, at, attribute(lead.ID+" "+c.Heading+": to be mended in "+c.Whose), data(text))
	}
	var unseen []string
	for _, v := range unseenVerdicts {
		for _, g := range groups(r.ByVerdict(v), func(f signoff.Finding) string { return f.Reason }) {
			unseen = append(unseen, fmt.Sprintf("%d %s, %s: %s", g.N, words(v), g.Key, g.IDs))
		}
	}
	if len(unseen) > 0 {
		fmt.Fprintf(&b, "::notice title=%s::%s\n", attribute("Not seen, and so not passed"), data(strings.Join(unseen, "\n")))
	}
	return b.String()
}

// data and attribute escape what stands in a workflow command: its text, and a
// value before it.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func attribute(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}
