package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
	"aegis.test/conformance/suites/rollback"
)

func listCommand() *cobra.Command {
	var asJSON bool
	var only []string
	var tier string
	c := &cobra.Command{
		Use: "list", Short: "list the expectations", Args: none,
		Example: "  conformance list --only identity\n  conformance list --tier core\n  conformance list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			selected, err := choose(suites.All(), only)
			if err != nil {
				return usage{err}
			}
			if selected, err = ofTier(selected, tier); err != nil {
				return usage{err}
			}
			if asJSON {
				return tellJSON(c, map[string]any{"expectations": entries(selected), "digest": suites.CatalogueDigest()})
			}
			for _, x := range selected {
				if err := tell(c, fmt.Sprintf("%-9s %-6s %-8s %-13s %s", x.ID, x.Level, x.Tiered(), x.Stimulus.Build().Effect, x.Rule.Text)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "every field, as JSON")
	c.Flags().StringSliceVar(&only, "only", nil, "only these: IDs, areas, chapters, levels or effects")
	c.Flags().StringVar(&tier, "tier", "", "only those of a tier: core, extended")
	complete(c, map[string]completion{"only": labelled, "tier": oneOf(words(harness.Tiers)...)})
	return c
}

// ofTier are the expectations of a tier; an empty one is any.
func ofTier(all []harness.Expectation, tier string) ([]harness.Expectation, error) {
	if tier != "" && !slices.Contains(harness.Tiers, harness.Tier(tier)) {
		return nil, fmt.Errorf("--tier %q: want %s", tier, strings.Join(words(harness.Tiers), " or "))
	}
	return slices.DeleteFunc(slices.Clone(all), func(x harness.Expectation) bool {
		return tier != "" && x.Tiered() != harness.Tier(tier)
	}), nil
}

func entries(selected []harness.Expectation) []suites.Entry {
	list := make([]suites.Entry, len(selected))
	for i, x := range selected {
		list[i] = suites.Describe(x)
	}
	return list
}

func tellJSON(c *cobra.Command, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return tell(c, string(data))
}

func explainCommand() *cobra.Command {
	return &cobra.Command{
		ValidArgsFunction: identified,
		Use:               "explain ID|FAULT|rollback", Short: "explain one expectation and the faults that prove it, a fault, or the way back", Args: exactly(1, "one ID, of an expectation or a fault, or rollback"),
		Long: `explain tells of one expectation what it requires, and which faults prove it.
Of a fault it tells what is wrong and which expectations catch it.
explain rollback leads through section 7 of the runbook, step by step: what to
do, what that should show, and which expectations hold it.`,
		Example: "  conformance explain OIDC-005\n  conformance explain M-006\n  conformance explain rollback",
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "rollback" {
				return tell(c, guide())
			}
			if f, ok := faultBy(args[0]); ok {
				return tell(c, explainFault(f))
			}
			x, ok := suites.Find(args[0])
			if !ok {
				return usage{fmt.Errorf("no expectation %q%s: conformance list shows them", args[0], near(args[0]))}
			}
			return tell(c, explain(x))
		},
	}
}

// near suggests the expectation or the fault whose ID differs least.
func near(id string) string {
	var known []string
	for _, f := range faults.All() {
		known = append(known, f.ID)
	}
	for _, x := range suites.All() {
		known = append(known, x.ID)
	}
	return suggested(id, known)
}

// faultBy is the fault of an ID.
func faultBy(id string) (faults.Fault, bool) {
	for _, f := range faults.All() {
		if strings.EqualFold(f.ID, id) {
			return f, true
		}
	}
	return faults.Fault{}, false
}

func explainFault(f faults.Fault) string {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-10s %s\n", name, text) }
	fmt.Fprintf(&b, "%s: a seeded fault (%s)\n\n", f.ID, f.Component)
	line("fault", f.Says)
	line("origin", f.Origin)
	for _, id := range f.Named {
		if x, ok := suites.Find(id); ok {
			line("caught by", id+": "+x.Rule.Text)
		}
	}
	line("rerun", suites.Program+" faults --only "+f.ID)
	return strings.TrimRight(b.String(), "\n")
}

func explain(x harness.Expectation) string {
	e := suites.Describe(x)
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-10s %s\n", name, text) }
	fmt.Fprintf(&b, "%s: %s\n\n", e.ID, e.Title)
	line("rule", e.Rule.Text)
	for _, text := range clauseText(x) {
		line("clause", text)
	}
	line("source", e.Source)
	line("level", fmt.Sprintf("%s, %s, effect %s", e.Level, e.Tier, e.Effect))
	line("stimulus", e.Stimulus)
	line("outcome", e.Outcome)
	line("needs", orNothing(join(e.Needs)))
	line("stands at", fmt.Sprintf("%s:%d", e.Rule.File, e.Rule.Line))
	proven := false
	for _, f := range faults.All() {
		if slices.Contains(f.Named, x.ID) {
			line("proven by", fmt.Sprintf("%s (%s): %s", f.ID, f.Component, f.Says))
			proven = true
		}
	}
	if !proven {
		line("proven by", "no fault yet")
	}
	topic := signoff.TopicOf(x.ID)
	line("why", topic.Why)
	for _, m := range topic.Mend {
		line("mend", m.Product+": "+m.Do)
	}
	line("elsewhere", topic.Elsewhere.String())
	line("rerun", suites.Program+" run --only "+x.ID)
	return strings.TrimRight(b.String(), "\n")
}

// guide is section 7 of the runbook, step by step.
func guide() string {
	var b strings.Builder
	b.WriteString("The way back, when enforcing has caused widespread failures (runbook section 7).\n")
	var ids []string
	for i, step := range rollback.Guide {
		fmt.Fprintf(&b, "\n%d. %s\n", i, clause(step.Clause))
		line := func(name, text string) { fmt.Fprintf(&b, "   %-9s %s\n", name, text) }
		for _, do := range step.Do {
			line("do", do)
		}
		line("shows", step.Shows)
		line("or else", step.Else)
		line("held by", join(step.Holds))
		ids = append(ids, step.Holds...)
	}
	slices.Sort(ids)
	fmt.Fprintf(&b, "\nEach of them at once: %s run --only %s", suites.Program, strings.Join(slices.Compact(ids), ","))
	return b.String()
}

// clause is a clause of the runbook with its words.
func clause(id string) string {
	for _, c := range suites.Runbook {
		if c.ID == id {
			return c.Text() + " (" + id + ")"
		}
	}
	return id
}

// words are names as text.
func words[T ~string](list []T) []string {
	var texts []string
	for _, w := range list {
		texts = append(texts, string(w))
	}
	return texts
}

func join[T ~string](list []T) string { return strings.Join(words(list), ", ") }

func orNothing(s string) string {
	if s == "" {
		return "nothing but an address"
	}
	return s
}

// versionText says which harness this is: its version, what it was built from and when, and
// what it judges by.
func versionText() string {
	h := suites.Input("", "", time.Time{}).Harness
	from := "a build that does not say its commit"
	if h.Commit != "" {
		from = "commit " + h.Commit
	}
	if h.Date != "" {
		from += " of " + h.Date
	}
	return fmt.Sprintf("aegis-conformance %s\nbuilt     of %s, with %s\ncatalogue %s, %s\nrunbook   %s", h.Version, from, h.Go,
		suites.CatalogueDigest(), plural(len(suites.All()), "expectation"), suites.RunbookDigest())
}
