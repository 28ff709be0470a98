package report

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// GitHub tells the record as workflow commands: an annotation per failure at
// the runbook's line, one for each reason why something was not seen, and the
// verdict. GitHub shows ten of a kind for a step, so the verdict comes first.
func GitHub(r signoff.Record) string {
	r = inert(r)
	var b strings.Builder
	at := func(level, title, text string, f signoff.Finding) {
		place := places(r, f)[0].Physical
		fmt.Fprintf(&b, "::%s file=%s,line=%d,title=%s::%s\n", level, attribute(place.Artifact.URI), place.Region.Line, attribute(title), data(text))
	}
	level := map[signoff.Verdict]string{signoff.Passed: "notice", signoff.Rehearsed: "warning", signoff.WithWaivers: "warning", signoff.Incomplete: "warning"}[r.Verdict]
	fmt.Fprintf(&b, "::%s title=%s::%s\n", or(level, "error"), attribute("Aegis conformance: "+string(r.Verdict)), data(r.Headline))
	for _, f := range r.ByVerdict(harness.Fail) {
		level, text := "error", fmt.Sprintf("%s\n%s", f.Rule, detail(r, f))
		if waived(r, f) != "" || !f.Decides() {
			level = "warning"
		}
		at(level, f.ID+" "+f.Title+": to be mended in "+owner(f.Owner), text, f)
	}
	for _, v := range unseenVerdicts {
		for _, g := range groups(r.ByVerdict(v), func(f signoff.Finding) string { return f.Reason }) {
			fmt.Fprintf(&b, "::warning title=%s::%s\n", attribute(fmt.Sprintf("%d %s", g.N, words(v))), data(g.Key+": "+g.IDs))
		}
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
