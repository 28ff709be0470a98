package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

func TestSoundTargetPasses(t *testing.T) {
	s := serve(t, nil)
	f := judge(t, s.Target, Options{}, refusing("OIDC-1"))
	if f.Verdict != harness.Pass || f.Bucket != "" || f.Reason != "" {
		t.Errorf("%s %s: %s", f.Verdict, f.Bucket, f.Reason)
	}
	if all, controls := s.seen(); f.Requests != 3 || controls != 6 || len(all) != 9 || f.Control != "3 of 3 accepted before, 3 of 3 after" {
		t.Errorf("%d requests, %d of %d are controls, %q", f.Requests, controls, len(all), f.Control)
	}
}

// TestDeadTargetsPassNothing: a target that refuses everybody alike is not one
// that denies.
func TestDeadTargetsPassNothing(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	hang := func(_ http.ResponseWriter, r *http.Request, _ int, _ bool) { <-r.Context().Done() }
	drop := func(w http.ResponseWriter, _ *http.Request, _ int, _ bool) { panic(http.ErrAbortHandler) }
	targets := map[string]func() *service{
		"nobody listens": func() *service {
			s := serve(t, nil)
			s.Faces[harness.OIDC] = harness.Face{URL: closed.URL}
			return s
		},
		"hangs":    func() *service { return serve(t, hang) },
		"hangs up": func() *service { return serve(t, drop) },
		"no such name": func() *service {
			s := serve(t, nil)
			s.Faces[harness.OIDC] = harness.Face{URL: "http://aegis.invalid"}
			return s
		},
		"no TLS": func() *service {
			s := serve(t, nil)
			s.Faces[harness.OIDC] = harness.Face{URL: strings.Replace(s.url, "http:", "https:", 1)}
			return s
		},
		"expired token": func() *service {
			s := serve(t, nil)
			s.Faces[harness.OIDC] = harness.Face{URL: serve(t, nil).url}
			return s
		},
	}
	for _, status := range []int{201, 301, 400, 401, 403, 404, 429, 500, 502, 503} {
		targets[fmt.Sprintf("answers %d", status)] = func() *service { return serve(t, always(status)) }
	}
	for name, start := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for words, o := range map[string]harness.Outcome{"unauthenticated": outcome.Unauthenticated(), "forbidden": outcome.Forbidden(),
				"denied": outcome.Denied(), "pass": fixed{}} {
				s := start()
				s.Profile.NoCertificate = harness.TLSAlert
				f := judge(t, s.Target, Options{TimeOut: 300 * time.Millisecond}, harness.Expectation{ID: "X-1",
					Stimulus: probe.NoCredential(harness.OIDC), Outcome: o})
				if name == "answers 201" && words != "pass" { // what is served must not be, whatever the control
					if f.Verdict != harness.Fail || f.Bucket != harness.Security {
						t.Errorf("%s: %s %s (%s), want a hole", words, f.Verdict, f.Bucket, f.Reason)
					}
					continue
				}
				if f.Verdict != harness.Inconclusive || !strings.Contains(f.Reason, "control before") {
					t.Errorf("%s: %s (%s), want inconclusive for the control before", words, f.Verdict, f.Reason)
				}
				if all, controls := s.seen(); silent[name] && (f.Requests != 0 || len(all) != controls) {
					t.Errorf("%s: %d requests sent although nobody answered a control: %d came, %d of them controls", words, f.Requests, len(all),
						controls)
				} else if !silent[name] && f.Requests == 0 {
					t.Errorf("%s: nothing was sent: a control that was refused hides a hole", words)
				}
			}
		})
	}
}

// silent are the dead targets where nobody is: nothing that is sent there could be served.
var silent = map[string]bool{"nobody listens": true, "hangs": true, "no such name": true, "no TLS": true}

