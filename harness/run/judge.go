package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Judge holds a target against one expectation. It is the only place a verdict
// is born.
func Judge(ctx context.Context, t *harness.Target, x harness.Expectation) harness.Finding {
	e := New(t, Options{})
	defer e.Close()
	return e.Judge(ctx, x)
}

// Judge holds the engine's target against one expectation.
func (e *Engine) Judge(ctx context.Context, x harness.Expectation) harness.Finding {
	began := time.Now()
	f := harness.Finding{ID: x.ID, Want: x.Outcome.Want(e.target.Profile)}
	if ctx.Err() != nil {
		f.Verdict, f.Reason = harness.NotExercised, interrupted
		return f
	}
	before := standing(e.target, x)
	before.Want = f.Want
	bare := oneSided(e.target, x)
	if before.Verdict != "" && !bare {
		return before
	}
	if why := e.Stopped(); why != "" {
		f.Verdict, f.Reason = harness.NotExercised, "the run stopped: "+why
		return f
	}
	stimulus := x.Stimulus.Build()
	h := &client{Engine: e, controlled: !stimulus.OwnControl && !bare}
	h.openControls(ctx, stimulus)
	if refusal := h.controls.broken(); refusal != "" {
		f.Verdict, f.Reason = harness.Inconclusive, refusal
		f.Evidence, f.Echo = evidence(harness.Trace{}, nil, &h.controls), echo(h.controls.exchanges())
		return f
	}
	trace, err := stimulus.Act(ctx, h)
	trace.Late, trace.Overdue = e.heart.since(began), h.overdue
	h.closeControls(ctx, stimulus)
	f.Requests = int(h.sent.Load())
	f.Control = h.controls.words()
	conclude(ctx, &f, x, e.target, h, trace, err)
	seen := slices.Concat(trace.Exchanges, h.controls.exchanges())
	veil(&f, seen)
	if f.Echo = echo(seen); f.Echo != "" {
		f.Notes = append(f.Notes, "an answer shows the credential that was sent, "+f.Echo+": what holds it is not kept")
	}
	if bare && ctx.Err() == nil {
		f = unflanked(f, before)
	}
	f.Notes = append(f.Notes, slices.Concat(withheld(e.target, x, trace.Exchanges), unread(trace.Exchanges))...)
	f.Millis = time.Since(began).Milliseconds()
	return f
}

// unflanked is what a finding is worth that no accepted call could surround: a
// request that was served stands, and whatever else was seen shows nothing.
func unflanked(seen, before harness.Finding) harness.Finding {
	if seen.Verdict == harness.Fail && seen.Bucket == harness.Security {
		seen.Notes = append(seen.Notes, "no accepted call stands beside it: "+before.Reason)
		return seen
	}
	before.Requests = seen.Requests
	before.Reason += ", so that no refusal counts; nothing was seen to be served that must not be"
	return before
}

// withheld tells which endpoints an expectation about every one left out.
func withheld(t *harness.Target, x harness.Expectation, exchanges []harness.Exchange) []string {
	if len(x.Stimulus.Build().Endpoints) > 0 {
		return nil
	}
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(t.Withheld)) {
		if slices.ContainsFunc(exchanges, func(x harness.Exchange) bool { return x.Request.Endpoint.Name == name }) {
			continue // its judgement tells
		}
		notes = append(notes, fmt.Sprintf("%s was not called: %s", name, t.Withheld[name]))
	}
	return notes
}

// unread tells that the request log that is granted could not be read.
func unread(exchanges []harness.Exchange) []string {
	i := slices.IndexFunc(exchanges, func(x harness.Exchange) bool { return x.Observation.Unread != "" })
	if i < 0 {
		return nil
	}
	return []string{"whether the service handled the calls was not seen, as its request log could not be read: " +
		printable(exchanges[i].Observation.Unread)}
}

// interrupted is the reason of what an interrupted run leaves.
const interrupted = "the run was interrupted"

