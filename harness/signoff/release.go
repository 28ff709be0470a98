package signoff

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Given is a record that a release is made of, and its file's own bytes.
type Given struct {
	Record Record
	Data   []byte
}

// Origin is one of the records that a release was made of.
type Origin struct {
	Run     string       `json:"run"`
	Kind    harness.Kind `json:"kind"`
	Target  string       `json:"target"`
	Claim   Claim        `json:"claim"`
	Verdict Verdict      `json:"verdict"`
	Ended   time.Time    `json:"ended"`  // UTC
	Digest  string       `json:"digest"` // of the record: sha256:…
	Build   string       `json:"build"`  // what it says was under test
}

// Source is what one of those records says of an expectation.
type Source struct {
	Run         string          `json:"run"`
	Verdict     harness.Verdict `json:"verdict"`
	Bucket      harness.Bucket  `json:"bucket"`
	BeyondReach bool            `json:"beyond_reach"`
	Waived      bool            `json:"waived"` // there
}

// DefaultReleaseAge is how long before a release its runs may have ended, where the
// policy does not say.
const DefaultReleaseAge = 7 * 24 * time.Hour

// ReleaseOf is what a release is made of.
type ReleaseOf struct {
	Run    string // its identifier
	Now    time.Time
	Who    string // user@host
	Image  Given
	Live   []Given // one for each region, say
	Policy Policy
	// Committed is what lint found in the files of the release; nil where it was not asked.
	Committed *Committed
}

// Release makes one record of the image's run and of those of live targets: of the
// same catalogue and the same build, each young enough. A fail anywhere is a fail;
// what passed within the reach of any passed, and core in every live target.
func Release(of ReleaseOf) (Record, error) {
	if err := of.sound(); err != nil {
		return Record{}, fmt.Errorf("making a release: %w", err)
	}
	image := of.Image.Record
	r := Record{
		Schema: Schema, Kind: harness.Release, Run: of.Run, Who: of.Who, Claim: cmp.Or(of.Policy.Claim, FullClaim),
		Started: image.Started, Ended: of.Now.UTC().Truncate(time.Millisecond), Harness: image.Harness, Catalogue: image.Catalogue,
		Selection: Selection{Selected: len(image.Findings), Of: len(image.Findings)}, Runbook: image.Runbook, Build: image.Build,
		Clock: of.Live[0].Record.Clock, Faults: image.Faults, Clauses: image.Clauses,
	}
	r.Target, r.Committed = of.target(), of.Committed
	for _, g := range of.all() {
		r.Records = append(r.Records, g.origin(of.Policy.Label))
		if g.Record.Started.Before(r.Started) {
			r.Started = g.Record.Started
		}
	}
	for i := range image.Findings {
		r.Findings = append(r.Findings, of.row(i, r))
	}
	r.Totals, r.Buckets = tally(r.Findings)
	r.Waivers = r.Settled(of.waivers())
	r.Checklist = r.checklist()
	verdict, reasons := r.judge(nil)
	r.Verdict, r.Reasons = verdict, list(reasons)
	r.Headline = r.headline()
	return r, nil
}

// all are the records, the image's first.
func (of ReleaseOf) all() []Given { return append([]Given{of.Image}, of.Live...) }

// sound refuses what cannot be one release.
func (of ReleaseOf) sound() error {
	if len(of.Live) == 0 {
		return errors.New("no live run is given: --live names one or more")
	}
	image, seen := of.Image.Record, map[string]bool{}
	for i, g := range of.all() {
		r, want := g.Record, harness.Live
		if i == 0 {
			want = harness.Image
		}
		switch {
		case r.Kind != want:
			return fmt.Errorf("run %s is a %s, want a run of kind %s in its place", r.Run, kindOr(r.Kind), want)
		case seen[r.Run]:
			return fmt.Errorf("run %s is given twice", r.Run)
		case r.Catalogue.Digest != image.Catalogue.Digest || r.Runbook.Digest != image.Runbook.Digest:
			return fmt.Errorf("run %s was held to the catalogue %s, run %s to %s: judge both with one version of the harness", r.Run, r.Catalogue.Digest, image.Run, image.Catalogue.Digest)
		}
		seen[r.Run] = true
		if err := of.young(r); err != nil {
			return err
		}
	}
	if c := of.Committed; c != nil {
		if age, most := of.Now.Sub(c.At), cmp.Or(of.Policy.MaxAge, DefaultReleaseAge); age > most || age < -ahead {
			return fmt.Errorf("the committed files were read %s ago, want %s at most: run conformance lint again", Span(age), Span(most))
		}
	}
	return of.sameBuild()
}

