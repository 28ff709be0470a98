package signoff

import (
	"slices"
	"time"

	"aegis.test/conformance/harness"
)

// Diff is what changed from one record to another.
type Diff struct {
	Old         Side           `json:"old"`
	New         Side           `json:"new"`
	Regressions []string       `json:"regressions"` // in words; empty: none
	Failures    []Change       `json:"failures"`    // that were none, or are worse
	Fixed       []Change       `json:"fixed"`
	Unseen      []Change       `json:"unseen"` // that passed or failed, and were not judged
	Seen        []Change       `json:"seen"`   // the other way round
	Waivers     []WaiverChange `json:"waivers"`
	Added       []string       `json:"added"` // to the catalogue
	Removed     []string       `json:"removed"`
	Slower      []Slower       `json:"slower"`
	Lost        []string       `json:"lost"` // of those removed, what passed
}

// Side is one of the two records.
type Side struct {
	Run       string       `json:"run"`
	Kind      harness.Kind `json:"kind"`
	Target    string       `json:"target"`
	Verdict   Verdict      `json:"verdict"`
	Ended     time.Time    `json:"ended"`
	Catalogue string       `json:"catalogue"` // its digest
}

// Change is one expectation that is concluded otherwise.
type Change struct {
	ID     string          `json:"id"`
	Title  string          `json:"title"`
	Was    harness.Verdict `json:"was"` // empty: not in the old catalogue
	Is     harness.Verdict `json:"is"`
	Bucket harness.Bucket  `json:"bucket"`
	Waived bool            `json:"waived"` // now
	Reason string          `json:"reason"` // now
}

// WaiverChange is a waiver that is new, gone, or otherwise.
type WaiverChange struct {
	ID  string      `json:"id"`
	Was WaiverState `json:"was"` // empty: there was none
	Is  WaiverState `json:"is"`  // empty: there is none
	Why string      `json:"why"`
}

// Slower is an expectation that took much longer.
type Slower struct {
	ID    string `json:"id"`
	WasMS int64  `json:"was_ms"`
	IsMS  int64  `json:"is_ms"`
}

// An expectation is slower when it took this many times as long, and this much
// more, milliseconds: less is the machine's mood.
const (
	slowerTimes = 2
	slowerBy    = 500
)

// Regressed reports whether anything got worse.
func (d Diff) Regressed() bool { return len(d.Regressions) > 0 }

// Compare says what changed from one record to another.
func Compare(old, now Record) Diff {
	d := Diff{Old: side(old), New: side(now), Regressions: []string{}, Failures: []Change{}, Fixed: []Change{}, Unseen: []Change{},
		Seen: []Change{}, Waivers: []WaiverChange{}, Added: []string{}, Removed: []string{}, Lost: []string{}, Slower: []Slower{}}
	was := map[string]Finding{}
	for _, f := range old.Findings {
		was[f.ID] = f
	}
	for _, f := range now.Findings {
		before, known := was[f.ID]
		if !known {
			d.Added = append(d.Added, f.ID)
		}
		d.finding(before, f, now)
		if known && old.Kind == now.Kind && f.Millis >= slowerTimes*before.Millis && f.Millis >= before.Millis+slowerBy {
			d.Slower = append(d.Slower, Slower{f.ID, before.Millis, f.Millis})
		}
		delete(was, f.ID)
	}
	for _, f := range old.Findings {
		if _, gone := was[f.ID]; gone {
			d.Removed = append(d.Removed, f.ID)
			if f.Verdict == harness.Pass {
				d.Lost = append(d.Lost, f.ID)
			}
		}
	}
	d.waivers(old, now)
	d.regressions(old, now)
	return d
}

func side(r Record) Side {
	return Side{r.Run, r.Kind, r.Target.Name, r.Verdict, r.Ended, r.Catalogue.Digest}
}

// judged reports whether a verdict says something about the target.
func judged(v harness.Verdict) bool { return v == harness.Pass || v == harness.Fail }

// finding files one expectation's change; was is zero for one that is new.
func (d *Diff) finding(was, is Finding, now Record) {
	_, waived := now.Waived(is)
	c := Change{is.ID, is.Title, was.Verdict, is.Verdict, is.Bucket, waived, is.Reason}
	switch {
	case is.Verdict == harness.Fail && (was.Verdict != harness.Fail || worse(was.Bucket, is.Bucket)):
		d.Failures = append(d.Failures, c)
	case was.Verdict == harness.Fail && is.Verdict == harness.Pass:
		d.Fixed = append(d.Fixed, c)
	case judged(was.Verdict) && !judged(is.Verdict) && is.Verdict != harness.NotApplicable:
		d.Unseen = append(d.Unseen, c)
	case was.Verdict != "" && !judged(was.Verdict) && is.Verdict == harness.Pass:
		d.Seen = append(d.Seen, c)
	}
}

// worse reports whether a failure is of a worse bucket than it was.
func worse(was, is harness.Bucket) bool {
	return slices.Index(harness.Buckets, is) < slices.Index(harness.Buckets, was)
}

func (d *Diff) waivers(old, now Record) {
	of := func(r Record, w Waiver) Waiver {
		i := slices.IndexFunc(r.Waivers, func(o Waiver) bool {
			return o.Expectation == w.Expectation && o.Target == w.Target && o.Mode == w.Mode
		})
		if i < 0 {
			return Waiver{}
		}
		return r.Waivers[i]
	}
	for _, w := range now.Waivers {
		was := of(old, w)
		switch {
		case was.State == "":
			d.Waivers = append(d.Waivers, WaiverChange{w.Expectation, "", w.State, "granted by " + w.Approver + " until " + w.Expires})
		case was.State != w.State:
			d.Waivers = append(d.Waivers, WaiverChange{w.Expectation, was.State, w.State, w.Why})
		case was.Expires != w.Expires:
			d.Waivers = append(d.Waivers, WaiverChange{w.Expectation, was.State, w.State, "until " + w.Expires + ", was " + was.Expires})
		}
	}
	for _, w := range old.Waivers {
		if of(now, w).State == "" {
			d.Waivers = append(d.Waivers, WaiverChange{w.Expectation, w.State, "", "withdrawn"})
		}
	}
}

// ranks orders verdicts, best first; those of one rank are as bad.
var ranks = map[Verdict]int{Passed: 0, Rehearsed: 1, WithWaivers: 1, Incomplete: 2, Invalid: 3, Failed: 3}

func (d *Diff) regressions(old, now Record) {
	var failed, unseen []string
	for _, c := range d.Failures {
		if !c.Waived {
			failed = append(failed, c.ID)
		}
	}
	for _, c := range d.Unseen {
		unseen = append(unseen, c.ID)
	}
	if len(failed) > 0 {
		d.Regressions = append(d.Regressions, "new failures: "+some(failed))
	}
	if len(unseen) > 0 {
		d.Regressions = append(d.Regressions, "no longer judged: "+some(unseen))
	}
	if len(d.Lost) > 0 {
		d.Regressions = append(d.Regressions, "passed, and gone: "+some(d.Lost))
	}
	if ranks[now.Verdict] > ranks[old.Verdict] {
		d.Regressions = append(d.Regressions, "the verdict was "+string(old.Verdict)+" and is "+string(now.Verdict))
	}
}