// TestControlRefusedHidesNothing: an ingress that forwards no identity refuses its own
// clients, and serves whoever writes the header himself: that is a hole, and not a
// control that failed.
func TestControlRefusedHidesNothing(t *testing.T) {
	for _, status := range []int{0, 308, 401, 403, 404, 429, 500, 502, 503} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int, _ bool) {
			switch {
			case r.Header.Get("X-Ssl-Client-Cn") != "":
			case status == 0:
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(status)
			}
		})
		x := harness.Expectation{ID: "X-1", Stimulus: probe.NoCredential(harness.OIDC).With("X-Ssl-Client-Cn", "enrolled"),
			Outcome: outcome.Unauthenticated()}
		if f := judge(t, s.Target, Options{}, x); f.Verdict != harness.Fail || f.Bucket != harness.Security {
			t.Errorf("controls answered %d: %s %s (%s), want a hole", status, f.Verdict, f.Bucket, f.Reason)
		}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int, _ bool) {
		if r.Header.Get("X-Ssl-Client-Cn") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	x := harness.Expectation{ID: "X-1", Stimulus: probe.NoCredential(harness.OIDC).With("X-Ssl-Client-Cn", "enrolled"),
		Outcome: outcome.Unauthenticated()}
	if f := judge(t, s.Target, Options{}, x); f.Verdict != harness.Fail || f.Bucket != harness.Security || !strings.Contains(f.Control,
		"0 of") {
		t.Errorf("%s %s (%s), %q, want a hole beside controls that were refused", f.Verdict, f.Bucket, f.Reason, f.Control)
	}
	x.Stimulus = probe.NoCredential(harness.OIDC)
	if f := judge(t, s.Target, Options{}, x); f.Verdict != harness.Inconclusive {
		t.Errorf("%s (%s), want inconclusive: a refusal shows nothing here", f.Verdict, f.Reason)
	}
}

// TestHookThatReturnsEarly: what a stimulus put back is waited for, as long as a change
// may take.
func TestHookThatReturnsEarly(t *testing.T) {
	for name, row := range map[string]struct {
		takes time.Duration
		want  harness.Verdict
	}{"soon": {300 * time.Millisecond, harness.Pass}, "never": {time.Hour, harness.Inconclusive}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var back atomic.Int64 // when the former configuration serves again
			s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ bool) {
				if time.Now().UnixNano() < back.Load() {
					w.WriteHeader(http.StatusForbidden)
				}
			})
			s.Profile.Propagation = 2 * time.Second
			f := judge(t, s.Target, Options{}, harness.Expectation{ID: "X-1", Outcome: fixed{},
				Stimulus: harness.Stimulus{Modes: []harness.Mode{harness.OIDC}, Effect: harness.Disruptive, Act: func(context.Context,
					harness.Client) (harness.Trace, error) {
					back.Store(time.Now().Add(row.takes).UnixNano())
					return harness.Trace{}, nil
				}}})
			if f.Verdict != row.want {
				t.Errorf("%s (%s), want %s", f.Verdict, f.Reason, row.want)
			}
		})
	}
}

// TestControlRefusedAfter: the target stops to accept during the stimulus. What
// was served meanwhile is a hole all the same.
func TestControlRefusedAfter(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		want   harness.Verdict
		bucket harness.Bucket
	}{
		"refused": {401, harness.Inconclusive, ""}, "not as documented": {404, harness.Inconclusive, ""}, "served": {200, harness.Fail,
			harness.Security},
	} {
		var gone atomic.Bool
		s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
			if !control {
				gone.Store(true)
				w.WriteHeader(row.status)
			} else if gone.Load() {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		f := judge(t, s.Target, Options{}, harness.Expectation{ID: "X-1", Stimulus: probe.NoCredential(harness.OIDC).On("predict"),
			Outcome: outcome.Unauthenticated()})
		if f.Verdict != row.want || f.Bucket != row.bucket {
			t.Errorf("%s: %s %s (%s), want %s %s", name, f.Verdict, f.Bucket, f.Reason, row.want, row.bucket)
		}
		if row.want == harness.Inconclusive && !strings.Contains(f.Reason, "after") {
			t.Errorf("%s: reason %q does not name the control after", name, f.Reason)
		}
		if f.Control != "1 of 1 accepted before, 0 of 1 after" {
			t.Errorf("%s: control %q", name, f.Control)
		}
	}
}

