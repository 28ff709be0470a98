package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Text tells a result as compilers do, a place a line; clause gives a clause of
// the runbook with its words. Everything that no rule is about is listed where all is set,
// and counted otherwise.
func Text(r *Result, clause func(id string) string, all bool) string {
	var b strings.Builder
	for _, n := range r.Unreadable {
		fmt.Fprintf(&b, "%s: not read: %s\n", n.Place, n.What)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s: %s %s: got %s; want %s\n    %s\n    remedy: %s\n", f.Place, f.Rule, f.Level, f.Got, f.Want, f.Says, f.Remedy)
		for _, id := range f.Clauses {
			fmt.Fprintf(&b, "    runbook: %s\n", clause(id))
		}
	}
	for _, n := range r.Undecided {
		if n.Rule != "" {
			fmt.Fprintf(&b, "%s: %s not decided: %s\n", n.Place, n.Rule, n.What)
		} else {
			fmt.Fprintf(&b, "%s: not decided: %s\n", n.Place, n.What)
		}
	}
	if all {
		for _, n := range r.Unknown {
			fmt.Fprintf(&b, "%s: passed over: %s\n", n.Place, n.What)
		}
	}
	b.WriteString(r.Summary() + "\n")
	return b.String()
}

// Summary is a result in a line.
func (r *Result) Summary() string {
	var read []string
	for _, k := range slices.Sorted(maps.Keys(r.Read)) {
		if r.Read[k] > 0 {
			read = append(read, fmt.Sprintf("%s %d", k, r.Read[k]))
		}
	}
	if len(read) == 0 {
		read = []string{"nothing that a rule is about"}
	}
	return fmt.Sprintf("read: %s; held to %d of %d rules; findings: %d MUST, %d SHOULD; not read %d, not decided %d, passed over %d",
		strings.Join(read, ", "), len(r.Held), len(Rules()), r.Count(harness.MUST), r.Count(harness.SHOULD),
		len(r.Unreadable), len(r.Undecided), len(r.Unknown))
}
