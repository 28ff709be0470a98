package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

func planCommand() *cobra.Command {
	var from sources
	var only []string
	var asJSON bool
	var allow, asked string
	var strict, whole bool
	c := &cobra.Command{
		Use: "plan", Short: "show what a run against a live target would do, and what it lacks; sends nothing", Args: none,
		Long: `plan reads the configuration and says of each expectation whether it would run,
cannot (and what is lacking), or is not applicable (and what was declared). It
says which of what is claimed (claim:, or --claim) the grants cannot show; with
--strict that ends 2. The summary comes first, and what cannot run is folded by what
it lacks; --all lists every expectation. No byte is sent: neither to the target, nor to an IdP, nor
to Vault.`,
		Example: "  conformance plan --config staging.yaml\n  conformance plan --config staging.yaml --allow writes --only oidc\n  conformance plan --config staging.yaml --claim full --strict",
		RunE: func(c *cobra.Command, _ []string) error {
			if allow != "" {
				from.set = append(from.set, "rails.allow="+allow)
			}
			if err := knownClaim(asked); err != nil {
				return usage{err}
			}
			all, err := from.load()
			if err != nil {
				return err
			}
			selected, err := choose(suites.All(), only)
			if err != nil {
				return usage{err}
			}
			for i := range all {
				all[i].Claim = string(signoff.ClaimFor(harness.Live, asked, all[i].Claim))
			}
			return tellPlans(c, all, selected, planTold{asJSON: asJSON, strict: strict, whole: whole})
		},
	}
	from.flags(c)
	c.Flags().StringVar(&allow, "allow", "", "the strongest effect: auth-failures, writes or disruptive")
	c.Flags().StringSliceVar(&only, "only", nil, "only these: IDs, areas, chapters, levels or effects")
	c.Flags().StringVar(&asked, "claim", "", "what would be claimed: core or full (default claim: of the configuration, else core)")
	c.Flags().BoolVar(&strict, "strict", false, "end 2 where the grants cannot show all that is claimed")
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	c.Flags().BoolVar(&whole, "all", false, "list every expectation, and fold nothing")
	return c
}

// planTold is how a plan is told.
type planTold struct{ asJSON, strict, whole bool }

// targetPlan is the plan of one target.
type targetPlan struct {
	Target   string            `json:"target"`
	Withheld map[string]string `json:"withheld"` // endpoints that have no accepted call, and why
	Rows     []run.Planned     `json:"rows"`
	Steps    []step            `json:"steps"`   // what to grant, that which adds most first
	LeastS   int               `json:"least_s"` // how long it takes, seconds
	MostS    int               `json:"most_s"`  // where every wait lasts to its bound
	Ending   []string          `json:"ending"`  // what is granted, and ends before the run is likely to
	Claim    signoff.Claim     `json:"claim"`
	Short    []string          `json:"short"` // of the claim: what it wants to be seen, and the grants cannot show
}

func tellPlans(c *cobra.Command, all []config.Loaded, selected []harness.Expectation, how planTold) error {
	var plans []targetPlan
	for _, l := range all {
		plan, err := planned(l, selected)
		if err != nil {
			return usage{err}
		}
		plans = append(plans, plan)
	}
	if err := tellEach(c, plans, all, selected, how); err != nil {
		return err
	}
	for _, plan := range plans {
		if how.strict && len(plan.Short) > 0 {
			return usage{fmt.Errorf("%s: the claim %s is out of reach of what is granted: %s", plan.Target, plan.Claim, strings.Join(plan.Short, ", "))}
		}
	}
	return nil
}

func tellEach(c *cobra.Command, plans []targetPlan, all []config.Loaded, selected []harness.Expectation, how planTold) error {
	if how.asJSON {
		return tellJSON(c, map[string]any{"targets": plans})
	}
	for i, plan := range plans {
		if err := say(c, plan.text(selected, all[i].Rails.Rate, how.whole)); err != nil {
			return err
		}
	}
	return nil
}

func planned(l config.Loaded, selected []harness.Expectation) (targetPlan, error) {
	t, err := stack.Paper(l, "plan")
	if err != nil {
		return targetPlan{}, fmt.Errorf("planning for %s: %w", l.Target.Name, err)
	}
	plan := targetPlan{Target: t.Name, Withheld: t.Withheld, Rows: []run.Planned{}, Steps: []step{}, Claim: signoff.Claim(l.Claim), Short: []string{}}
	for _, x := range selected {
		row := run.Plan(t, x)
		plan.Rows = append(plan.Rows, row)
		if plan.short(row, x, t) {
			plan.Short = append(plan.Short, x.ID)
		}
	}
	takes := run.Estimated(t, plan.Rows, l.Rails.Rate)
	plan.LeastS, plan.MostS = int(takes.Least.Seconds()), int(takes.Most.Seconds())
	plan.Ending = ending(l, t, time.Now(), takes)
	more, err := steps(l, selected)
	plan.Steps = append(plan.Steps, more...)
	return plan, err
}

