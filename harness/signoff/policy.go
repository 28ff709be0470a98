package signoff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/strict"
)

// Policy is what an organisation requires of a record. The zero value requires
// what the record claims: every MUST, in every chapter, of any kind of run but a
// rehearsal. No policy lets a request that was served unauthorised through, and
// none does without the MUSTs.
type Policy struct {
	Kinds    []harness.Kind  // of run, one of which it must be
	Claim    Claim           // that it must make; empty: any
	Chapters []string        // in which all must hold, and something must have
	Levels   []harness.Level // at which all must hold, beside MUST
	Exempt   *int            // how many may be not applicable; nil: any number
	Waivers  *int            // how many may be applied; nil: any number
	MaxDays  int             // how far ahead of the run they may expire; 0: any
	// Anonymous lets a record through that does not say which build it is of; else one of
	// a live target, or a release, must.
	Anonymous bool
	// Label is of the image: a live target's own words are held against it. Empty means
	// the image's digest. MaxAge is how long ago the runs of a release may have ended.
	Label  string
	MaxAge time.Duration
}

// Evidence are the kinds of run that a policy may ask for; a rehearsal is none.
var Evidence = []harness.Kind{harness.SelfTest, harness.Image, harness.Live, harness.Release}

// policyFile is policy.yaml.
type policyFile struct {
	Kinds    []string      `yaml:"kinds" enum:"self-test,image,live,release"`
	Claim    string        `yaml:"claim" enum:"core,full"`
	Chapters []string      `yaml:"chapters"`
	Levels   []string      `yaml:"levels" enum:"MUST,SHOULD,MAY"`
	Exempt   policyMost    `yaml:"not_applicable"`
	Waivers  policyWaivers `yaml:"waivers"`
	Build    policyBuild   `yaml:"build"`
	MaxAge   time.Duration `yaml:"max_age"`
}

type (
	policyMost struct {
		Max int `yaml:"max"`
	}
	policyWaivers struct {
		Max     int `yaml:"max"`
		MaxDays int `yaml:"max_days"`
	}
	policyBuild struct {
		Label    string `yaml:"label"`
		Required bool   `yaml:"required"`
	}
)

// ReadPolicy reads policy.yaml strictly; chapters are those the catalogue has.
// The error tells every mistake with its line.
func ReadPolicy(file string, data []byte, chapters []string) (Policy, error) {
	var f policyFile
	origins, err := strict.File(file, data, &f)
	problems, half := errors.AsType[strict.Problems](err)
	wrong := func(path, what, do string) {
		problems = append(problems, strict.Problem{At: origins[path], Path: path, What: what, Do: do})
	}
	for _, list := range []struct {
		path string
		n    int
	}{{"kinds", len(f.Kinds)}, {"chapters", len(f.Chapters)}, {"levels", len(f.Levels)}} {
		if list.n == 0 && origins[list.path] != "" {
			wrong(list.path, "the list is empty, which nothing can satisfy", "leave the key out, or name some")
		}
	}
	for i, chapter := range f.Chapters {
		if !slices.Contains(chapters, chapter) && !half {
			wrong(fmt.Sprintf("chapters[%d]", i), fmt.Sprintf("%q is no chapter", chapter), "want "+listed(chapters))
		}
	}
	if origins["build"] != "" && f.Build.Label == "" && origins["build.required"] == "" && !half {
		wrong("build", "it says nothing",
			"want {label: NAME}, the label of the image that a live target's own words must be, or {required: false}")
	}
	if origins["max_age"] != "" && f.MaxAge <= 0 {
		wrong("max_age", "it is no time at all", "want a duration with its unit, as 24h")
	}
	if len(problems) > 0 {
		return Policy{}, problems
	}
	p := Policy{
		Kinds: as[harness.Kind](f.Kinds), Claim: Claim(f.Claim), Chapters: f.Chapters, Levels: as[harness.Level](f.Levels),
		MaxDays: f.Waivers.MaxDays, Label: f.Build.Label, Anonymous: origins["build.required"] != "" && !f.Build.Required, MaxAge: f.MaxAge,
	}
	if origins["not_applicable.max"] != "" {
		p.Exempt = &f.Exempt.Max
	}
	if origins["waivers.max"] != "" {
		p.Waivers = &f.Waivers.Max
	}
	return p, nil
}

// as is a list of words of another type.
func as[T ~string](words []string) []T {
	var all []T
	for _, word := range words {
		all = append(all, T(word))
	}
	return all
}