// young refuses a run that ended too long ago, or is yet to end.
func (of ReleaseOf) young(r Record) error {
	most := cmp.Or(of.Policy.MaxAge, DefaultReleaseAge)
	switch age := of.Now.Sub(r.Ended); {
	case age < -ahead:
		return fmt.Errorf("run %s ended at %s, in the future", r.Run, r.Ended.Format(time.RFC3339))
	case age > most:
		return fmt.Errorf("run %s of %s ended %s ago, want %s at most: run it again", r.Run, r.Target.Name, Span(age), Span(most))
	}
	return nil
}

// Span is a time as people say it: 365 days, 3 h, 12 min, 5 s.
func Span(d time.Duration) string {
	for _, unit := range []struct {
		of    time.Duration
		least time.Duration // from when on it is used
		name  string
	}{{24 * time.Hour, 48 * time.Hour, "days"}, {time.Hour, 2 * time.Hour, "h"}, {time.Minute, 2 * time.Minute, "min"}} {
		if d >= unit.least {
			return fmt.Sprintf("%d %s", int64(d.Round(unit.of)/unit.of), unit.name)
		}
	}
	return fmt.Sprintf("%d s", int64(d.Round(time.Second)/time.Second))
}

// sameBuild wants every live target to run the image that was judged, by what it says
// of itself.
func (of ReleaseOf) sameBuild() error {
	image := of.Image.Record
	by := "its digest"
	if of.Policy.Label != "" {
		by = fmt.Sprintf("its label %s", of.Policy.Label)
	}
	want := buildOf(image, of.Policy.Label)
	if want == "" {
		return fmt.Errorf("build not known: run %s of the image does not say %s", image.Run, by)
	}
	for _, g := range of.Live {
		switch got := buildOf(g.Record, of.Policy.Label); {
		case got == "":
			return fmt.Errorf("build not known: %s (run %s) did not say which build it is: target.version in its configuration says where it does",
				g.Record.Target.Name, g.Record.Run)
		case got != want:
			return fmt.Errorf("not the same build: %s (run %s) is %q, and the image, by %s, %q; build: {label: …} in the policy says by what they are compared",
				g.Record.Target.Name, g.Record.Run, got, by, want)
		}
	}
	return nil
}

// buildOf is what a record says was under test: an image by a label of its own, or by
// its digest; a live target as it says of itself.
func buildOf(r Record, label string) string {
	switch {
	case r.Kind == harness.Live && r.Target.Start != nil && r.Target.Start.Version != "":
		return bare(r.Target.Start.Version)
	case r.Build == nil:
		return ""
	case label != "":
		return bare(r.Build.Labels[label])
	default:
		return bare(r.Build.ImageDigest)
	}
}

func (g Given) origin(label string) Origin {
	r := g.Record
	return Origin{Run: r.Run, Kind: r.Kind, Target: r.Target.Name, Claim: r.Claim, Verdict: r.Verdict, Ended: r.Ended,
		Digest: digest(g.Data), Build: buildOf(r, label)}
}

// target is what the live targets are together.
func (of ReleaseOf) target() Target {
	t := of.Live[0].Record.Target
	t.Start, t.End, t.Components = nil, nil, of.Image.Record.Target.Components
	t.Beyond, t.Unreachable = []harness.Capability{}, []harness.Capability{}
	var names []string
	for _, g := range of.all() {
		t.Modes = append(slices.Clip(t.Modes), g.Record.Target.Modes...)
		t.Capabilities = append(slices.Clip(t.Capabilities), g.Record.Target.Capabilities...)
		if g.Record.Kind == harness.Live {
			names = append(names, g.Record.Target.Name)
		}
	}
	t.Name = strings.Join(names, ", ")
	slices.Sort(t.Modes)
	slices.Sort(t.Capabilities)
	t.Modes, t.Capabilities = slices.Compact(t.Modes), slices.Compact(t.Capabilities)
	return t
}

// waivers are those that were applied in any of the runs.
func (of ReleaseOf) waivers() []Waiver {
	var all []Waiver
	for _, g := range of.all() {
		for _, w := range g.Record.Waivers {
			same := func(o Waiver) bool { return o.Expectation == w.Expectation && o.Target == w.Target && o.Mode == w.Mode }
			if w.State == Applied && !slices.ContainsFunc(all, same) {
				all = append(all, w)
			}
		}
	}
	return all
}