// TestWithoutCredentials: a target that grants no credential is asked all the same.
// What it serves fails; what it refuses is not exercised, and never passes.
func TestWithoutCredentials(t *testing.T) {
	for status, want := range map[int]harness.Verdict{
		http.StatusOK: harness.Fail, http.StatusUnauthorized: harness.NotExercised,
		http.StatusBadGateway: harness.NotExercised, http.StatusTeapot: harness.NotExercised,
	} {
		s := serve(t, always(status))
		s.Tokens.Valid = ""
		plan := Plan(s.Target, refusing("X-1"))
		if plan.Verdict != harness.NotExercised || plan.Requests != len(s.Endpoints) {
			t.Errorf("%d: planned %s, %d requests", status, plan.Verdict, plan.Requests)
		}
		f := judge(t, s.Target, Options{}, refusing("X-1"))
		all, controls := s.seen()
		if f.Verdict != want || f.Requests != plan.Requests || len(all) != plan.Requests || controls != 0 {
			t.Errorf("%d: %s (%s), %d requests, %d came", status, f.Verdict, f.Reason, f.Requests, len(all))
		}
		if want == harness.Fail && (f.Bucket != harness.Security || len(f.Notes) == 0) || want != harness.Fail && !slices.Equal(f.Missing,
			plan.Missing) {
			t.Errorf("%d: bucket %q, lacks %v, notes %v", status, f.Bucket, f.Missing, f.Notes)
		}
	}
}

// TestSharedControls: many findings share their controls, and each request is
// still surrounded, by the service's own clock.
func TestSharedControls(t *testing.T) {
	const stimuli = 60
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		if control {
			time.Sleep(10 * time.Millisecond)
		}
		sound(w, r, n, control)
	})
	e := New(s.Target, Options{Concurrency: 8})
	t.Cleanup(e.Close)
	for _, f := range e.All(t.Context(), refusals(stimuli), nil) {
		if f.Verdict != harness.Pass {
			t.Errorf("%s: %s (%s)", f.ID, f.Verdict, f.Reason)
		}
	}
	all, controls := s.seen()
	if most := stimuli * len(s.Endpoints); controls >= most {
		t.Errorf("%d controls for %d stimuli at %d endpoints, want less than one each", controls, stimuli, len(s.Endpoints))
	}
	for _, a := range all {
		if !a.control && !surrounded(a, all) {
			t.Errorf("%s at %v is not surrounded by controls", a.path, a.began)
		}
	}
}

func surrounded(a arrival, all []arrival) bool {
	before := slices.ContainsFunc(all, func(c arrival) bool { return c.control && c.path == a.path && c.ended.Before(a.began) })
	after := slices.ContainsFunc(all, func(c arrival) bool { return c.control && c.path == a.path && c.began.After(a.ended) })
	return before && after
}

// TestStaleControlIsRenewed: one that is older than A-02 allows does not stand
// before another stimulus, nor does one that was refused.
func TestStaleControlIsRenewed(t *testing.T) {
	s := serve(t, nil)
	e := New(s.Target, Options{})
	t.Cleanup(e.Close)
	x := harness.Expectation{ID: "X-1", Stimulus: probe.NoCredential(harness.OIDC).On("predict"), Outcome: outcome.Unauthenticated()}
	for _, row := range []struct {
		what     string
		age      time.Duration
		refusal  string
		controls int
	}{{"none", time.Hour, "", 2}, {"fresh", fresh / 2, "", 1}, {"stale", fresh, "", 2}, {"refused", 0, "it was", 2}} {
		e.controlCache.mu.Lock()
		line := e.controlCache.of(route{harness.OIDC, "predict", "/predict"})
		line.last.ended, line.last.refusal = time.Now().Add(-row.age), row.refusal
		e.controlCache.mu.Unlock()
		_, before := s.seen()
		if f := e.Judge(t.Context(), x); f.Verdict != harness.Pass {
			t.Errorf("%s: %s (%s)", row.what, f.Verdict, f.Reason)
		}
		if _, after := s.seen(); after-before != row.controls {
			t.Errorf("%s: %d controls, want %d", row.what, after-before, row.controls)
		}
	}
}

