package run

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// hangUp ends a connection without a byte.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// TestAConnectionThatEndsOnce: the call is sent again, and what comes then is judged. One
// that ends whenever it is sent is refused by closing, which passes where it is declared
// and nowhere else; so is a call that stalls.
func TestAConnectionThatEndsOnce(t *testing.T) {
	once := func(n *atomic.Int64) bool { return n.Add(1) == 1 }
	always := func(*atomic.Int64) bool { return true }
	stall := func(w http.ResponseWriter) { time.Sleep(400 * time.Millisecond) }
	for name, row := range map[string]struct {
		when    func(*atomic.Int64) bool
		how     func(http.ResponseWriter)
		outcome harness.Outcome
		want    harness.Verdict
		note    string
	}{
		"closed once":            {once, hangUp, outcome.Unauthenticated(), harness.Pass, "1 of 3 calls were sent again"},
		"closed always":          {always, hangUp, outcome.Unauthenticated(), harness.Fail, ""},
		"closed, as is declared": {always, hangUp, outcome.Unauthenticated().TooBig(), harness.Pass, ""},
		"stalled once":           {once, stall, outcome.Prompt(outcome.Unauthenticated()), harness.Pass, "no answer in time"},
		"stalled always":         {always, stall, outcome.Prompt(outcome.Unauthenticated()), harness.Fail, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
				if !control && row.when(&calls) {
					row.how(w)
					return
				}
				sound(w, r, n, control)
			})
			x := refusing("X-1")
			x.Outcome = row.outcome
			f := judge(t, s.Target, Options{TimeOut: 200 * time.Millisecond}, x)
			if f.Verdict != row.want || !strings.Contains(strings.Join(f.Notes, "; "), row.note) {
				t.Errorf("%s: %s %q, want %s and a note that says %q", f.Verdict, f.Reason, f.Notes, row.want, row.note)
			}
		})
	}
}

// TestAnAcceptedCallThatEndsOnce: of a call that creates something it is not known
// whether it did, so that it is not sent again, and nothing is told of it.
func TestAnAcceptedCallThatEndsOnce(t *testing.T) {
	for name, row := range map[string]struct {
		endpoint harness.Endpoint
		want     harness.Verdict
		sent     int64
	}{
		"harmless": {harness.Endpoint{Name: "predict", Method: "POST", Path: "/predict"}, harness.Pass, 2},
		"creating": {harness.Endpoint{Name: "enrollment", Method: "POST", Path: "/enroll", Body: []byte(`{"client":"{{unique}}"}`),
			Effect:  harness.Writes,
			CleanUp: harness.CleanUp{Method: "DELETE", Path: "/enroll/{{unique}}"}}, harness.Inconclusive, 1},
	} {
		var calls atomic.Int64
		s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
			if calls.Add(1) == 1 {
				hangUp(w)
			}
		})
		s.Endpoints = []harness.Endpoint{row.endpoint}
		f := judge(t, s.Target, Options{}, harness.Expectation{ID: "X-1", Stimulus: probe.ValidToken(), Outcome: outcome.Accepted()})
		if f.Verdict != row.want || calls.Load() != row.sent {
			t.Errorf("%s: %s (%s) after %d calls, want %s after %d", name, f.Verdict, f.Reason, calls.Load(), row.want, row.sent)
		}
	}
}

// bearing is a service that answers so many requests a second, and 429 to more.
func bearing(t *testing.T, perSecond rate.Limit, burst int, after time.Duration) (s *service, refused *atomic.Int64) {
	limit, refused := rate.NewLimiter(perSecond, burst), &atomic.Int64{}
	return serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		if !limit.Allow() {
			refused.Add(1)
			w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		sound(w, r, n, control)
	}), refused
}

// TestALimitedService is judged to the end: it is waited for as it says, slowed down to
// what it bears, and what it had no time for is sent again.
func TestALimitedService(t *testing.T) {
	t.Parallel()
	s, refused := bearing(t, 20, 3, time.Second)
	e := New(s.Target, Options{RetryAfter: time.Minute})
	t.Cleanup(e.Close)
	for _, f := range e.All(t.Context(), refusals(4), nil) {
		if f.Verdict != harness.Pass {
			t.Errorf("%s: %s (%s)", f.ID, f.Verdict, f.Reason)
		}
	}
	kept := e.Conduct()
	if refused.Load() == 0 || kept.Asked == 0 || kept.Again == 0 || kept.Waited <= 0 || kept.Most != 10*time.Minute {
		t.Errorf("429 to %d, kept %+v", refused.Load(), kept)
	}
	if pace := e.pacer.pace; pace.Limit() > 16 || pace.Burst() != 1 {
		t.Errorf("the pace is %v a second, %d at once", pace.Limit(), pace.Burst())
	}
}

