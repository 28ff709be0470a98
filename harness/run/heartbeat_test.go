package run

import (
	"context"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// TestHeartbeat keeps what was late, with its span, and no more spans than some a second.
func TestHeartbeat(t *testing.T) {
	var h heartbeat
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	h.beat(at(0), at(5))      // on time
	h.beat(at(10), at(40))    // 30 late
	h.beat(at(50), at(70))    // 20 more, soon after
	h.beat(at(500), at(1700)) // 1200 late
	if len(h.spans) != 2 || h.spans[0] != (harness.Late{From: at(10), To: at(70), By: 50 * time.Millisecond}) {
		t.Fatalf("got %+v", h.spans)
	}
	for name, row := range map[string]struct {
		from, to int
		want     time.Duration
	}{
		"all": {0, 2000, 1250 * time.Millisecond}, "between": {80, 400, 0}, "the last": {600, 700, 1200 * time.Millisecond}, "after": {1800,
			2000, 0},
	} {
		if got := harness.LateIn(h.since(at(row.from)), at(row.from), at(row.to)); got != row.want {
			t.Errorf("%s: %s late, want %s", name, got, row.want)
		}
	}
}

// TestLateIsNotWrong: a bound of time is broken only if the harness itself was on time.
// What lateness does not explain stands, in either bucket.
func TestLateIsNotWrong(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	late := func(by time.Duration) []harness.Late {
		return []harness.Late{{From: start, To: at(by), By: by}}
	}
	waited := []harness.Overdue{{Since: start, Bound: 2 * time.Second, Until: at(2500 * time.Millisecond)}}
	long := []harness.Overdue{{Since: start, Bound: 2 * time.Second, Until: at(4 * time.Second)}}
	call := func(sent time.Duration, o harness.Observation, fields ...harness.Field) []harness.Exchange {
		o.At = at(sent)
		return []harness.Exchange{{Request: harness.Request{Fields: fields}, Observation: o}}
	}
	bearer := harness.Field{Name: "Authorization", Value: "Bearer x"}
	stalled := harness.Observation{Transport: harness.TimeOut, Total: 10 * time.Second}
	served := harness.Observation{Status: 200}
	timeline := &harness.Timeline{}
	for name, row := range map[string]struct {
		trace    harness.Trace
		bucket   harness.Bucket
		exchange int
		own      *harness.Overdue
		late     bool
	}{
		"on time": {harness.Trace{Overdue: waited}, harness.Contract, -1, nil, false},
		"late by less than a part": {harness.Trace{Overdue: waited, Late: late(190 * time.Millisecond)}, harness.Contract, -1, nil,
			false},
		"late": {harness.Trace{Overdue: waited, Late: late(1200 * time.Millisecond)}, harness.Contract, -1, nil,
			true},
		"late, and it took longer than all": {harness.Trace{Overdue: long, Late: late(1900 * time.Millisecond)}, harness.Contract, -1, nil,
			false},
		"late, and no bound": {harness.Trace{Late: late(time.Minute)}, harness.Contract, -1, nil, false},
		"served after the wait": {harness.Trace{Overdue: waited, Late: late(time.Second), Exchanges: call(2*time.Second, served,
			bearer)}, harness.Security, 0, nil, true},
		"served before the wait": {harness.Trace{Overdue: waited, Late: late(time.Second), Exchanges: call(-time.Second, served,
			bearer)}, harness.Security, 0, nil, false},
		"nobody was served after the wait": {harness.Trace{Overdue: waited, Late: late(time.Second), Exchanges: call(2*time.Second, served)},
			harness.Security, 0, nil, false},
		"a hole that no wait is about": {harness.Trace{Overdue: waited, Late: late(time.Second)}, harness.Security, -1, nil, false},
		"a stall while we were late": {harness.Trace{Late: late(2 * time.Second), Exchanges: call(0, stalled, bearer)}, harness.Contract,
			0, nil, true},
		"a stall that was served": {harness.Trace{Late: late(2 * time.Second), Exchanges: call(0, stalled, bearer)}, harness.Security,
			0, nil, false},
		"a stall while we were not": {harness.Trace{Exchanges: call(0, stalled, bearer)}, harness.Contract, 0, nil, false},
		"under traffic, no bound": {harness.Trace{Timeline: timeline, Overdue: waited, Late: late(time.Second),
			Exchanges: call(2*time.Second, served, bearer)}, harness.Security, 0, nil, false},
		"under traffic, a bound": {harness.Trace{Timeline: timeline, Late: late(time.Second), Exchanges: call(2*time.Second, served,
			bearer)}, harness.Security, 0, &waited[0], true},
	} {
		problems := []harness.Problem{{Verdict: harness.Fail, Bucket: row.bucket, Exchange: row.exchange, Got: "200", Overdue: row.own}}
		timely(harness.Profile{}, row.trace, problems)
		got := problems[0]
		if late := got.Verdict == harness.Inconclusive; late != row.late || late != strings.Contains(got.Got, "the harness itself was") ||
			late == (got.Bucket != "") {
			t.Errorf("%s: %+v, want it late: %v", name, got, row.late)
		}
	}
}

// TestAKeyThatComesLate: a target that takes a new key later than it must fails, unless
// the harness itself was late meanwhile; then the row says by how much.
func TestAKeyThatComesLate(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := serve(t, nil)
		e := New(s.Target, Options{})
		t.Cleanup(e.Close)
		e.heart.stop() // it beats as is told here only
		x := harness.Expectation{ID: "X-1", Outcome: outcome.Accepted(), Stimulus: harness.Stimulus{OwnControl: true,
			Act: func(ctx context.Context, h harness.Client) (harness.Trace, error) {
				over := h.Patience(50 * time.Millisecond)
				if now := time.Now(); late {
					e.heart.beat(now, now.Add(10*time.Second))
				}
				trace := harness.Trace{}
				for !over() {
					calls, err := probe.Bearer(token.Literal("token of the new key", "new")).Build().Act(ctx, h)
					if err != nil {
						return trace, err
					}
					trace.Exchanges = calls.Exchanges
					time.Sleep(5 * time.Millisecond)
				}
				return trace, nil
			}}}
		f := e.Judge(t.Context(), x)
		want := map[bool]harness.Verdict{false: harness.Fail, true: harness.Inconclusive}[late]
		if f.Verdict != want || late != strings.Contains(f.Reason, "the harness itself was 10s late, of the 50ms") {
			t.Errorf("late %v: %s (%s), want %s", late, f.Verdict, f.Reason, want)
		}
	}
}

// TestPatienceMakesUp for what the harness was late, and not for ever.
func TestPatienceMakesUp(t *testing.T) {
	for _, row := range []struct{ late, want time.Duration }{{0, 0}, {10 * time.Millisecond, 0}, {40 * time.Millisecond,
		90 * time.Millisecond}, {time.Second, 300 * time.Millisecond}} {
		if got := extension(100*time.Millisecond, row.late); got != row.want {
			t.Errorf("%s late: %s longer, want %s", row.late, got, row.want)
		}
	}
}