// TestPace: no span of time sees more requests than its length allows.
func TestPace(t *testing.T) {
	const perSecond, burst = 40, 3
	s := serve(t, nil)
	e := New(s.Target, Options{Rate: perSecond, Burst: burst})
	t.Cleanup(e.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	findings := e.All(ctx, refusals(40), nil)
	all, _ := s.seen()
	if len(all) < 2 {
		t.Fatalf("%d requests came, want some", len(all))
	}
	span := all[len(all)-1].began.Sub(all[0].began)
	if most := burst + 1 + int(perSecond*(span+500*time.Millisecond).Seconds()); len(all) > most {
		t.Errorf("%d requests in %v, want %d at most", len(all), span, most)
	}
	if !slices.ContainsFunc(findings, func(f harness.Finding) bool { return f.Verdict == harness.NotExercised }) {
		t.Error("160 requests passed within half a second")
	}
}

// TestPaceOnOneConnection: of more requests than a burst, only so many have their turn
// at once; the others wait for it on the connection.
func TestPaceOnOneConnection(t *testing.T) {
	const burst = 3
	s := serve(t, nil)
	e := New(s.Target, Options{Rate: 1e-6, Burst: burst}) // the next turn is days away: longer than the context lasts
	t.Cleanup(e.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var requests []harness.Request
	for range burst + 2 {
		requests = append(requests, probe.With(s.Target, harness.OIDC, s.Endpoints[0], func(*harness.Request) {}))
	}
	for i, x := range e.send(ctx, requests, e.anew()) {
		if sent := i < burst; sent != (x.Observation.Transport == harness.Answered) || sent == x.Observation.Unsent {
			t.Errorf("request %d: %q (%s)", i+1, x.Observation.Transport, x.Observation.Detail)
		}
	}
	if all, _ := s.seen(); len(all) != burst || e.Sent() != burst {
		t.Errorf("%d requests came, and %d are said to be sent: want %d", len(all), e.Sent(), burst)
	}
}

func TestConcurrencyBoundsRequests(t *testing.T) {
	var now, most atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		here := now.Add(1)
		for m := most.Load(); here > m && !most.CompareAndSwap(m, here); m = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
		sound(w, r, n, control)
		now.Add(-1)
	})
	e := New(s.Target, Options{Concurrency: 3})
	t.Cleanup(e.Close)
	e.All(t.Context(), refusals(12), nil)
	if most.Load() > 3 || most.Load() < 2 {
		t.Errorf("%d requests at once, want 3 at most, and more than one", most.Load())
	}
}

// TestAlone: what disrupts or counts never overlaps with anything, and each is
// told of once, in turn.
func TestAlone(t *testing.T) {
	s := serve(t, nil)
	var now atomic.Int64
	watch := func(alone bool, x harness.Stimulus) harness.Expectation {
		x.Act = func(context.Context, harness.Client) (harness.Trace, error) {
			defer now.Add(-1)
			if n := now.Add(1); alone && n != 1 {
				t.Errorf("%d act at once with one that must be alone", n)
			}
			time.Sleep(time.Millisecond)
			if n := now.Load(); alone && n != 1 {
				t.Errorf("%d act at once with one that must be alone", n)
			}
			return harness.Trace{}, nil
		}
		return harness.Expectation{Stimulus: x, Outcome: fixed{}}
	}
	var all []harness.Expectation
	for range 8 {
		all = append(all, watch(true, harness.Stimulus{OwnControl: true, Effect: harness.Disruptive}), watch(false,
			harness.Stimulus{OwnControl: true, Effect: harness.ReadOnly}),
			watch(true, harness.Stimulus{OwnControl: true, Effect: harness.AuthFailures, Alone: true}), watch(false,
				harness.Stimulus{OwnControl: true, Effect: harness.Writes}))
	}
	for i := range all {
		all[i].ID = fmt.Sprintf("X-%d", i)
	}
	e := New(s.Target, Options{})
	t.Cleanup(e.Close)
	var telling sync.Mutex
	told := map[string]int{}
	findings := e.All(t.Context(), all, func(x harness.Expectation, f harness.Finding) {
		if !telling.TryLock() {
			t.Error("two findings are told at once")
		}
		defer telling.Unlock()
		if told[x.ID]++; f.ID != x.ID {
			t.Errorf("%s is told with the finding of %s", x.ID, f.ID)
		}
	})
	for i, f := range findings {
		if f.ID != all[i].ID || told[f.ID] != 1 || f.Verdict != harness.Pass {
			t.Errorf("finding %d is %s of %s, told %d times", i, f.Verdict, f.ID, told[f.ID])
		}
	}
}

