package signoff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// judge gives the verdict that the record's rows allow, and why it is not
// PASS. Flaws are further reasons why no verdict can be given.
func (r Record) judge(flaws []string) (Verdict, []string) {
	invalid := append(slices.Clip(flaws), r.invalidity()...)
	failed, unseen, waived := r.failures(), r.gaps(), r.waived()
	switch {
	case len(invalid) > 0:
		return Invalid, append(invalid, failed...)
	case len(failed) > 0:
		return Failed, append(failed, unseen...)
	case len(unseen) > 0:
		return Incomplete, unseen
	case r.Kind == harness.Rehearsal:
		return Rehearsed, waived
	case len(waived) > 0:
		return WithWaivers, waived
	default:
		return Passed, nil
	}
}

// MaxClockOffset is how far a target's clock may be off (rulings 0.6): beyond
// it, what is said of a token's lifetime is worth nothing.
const MaxClockOffset = 30 * time.Second

// invalidity lists the reasons why no verdict can be given over the catalogue.
func (r Record) invalidity() []string {
	var why []string
	if r.Selection.Filter != "" {
		why = append(why, fmt.Sprintf("the run was filtered: %q selected %d of %d expectations",
			r.Selection.Filter, r.Selection.Selected, r.Selection.Of))
	}
	if r.Selection.DryRun {
		why = append(why, "the run was dry: nothing was sent")
	}
	if r.Interrupted != "" {
		why = append(why, "the run was interrupted: "+r.Interrupted)
	}
	why = append(why, r.changes()...)
	why = append(why, r.mistaken()...)
	if r.judged() == 0 && r.Stopped == "" && !r.unflanked() {
		why = append(why, "nothing was judged: no expectation passed or failed")
	}
	if ids := r.ids(func(f Finding) bool { return f.Reason == noFinding }); len(ids) > 0 {
		why = append(why, fmt.Sprintf("no finding was recorded for %s", some(ids)))
	}
	return why
}

// judged is how many expectations passed or failed.
func (r Record) judged() int { return r.Totals[harness.Pass] + r.Totals[harness.Fail] }

// unflanked reports whether requests were sent, nothing was judged of them, and
// each row says what it lacks: no credential was granted, so that no accepted call
// stood beside a refusal. It is a run that saw little, and not one that went wrong.
func (r Record) unflanked() bool {
	sent := 0
	for _, f := range r.Findings {
		if f.Verdict != harness.NotApplicable && (f.Verdict != harness.NotExercised || len(f.Missing) == 0) {
			return false
		}
		sent += f.Requests
	}
	return r.judged() == 0 && sent > 0
}

// changes lists what did not stay as it was planned, or as it was at the start.
func (r Record) changes() []string {
	var why []string
	if t := r.Target; r.Stopped == "" && t.Start != nil && (t.End == nil || !t.Start.same(*t.End)) {
		why = append(why, fmt.Sprintf("the target changed under the run: %s at the start, %s at the end", t.Start, t.End))
	}
	if c := r.Clock; c.Measured && max(c.OffsetMS, -c.OffsetMS) > c.BoundMS {
		why = append(why, fmt.Sprintf("the target's clock is %v off, by its %s: more than %v",
			time.Duration(c.OffsetMS)*time.Millisecond, c.Source, time.Duration(c.BoundMS)*time.Millisecond))
	}
	if c := r.Catalogue; c.Planned != "" && c.Planned != c.Digest {
		why = append(why, fmt.Sprintf("the catalogue is not the planned one: %s, planned was %s", c.Digest, c.Planned))
	}
	if c := r.Config; c != nil && c.Planned != "" && c.Planned != c.Digest {
		why = append(why, fmt.Sprintf("%s is not the planned one: %s, planned was %s", c.File, c.Digest, c.Planned))
	}
	return why
}

// waived lists the failures that a waiver covers.
func (r Record) waived() []string {
	var why []string
	for _, f := range r.Findings {
		if w, ok := r.Waived(f); ok {
			why = append(why, fmt.Sprintf("waived (%s): %s, until %s, by %s (%s)", f.Bucket, f.ID, w.Expires, w.Approver, w.Ticket))
		}
	}
	return why
}

// failures lists what failed and is not waived.
func (r Record) failures() []string {
	var why []string
	for _, bucket := range slices.Concat(harness.Buckets, []harness.Bucket{""}) {
		ids := r.ids(func(f Finding) bool {
			_, waived := r.Waived(f)
			return f.Verdict == harness.Fail && f.Bucket == bucket && !waived
		})
		if len(ids) > 0 {
			why = append(why, fmt.Sprintf("failed (%s): %s", bucketWords[bucket], some(ids)))
		}
	}
	return why
}