// row is one expectation of the release: the row that tells most of it, under the
// verdict of all.
func (of ReleaseOf) row(place int, r Record) Finding {
	var sources []Source
	var rows []Finding
	for _, g := range of.all() {
		f := g.Record.Findings[place]
		_, waived := g.Record.Waived(f)
		rows = append(rows, f)
		sources = append(sources, Source{g.Record.Run, f.Verdict, f.Bucket, f.BeyondReach, waived})
	}
	verdict, bucket, beyond := r.fused(rows[0].Tier, sources)
	f := rows[max(0, slices.IndexFunc(sources, func(s Source) bool { return s.Verdict == verdict && s.Bucket == bucket }))]
	f.Sources, f.BeyondReach = sources, beyond
	f.Notes = append(slices.Clip(f.Notes), r.told(sources))
	if f.Verdict == harness.Fail {
		f.FailedIn = nil
		for _, row := range rows {
			f.FailedIn = append(f.FailedIn, row.FailedIn...)
		}
		slices.Sort(f.FailedIn)
		f.FailedIn = list(slices.Compact(f.FailedIn))
	}
	return f
}

// fused is the verdict of all sources: a fail anywhere; what a live target did not show
// of core; a pass anywhere; else what is worst of what was not seen.
func (r Record) fused(tier harness.Tier, sources []Source) (harness.Verdict, harness.Bucket, bool) {
	for _, bucket := range slices.Concat(harness.Buckets, []harness.Bucket{""}) {
		if slices.ContainsFunc(sources, func(s Source) bool { return s.Verdict == harness.Fail && s.Bucket == bucket }) {
			return harness.Fail, bucket, false
		}
	}
	if v := r.unshown(sources); tier == harness.Core && v != "" {
		return v, "", false
	}
	beyond := true
	worst := harness.NotApplicable
	for _, s := range sources {
		if s.Verdict == harness.Pass {
			return harness.Pass, "", false
		}
		if s.Verdict != harness.NotApplicable {
			beyond = beyond && s.BeyondReach
			worst = worstFirst[min(slices.Index(worstFirst, worst), slices.Index(worstFirst, s.Verdict))]
		}
	}
	return worst, "", beyond && worst == harness.NotExercised
}

// unshown is the verdict of the first live target that did not show what it could have.
func (r Record) unshown(sources []Source) harness.Verdict {
	for i, s := range sources {
		if r.Records[i].Kind == harness.Live && s.Verdict != harness.Pass && s.Verdict != harness.NotApplicable && !s.BeyondReach {
			return s.Verdict
		}
	}
	return ""
}

// told says which record says what.
func (r Record) told(sources []Source) string {
	var words []string
	for i, s := range sources {
		words = append(words, fmt.Sprintf("%s: %s", r.Records[i].name(), s.Verdict))
	}
	return strings.Join(words, "; ")
}

func (o Origin) name() string {
	if o.Kind == harness.Image {
		return "the image (run " + o.Run + ")"
	}
	return fmt.Sprintf("%s (run %s)", o.Target, o.Run)
}

// Contradicted reports whether one record says that f holds, and another that it fails.
func (f Finding) Contradicted() bool {
	says := func(v harness.Verdict) bool {
		return slices.ContainsFunc(f.Sources, func(s Source) bool { return s.Verdict == v })
	}
	return says(harness.Pass) && says(harness.Fail)
}

// contradictions are the first reasons of a release: what its records say both ways.
func (r Record) contradictions() []string {
	var why []string
	for _, f := range r.those(Finding.Contradicted) {
		why = append(why, fmt.Sprintf("contradicted: %s, %s", f.ID, r.told(f.Sources)))
	}
	return why
}

// fusion holds a release's rows against their sources.
func (r Record) fusion() error {
	if (r.Kind == harness.Release) != (len(r.Records) > 1) {
		return fmt.Errorf("a record of kind %s is made of %d records", kindOr(r.Kind), len(r.Records))
	}
	for _, f := range r.Findings {
		if len(f.Sources) != len(r.Records) {
			return fmt.Errorf("%s has %d sources in a release of %d records", f.ID, len(f.Sources), len(r.Records))
		}
		if len(f.Sources) == 0 {
			continue
		}
		verdict, bucket, beyond := r.fused(f.Tier, f.Sources)
		if f.Verdict != verdict || f.Bucket != bucket || f.BeyondReach != beyond {
			return fmt.Errorf("%s is %s, and its sources allow %s", f.ID, f.Verdict, verdict)
		}
	}
	return nil
}
