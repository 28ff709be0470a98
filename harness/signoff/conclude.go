package signoff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Input is all that a Record is concluded from.
type Input struct {
	Target     *harness.Target // nil when the stack did not start
	NotStarted string          // why it did not
	Kind       harness.Kind    // meant to be run; the target's own kind comes first
	Run        string
	Started    time.Time
	Ended      time.Time
	Who        string // user@host

	Harness         Harness
	CatalogueDigest string
	RunbookDigest   string
	Catalogue       []harness.Expectation
	Clauses         []Clause // Expectations in them are filled in from the catalogue
	Findings        []harness.Finding

	// What was planned, what it was planned with, and what was under test; the
	// zero value where it is not known.
	CataloguePlanned string
	Config           *Config
	Build            *Build
	Clock            Clock
	Start, End       *Identity // of the target
	Faults           *Faults
	Waivers          []Waiver

	Claim       Claim    // empty: full
	Filter      string   // what narrowed the run, as the user wrote it; empty: nothing
	Selected    []string // IDs the filter let through; ignored without a filter
	DryRun      bool
	Interrupted string // by what; empty: by nothing
	Stopped     string // why the run ended itself; empty: it did not
	Conduct     harness.Conduct

	// Rerun gives the command that judges one expectation alone; may be nil.
	Rerun func(id string) string
}

// Conclude makes the record of a run. An expectation without a finding is a
// row that says why.
func Conclude(in Input) Record {
	r := Record{
		Schema:      Schema,
		Kind:        in.Kind,
		Claim:       ClaimFor(harness.SelfTest, string(in.Claim)),
		Run:         in.Run,
		Started:     in.Started.UTC().Truncate(time.Millisecond),
		Ended:       in.Ended.UTC().Truncate(time.Millisecond),
		Who:         in.Who,
		Interrupted: in.Interrupted,
		Stopped:     in.Stopped,
		Selection:   in.selection(),
		Harness:     in.Harness,
		Catalogue:   Catalogue{Digest: in.CatalogueDigest, Planned: in.CataloguePlanned, Expectations: len(in.Catalogue)},
		Runbook:     Runbook{Digest: in.RunbookDigest},
		Config:      in.Config,
		Build:       in.build(),
		Clock:       in.Clock,
		Faults:      in.Faults,
		Target:      target(in.Target, in.Catalogue),
		Clauses:     traced(in.Clauses, in.Catalogue),
		Findings:    in.rows(),
	}
	if in.Target != nil {
		r.Kind = in.Target.Kind
	}
	if r.Clock.BoundMS == 0 {
		r.Clock.BoundMS = MaxClockOffset.Milliseconds()
	}
	if !in.Conduct.Uneventful() {
		r.Conduct = &in.Conduct
	}
	r.Target.Start, r.Target.End = in.Start, in.End
	for i, f := range r.Findings {
		r.Findings[i].BeyondReach = r.beyondReach(f)
	}
	r.Totals, r.Buckets = tally(r.Findings)
	r.Waivers = r.Settled(in.Waivers)
	r.Checklist = r.checklist()
	verdict, reasons := r.judge(in.flaws())
	r.Verdict, r.Reasons = verdict, list(reasons)
	r.Headline = r.headline()
	return r
}

// revisionLabel names the commit that an image was built from (OCI image spec,
// annotations).
const revisionLabel = "org.opencontainers.image.revision"

// build is what was under test: as the input says, else the service's own image.
func (in Input) build() *Build {
	if in.Build != nil || in.Target == nil {
		return in.Build
	}
	for _, c := range in.Target.Components {
		if strings.HasPrefix(c.Name, "service") && c.Digest != "" {
			return &Build{Image: c.Image, ImageDigest: c.Digest, Commit: c.Labels[revisionLabel], Labels: c.Labels}
		}
	}
	return nil
}

