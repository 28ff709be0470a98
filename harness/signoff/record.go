// Package signoff concludes: it turns the findings of a run into a Record over
// the whole catalogue, and publishes it. Every report is a pure function of
// the Record.
package signoff

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"aegis.test/conformance/harness"
)

// Schema names the version of the record that this package writes and reads.
const Schema = "aegis-conformance/signoff/v4"

// Verdict is what a sign-off concludes of a run as a whole.
type Verdict string

// Verdicts over the catalogue (design section 7).
const (
	Passed      Verdict = "PASS"
	Rehearsed   Verdict = "REHEARSED" // nothing stands against it, and a rehearsal never passes
	WithWaivers Verdict = "PASS_WITH_WAIVERS"
	Failed      Verdict = "FAIL"
	Incomplete  Verdict = "INCOMPLETE"
	Invalid     Verdict = "INVALID"
)

// Claim is what a sign-off claims to have seen: its verdict is over that.
type Claim string

// Claims: the core tier, which any staging can show, or the whole catalogue.
const (
	CoreClaim Claim = "core"
	FullClaim Claim = "full"
)

// Claims lists every claim, the narrow one first.
var Claims = []Claim{CoreClaim, FullClaim}

// ClaimFor is what a sign-off of a kind of run claims: the first that was asked for; else
// core of a live target, and everything of a stack.
func ClaimFor(kind harness.Kind, asked ...string) Claim {
	for _, claim := range asked {
		if claim != "" {
			return Claim(claim)
		}
	}
	if kind == harness.Live {
		return CoreClaim
	}
	return FullClaim
}

// Record is signoff.json; schema.json describes every field.
type Record struct {
	Schema      string                  `json:"schema"`
	Verdict     Verdict                 `json:"verdict"`
	Claim       Claim                   `json:"claim"`
	Headline    string                  `json:"headline"`
	Reasons     []string                `json:"reasons"` // why not PASS
	Kind        harness.Kind            `json:"kind"`    // empty when the stack did not start
	Run         string                  `json:"run"`
	Started     time.Time               `json:"started"`             // UTC
	Ended       time.Time               `json:"ended"`               // UTC
	Who         string                  `json:"who"`                 // user@host
	Records     []Origin                `json:"records,omitempty"`   // what a release was made of
	Committed   *Committed              `json:"committed,omitempty"` // what lint found in the files of a release; nil where none was given
	Merged      []string                `json:"merged,omitempty"`    // the runs of the shards it was made of
	Interrupted string                  `json:"interrupted"`
	Stopped     string                  `json:"stopped,omitempty"` // why the run ended itself
	Totals      map[harness.Verdict]int `json:"totals"`            // every verdict is a key
	Buckets     map[harness.Bucket]int  `json:"buckets"`           // of fails; every bucket is a key
	Selection   Selection               `json:"selection"`
	Harness     Harness                 `json:"harness"`
	Catalogue   Catalogue               `json:"catalogue"`
	Runbook     Runbook                 `json:"runbook"`
	Config      *Config                 `json:"config,omitempty"` // nil when no file configured the run
	Build       *Build                  `json:"build,omitempty"`  // nil when it is not known what was under test
	Clock       Clock                   `json:"clock"`
	Conduct     *harness.Conduct        `json:"conduct,omitempty"` // nil where there is nothing to tell
	Faults      *Faults                 `json:"faults,omitempty"`  // nil when no whole matrix is known of this catalogue
	Since       *Diff                   `json:"since,omitempty"`   // from the last sign-off of the target, where there is one
	Checklist   []Check                 `json:"checklist"`
	Waivers     []Waiver                `json:"waivers"`
	Target      Target                  `json:"target"`
	Findings    []Finding               `json:"findings"` // one per expectation, in catalogue order
	Clauses     []Clause                `json:"clauses"`
}

// Selection is what of the catalogue was asked for.
type Selection struct {
	Filter   string `json:"filter"` // empty means everything
	Selected int    `json:"selected"`
	Of       int    `json:"of"`
	DryRun   bool   `json:"dry_run"`
}

// Harness identifies the program that judged.
type Harness struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit"`
	Date    string `json:"date,omitempty"` // of the commit, RFC 3339; empty where the build does not say
}