// TestWhatStartsItsOwnGoesOnBesideTheRest: a few at once, beside what shares the target,
// and before what must be alone.
func TestWhatStartsItsOwnGoesOnBesideTheRest(t *testing.T) {
	s := serve(t, nil)
	e := New(s.Target, Options{})
	t.Cleanup(e.Close)
	const starts = 2*apartAtOnce + 1
	var apart, most, ended atomic.Int32
	beside := make(chan struct{})
	start := harness.Stimulus{OwnControl: true, Apart: true, Effect: harness.Disruptive, Act: func(context.Context,
		harness.Client) (harness.Trace, error) {
		now := apart.Add(1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		<-beside // what shares the target goes on meanwhile
		time.Sleep(5 * time.Millisecond)
		apart.Add(-1)
		ended.Add(1)
		return harness.Trace{}, nil
	}}
	share := harness.Stimulus{OwnControl: true, Effect: harness.ReadOnly, Act: func(context.Context, harness.Client) (harness.Trace, error) {
		time.Sleep(5 * time.Millisecond) // or more of them than may would begin too late to be seen
		close(beside)
		return harness.Trace{}, nil
	}}
	disrupt := harness.Stimulus{OwnControl: true, Effect: harness.Disruptive, Act: func(context.Context, harness.Client) (harness.Trace,
		error) {
		if ended.Load() != starts {
			t.Error("what must be alone began before the others ended")
		}
		return harness.Trace{}, nil
	}}
	var all []harness.Expectation
	for i, stimulus := range append(slices.Repeat([]harness.Stimulus{start}, starts), disrupt, share) {
		all = append(all, harness.Expectation{ID: fmt.Sprintf("X-%d", i), Stimulus: stimulus, Outcome: fixed{}})
	}
	for _, f := range e.All(t.Context(), all, nil) {
		if f.Verdict != harness.Pass {
			t.Errorf("%s: %s %s", f.ID, f.Verdict, f.Reason)
		}
	}
	if most.Load() != apartAtOnce {
		t.Errorf("%d of them at once, want %d", most.Load(), apartAtOnce)
	}
}

func TestInterrupted(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		s := serve(t, nil)
		e := New(s.Target, Options{})
		t.Cleanup(e.Close)
		ctx, interrupt := context.WithCancel(t.Context())
		interrupt()
		disrupt := harness.Expectation{ID: "X-D", Outcome: fixed{}, Stimulus: harness.Stimulus{OwnControl: true, Effect: harness.Disruptive,
			Act: func(context.Context, harness.Client) (harness.Trace, error) {
				t.Error("a run that was interrupted still acts")
				return harness.Trace{}, nil
			}}}
		for _, f := range e.All(ctx, append(refusals(20), disrupt), nil) {
			if f.Verdict != harness.NotExercised || f.Reason == "" {
				t.Errorf("%s: %s (%s), want not-exercised", f.ID, f.Verdict, f.Reason)
			}
		}
		if all, _ := s.seen(); len(all) != 0 {
			t.Errorf("%d requests were sent", len(all))
		}
	})
	t.Run("meanwhile", func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
			if n == 30 {
				interrupt()
			}
			if n >= 30 { // an answer that comes too late, or never
				<-r.Context().Done()
			}
			sound(w, r, n, control)
		})
		e := New(s.Target, Options{Concurrency: 4, TimeOut: time.Hour})
		t.Cleanup(e.Close)
		verdicts := map[harness.Verdict]int{}
		for _, f := range e.All(ctx, refusals(30), nil) {
			verdicts[f.Verdict]++
		}
		if verdicts[harness.NotExercised] == 0 || verdicts[harness.NotExercised]+verdicts[harness.Pass] != 30 {
			t.Errorf("%v, want passes until the interrupt, and not-exercised", verdicts)
		}
	})
}

