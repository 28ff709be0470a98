package run

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// TestStops: a target that is gone ends the run after so many requests, and what
// it did not come to says why.
func TestStops(t *testing.T) {
	s := serve(t, nil)
	s.Faces[harness.OIDC] = harness.Face{URL: "http://127.0.0.1:1"}
	e := New(s.Target, Options{StopAfter: 3, Concurrency: 1})
	t.Cleanup(e.Close)
	verdicts := map[harness.Verdict]int{}
	for _, f := range e.All(t.Context(), refusals(20), nil) {
		verdicts[f.Verdict]++
		if f.Verdict == harness.NotExercised && !strings.Contains(f.Reason, "3 requests in a row had no answer") {
			t.Errorf("%s: %s", f.ID, f.Reason)
		}
	}
	if verdicts[harness.Inconclusive] > 3 || verdicts[harness.NotExercised] < 17 || e.Stopped() == "" {
		t.Errorf("%v, stopped %q", verdicts, e.Stopped())
	}
}

// TestAnswersKeepARunGoing: only requests in a row count, and a refusal in TLS
// is an answer.
func TestAnswersKeepARunGoing(t *testing.T) {
	r := breaker{stopAfter: 2}
	for _, transport := range []harness.Transport{harness.Refused, harness.Alert, harness.TimeOut, harness.Answered, harness.DNS,
		harness.Reset} {
		r.watch(harness.Request{}, harness.Observation{Transport: transport})
	}
	r.watch(harness.Request{}, harness.Observation{Transport: harness.Refused})
	r.watch(harness.Request{Face: &harness.Face{}}, harness.Observation{Transport: harness.Refused})
	r.watch(harness.Request{}, harness.Observation{Transport: harness.Broken, Unsent: true})
	if r.stopped() != "" {
		t.Errorf("stopped: %s", r.stopped())
	}
	r.watch(harness.Request{}, harness.Observation{Transport: harness.Untrusted})
	if r.stopped() == "" {
		t.Error("two in a row did not stop it")
	}
}

// TestTheStopNamesWhatBeganIt: of many calls that nobody answered, the first.
func TestTheStopNamesWhatBeganIt(t *testing.T) {
	r := breaker{stopAfter: 2}
	call := harness.Request{Method: "POST", Path: "/predict", Credential: "token of 1 MB"}
	r.watch(call, harness.Observation{Transport: harness.TimeOut, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	call.Credential = "valid token"
	r.watch(call, harness.Observation{Transport: harness.Refused, Detail: "connection refused"})
	want := "2 requests in a row had no answer, the first POST /predict with token of 1 MB at 03:04:05.000: time-out, the last: refused " +
		"(connection refused)"
	if got := r.stopped(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRetryAfterInAll: a run waits for a target no longer than its total, however
// often it is asked to.
func TestRetryAfterInAll(t *testing.T) {
	r := breaker{most: 30 * time.Second, total: time.Minute}
	for range 5 {
		r.wait(harness.Request{}, harness.Observation{Status: 429, Header: http.Header{"Retry-After": {"3600"}}})
		r.until = time.Now() // it has been waited for
	}
	if r.waited > time.Minute || r.waited < 59*time.Second || r.asked != 5 || r.patient() {
		t.Errorf("waited %s for %d answers, patient: %v", r.waited, r.asked, r.patient())
	}
	if _, more := r.wait(harness.Request{}, harness.Observation{Status: 429}); more || time.Until(r.until) > 0 {
		t.Error("it waits on, past its total")
	}
}

// TestRetryAfter: nothing is sent before the target's time, but for no longer
// than is allowed.
func TestRetryAfter(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		value  string
		want   time.Duration
	}{
		"seconds":     {429, "30", 30 * time.Second},
		"503":         {503, "30", 30 * time.Second},
		"capped":      {429, "3600", time.Minute},
		"a date":      {429, time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat), 20 * time.Second},
		"an accepted": {200, "30", 0},
		"none":        {429, "", time.Second},
		"no number":   {429, "soon", time.Second},
		"in the past": {429, "-5", time.Second},
		"503 of none": {503, "", 0},
	} {
		r := breaker{most: time.Minute, total: time.Hour}
		r.wait(harness.Request{}, harness.Observation{Status: row.status, Header: http.Header{"Retry-After": {row.value}}})
		if got := time.Until(r.until); got > row.want || got < row.want-10*time.Second && row.want > 0 {
			t.Errorf("%s: waits %v, want %v", name, got, row.want)
		}
	}
	s := serve(t, nil)
	e := New(s.Target, Options{RetryAfter: time.Hour})
	t.Cleanup(e.Close)
	e.breaker.until = time.Now().Add(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	e.All(ctx, refusals(3), nil)
	if all, _ := s.seen(); len(all) != 0 {
		t.Errorf("%d requests came before the target's time", len(all))
	}
}

// TestCleanUp: what may be created is noted before, and all that was noted is removed by
// its identifier, though what was refused is not counted; what cannot be noted is not sent.
func TestCleanUp(t *testing.T) {
	var removed []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int, control bool) {
		if r.Method == http.MethodDelete {
			removed = append(removed, r.URL.Path)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		sound(w, r, n, control)
	})
	s.Endpoints = []harness.Endpoint{{Name: "enrollment", Method: "POST", Path: "/enroll", Body: []byte(`{"client":"{{unique}}"}`),
		Effect: harness.Writes, CleanUp: harness.CleanUp{Method: "DELETE", Path: "/enroll/{{unique}}"}}}
	var noted []string
	e := New(s.Target, Options{Note: func(r harness.Request) error {
		noted = append(noted, "/enroll/"+r.Unique)
		return nil
	}, Concurrency: 1})
	t.Cleanup(e.Close)
	x := harness.Expectation{ID: "X-1", Stimulus: probe.NoCredential(harness.OIDC), Outcome: outcome.Unauthenticated()}
	if f := e.Judge(t.Context(), x); f.Verdict != harness.Pass {
		t.Fatalf("%s: %s", f.Verdict, f.Reason)
	}
	n, left := e.CleanUp(t.Context())
	if n != 2 || len(left) != 0 || len(noted) != 3 {
		t.Errorf("removed %d, left %v, noted %v", n, left, noted)
	}
	slices.Sort(removed)
	if slices.Sort(noted); !slices.Equal(removed, noted) {
		t.Errorf("removed %v, want all of %v", removed, noted)
	}
	if n, _ := e.CleanUp(t.Context()); n != 0 {
		t.Errorf("removed %d again", n)
	}
	e.options.Note = func(harness.Request) error { return errors.New("the disk is full") }
	before, _ := s.seen()
	if f := e.Judge(t.Context(), x); f.Verdict != harness.Inconclusive || !strings.Contains(f.Reason, "the disk is full") {
		t.Errorf("%s: %s", f.Verdict, f.Reason)
	}
	if after, _ := s.seen(); len(after) != len(before) {
		t.Errorf("%d requests were sent", len(after)-len(before))
	}
}