// Catalogue identifies the expectations.
type Catalogue struct {
	Digest       string `json:"digest"`  // sha256:…
	Planned      string `json:"planned"` // the digest that was planned; empty when none was
	Expectations int    `json:"expectations"`
}

// Runbook identifies the contract.
type Runbook struct {
	Digest string `json:"digest"` // sha256:…
}

// Config identifies the file that configured the run.
type Config struct {
	File    string `json:"file"`
	Digest  string `json:"digest"`  // sha256:…
	Planned string `json:"planned"` // the digest that was planned; empty when none was
}

// Build identifies what was under test. Fields are empty when unknown.
type Build struct {
	Image       string            `json:"image"`
	ImageDigest string            `json:"image_digest"` // sha256:…
	Commit      string            `json:"commit"`
	Labels      map[string]string `json:"labels,omitempty"` // of the image
}

// Clock is how far the target's clock was from the harness's.
type Clock struct {
	Measured bool   `json:"measured"`
	OffsetMS int64  `json:"offset_ms"` // the target's less ours
	BoundMS  int64  `json:"bound_ms"`
	Source   string `json:"source"` // what was compared
}

// Faults is how the fault matrix of this catalogue ended.
type Faults struct {
	Planted     int `json:"planted"`
	Caught      int `json:"caught"`
	Exact       int `json:"exact"`        // failing what they name and no more
	FalseAlarms int `json:"false_alarms"` // on the reference
}

// Identity is what a target showed of itself at one moment.
type Identity struct {
	Version     string    `json:"version"`
	Certificate string    `json:"certificate"` // SHA-256 of the server's leaf, hex
	Server      string    `json:"server"`
	At          time.Time `json:"at"` // UTC
}

// same reports whether two moments showed the same target.
func (i Identity) same(j Identity) bool {
	i.At = j.At
	return i == j
}

func (i *Identity) String() string {
	if i == nil {
		return "nothing"
	}
	return fmt.Sprintf("version %q, server %q, certificate %.12s…", i.Version, i.Server, i.Certificate)
}

// Target is the system under test, as far as it is public.
type Target struct {
	Name         string               `json:"name"`
	Modes        []harness.Mode       `json:"modes"`
	Endpoints    []Endpoint           `json:"endpoints"`
	Capabilities []harness.Capability `json:"capabilities"` // granted, of those the catalogue needs
	Beyond       []harness.Capability `json:"beyond"`       // what a rehearsal cannot show, and a run in containers can
	Unreachable  []harness.Capability `json:"unreachable"`  // what no configuration of this kind of run can grant
	Profile      harness.Profile      `json:"profile"`
	Components   []harness.Component  `json:"components"`
	// URLs are a live target's faces, by mode: scheme, host and port.
	URLs map[harness.Mode]string `json:"urls,omitempty"`
	// Uncalled are the critical endpoints at which no accepted call was made, by name, with
	// the reason.
	Uncalled map[string]string `json:"uncalled,omitempty"`
	Start    *Identity         `json:"start,omitempty"` // nil when nobody looked
	End      *Identity         `json:"end,omitempty"`
}

// Endpoint is one critical endpoint.
type Endpoint struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Finding is one expectation with what was concluded of it.
type Finding struct {
	ID          string               `json:"id"`
	Verdict     harness.Verdict      `json:"verdict"`
	Bucket      harness.Bucket       `json:"bucket"` // empty unless it failed
	Owner       Layer                `json:"owner"`  // who must mend it; empty unless it failed
	Reason      string               `json:"reason"` // empty only for a pass
	Title       string               `json:"title"`
	Chapter     string               `json:"chapter"`
	Level       harness.Level        `json:"level"`
	Tier        harness.Tier         `json:"tier"`
	Effect      harness.Effect       `json:"effect"`
	Rule        string               `json:"rule"`
	At          string               `json:"at"` // file:line of the rule
	Clauses     []string             `json:"clauses"`
	Source      string               `json:"source"`
	Stimulus    string               `json:"stimulus"` // in words
	Outcome     string               `json:"outcome"`  // in words
	Needs       []harness.Capability `json:"needs"`
	Missing     []harness.Capability `json:"missing"`
	BeyondReach bool                 `json:"beyond_reach"` // no configuration of this kind of run can show it
	Got         string               `json:"got"`
	Want        string               `json:"want"`
	Control     string               `json:"control"`
	Notes       []string             `json:"notes"`
	FailedIn    []harness.Mode       `json:"failed_in"` // modes of all exchanges that show the failure
	Evidence    []harness.Evidence   `json:"evidence"`
	Timeline    *harness.Timeline    `json:"timeline,omitempty"` // nil where no change was watched
	Sources     []Source             `json:"sources,omitempty"`  // of a release: what each record says
	Requests    int                  `json:"requests"`
	Exchanges   int                  `json:"exchanges"`
	Millis      int64                `json:"millis"`
	Rerun       string               `json:"rerun"` // the command that judges it alone
}