func TestConclusions(t *testing.T) {
	hole := harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: -1, Got: "served", Want: "refusal"}
	undocumented := harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1, Got: "404", Want: "401"}
	detail := harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol, Exchange: -1, Got: "no challenge", Want: "a challenge"}
	unseen := harness.Problem{Verdict: harness.Inconclusive, Exchange: -1, Got: "503", Want: "401"}
	broke := harness.Problem{Verdict: harness.Error, Exchange: -1, Got: "variant", Want: "outcome"}
	for name, row := range map[string]struct {
		problems fixed
		err      error
		want     harness.Verdict
		bucket   harness.Bucket
	}{
		"nothing":                      {nil, nil, harness.Pass, ""},
		"a hole before all":            {fixed{unseen, broke, detail, undocumented, hole}, nil, harness.Fail, harness.Security},
		"an error before a fail":       {fixed{undocumented, broke}, nil, harness.Error, ""},
		"contract before protocol":     {fixed{unseen, detail, undocumented}, nil, harness.Fail, harness.Contract},
		"a fail before what is unseen": {fixed{unseen, detail}, nil, harness.Fail, harness.Protocol},
		"unseen":                       {fixed{unseen}, nil, harness.Inconclusive, ""},
		"the harness could not act":    {nil, errors.New("minting a token: no key"), harness.Error, ""},
		"the target showed nothing":    {nil, fmt.Errorf("reading metrics: %w", harness.ErrUnseen), harness.Inconclusive, ""},
		"what is not offered":          {nil, fmt.Errorf("asking: %w", harness.ErrNotOffered), harness.NotExercised, ""},
		"what was granted is missing":  {nil, fmt.Errorf("reading metrics: %w", harness.ErrMissing), harness.Fail, harness.Contract},
	} {
		f := judge(t, serve(t, nil).Target, Options{}, harness.Expectation{ID: "X-1", Outcome: row.problems,
			Stimulus: harness.Stimulus{OwnControl: true, Act: func(context.Context, harness.Client) (harness.Trace,
				error) {
				return harness.Trace{}, row.err
			}}})
		if f.Verdict != row.want || f.Bucket != row.bucket || (f.Reason == "") != (row.want == harness.Pass) {
			t.Errorf("%s: %s %q (%s), want %s %q", name, f.Verdict, f.Bucket, f.Reason, row.want, row.bucket)
		}
	}
}

// TestNotActed: what a target does not grant, or its profile rules out, is not
// done. A credential of a mode that it does not show is not asked of it.
// TestToldWithoutDeclaring: what a stimulus tells under a key that it does not declare is a
// fault of the harness, and none of the target's.
func TestToldWithoutDeclaring(t *testing.T) {
	s := serve(t, nil)
	for name, row := range map[string]struct {
		tells []harness.Key
		want  harness.Verdict
	}{
		"declared": {[]harness.Key{harness.CallsOutOfBand}, harness.Pass}, "undeclared": {nil,
			harness.Error}, "another": {[]harness.Key{harness.KeySetFetches}, harness.Error},
	} {
		x := harness.Stimulus{OwnControl: true, Tells: row.tells, Act: func(context.Context, harness.Client) (harness.Trace, error) {
			return harness.Trace{Facts: []harness.Fact{harness.CallsOutOfBand.Was(0)}}, nil
		}}
		f := judge(t, s.Target, Options{}, harness.Expectation{ID: "X-1", Outcome: outcome.Count{Of: harness.CallsOutOfBand}, Stimulus: x})
		if f.Verdict != row.want {
			t.Errorf("%s: %s (%s), want %s", name, f.Verdict, f.Reason, row.want)
		}
	}
}

func TestNotActed(t *testing.T) {
	x := harness.Expectation{ID: "X-1", Outcome: fixed{}, Stimulus: harness.Stimulus{OwnControl: true,
		Needs: []harness.Capability{harness.GivenTokens, harness.VaultWrite, harness.ComponentLogs, harness.ClientCAKey},
		Act: func(context.Context, harness.Client) (harness.Trace, error) {
			t.Error("acted")
			return harness.Trace{}, nil
		}}}
	f := judge(t, serve(t, nil).Target, Options{}, x)
	if f.Verdict != harness.NotExercised || !slices.Equal(f.Missing, []harness.Capability{harness.VaultWrite, harness.ComponentLogs}) ||
		!strings.Contains(f.Reason, "vault-write") {
		t.Errorf("%s, missing %v (%s)", f.Verdict, f.Missing, f.Reason)
	}
	x.Unless = func(p harness.Profile) string { return "the profile says so" }
	if f = judge(t, serve(t, nil).Target, Options{}, x); f.Verdict != harness.NotApplicable || f.Reason != "the profile says so" {
		t.Errorf("%s (%s), want not-applicable", f.Verdict, f.Reason)
	}
	onlyMTLS := harness.Expectation{ID: "X-2", Outcome: fixed{}, Stimulus: probe.EnrolledCertificate()}
	if f = judge(t, serve(t, nil).Target, Options{}, onlyMTLS); f.Verdict != harness.NotApplicable || !strings.Contains(f.Reason, "mtls") {
		t.Errorf("%s (%s), want not-applicable", f.Verdict, f.Reason)
	}
}

