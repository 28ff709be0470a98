// Package faults tests the suites: it plants each seeded fault in a stack of
// its own and sees which expectations fail. A fault is caught when those it
// names fail; it is exact when no other does.
package faults

import (
	"cmp"
	"context"
	"fmt"
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
	// Missed are the named expectations that were judged and did not fail.
	Missed []string `json:"missed"`
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
	// Sample, if it has a seed, judges a fault in share on everything that its rig
	// holds, and the others on what they name. The reference is judged on all.
	Sample Sample
	// Each receives results as they come, one at a time; nil discards.
	Each     func(Result)
	Progress func(string)

	whole []string // of Whole, while it runs
}

// share is of how many faults of a sample one is judged on everything.
const share = 8

// Whole are the IDs of the faults that are judged on everything that their rigs
// hold.
func (p Plan) Whole() []string {
	var ids []string
	for _, f := range p.Faults {
		if f.Component != reference {
			ids = append(ids, f.ID)
		}
	}
	return p.Sample.Of(ids, (len(ids)+share-1)/share)
}

// Told is what a matrix of the plan is, in one line: how much was planted, and what
// chose it.
func (p Plan) Told() string {
	whole := p.Whole()
	all := len(slices.DeleteFunc(slices.Clone(p.Faults), func(f faults.Fault) bool { return f.Component == reference }))
	line := fmt.Sprintf("planted %d of %d on everything, %d of %d on what they name", len(whole), all, all, all)
	if p.Sample.Seed != "" {
		line += fmt.Sprintf(", seed %s; all: make test-all, conformance faults --whole", p.Sample.Seed)
	}
	return line
}

// parallel is how many stacks stand at once that mostly wait: for a start, an end
// or a bound.
const parallel = 16

// Run plants every fault and gives the results in the faults' order. Beside other
// stacks, what a service learns comes late: what was not exact is judged once more,
// alone, and that result counts.
func Run(ctx context.Context, p Plan) []Result {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many small stacks, on a machine with memory to spare
	p.whole = p.Whole()
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
	if slices.Contains(p.whole, f.ID) {
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
	r := Result{ID: f.ID, Component: f.Component, Says: f.Says, Origin: f.Origin, Runtime: p.Runtime, Named: f.Falls(), CaughtBy: []string{}, Masked: []string{}, Missed: []string{}}
	s, err := stack.Start(ctx, stack.Spec{Runtime: p.Runtime, Run: run.NewID(), Fault: p.placed(f), HA: f.HA, Ingress: p.Ingress, Service: p.Service, Progress: p.Progress})
	if err != nil {
		r.Error = fmt.Sprintf("starting a stack with %s planted: %v", f.ID, err)
		return r
	}
	defer func() { _ = s.Stop(context.WithoutCancel(ctx)) }()
	narrow(s.Target, f)
	expectations := p.expectations(f)
	if p.rig(f) == serviceRig {
		expectations = bare(s.Target, expectations)
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
	r.Missed = without(named, r.CaughtBy)
	r.Caught = len(named) > 0 && len(r.Missed) == 0
	r.Exact = r.Caught && !slices.ContainsFunc(r.CaughtBy, func(id string) bool { return !slices.Contains(r.Named, id) })
}

// inPart reports whether some of what the fault names failed.
func (r Result) inPart() bool {
	return slices.ContainsFunc(r.CaughtBy, func(id string) bool { return slices.Contains(r.Named, id) })
}

// String is the result in one line.
func (r Result) String() string {
	verdict := "caught"
	switch {
	case r.Error == "" && r.Component == reference:
		return fmt.Sprintf("%-8s %d false alarms: %s", r.ID, len(r.CaughtBy)+len(r.Masked), strings.Join(slices.Concat(r.CaughtBy, r.Masked), ", "))
	case r.Error != "":
		return fmt.Sprintf("%-8s %s: error: %s", r.ID, r.Component, r.Error)
	case !r.Caught && r.inPart():
		verdict = "caught in part"
	case !r.Caught:
		verdict = "SURVIVED"
	case !r.Exact:
		verdict = "caught, not exactly"
	}
	if r.First != "" {
		verdict = "once more, alone: " + verdict
	}
	line := fmt.Sprintf("%-8s %s by %s", r.ID, verdict, strings.Join(r.CaughtBy, ", "))
	if len(r.Missed) > 0 {
		line += "; named and not failed: " + strings.Join(r.Missed, ", ")
	}
	if more := without(r.CaughtBy, r.Named); len(more) > 0 {
		line += "; failed and not named: " + strings.Join(more, ", ")
	}
	return line
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(id string) bool { return slices.Contains(b, id) })
}