func (in Input) selection() Selection {
	s := Selection{Filter: in.Filter, Of: len(in.Catalogue), DryRun: in.DryRun}
	for _, e := range in.Catalogue {
		if in.selects(e.ID) {
			s.Selected++
		}
	}
	return s
}

func (in Input) selects(id string) bool {
	return in.Filter == "" || slices.Contains(in.Selected, id)
}

func (in Input) rows() []Finding {
	profile := harness.Profile{}
	if in.Target != nil {
		profile = in.Target.Profile
	}
	found := map[string]harness.Finding{}
	for _, f := range in.Findings {
		if first, twice := found[f.ID]; !twice || first.Verdict != harness.Fail {
			found[f.ID] = f
		}
	}
	rows := make([]Finding, 0, len(in.Catalogue))
	for _, e := range in.Catalogue {
		f, ok := found[e.ID]
		if !ok {
			f = harness.Finding{Verdict: harness.NotExercised, Reason: in.absence(e.ID)}
		}
		rows = append(rows, in.row(e, in.echoed(e, f, profile), profile))
	}
	return rows
}

// echoed is the finding of the expectation that is about answers, which fails where any
// other saw one that shows the credential that was sent: it asked for itself only.
func (in Input) echoed(e harness.Expectation, f harness.Finding, p harness.Profile) harness.Finding {
	about, ok := e.Outcome.(interface{ Echoes() bool })
	if !ok || !about.Echoes() || f.Verdict == harness.Fail {
		return f
	}
	var ids, how []string
	for _, other := range in.Findings {
		if other.Echo != "" {
			ids, how = append(ids, other.ID), append(how, other.Echo)
		}
	}
	if len(ids) == 0 {
		return f
	}
	slices.Sort(how)
	f.Verdict, f.Bucket, f.Missing, f.Want = harness.Fail, harness.Contract, nil, e.Outcome.Want(p)
	f.Got = fmt.Sprintf("the token that was sent, shown in answers (%s), as the calls of %s saw", strings.Join(slices.Compact(how), "; "), some(ids))
	f.Reason = "got " + f.Got + ", want " + f.Want
	return f
}

// absence says why an expectation has no finding.
func (in Input) absence(id string) string {
	switch {
	case !in.selects(id):
		return fmt.Sprintf(unselected, in.Filter)
	case in.DryRun:
		return "the run was dry"
	case in.Interrupted != "":
		return "the run was interrupted before it"
	case in.Target == nil:
		return in.startFailure()
	case in.Stopped != "":
		return "the run stopped: " + in.Stopped
	default:
		return noFinding
	}
}

// unselected is the reason of what a filter left out.
const unselected = "not selected by %q"

const noFinding = "no finding was recorded for it"

func (in Input) startFailure() string {
	if in.NotStarted == "" {
		return "the stack did not start"
	}
	return "the stack did not start: " + in.NotStarted
}

func (in Input) row(e harness.Expectation, f harness.Finding, p harness.Profile) Finding {
	row := Finding{
		ID: e.ID, Title: e.Title, Chapter: e.Chapter(), Level: e.Level, Tier: e.Tiered(),
		Effect:   e.Stimulus.Build().Effect,
		Rule:     e.Rule.Text,
		At:       fmt.Sprintf("%s:%d", e.Rule.File, e.Rule.Line),
		Clauses:  list(e.Clauses),
		Source:   e.Source,
		Stimulus: e.Stimulus.Build().Words,
		Outcome:  e.Outcome.Want(p),
		Needs:    list(e.Needs()),
		Verdict:  f.Verdict, Bucket: f.Bucket, Reason: f.Reason,
		Missing: list(f.Missing),
		Got:     f.Got, Want: f.Want, Control: f.Control,
		Notes:    list(f.Notes),
		FailedIn: list(f.FailedIn),
		Evidence: list(f.Evidence),
		Timeline: f.Timeline,
		Requests: f.Requests, Exchanges: f.Exchange, Millis: f.Millis,
	}
	if !slices.Contains(harness.Verdicts, f.Verdict) {
		row.Verdict, row.Reason = harness.Error, fmt.Sprintf("the harness gave an unknown verdict %q", f.Verdict)
	}
	row.Owner = row.owner()
	if in.Rerun != nil {
		row.Rerun = in.Rerun(e.ID)
	}
	return row
}