// TestGait: too much slows a run down once for all that had their turn at the pace before,
// and what goes smoothly makes it faster again, up to what was configured.
func TestGait(t *testing.T) {
	g, now := newPacer(10, 5), time.Now()
	g.slow(now, now.Add(time.Second))
	g.slow(now.Add(1500*time.Millisecond), now.Add(3*time.Second)) // it had its turn before
	if got := g.pace.Limit(); got != 7 || g.pace.Burst() != 1 || g.burst.Load() != 1 {
		t.Errorf("%v a second, %d at once: want 7, one by one", got, g.pace.Burst())
	}
	g.slow(now.Add(3*time.Second), now.Add(4*time.Second))
	if got := g.pace.Limit(); got < 4.8 || got > 5 {
		t.Errorf("%v a second, want 4.9", got)
	}
	for range 20 * enough {
		g.ease(1)
	}
	if got := g.pace.Limit(); got != 10 {
		t.Errorf("%v a second, want the 10 that were configured", got)
	}
	for range 50 {
		now = now.Add(time.Hour)
		g.slow(now, now)
	}
	if got := g.pace.Limit(); got != slowest {
		t.Errorf("%v a second, want %v", got, slowest)
	}
}

// TestAServiceThatIsNeverReady: a run waits no longer than its total, and then tells
// nothing of what was not answered.
func TestAServiceThatIsNeverReady(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ bool) { w.WriteHeader(http.StatusTooManyRequests) })
	e := New(s.Target, Options{RetryAfter: time.Second, RetryTotal: 1500 * time.Millisecond})
	t.Cleanup(e.Close)
	began := time.Now()
	for _, f := range e.All(t.Context(), refusals(3), nil) {
		if f.Verdict != harness.Inconclusive || !strings.Contains(f.Reason, "429") {
			t.Errorf("%s: %s (%s)", f.ID, f.Verdict, f.Reason)
		}
	}
	if kept := e.Conduct(); kept.Waited != kept.Most || time.Since(began) < kept.Most {
		t.Errorf("%s, kept %+v", time.Since(began), kept)
	}
}

// TestOnlyWhatWasNotAnsweredIsSentAgain: of many requests on one connection, the ones
// that the target had no time for; of few, all: what they show, they show together.
func TestOnlyWhatWasNotAnsweredIsSentAgain(t *testing.T) {
	for name, row := range map[string]struct {
		burst int
		want  []int // how often each was sent
	}{
		"few": {10, []int{2, 2, 2}}, "many": {1, []int{1, 2, 1}},
	} {
		var mu sync.Mutex
		came := map[string]int{}
		s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			came[r.URL.RawQuery]++
			if r.URL.RawQuery == "1" && came["1"] == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		e := New(s.Target, Options{RetryAfter: time.Second, Burst: row.burst})
		t.Cleanup(e.Close)
		var requests []harness.Request
		for i := range row.want {
			r := requestTo(s.Target, "Bearer x")
			r.Path += "?" + strconv.Itoa(i)
			requests = append(requests, r)
		}
		for i, x := range e.send(t.Context(), requests, e.anew()) {
			if x.Observation.Status != http.StatusOK {
				t.Errorf("%s: request %d was answered %d", name, i, x.Observation.Status)
			}
		}
		var got []int
		for _, query := range slices.Sorted(maps.Keys(came)) {
			got = append(got, came[query])
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: sent %v times, want %v", name, got, row.want)
		}
	}
}

// TestTooManyIsNoVerdict, whatever is wanted of the call: of two that were sent in one
// write the second, too. What was served stands.
func TestTooManyIsNoVerdict(t *testing.T) {
	for name, row := range map[string]struct {
		seen   harness.Observation
		bucket harness.Bucket
		want   harness.Verdict
	}{
		"429":                {harness.Observation{Status: 429}, harness.Contract, harness.Inconclusive},
		"429 to the second":  {harness.Observation{Status: 401, Further: []int{429}}, harness.Contract, harness.Inconclusive},
		"429 after a served": {harness.Observation{Status: 200, Further: []int{429}}, harness.Security, harness.Fail},
		"no 429":             {harness.Observation{Status: 401, Further: []int{404}}, harness.Contract, harness.Fail},
	} {
		problems := []harness.Problem{{Verdict: harness.Fail, Bucket: row.bucket, Got: "answers"}}
		overrun(harness.Trace{Exchanges: []harness.Exchange{{Observation: row.seen}}}, problems)
		if problems[0].Verdict != row.want {
			t.Errorf("%s: %s, want %s", name, problems[0].Verdict, row.want)
		}
	}
	if retryAfter(harness.Observation{Status: 401, Further: []int{429}}) != time.Second {
		t.Error("a second call that is too much is not waited for")
	}
}
