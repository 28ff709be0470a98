// Package faults tests the suites: it plants each seeded fault in a stack of
// its own and sees which expectations fail. A fault is caught when those it
// names fail; it is exact when no other does.
package faults

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// Result is what became of one fault in one placement.
type Result struct {
	ID        string        `json:"id"`
	Component string        `json:"component"`
	Says      string        `json:"says"`
	Origin    string        `json:"origin"`
	Runtime   stack.Runtime `json:"runtime"`
	Named     []string      `json:"named"`
	CaughtBy  []string      `json:"caught_by"`
	Caught    bool          `json:"caught"` // every named expectation failed
	Exact     bool          `json:"exact"`  // and no other
	// Masked are the expectations that could not be told under the fault: it
	// breaks their controls.
	Masked []string `json:"masked"`
	Error  string   `json:"error,omitempty"`
	Judged int      `json:"judged"` // expectations that passed or failed
	Millis int64    `json:"millis"`
	// First is the result beside others, in words, where that was not exact: this one
	// was judged alone.
	First string `json:"first,omitempty"`
	// Reasons are the failures' reasons, by ID.
	Reasons map[string]string `json:"reasons,omitempty"`
}

// reference is the component of the stack without a fault.
const reference = "reference"

// Reference is no fault: it is judged on all that a plan has, and nothing may fail.
var Reference = faults.Fault{ID: "none", Component: reference, Says: "The reference, with nothing wrong."}

// Plan says what to plant, and where.
type Plan struct {
	Faults  []faults.Fault
	Runtime stack.Runtime // Embedded or Containers
	Ingress string        // empty is the usual one
	// Service is an image under test in the place of the reference service.
	Service stack.Service
	// Areas narrows the expectations to some areas, IDs to some of them; none
	// means all.
	Areas, IDs []string
	// Share, if over 1, judges a fault on the expectations it is about, and on one in
	// so many of the others, those that fall with them among these: others each time,
	// by Seed. The reference is judged on all.
	Share int
	Seed  uint64
	// Rigs, if true, judges what is wrong with how the service takes tokens at the
	// service itself, without the ingress, on whom it serves (rulings 2.H).
	Rigs bool
	// Each receives results as they come, one at a time; nil discards.
	Each     func(Result)
	Progress func(string)
}

// parallel is how many stacks stand at once that mostly wait: for a start, an end
// or a bound.
const parallel = 16

// Run plants every fault and gives the results in the faults' order. Beside other
// stacks, what a service learns comes late: what was not exact is judged once more,
// alone, and that result counts.
func Run(ctx context.Context, p Plan) []Result {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many small stacks, on a machine with memory to spare
	results := p.together(ctx)
	for i, f := range p.Faults {
		if results[i].Exact || f.Component == reference || ctx.Err() != nil {
			continue
		}
		first := results[i].String()
		results[i] = p.one(ctx, f)
		results[i].First = first
		if p.Each != nil {
			p.Each(results[i])
		}
	}
	return results
}

// together plants the faults side by side.
func (p Plan) together(ctx context.Context) []Result {
	results := make([]Result, len(p.Faults))
	done := make(chan int)
	go func() {
		defer close(done)
		var wait sync.WaitGroup
		room := semaphore.NewWeighted(parallel)
		for _, i := range longestFirst(p.Faults) {
			f := p.Faults[i]
			weight := p.weight(f)
			if err := room.Acquire(context.WithoutCancel(ctx), weight); err != nil {
				panic(err) // it is never done
			}
			wait.Go(func() {
				defer room.Release(weight)
				results[i] = p.one(ctx, f)
				done <- i
			})
		}
		wait.Wait()
	}()
	for i := range done {
		if p.Each != nil {
			p.Each(results[i])
		}
	}
	return results
}

// longestFirst are the indices of faults, so that those that are waited for longest
// begin first: of most starts, and of most that fails.
func longestFirst(all []faults.Fault) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	cost := func(f faults.Fault) (n int) {
		if f.Component == reference {
			return math.MaxInt
		}
		for _, id := range f.Falls() {
			if n++; running(id) {
				n += 20
			}
		}
		return n
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cost(all[b]), cost(all[a])) })
	return order
}