var bucketWords = map[harness.Bucket]string{
	harness.Security: "security, an unauthorised request was served",
	harness.Contract: "contract, not as documented",
	harness.Protocol: "protocol, a detail of an RFC",
	"":               "in no bucket",
}

// gaps lists what was not seen and should have been.
func (r Record) gaps() []string {
	var why []string
	add := func(words string, ids []string) {
		if len(ids) > 0 {
			why = append(why, fmt.Sprintf("%s: %s", words, some(ids)))
		}
	}
	if r.Stopped != "" {
		why = append(why, "the run stopped: "+r.Stopped)
	}
	if r.unflanked() {
		why = append(why, "nothing passed, as no refusal counts without an accepted call beside it: grant a token or certificates first")
	}
	add("the harness broke", r.ids(func(f Finding) bool { return f.Verdict == harness.Error }))
	add("inconclusive", r.ids(func(f Finding) bool { return f.Verdict == harness.Inconclusive }))
	add("not exercised", r.ids(func(f Finding) bool {
		return f.Verdict == harness.NotExercised && !r.outOfReach(f) && !r.unreachable(f)
	}))
	return why
}

// outOfReach reports whether a rehearsal could not exercise f by its nature,
// and a container run could.
func (r Record) outOfReach(f Finding) bool {
	return r.Kind == harness.Rehearsal && !r.unreachable(f) &&
		lacksOnly(f, slices.Concat(r.Target.Beyond, r.Target.Unreachable))
}

// unreachable reports whether no stack of ours can exercise f.
func (r Record) unreachable(f Finding) bool {
	return r.Kind != harness.Live && r.Kind != "" && lacksOnly(f, r.Target.Unreachable)
}

func lacksOnly(f Finding, these []harness.Capability) bool {
	return f.Verdict == harness.NotExercised && len(f.Missing) > 0 &&
		!slices.ContainsFunc(f.Missing, func(c harness.Capability) bool { return !slices.Contains(these, c) })
}

func (r Record) ids(which func(Finding) bool) []string {
	var ids []string
	for _, f := range r.Findings {
		if which(f) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// headline is the record in one sentence; for a rehearsal it starts with what
// it is not.
func (r Record) headline() string {
	if r.Kind != harness.Rehearsal {
		return capital(r.conclusion())
	}
	return fmt.Sprintf("Rehearsal, no release evidence: %s; the container run adds %s.",
		strings.TrimSuffix(r.conclusion(), "."), r.additions())
}

func (r Record) conclusion() string {
	switch r.Verdict {
	case Passed:
		return r.success()
	case Rehearsed:
		return strings.TrimSuffix(r.success(), ".") + also(r.Reasons) + "."
	case WithWaivers:
		return fmt.Sprintf("%d failures are waived, and nothing else stands against it: %s.", len(r.Reasons), strings.Join(r.Reasons, "; "))
	case Failed:
		return fmt.Sprintf("%d of %d expectations failed, %d of them because an unauthorised request was served.",
			r.Totals[harness.Fail], len(r.Findings), r.Buckets[harness.Security])
	case Incomplete:
		return fmt.Sprintf("nothing failed, but not everything was seen: %s.", strings.Join(r.Reasons, "; "))
	default:
		return fmt.Sprintf("this run gives no verdict: %s.", strings.Join(r.Reasons, "; "))
	}
}

// also adds what is waived to a success.
func also(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return "; " + strings.Join(reasons, "; ")
}

func (r Record) success() string {
	scope := "every applicable expectation holds"
	if r.Kind == harness.Rehearsal {
		scope = "every expectation the embedded stack can show holds"
	}
	if ids := r.ids(r.unreachable); len(ids) > 0 {
		scope += fmt.Sprintf(", but for %s, which no stack of ours can exercise", some(ids))
	}
	return fmt.Sprintf("%s (%d passed, %d not applicable).",
		scope, r.Totals[harness.Pass], r.Totals[harness.NotApplicable])
}

// additions says what the container run would add to a rehearsal.
func (r Record) additions() string {
	var parts []string
	var standIns []string
	for _, c := range r.Target.Components {
		if c.StandIn {
			standIns = append(standIns, c.Name)
		}
	}
	if len(standIns) > 0 {
		parts = append(parts, fmt.Sprintf("the real %s", strings.Join(standIns, ", ")))
	}
	if ids := r.ids(r.outOfReach); len(ids) > 0 {
		parts = append(parts, fmt.Sprintf("%s, which the embedded stack cannot show", some(ids)))
	}
	if len(parts) == 0 {
		return "the real components"
	}
	return strings.Join(parts, " and ")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