// TestOracle: a denial that reached the handler is a hole, and an oracle that
// does not answer properly says nothing.
func TestOracle(t *testing.T) {
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		strangers.Add(1)
		_, _ = w.Write([]byte(`{"seen":1,"handled":1,"complete":true}`))
	}))
	t.Cleanup(stranger.Close)
	for name, row := range map[string]struct {
		oracle  http.HandlerFunc
		want    harness.Verdict
		reached string
	}{
		"not reached": {say(`{"seen":0,"complete":true}`), harness.Pass, "not the service"},
		"refused":     {say(`{"seen":1,"handled":0,"complete":true}`), harness.Pass, "the service, not the handler"},
		"handled":     {say(`{"seen":1,"handled":1,"complete":true}`), harness.Fail, "the handler ran 1 times"},
		"no JSON":     {say(`<html>`), harness.Pass, "not observed"},
		"too much":    {say(strings.Repeat(" ", 2<<20) + `{"handled":1}`), harness.Pass, "not observed"},
		"error":       {http.NotFound, harness.Pass, "not observed"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, stranger.URL, http.StatusFound) }, harness.Pass,
			"not observed"},
	} {
		oracle := httptest.NewServer(row.oracle)
		s := serve(t, nil)
		s.Oracles = map[harness.Mode]string{harness.OIDC: oracle.URL}
		f := judge(t, s.Target, Options{}, refusing("X-1"))
		oracle.Close()
		if f.Verdict != row.want || !strings.Contains(f.Evidence[0].Reached, row.reached) {
			t.Errorf("%s: %s (%s), evidence %q; want %s, %q", name, f.Verdict, f.Reason, f.Evidence[0].Reached, row.want, row.reached)
		}
		if row.want == harness.Fail && f.Bucket != harness.Security {
			t.Errorf("%s: %s, want security", name, f.Bucket)
		}
	}
	if strangers.Load() != 0 {
		t.Error("an oracle's redirect was followed")
	}
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// TestOracleOfATimeOut: a request that was not answered in time may have been
// handled; the oracle is asked all the same.
func TestOracleOfATimeOut(t *testing.T) {
	oracle := httptest.NewServer(say(`{"seen":1,"handled":1,"complete":true}`))
	t.Cleanup(oracle.Close)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		if !control {
			<-r.Context().Done()
		}
	})
	s.Oracles = map[harness.Mode]string{harness.OIDC: oracle.URL}
	if f := judge(t, s.Target, Options{TimeOut: 300 * time.Millisecond}, refusing("X-1")); f.Bucket != harness.Security {
		t.Errorf("%s %s (%s), want a security fail", f.Verdict, f.Bucket, f.Reason)
	}
}

// TestTogetherOnOneConnection: a client keeps the order and the connection.
func TestTogetherOnOneConnection(t *testing.T) {
	var mu sync.Mutex
	peers := map[string]bool{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		if n > 0 { // the control before has a connection of its own
			mu.Lock()
			peers[r.RemoteAddr] = true
			mu.Unlock()
		}
		sound(w, r, n, control)
	})
	x := harness.Expectation{ID: "X-1", Stimulus: probe.InTurn(token.Sound(), token.Literal("bad", "bad"), token.Sound()).On("predict"),
		Outcome: outcome.PerVariant{"1: valid token": outcome.Accepted(), "2: bad": outcome.Unauthenticated(),
			"3: valid token": outcome.Accepted()}}
	if f := judge(t, s.Target, Options{}, x); f.Verdict != harness.Pass || f.Requests != 3 {
		t.Errorf("%s (%s) of %d requests", f.Verdict, f.Reason, f.Requests)
	}
	if len(peers) != 2 { // the sequence, and the control after
		t.Errorf("%d connections after the first control, want 2", len(peers))
	}
}