// weight is what a fault's stack takes of parallel: more if it is called all the time,
// and if it is judged on everything.
func (p Plan) weight(f faults.Fault) int64 {
	if p.Runtime == stack.Containers {
		return parallel / 2 // some seven containers each
	}
	weight := int64(1)
	if slices.ContainsFunc(p.expectations(f), func(x harness.Expectation) bool { return !running(x.ID) }) {
		weight *= 2
	}
	if p.Share <= 1 {
		weight *= 2
	}
	return weight
}

// running reports whether an expectation is on how the service is run, and not on
// who is served.
func running(id string) bool {
	return slices.Contains([]string{"FFS", "SEC", "MET", "ROT", "RBK"}, area(id))
}

// area is that of an expectation's ID.
func area(id string) string {
	name, _, _ := strings.Cut(id, "-")
	return name
}

// one plants one fault and judges everything.
func (p Plan) one(ctx context.Context, f faults.Fault) Result {
	began := time.Now()
	r := Result{ID: f.ID, Component: f.Component, Says: f.Says, Origin: f.Origin, Runtime: p.Runtime, Named: f.Falls(), CaughtBy: []string{}, Masked: []string{}}
	s, err := stack.Start(ctx, stack.Spec{Runtime: p.Runtime, Run: run.NewID(), Fault: f, HA: f.HA, Ingress: p.Ingress, Service: p.Service, Progress: p.Progress})
	if err != nil {
		r.Error = fmt.Sprintf("starting a stack with %s planted: %v", f.ID, err)
		return r
	}
	defer func() { _ = s.Stop(context.WithoutCancel(ctx)) }()
	narrow(s.Target, f)
	expectations := p.expectations(f)
	if f.Bare || p.Rigs && ofService(f) {
		expectations = bare(s.Target, expectations)
	}
	if f.Beside != nil { // whoever meets the stray replica fails: chance has it
		expectations = slices.DeleteFunc(expectations, func(x harness.Expectation) bool { return !slices.Contains(f.Named, x.ID) })
	}
	engine := run.New(s.Target, run.Options{})
	defer engine.Close()
	r.weigh(engine.All(ctx, expectations, nil), f.Either)
	if f.Component == reference {
		r.Caught, r.Exact = false, false
	}
	r.Millis = time.Since(began).Milliseconds()
	if ctx.Err() != nil {
		r.Error = "interrupted"
	}
	return r
}

// narrow leaves out the face that the fault is not planted in, which is the
// reference's own, and makes expectations that name no endpoint call the one
// that every fault shows on, and those the fault names: what holds of one
// endpoint holds of the others, and a matrix is many runs. The reference is
// judged on all.
func narrow(t *harness.Target, f faults.Fault) {
	if f.Component == reference {
		return
	}
	other := func(mode harness.Mode, _ harness.Face) bool { return f.Face != "" && mode != f.Face }
	maps.DeleteFunc(t.Faces, other)
	maps.DeleteFunc(t.Backends, other)
	var kept []harness.Endpoint
	for _, e := range t.Endpoints {
		if e.Name == t.Endpoints[0].Name || slices.Contains(f.Endpoints, e.Name) {
			kept = append(kept, e)
		} else {
			t.Others = append(t.Others, e)
		}
	}
	t.Endpoints = kept
}

// atService are the areas on whom the service serves, which hold without an ingress.
var atService = []string{"OIDC", "JOSE", "CLM", "JWKS", "BRR", "EPT"}

// ofService reports whether all that a fault fails is of those areas.
func ofService(f faults.Fault) bool {
	return f.Component == "app" && f.Face == harness.OIDC && f.Ingress == nil &&
		!slices.ContainsFunc(f.Falls(), func(id string) bool { return !slices.Contains(atService, area(id)) })
}