// short reports whether an expectation is claimed and cannot be shown, though more
// grants would.
func (p targetPlan) short(row run.Planned, x harness.Expectation, t *harness.Target) bool {
	return p.Claim.Wants(x.Level, x.Tiered()) && row.Verdict == harness.NotExercised &&
		!slices.ContainsFunc(row.Missing, func(c harness.Capability) bool { return slices.Contains(t.Unreachable, c) })
}

// text is the summary, what to grant, and then the rows: folded by what they lack, or all.
func (p targetPlan) text(selected []harness.Expectation, rate float64, whole bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", p.Target)
	p.summary(&b, rate)
	if len(p.Steps) > 0 {
		b.WriteString("\nWhat to grant, that which adds most first:\n")
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "  %4d more  %s\n", s.Adds, s.Grant)
	}
	if whole {
		p.rows(&b, selected)
	} else {
		p.folded(&b, selected)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// summary is what a plan comes to.
func (p targetPlan) summary(b *strings.Builder, rate float64) {
	of := map[harness.Verdict]int{}
	requests, writes, unknown, bare, bareRequests := 0, 0, 0, 0, 0
	for _, r := range p.Rows {
		of[r.Verdict]++
		switch {
		case r.Verdict == harness.NotExercised && r.Requests > 0:
			bare++
			bareRequests += r.Requests
		case r.Verdict == harness.NotExercised, r.Verdict == harness.NotApplicable:
		case r.Requests < 0:
			unknown++
			writes += r.Writes
		default:
			requests += r.Requests
			writes += r.Writes
		}
	}
	cannot, out := of[harness.NotExercised], of[harness.NotApplicable]
	fmt.Fprintf(b, "%d run, %d cannot, %d not applicable\n", len(p.Rows)-cannot-out, cannot, out)
	fmt.Fprintf(b, "%s, %d of which write where they are accepted", plural(requests, "request"), writes)
	if unknown > 0 {
		fmt.Fprintf(b, "; and those of %s that turn on what is answered", plural(unknown, "expectation"))
	}
	b.WriteString("; and accepted calls around all of these\n")
	if bare > 0 {
		fmt.Fprintf(b, "%s of those that cannot: sent all the same, %s; they fail where they are served, and pass nothing without "+
			"an accepted call\n", plural(bare, "row"), plural(bareRequests, "request"))
	}
	fmt.Fprintf(b, "it takes about %s", span(p.LeastS))
	if p.MostS > p.LeastS {
		fmt.Fprintf(b, ", and %s where everything that is waited for comes at its bound", span(p.MostS))
	}
	if rate > 0 {
		fmt.Fprintf(b, "; %v requests a second at most", rate)
	}
	b.WriteString("\n")
	for _, line := range p.Ending {
		b.WriteString(line + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Withheld)) {
		fmt.Fprintf(b, "endpoint %s has no accepted call: %s\n", name, p.Withheld[name])
	}
	if unflanked, rows := p.unflanked(); unflanked > 0 {
		fmt.Fprintf(b, "%s of these go there all the same, without a body and with no credential that may be accepted, so that nothing "+
			"is written: %s\n", plural(unflanked, "request"), few(rows))
	}
	if len(p.Short) > 0 {
		fmt.Fprintf(b, "the claim %s needs %d more than is granted: %s\n", p.Claim, len(p.Short), few(p.Short))
	} else {
		fmt.Fprintf(b, "the claim %s is within what is granted\n", p.Claim)
	}
}

// unflanked counts the requests to endpoints where no accepted call may be made, and names
// the rows that send them.
func (p targetPlan) unflanked() (requests int, rows []string) {
	for _, r := range p.Rows {
		if r.Unflanked > 0 {
			requests, rows = requests+r.Unflanked, append(rows, r.ID)
		}
	}
	return requests, rows
}

// rows are a line for each expectation.
func (p targetPlan) rows(b *strings.Builder, selected []harness.Expectation) {
	b.WriteString("\n")
	for i, r := range p.Rows {
		switch r.Verdict {
		case harness.NotApplicable:
			fmt.Fprintf(b, "%-9s not applicable  %s\n", r.ID, r.Reason)
		case harness.NotExercised:
			fmt.Fprintf(b, "%-9s cannot          lacks %s\n", r.ID, join(r.Missing))
		default:
			fmt.Fprintf(b, "%-9s run             %s\n", r.ID, r.Amount(selected[i].Stimulus.Build().Effect))
		}
	}
}

// fold is rows that have the same said of them.
type fold struct {
	says  string
	ids   []string
	alone []string // those of which nothing else is said
}

// folded are the rows by each capability that they lack, by what they were declared not to
// be, and by chapter where they run.
func (p targetPlan) folded(b *strings.Builder, selected []harness.Expectation) {
	var runs, lacks, out []fold
	for i, r := range p.Rows {
		switch r.Verdict {
		case harness.NotApplicable:
			out = add(out, r.Reason, r.ID, false)
		case harness.NotExercised:
			for _, c := range r.Missing {
				lacks = add(lacks, fmt.Sprintf("%s: %s", c, config.Gives(c)), r.ID, len(r.Missing) == 1)
			}
		default:
			runs = add(runs, selected[i].Chapter(), r.ID, false)
		}
	}
	for _, part := range []struct {
		title string
		of    []fold
		brief bool // what holds of one row only is counted
	}{
		{"Cannot run, by what they lack, and what gives it", lacks, false}, {"Not applicable, by what is declared", out, true},
		{"Run, by chapter", runs, false},
	} {
		if len(part.of) == 0 {
			continue
		}
		slices.SortStableFunc(part.of, func(x, y fold) int { return len(y.ids) - len(x.ids) })
		fmt.Fprintf(b, "\n%s:\n", part.title)
		single := slices.IndexFunc(part.of, func(f fold) bool { return len(f.ids) == 1 })
		for i, one := range part.of {
			if rest := part.of[i:]; part.brief && i == single && len(rest) > 1 {
				fmt.Fprintf(b, "  %4d  each by a declaration of its own\n", len(rest))
				break
			}
			fmt.Fprintf(b, "  %4d  %s\n", len(one.ids), one.says)
			if len(one.alone) > 0 {
				fmt.Fprintf(b, "        lacking nothing else: %s\n", few(one.alone))
			}
		}
	}
	b.WriteString("\n--all lists every expectation\n")
}

func add(all []fold, says, id string, alone bool) []fold {
	i := slices.IndexFunc(all, func(f fold) bool { return f.says == says })
	if i < 0 {
		i, all = len(all), append(all, fold{says: says})
	}
	all[i].ids = append(all[i].ids, id)
	if alone {
		all[i].alone = append(all[i].alone, id)
	}
	return all
}

// few names the first IDs, and counts the rest.
func few(ids []string) string {
	const shown = 8
	if len(ids) <= shown {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:shown], ", "), len(ids)-shown)
}

