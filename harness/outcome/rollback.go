package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// RolledBack wants calls answered by their variant, and facts to be as they must,
// of a service that was deployed, rolled back or debugged (runbook section 7).
type RolledBack struct {
	Calls map[string]harness.Outcome // by variant, or by its beginning
	// States are what states must be, and Controls what they must be for anything to
	// be told at all: each thing once, joined by a comma.
	States, Controls map[harness.StateOf]string
	// Never is a state that may not be.
	Never harness.StateOf
	// Meanwhile, if true, takes a call that had no answer for none: it was made
	// during a change.
	Meanwhile bool
}

// Want says what is wanted.
func (r RolledBack) Want(p harness.Profile) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(r.Calls)) {
		words = append(words, name+": "+r.Calls[name].Want(p))
	}
	for _, states := range []map[harness.StateOf]string{r.Controls, r.States} {
		for _, key := range slices.Sorted(maps.Keys(states)) {
			words = append(words, string(key)+": "+states[key])
		}
	}
	if r.Never != "" {
		words = append(words, "no "+string(r.Never))
	}
	return strings.Join(words, "; ")
}

// Judge judges calls and states.
func (r RolledBack) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Exchanges)+len(t.Facts) == 0 {
		return nothing()
	}
	var j harness.Judgement
	lost := 0
	for i, x := range t.Exchanges {
		want := r.outcome(x.Request.Variant)
		switch {
		case want == nil:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Error, Exchange: i,
				Got: fmt.Sprintf("variant %q", x.Request.Variant), Want: "a variant with an outcome of its own"})
		case r.Meanwhile && (unseen(x.Observation) || inTLS(x.Observation) && !p.NoCertificate.Has(harness.TLSAlert)):
			lost++
		default:
			one := want.Judge(p, harness.Trace{Exchanges: []harness.Exchange{x}})
			for _, problem := range one.Problems {
				problem.Exchange = i
				j.Problems = append(j.Problems, problem)
			}
		}
	}
	if lost > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("%d of %d calls had no answer meanwhile", lost, len(t.Exchanges)))
	}
	for _, f := range t.Facts {
		if problem := r.state(f); problem != nil {
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	return j
}

func (r RolledBack) outcome(variant string) harness.Outcome {
	if want, ok := r.Calls[variant]; ok {
		return want
	}
	for _, name := range slices.Sorted(maps.Keys(r.Calls)) {
		if strings.HasPrefix(variant, name) {
			return r.Calls[name]
		}
	}
	return nil
}

func (r RolledBack) state(f harness.Fact) *harness.Problem {
	key, ok := f.Key().(harness.StateOf)
	if !ok {
		return nil
	}
	is := harness.Trace{Facts: []harness.Fact{f}}
	got := strings.Join(slices.Compact(slices.Clone(key.In(is)[0].Is)), ", ")
	if got == "" {
		got = "nothing"
	}
	if want, ok := r.Controls[key]; ok && got != want {
		return &harness.Problem{Verdict: harness.Inconclusive, Exchange: -1, Got: f.Name() + ": " + got, Want: want}
	}
	if want, ok := r.States[key]; ok && got != want {
		return contract(f.Name()+": "+got, want)
	}
	if key == r.Never {
		return contract(f.Name()+": "+got, "none")
	}
	return nil
}