// bare is the rig without an ingress: the service's own address is the target's,
// and what is left are the expectations on whom it serves.
func bare(t *harness.Target, all []harness.Expectation) []harness.Expectation {
	t.Faces = maps.Clone(t.Backends)
	t.Open, t.Foreign, t.Plain, t.Addresses, t.Siblings, t.Backends = nil, nil, "", nil, nil, nil
	return slices.DeleteFunc(slices.Clone(all), func(x harness.Expectation) bool {
		return !slices.Contains(atService, x.Area())
	})
}

// expectations are those of the plan's areas, and of the halves of the catalogue
// that the fault is about: on who is served, and on how the service is run. A
// fault of one half is judged on it whole; the reference is judged on both.
func (p Plan) expectations(f faults.Fault) []harness.Expectation {
	run := slices.ContainsFunc(f.Named, running) || f.Component == reference
	serve := slices.ContainsFunc(f.Named, func(id string) bool { return !running(id) }) || f.Component == reference
	return slices.DeleteFunc(suites.All(), func(x harness.Expectation) bool {
		return len(p.Areas) > 0 && !slices.Contains(p.Areas, x.Area()) || len(p.IDs) > 0 && !slices.Contains(p.IDs, x.ID) ||
			running(x.ID) && !run || !running(x.ID) && !serve || !p.has(f, x.ID)
	})
}

// has reports whether an expectation is of a fault's share.
func (p Plan) has(f faults.Fault, id string) bool {
	if p.Share <= 1 || f.Component == reference || slices.Contains(f.Named, id) {
		return true
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, p.Seed, f.ID, id)
	return h.Sum64()%uint64(p.Share) == 0
}

// weigh compares what failed with what the fault names. A named expectation
// that this placement cannot exercise is not held against it.
func (r *Result) weigh(findings []harness.Finding, either []string) {
	r.Reasons = map[string]string{}
	exercised := map[string]bool{}
	for _, f := range findings {
		if slices.Contains(either, f.ID) {
			continue
		}
		if f.Verdict == harness.Pass || f.Verdict == harness.Fail {
			r.Judged++
		}
		switch f.Verdict {
		case harness.Fail:
			r.CaughtBy = append(r.CaughtBy, f.ID)
			r.Reasons[f.ID] = f.Reason
		case harness.Inconclusive, harness.Error:
			r.Masked = append(r.Masked, f.ID)
			r.Reasons[f.ID] = f.Reason
		}
		exercised[f.ID] = f.Verdict != harness.NotExercised && f.Verdict != harness.NotApplicable
	}
	named := slices.DeleteFunc(slices.Clone(r.Named), func(id string) bool { return !exercised[id] })
	r.Caught = len(named) > 0 && !slices.ContainsFunc(named, func(id string) bool { return !slices.Contains(r.CaughtBy, id) })
	r.Exact = r.Caught && !slices.ContainsFunc(r.CaughtBy, func(id string) bool { return !slices.Contains(r.Named, id) })
}

// String is the result in one line.
func (r Result) String() string {
	verdict := "caught"
	switch {
	case r.Error == "" && r.Component == reference:
		return fmt.Sprintf("%-8s %d false alarms: %s", r.ID, len(r.CaughtBy)+len(r.Masked), strings.Join(slices.Concat(r.CaughtBy, r.Masked), ", "))
	case r.Error != "":
		return fmt.Sprintf("%-8s %s: error: %s", r.ID, r.Component, r.Error)
	case !r.Caught:
		verdict = "SURVIVED"
	case !r.Exact:
		verdict = "caught, not exactly"
	}
	if r.First != "" {
		verdict = "once more, alone: " + verdict
	}
	line := fmt.Sprintf("%-8s %s by %s", r.ID, verdict, strings.Join(r.CaughtBy, ", "))
	if missed := without(r.Named, r.CaughtBy); len(missed) > 0 {
		line += "; named and not failed: " + strings.Join(missed, ", ")
	}
	if more := without(r.CaughtBy, r.Named); len(more) > 0 {
		line += "; failed and not named: " + strings.Join(more, ", ")
	}
	return line
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(id string) bool { return slices.Contains(b, id) })
}