// flaws lists what makes the findings themselves unfit for any verdict, beyond
// what the record's own rows show.
func (in Input) flaws() []string {
	if in.Target == nil && !in.DryRun && in.Interrupted == "" {
		return []string{in.startFailure()}
	}
	known := map[string]bool{}
	for _, e := range in.Catalogue {
		known[e.ID] = true
	}
	var unknown, twice []string
	seen := map[string]bool{}
	for _, f := range in.Findings {
		if !known[f.ID] {
			unknown = append(unknown, f.ID)
		} else if seen[f.ID] {
			twice = append(twice, f.ID)
		}
		seen[f.ID] = true
	}
	var flaws []string
	if len(unknown) > 0 {
		flaws = append(flaws, fmt.Sprintf("findings for IDs that are not in the catalogue: %s", some(unknown)))
	}
	if len(twice) > 0 {
		flaws = append(flaws, fmt.Sprintf("more than one finding for %s", some(twice)))
	}
	return flaws
}

func target(t *harness.Target, catalogue []harness.Expectation) Target {
	if t == nil {
		t = &harness.Target{}
	}
	public := Target{
		Name:         t.Name,
		Modes:        []harness.Mode{},
		Endpoints:    []Endpoint{},
		Capabilities: granted(t, catalogue),
		Beyond:       list(t.Beyond),
		Unreachable:  list(t.Unreachable),
		Profile:      t.Profile,
		Components:   list(t.Components),
		Uncalled:     t.Withheld,
	}
	for _, e := range t.Endpoints {
		public.Endpoints = append(public.Endpoints, Endpoint{Name: e.Name, Method: e.Method, Path: e.Path})
	}
	for mode := range t.Faces {
		public.Modes = append(public.Modes, mode)
	}
	slices.Sort(public.Modes)
	if t.Kind == harness.Live {
		public.URLs = map[harness.Mode]string{}
		for mode, face := range t.Faces {
			public.URLs[mode] = face.URL
		}
	}
	return public
}

// granted lists the capabilities, of those the catalogue needs, that the
// target grants, sorted.
func granted(t *harness.Target, catalogue []harness.Expectation) []harness.Capability {
	needed := []harness.Capability{}
	for _, e := range catalogue {
		for _, c := range e.Needs() {
			if t.Grants(c) {
				needed = append(needed, c)
			}
		}
	}
	slices.Sort(needed)
	return slices.Compact(needed)
}

func traced(clauses []Clause, catalogue []harness.Expectation) []Clause {
	out := make([]Clause, 0, len(clauses))
	for _, c := range clauses {
		c.Expectations = []string{}
		for _, e := range catalogue {
			if slices.Contains(e.Clauses, c.ID) {
				c.Expectations = append(c.Expectations, e.ID)
			}
		}
		out = append(out, c)
	}
	return out
}

func tally(findings []Finding) (map[harness.Verdict]int, map[harness.Bucket]int) {
	totals, buckets := map[harness.Verdict]int{}, map[harness.Bucket]int{}
	for _, v := range harness.Verdicts {
		totals[v] = 0
	}
	for _, b := range harness.Buckets {
		buckets[b] = 0
	}
	for _, f := range findings {
		totals[f.Verdict]++
		if f.Verdict == harness.Fail {
			buckets[f.Bucket]++
		}
	}
	return totals, buckets
}

// list makes no items an empty JSON array rather than null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// some names the first few IDs and counts the rest.
func some(ids []string) string {
	const shown = 6
	if len(ids) <= shown {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:shown], ", "), len(ids)-shown)
}