// conclude weighs what was seen. A request that was served although it must
// not be stands whatever became of the controls.
func conclude(ctx context.Context, f *harness.Finding, x harness.Expectation, t *harness.Target, h *client, trace harness.Trace,
	err error) {
	if ctx.Err() != nil {
		f.Verdict, f.Reason = harness.NotExercised, interrupted
		return
	}
	if err != nil {
		f.Verdict, f.Reason = harness.Error, printable(err.Error())
		if why := overBy(t, time.Now()); why != "" {
			f.Verdict, f.Reason = harness.Inconclusive, why+": "+f.Reason
		}
		switch {
		case errors.Is(err, harness.ErrMissing):
			f.Verdict, f.Bucket, f.Got = harness.Fail, harness.Contract, f.Reason
			f.Reason = "got " + f.Got + ", want " + f.Want
		case errors.Is(err, harness.ErrNotOffered):
			f.Verdict = harness.NotExercised
		case errors.Is(err, harness.ErrUnseen):
			f.Verdict = harness.Inconclusive
		}
		return
	}
	if names := trace.Undeclared(x.Stimulus.Build().Tells); len(names) > 0 {
		f.Verdict, f.Reason = harness.Error, "the stimulus tells what it does not declare: "+strings.Join(names, ", ")
		return
	}
	judgement := x.Outcome.Judge(t.Profile, trace)
	timely(t.Profile, trace, judgement.Problems)
	outlived(t, trace, judgement.Problems)
	overrun(trace, judgement.Problems)
	f.Notes, f.Timeline = slices.Concat(judgement.Notes, trace.Notes), judgement.Timeline
	f.Notes = append(f.Notes, sentAgain(trace.Exchanges)...)
	f.Exchange = len(trace.Exchanges)
	broken := h.controls.broken()
	worst := worst(judgement.Problems)
	switch {
	case worst != nil && worst.Bucket == harness.Security:
	case broken != "":
		f.Verdict, f.Reason = harness.Inconclusive, broken
		f.Evidence = evidence(trace, nil, &h.controls)
		return
	case worst == nil && judgement.Inapplicable != "":
		f.Verdict, f.Reason = harness.NotApplicable, judgement.Inapplicable
		f.Evidence = evidence(trace, nil, &h.controls)
		return
	case worst == nil:
		f.Verdict = harness.Pass
		f.Evidence = evidence(trace, nil, &h.controls)
		return
	}
	f.Verdict, f.Bucket = worst.Verdict, worst.Bucket
	f.Got, f.Want = got(trace, judgement.Problems, worst), worst.Want
	f.Reason = "got " + f.Got + ", want " + worst.Want
	f.Evidence = evidence(trace, append([]harness.Problem{*worst}, judgement.Problems...), &h.controls) // what got tells comes first
	f.FailedIn = failedIn(trace, judgement.Problems)
}

// failedIn are the modes of all exchanges with a problem; nil where one is of none.
func failedIn(trace harness.Trace, problems []harness.Problem) []harness.Mode {
	var modes []harness.Mode
	for _, p := range problems {
		if p.Exchange < 0 || trace.Exchanges[p.Exchange].Request.Mode == "" {
			return nil
		}
		modes = append(modes, trace.Exchanges[p.Exchange].Request.Mode)
	}
	slices.Sort(modes)
	return slices.Compact(modes)
}

// worst is the problem that a finding is named for: a request that was served
// first, which nothing hides, then a harness error, then fails by bucket, then
// what could not be seen.
func worst(problems []harness.Problem) *harness.Problem {
	rank := func(p harness.Problem) int {
		switch {
		case p.Bucket == harness.Security:
			return 0
		case p.Verdict == harness.Error:
			return 1
		case p.Verdict == harness.Fail:
			return 2 + slices.Index(harness.Buckets, p.Bucket)
		default:
			return 10
		}
	}
	if len(problems) == 0 {
		return nil
	}
	w := slices.MinFunc(problems, func(a, b harness.Problem) int { return rank(a) - rank(b) })
	return &w
}

// got says what was seen of the worst problem, where, and how often.
func got(trace harness.Trace, problems []harness.Problem, w *harness.Problem) string {
	if w.Exchange < 0 {
		return printable(w.Got)
	}
	r := trace.Exchanges[w.Exchange].Request
	words := shown(fmt.Sprintf("%s to %s %s with %s", w.Got, r.Method, r.Path, describe(r)), r)
	same := 0
	for _, p := range problems {
		if p.Verdict == w.Verdict && p.Bucket == w.Bucket && p.Exchange >= 0 {
			same++
		}
	}
	if same > 1 {
		words += fmt.Sprintf(" (and %d more of %d exchanges)", same-1, len(trace.Exchanges))
	}
	return words
}

// describe is a request's credential and variant, without saying one twice.
func describe(r harness.Request) string {
	if r.Variant == "" || strings.HasPrefix(r.Variant, r.Credential) {
		return max(r.Variant, r.Credential)
	}
	return r.Credential + " (" + r.Variant + ")"
}

func list(missing []harness.Capability) string {
	var names []string
	for _, c := range missing {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}
