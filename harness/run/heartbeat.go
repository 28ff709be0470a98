package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"aegis.test/conformance/harness"
)

// beat is how often the harness looks whether it is on time. What is later than another
// beat is late: timers of a machine that is idle are within a millisecond.
const beat = 10 * time.Millisecond

// heartbeat records when the harness itself was late: its machine was busy with others,
// or asleep. Nothing that took longer than it should can be told from that then.
type heartbeat struct {
	stop context.CancelFunc

	mu    sync.Mutex
	spans []harness.Late
}

// start beats until a context ends, or it is stopped.
func (h *heartbeat) start(ctx context.Context) {
	ctx, h.stop = context.WithCancel(ctx)
	go h.run(ctx)
}

// run beats until its context ends.
func (h *heartbeat) run(ctx context.Context) {
	timer := time.NewTimer(beat)
	defer timer.Stop()
	for {
		due := time.Now().Add(beat)
		timer.Reset(beat)
		select {
		case <-timer.C:
			h.beat(due, time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// longest is how long a span of lateness is that later ones are added to, so that only
// some are kept in a second.
const longest = 100 * time.Millisecond

// beat records a beat that came later than it was due.
func (h *heartbeat) beat(due, came time.Time) {
	by := came.Sub(due)
	if by < beat {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.spans); n > 0 && came.Sub(h.spans[n-1].From) < longest {
		h.spans[n-1].To, h.spans[n-1].By = came, h.spans[n-1].By+by
		return
	}
	h.spans = append(h.spans, harness.Late{From: due, To: came, By: by})
}

// since are the spans that ended after a moment.
func (h *heartbeat) since(moment time.Time) []harness.Late {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.spans)
	for n > 0 && h.spans[n-1].To.After(moment) {
		n--
	}
	return append([]harness.Late(nil), h.spans[n:]...)
}

// late is how late the harness was since a moment, in all.
func (h *heartbeat) late(since time.Time) time.Duration {
	return harness.LateIn(h.since(since), since, time.Now())
}

// A harness that was late by less than this part of a bound was on time: whoever keeps
// a bound keeps it by more than a tenth on a machine that is quiet.
const part = 10

// explains reports whether lateness explains that something was overdue: what took
// longer than all of it does not come of it.
func explains(o harness.Overdue, late time.Duration) bool {
	return late > o.Bound/part && o.Until.Sub(o.Since) <= o.Bound+late
}

// extension is how much longer something is waited for where the harness was late: for
// all of that and half the bound, so that what does not come then is a verdict; not for
// ever.
func extension(bound, late time.Duration) time.Duration {
	if late <= bound/part {
		return 0
	}
	return min(late+bound/2, 3*bound)
}

// Patience waits for as long as a bound, and for what the harness was late; a wait that
// is over is kept.
func (h *client) Patience(bound time.Duration) func() bool {
	since, told := time.Now(), false
	return func() bool {
		now := time.Now()
		if now.Sub(since) <= bound+extension(bound, h.heart.late(since)) {
			return false
		}
		h.overdueMu.Lock()
		defer h.overdueMu.Unlock()
		if !told {
			told = true
			h.overdue = append(h.overdue, harness.Overdue{Since: since, Bound: bound, Until: now})
		}
		return true
	}
}

// timely is the one place where bounds of time are weighed: a problem that is one of
// time is inconclusive where the harness itself was late, and says by how much. What was
// served that lateness does not explain stands: it took longer than all of that, or is
// no matter of what was waited for.
func timely(p harness.Profile, t harness.Trace, problems []harness.Problem) {
	for i, problem := range problems {
		if problem.Verdict != harness.Fail {
			continue
		}
		for _, o := range overdue(p, t, problem) {
			if late := harness.LateIn(t.Late, o.Since, o.Until); explains(o, late) {
				problems[i].Verdict, problems[i].Bucket = harness.Inconclusive, ""
				problems[i].Got += fmt.Sprintf("; the harness itself was %s late, of the %s that this may take",
					late.Round(time.Millisecond), o.Bound.Round(time.Millisecond))
				break
			}
		}
	}
}

// overdue are the bounds of time that a problem may be about: its own, that of a call
// that had no answer in time, or what was waited for in vain before its call was sent.
// Under steady traffic each call has its own, and who shows nothing at all is served in
// breach of no bound.
func overdue(p harness.Profile, t harness.Trace, problem harness.Problem) []harness.Overdue {
	if problem.Overdue != nil {
		return []harness.Overdue{*problem.Overdue}
	}
	if problem.Exchange < 0 {
		if problem.Bucket == harness.Security {
			return nil
		}
		return t.Overdue
	}
	x := t.Exchanges[problem.Exchange]
	if o := x.Observation; o.Transport == harness.TimeOut {
		if problem.Bucket == harness.Security {
			return nil // it was served, though nobody was told
		}
		return []harness.Overdue{{Since: o.At, Bound: o.Total, Until: o.At.Add(o.Total)}}
	}
	if t.Timeline != nil || showsNothing(p, x.Request) {
		return nil
	}
	var before []harness.Overdue
	for _, o := range t.Overdue {
		if !x.Observation.At.Before(o.Since) {
			before = append(before, o)
		}
	}
	return before
}

// showsNothing reports a request without any credential.
func showsNothing(p harness.Profile, r harness.Request) bool {
	return r.Certificate == nil && r.Get("Authorization") == "" && r.Get(p.Header()) == ""
}