// span is a time in words, to the minute where it is one or more.
func span(seconds int) string {
	if seconds < 60 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min", (seconds+59)/60)
}

// ending says of what is granted by value, and not had anew, when it ends, where the run
// may last longer.
func ending(l config.Loaded, t *harness.Target, now time.Time, takes run.Estimate) []string {
	lines := []string{}
	warn := func(what string, from config.Reference, at time.Time, instead string) {
		if _, _, vaulted := from.InVault(); from == "" || vaulted || at.IsZero() || at.After(now.Add(takes.Most)) {
			return
		}
		words := "may last longer"
		if at.Before(now.Add(takes.Least)) {
			words = "lasts longer"
		}
		lines = append(lines, fmt.Sprintf("%s ends at %s, in %s, and the run %s: from then on no call with it is judged; %s",
			what, at.UTC().Format(time.RFC3339), span(max(0, int(at.Sub(now).Seconds()))), words, instead))
	}
	if at, ok := probe.Expiry(t.Tokens.Valid.Reveal()); ok {
		warn("grants.tokens.valid", l.Grants.Tokens.Valid, at,
			"give one that lives longer, or grants.tokens.client_credentials, which gives new ones")
	}
	for _, c := range []struct {
		what string
		from config.Pair
		pair harness.CertPair
	}{
		{"grants.certificates.enrolled", l.Grants.Certificates.Enrolled, t.Certs.Enrolled},
		{"grants.certificates.unenrolled", l.Grants.Certificates.Unenrolled, t.Certs.Unenrolled},
		{"grants.certificates.authority", l.Grants.Certificates.Authority, t.Certs.Authority},
	} {
		if parsed, err := certs.ParsePair(c.pair.Chain, []byte(c.pair.Key.Reveal())); err == nil {
			warn(c.what, c.from.Certificate, parsed.Certificate.NotAfter, "issue one that lives longer")
		}
	}
	return lines
}

// plural is a count of a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
