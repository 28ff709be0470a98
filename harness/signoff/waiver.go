package signoff

import (
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Waiver is leave to ship with one expectation failing. The check runs all the
// same, and the record shows both.
type Waiver struct {
	Expectation string       `json:"expectation"`
	Target      string       `json:"target"` // only of the target of that name; empty: of any
	Mode        harness.Mode `json:"mode"`   // only in that mode; empty: in any
	Owner       string       `json:"owner"`
	Approver    string       `json:"approver"`
	Reason      string       `json:"reason"`
	Ticket      string       `json:"ticket"`
	Expires     string       `json:"expires"`  // last day it holds, UTC: 2027-01-31
	Expected    string       `json:"expected"` // what the failure's reason must hold; empty: any
	At          string       `json:"at"`       // file:line
	State       WaiverState  `json:"state"`
	Why         string       `json:"why"` // in words
}

// WaiverState is what became of a waiver in a run.
type WaiverState string

// States. Unneeded and Unmet are errors: a waiver that no longer says what is
// so must go. Refused is a failure that nothing waives.
const (
	Applied  WaiverState = "applied"
	Unneeded WaiverState = "unneeded" // it passed
	Unmet    WaiverState = "unmet"    // it failed, and not as expected
	Refused  WaiverState = "refused"  // it failed in the security bucket
	Expired  WaiverState = "expired"
	Unknown  WaiverState = "unknown" // no such expectation
	Idle     WaiverState = "idle"    // nothing to waive here: out of scope, or not judged
)

// Settled says what becomes of each waiver, by the record's own rows.
func (r Record) Settled(waivers []Waiver) []Waiver {
	out := make([]Waiver, 0, len(waivers))
	for _, w := range waivers {
		w.State, w.Why = r.settle(w)
		out = append(out, w)
	}
	return out
}

func (r Record) settle(w Waiver) (WaiverState, string) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == w.Expectation })
	switch {
	case i < 0:
		return Unknown, "the catalogue has no such expectation"
	case w.Expires < r.Started.Format(day):
		return Expired, "it expired on " + w.Expires
	case r.Kind != harness.Release && w.Target != "" && w.Target != r.Target.Name:
		return Idle, fmt.Sprintf("it is for the target %q", w.Target)
	}
	if f := r.Findings[i]; len(f.Sources) > 0 && f.Verdict == harness.Fail {
		return w.everywhere(f)
	}
	return w.settle(r.Findings[i])
}

// day is the form of Waiver.Expires.
const day = "2006-01-02"

func (w Waiver) settle(f Finding) (WaiverState, string) {
	switch {
	case f.Verdict == harness.Pass:
		return Unneeded, "it is no longer needed: the expectation holds"
	case f.Verdict != harness.Fail:
		return Idle, fmt.Sprintf("there is nothing to waive: %s, and only a failure that was seen can be waived", f.Verdict)
	case w.Mode != "" && !f.onlyIn(w.Mode):
		return Idle, fmt.Sprintf("the failure is not in mode %s alone", w.Mode)
	case f.Bucket == harness.Security:
		return Refused, "an unauthorised request was served, which nothing waives"
	case !strings.Contains(f.Reason, w.Expected):
		return Unmet, fmt.Sprintf("it failed otherwise than the expected %q", w.Expected)
	default:
		return Applied, "the failure is waived"
	}
}

// everywhere lets a failure through a release that is waived in each run that failed.
func (w Waiver) everywhere(f Finding) (WaiverState, string) {
	open := func(s Source) bool { return s.Verdict == harness.Fail && !s.Waived }
	switch {
	case f.Bucket == harness.Security:
		return Refused, "an unauthorised request was served, which nothing waives"
	case slices.ContainsFunc(f.Sources, open):
		return Idle, "not every run that failed waives it"
	default:
		return Applied, "the failure is waived in each run that failed"
	}
}

// onlyIn reports whether all exchanges that show a failure, kept or not, were of one
// mode.
func (f Finding) onlyIn(mode harness.Mode) bool {
	return slices.Equal(f.FailedIn, []harness.Mode{mode})
}

// Waived gives the waiver that covers a finding.
func (r Record) Waived(f Finding) (Waiver, bool) {
	i := slices.IndexFunc(r.Waivers, func(w Waiver) bool { return w.Expectation == f.ID && w.State == Applied })
	if i < 0 || f.Verdict != harness.Fail || f.Bucket == harness.Security {
		return Waiver{}, false
	}
	return r.Waivers[i], true
}

// Wrong reports whether the waiver does not hold as it was granted.
func (w Waiver) Wrong() bool { return w.State != Applied && w.State != Idle }

// mistaken lists the waivers that no longer say what is so. One that is refused
// changes nothing: its failure stands.
func (r Record) mistaken() []string {
	var why []string
	for _, w := range r.Waivers {
		if w.Wrong() && w.State != Refused {
			why = append(why, fmt.Sprintf("%s: the waiver of %s: %s", w.At, w.Expectation, w.Why))
		}
	}
	return why
}