// Clause is one line of the runbook, with the expectations that hold to it or
// the reason why none does.
type Clause struct {
	ID           string   `json:"id"`
	Section      string   `json:"section"`
	Line         int      `json:"line"`
	Text         string   `json:"text"`
	Silence      string   `json:"silence"`
	Expectations []string `json:"expectations"`
}

// ExitStatus is the status of whatever made the record, a command or go test: 0 for
// PASS, PASS_WITH_WAIVERS and REHEARSED, 1 when a fail was seen that is not waived, whatever the
// verdict, else 3.
func (r Record) ExitStatus() int {
	switch {
	case len(r.failures()) > 0:
		return 1
	case r.Verdict == Passed, r.Verdict == WithWaivers, r.Verdict == Rehearsed:
		return 0
	default:
		return 3
	}
}

// ExitStatusIf is ExitStatus where it is known whether a rehearsal was asked for: one
// that only took the place of a run in containers ends as what was not seen does.
func (r Record) ExitStatusIf(rehearsal bool) int {
	if r.Verdict == Rehearsed && !rehearsal {
		return 3
	}
	return r.ExitStatus()
}

// Selected counts the expectations that a filter let through, and those of them that
// hold: each passed or does not apply, and one passed.
func (r Record) Selected() (hold, of int) {
	passed := false
	for _, f := range r.Findings {
		if f.Reason == fmt.Sprintf(unselected, r.Selection.Filter) {
			continue
		}
		of++
		if passed = passed || f.Verdict == harness.Pass; f.Verdict == harness.Pass || f.Verdict == harness.NotApplicable {
			hold++
		}
	}
	if !passed {
		return 0, of
	}
	return hold, of
}

// narrowed reports whether a record is of less than the catalogue.
func (r Record) narrowed() bool { return r.Selection.Filter != "" || r.Selection.DryRun }

// Overwrites reports whether a record of less than the catalogue would take the place
// of a sign-off of the whole, which it never does.
func (r Record) Overwrites(dir string) bool {
	if !r.narrowed() {
		return false
	}
	there, _, err := Load(dir)
	return err == nil && !there.narrowed()
}

// ByVerdict lists the findings of one verdict, in catalogue order.
func (r Record) ByVerdict(verdict harness.Verdict) []Finding {
	found := r.those(isVerdict(verdict))
	slices.SortStableFunc(found, func(a, b Finding) int { // what a release's records say both ways comes first
		return cmp.Compare(order(b.Contradicted()), order(a.Contradicted()))
	})
	return found
}

func order(first bool) int {
	if first {
		return 1
	}
	return 0
}

// OutOfReach lists the findings that no configuration of this kind of run can
// show: they are named, never counted as passed, and no gap.
func (r Record) OutOfReach() []Finding {
	return r.those(func(f Finding) bool { return f.BeyondReach })
}

// Additions lists those of them that a run in containers adds to a rehearsal.
func (r Record) Additions() []Finding {
	return r.those(func(f Finding) bool {
		return r.Kind == harness.Rehearsal && f.BeyondReach && !lacks(f, r.Target.Unreachable)
	})
}

// Advice lists what failed and decides nothing: SHOULD and MAY, of which nobody
// unauthorised was served.
func (r Record) Advice() []Finding {
	return r.those(func(f Finding) bool { return f.Verdict == harness.Fail && !f.Decides() })
}

func (r Record) those(which func(Finding) bool) []Finding {
	var found []Finding
	for _, f := range r.Findings {
		if which(f) {
			found = append(found, f)
		}
	}
	return found
}
