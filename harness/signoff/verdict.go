package signoff

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// judge gives the verdict that the record's rows allow, and why it is not
// PASS. Flaws are further reasons why no verdict can be given.
func (r Record) judge(flaws []string) (Verdict, []string) {
	invalid := append(slices.Clip(flaws), r.invalidity()...)
	failed, unseen, waived := append(r.contradictions(), r.failures()...), r.gaps(), r.waived()
	switch {
	case len(invalid) > 0:
		return Invalid, append(invalid, failed...)
	case len(r.failures()) > 0:
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
	for _, o := range r.Records {
		if o.Verdict == Invalid {
			why = append(why, o.name()+" gives no verdict: it is INVALID")
		}
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

// Decides reports whether a failure of f decides the verdict: that of a MUST, and
// at any level and tier that somebody unauthorised was served.
func (f Finding) Decides() bool {
	return f.Level == harness.MUST || f.Verdict == harness.Fail && f.Bucket == harness.Security
}

// Wants reports whether a claim is that an expectation of this level and tier was
// seen to hold.
func (c Claim) Wants(level harness.Level, tier harness.Tier) bool {
	return level == harness.MUST && (c != CoreClaim || tier == harness.Core)
}

func (r Record) claims(f Finding) bool { return r.Claim.Wants(f.Level, f.Tier) }

// failures lists what failed and is not waived, of the findings that decide.
func (r Record) failures() []string {
	return r.failed(Finding.Decides)
}

// failed lists, by bucket, what failed and is not waived.
func (r Record) failed(which func(Finding) bool) []string {
	var why []string
	for _, bucket := range slices.Concat(harness.Buckets, []harness.Bucket{""}) {
		ids := r.ids(func(f Finding) bool {
			_, waived := r.Waived(f)
			return f.Verdict == harness.Fail && f.Bucket == bucket && !waived && which(f)
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

// gaps lists what was claimed and not seen.
func (r Record) gaps() []string {
	var why []string
	if r.Stopped != "" {
		why = append(why, "the run stopped: "+r.Stopped)
	}
	if r.unflanked() {
		why = append(why, "nothing passed, as no refusal counts without an accepted call beside it: grant a token or certificates first")
	}
	return append(why, r.unseen(r.claims)...)
}

// unseen lists, by verdict, what was not seen and could have been.
func (r Record) unseen(which func(Finding) bool) []string {
	var why []string
	for _, unseen := range []struct {
		verdict harness.Verdict
		words   string
	}{
		{harness.Error, "the harness broke"}, {harness.Inconclusive, "inconclusive"}, {harness.NotExercised, "not exercised"},
	} {
		ids := r.ids(func(f Finding) bool { return f.Verdict == unseen.verdict && !f.BeyondReach && which(f) })
		if len(ids) > 0 {
			why = append(why, fmt.Sprintf("%s: %s", unseen.words, some(ids)))
		}
	}
	return why
}

// beyondReach reports whether no configuration of this kind of run could have shown
// f: it lacks what none can grant.
func (r Record) beyondReach(f Finding) bool {
	out := r.Target.Unreachable
	if r.Kind == harness.Rehearsal {
		out = slices.Concat(out, r.Target.Beyond)
	}
	return r.Kind != "" && f.Verdict == harness.NotExercised && lacks(f, out)
}

// lacks reports whether f lacks any of these.
func lacks(f Finding, these []harness.Capability) bool {
	return slices.ContainsFunc(f.Missing, func(c harness.Capability) bool { return slices.Contains(these, c) })
}

func (r Record) ids(which func(Finding) bool) []string { return idsOf(r.those(which)) }

func idsOf(findings []Finding) []string {
	var ids []string
	for _, f := range findings {
		ids = append(ids, f.ID)
	}
	return ids
}

// headline is the record in one sentence; for a rehearsal it starts with what
// it is not.
func (r Record) headline() string {
	switch r.Kind {
	case harness.Release:
		return fmt.Sprintf("Release of %s: %s", r.released(), r.conclusion())
	case harness.Rehearsal:
	default:
		return capital(r.conclusion()) + r.unnamed()
	}
	return fmt.Sprintf("Rehearsal, no release evidence: %s; the container run adds %s.",
		strings.TrimSuffix(r.conclusion(), "."), r.additions())
}

// Known reports whether it is known what was under test: an image or a commit, or a
// deployment that says its version.
func (r Record) Known() bool {
	b := r.Build
	return b != nil && (b.ImageDigest != "" || b.Commit != "") || r.Target.Start != nil && r.Target.Start.Version != ""
}

// unnamed says of a live target that nobody knows which build it is.
func (r Record) unnamed() string {
	if r.Kind != harness.Live || r.Known() {
		return ""
	}
	return " The build is not known: nothing says which one this is of."
}

// released names the build that a release is of.
func (r Record) released() string {
	if r.Build == nil || r.Build.Image == "" {
		return "a build at " + r.Target.Name
	}
	return r.Build.Image + " at " + r.Target.Name
}

func (r Record) conclusion() string {
	switch r.Verdict {
	case Passed:
		return r.success()
	case Rehearsed:
		return strings.TrimSuffix(r.success(), ".") + also(r.Reasons) + "."
	case WithWaivers:
		return fmt.Sprintf("%d failures are waived, and nothing else stands against it: %s. %s", len(r.Reasons), strings.Join(r.Reasons, "; "), r.counted())
	case Failed:
		return fmt.Sprintf("%d of %d expectations failed, %d of them because an unauthorised request was served%s.",
			len(r.those(failing)), len(r.Findings), r.Buckets[harness.Security], r.advice())
	case Incomplete:
		return fmt.Sprintf("nothing failed, but not everything was seen that is claimed (%s): %s.", r.Claim, strings.Join(r.Reasons, "; "))
	default:
		return fmt.Sprintf("this run gives no verdict: %s.", strings.Join(r.Reasons, "; "))
	}
}

// failing reports a failure that decides.
func failing(f Finding) bool { return f.Verdict == harness.Fail && f.Decides() }

// also adds what is waived to a success.
func also(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return "; " + strings.Join(reasons, "; ")
}

// success says what was claimed and held, and what there is beyond it.
func (r Record) success() string {
	if r.Kind == harness.Rehearsal {
		return fmt.Sprintf("every expectation the embedded stack can show holds (%d passed, %d not applicable)%s.",
			r.Totals[harness.Pass], r.Totals[harness.NotApplicable], r.named())
	}
	return r.counted()
}

// counted are a sign-off's numbers: of its claim, and beyond it.
func (r Record) counted() string {
	held := map[bool]int{} // by whether it is claimed
	var claimed, unseen int
	for _, f := range r.Findings {
		switch {
		case f.Verdict == harness.NotApplicable, f.BeyondReach:
			continue
		case f.Verdict == harness.Pass:
			held[r.claims(f)]++
		case f.Verdict != harness.Fail:
			unseen++
		}
		if r.claims(f) {
			claimed++
		}
	}
	failed := number(len(r.those(func(f Finding) bool { return failing(f) && !r.claims(f) })))
	return fmt.Sprintf("passed, %s: %d of %d. Beyond it %d held, %s failed, %d were not exercised%s%s.%s",
		r.Claim, held[true], claimed, held[false], failed, unseen, r.named(), r.advice(), r.uncalled())
}

// uncalled names the critical endpoints of which little is known: an accepted call may not
// be made there, and no refusal counts without one.
func (r Record) uncalled() string {
	if len(r.Target.Uncalled) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(r.Target.Uncalled))
	return fmt.Sprintf(" No accepted call was made, so that no refusal counts, at %s (--allow writes calls what writes).", strings.Join(names, ", "))
}

// named names what is out of reach.
func (r Record) named() string {
	ids := r.ids(func(f Finding) bool {
		return f.BeyondReach && (r.Kind != harness.Rehearsal || lacks(f, r.Target.Unreachable))
	})
	if len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("; out of reach of %s: %s", kindWords[r.Kind], some(ids))
}

// kindWords name what no configuration of which can show more.
var kindWords = map[harness.Kind]string{
	harness.Rehearsal: "any stack of ours", harness.SelfTest: "any stack of ours", harness.Image: "any stack of ours", harness.Live: "a live run",
	harness.Release: "the image's run and the live ones",
}

// advice counts what failed and decides nothing.
func (r Record) advice() string {
	if n := len(r.Advice()); n > 0 {
		return fmt.Sprintf("; advice: %d of SHOULD and MAY", n)
	}
	return ""
}

func number(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
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
	if ids := idsOf(r.Additions()); len(ids) > 0 {
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