// TestSameRunTwice: verdicts do not depend on how a run was scheduled.
func TestSameRunTwice(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		switch {
		case control:
		case r.URL.Path == "/review":
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	var all []harness.Expectation
	for i, c := range []probe.Calls{probe.NoCredential(harness.OIDC), probe.Bearer(token.Garbage()...), probe.ValidToken(),
		probe.ValidToken().On("review")} {
		for j, o := range []harness.Outcome{outcome.Unauthenticated(), outcome.Forbidden(), outcome.Denied(), outcome.Accepted(),
			outcome.Unauthenticated().Challenged()} {
			all = append(all, harness.Expectation{ID: fmt.Sprintf("X-%d%d", i, j), Stimulus: c, Outcome: o})
		}
	}
	run := func(concurrency int) []string {
		e := New(s.Target, Options{Concurrency: concurrency})
		defer e.Close()
		var verdicts []string
		for _, f := range e.All(t.Context(), all, nil) {
			verdicts = append(verdicts, fmt.Sprintf("%s %s %s %s", f.ID, f.Verdict, f.Bucket, f.Reason))
		}
		return verdicts
	}
	first := run(8)
	for _, concurrency := range []int{8, 1, 3} {
		if again := run(concurrency); !slices.Equal(first, again) {
			t.Errorf("at concurrency %d\n%s\nwant\n%s", concurrency, strings.Join(again, "\n"), strings.Join(first, "\n"))
		}
	}
}

// TestNoConnectionIsLeft: an engine leaves no connection open.
func TestNoConnectionIsLeft(t *testing.T) {
	var open atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s := serve(t, nil)
	s.Faces[harness.OIDC] = harness.Face{URL: server.URL}
	judge(t, s.Target, Options{}, harness.Expectation{ID: "X-1", Stimulus: probe.ValidToken(), Outcome: outcome.Accepted()})
	for open.Load() > 0 {
		if t.Context().Err() != nil {
			t.Fatal("connections stay open")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAtOnceIsAtOnce: the service answers nobody until all have come, which is
// more than the engine's concurrency.
func TestAtOnceIsAtOnce(t *testing.T) {
	const crowd = 50
	var come sync.WaitGroup
	come.Add(crowd)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int, control bool) {
		if control {
			return
		}
		come.Done()
		come.Wait()
		w.WriteHeader(http.StatusUnauthorized)
	})
	e := New(s.Target, Options{Concurrency: 2})
	t.Cleanup(e.Close)
	h := &client{Engine: e}
	requests := make([]harness.Request, crowd)
	for i := range requests {
		requests[i] = harness.Request{Mode: harness.OIDC, Method: "POST", Path: "/predict", Endpoint: s.Endpoints[0],
			Fields: []harness.Field{{Name: "Host", Value: "x"}}}
	}
	for i, x := range h.SendAtOnce(t.Context(), requests) {
		if x.Observation.Status != http.StatusUnauthorized {
			t.Fatalf("request %d: %d %s %s, want 401", i, x.Observation.Status, x.Observation.Transport, x.Observation.Detail)
		}
	}
}

// TestCoreFirst: on a live target what is core is judged before anything else.
func TestCoreFirst(t *testing.T) {
	s := serve(t, nil)
	s.Kind = harness.Live
	all := refusals(12)
	for i := 6; i < 12; i++ {
		all[i].Tier = harness.Core
	}
	e := New(s.Target, Options{})
	t.Cleanup(e.Close)
	var order []harness.Tier
	for _, f := range e.All(t.Context(), all, func(x harness.Expectation, _ harness.Finding) { order = append(order, x.Tiered()) }) {
		if f.Verdict != harness.Pass {
			t.Errorf("%s %s: %s", f.ID, f.Verdict, f.Reason)
		}
	}
	if len(order) != 12 || slices.Contains(order[:6], harness.Extended) {
		t.Errorf("judged %v, want core first", order)
	}
}