// Refusal is one reason why a record is not enough.
type Refusal struct {
	Condition string // what does not hold: kind, claim, build, verdict, chapter, not_applicable, waivers
	Why       string
	Failed    bool // something was seen to be wrong, rather than not seen
}

// Weigh holds a record against the policy. No refusal means that it is enough.
func (p Policy) Weigh(r Record) []Refusal {
	var all []Refusal
	refuse := func(condition string, failed bool, format string, args ...any) {
		all = append(all, Refusal{condition, fmt.Sprintf(format, args...), failed})
	}
	if !p.takes(r) {
		refuse("kind", false, "the run is a %s, want %s", kindOr(r.Kind), listed(orAll(p.Kinds, Evidence)))
	}
	if r.Verdict == Invalid {
		why := orAll(r.invalidity(), r.Reasons) // a flaw of the findings stands in the reasons only
		refuse("verdict", false, "the run is invalid: %s", strings.Join(why, "; "))
	}
	if !p.Anonymous && !r.Known() && (r.Kind == harness.Live || r.Kind == harness.Release) {
		refuse("build", false, "the build is not known: let the deployment say it (target.version in the configuration), or accept that with build: {required: false}")
	}
	if p.Claim == FullClaim && r.Claim != FullClaim {
		refuse("claim", false, "the run claims %s, want %s", r.Claim, p.Claim)
	}
	for _, why := range r.failed(func(f Finding) bool { return p.requires(f) || hole(f) }) {
		refuse("verdict", true, "%s", why)
	}
	if r.Stopped != "" {
		refuse("verdict", false, "the run stopped: %s", r.Stopped)
	}
	for _, why := range r.unseen(func(f Finding) bool { return p.requires(f) && r.Claim.Wants(harness.MUST, f.Tier) }) {
		refuse("verdict", false, "%s", why)
	}
	if n := r.Totals[harness.NotApplicable]; p.Exempt != nil && n > *p.Exempt {
		refuse("not_applicable", false, "%d expectations are not applicable, want %d at most", n, *p.Exempt)
	}
	p.weighChapters(r, refuse)
	p.weighWaivers(r, refuse)
	return all
}

// takes reports whether a record is of a kind that the policy asks for: a release is,
// too, where each of its records is.
func (p Policy) takes(r Record) bool {
	if r.Kind == harness.Rehearsal || r.Kind == "" {
		return false
	}
	asked := func(kind harness.Kind) bool { return len(p.Kinds) == 0 || slices.Contains(p.Kinds, kind) }
	return asked(r.Kind) || r.Kind == harness.Release && !slices.ContainsFunc(r.Records, func(o Origin) bool { return !asked(o.Kind) })
}

// hole reports a failure that no policy lets through.
func hole(f Finding) bool { return f.Verdict == harness.Fail && f.Bucket == harness.Security }

// requires reports whether the policy wants an expectation to hold.
func (p Policy) requires(f Finding) bool {
	return (len(p.Chapters) == 0 || slices.Contains(p.Chapters, f.Chapter)) && (f.Level == harness.MUST || slices.Contains(p.Levels, f.Level))
}

// weighChapters wants something to have passed in every chapter asked for: one
// that was not applicable throughout was not held.
func (p Policy) weighChapters(r Record, refuse func(string, bool, string, ...any)) {
	for _, chapter := range p.Chapters {
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Chapter == chapter && f.Verdict == harness.Pass }) {
			refuse("chapter", false, "nothing passed in the chapter %s", chapter)
		}
	}
}

func (p Policy) weighWaivers(r Record, refuse func(string, bool, string, ...any)) {
	applied := 0
	for _, w := range r.Waivers {
		if w.State == Applied {
			applied++
		}
		if p.MaxDays > 0 && w.lasting(r.Ended, p.MaxDays) {
			refuse("waivers", false, "the waiver of %s lasts until %s, more than %d days beyond the run", w.Expectation, w.Expires, p.MaxDays)
		}
	}
	if p.Waivers != nil && applied > *p.Waivers {
		refuse("waivers", true, "%d failures are waived, want %d at most", applied, *p.Waivers)
	}
}

func orAll[T any](asked, all []T) []T {
	if len(asked) == 0 {
		return all
	}
	return asked
}

func kindOr(k harness.Kind) string {
	if k == "" {
		return "run that did not start"
	}
	return string(k)
}
