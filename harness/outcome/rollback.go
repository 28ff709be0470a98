package outcome

import (
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// RolledBack wants calls answered by their variant, and facts to be as they must,
// of a service that was deployed, rolled back or debugged (runbook section 7).
type RolledBack struct {
	Calls map[string]harness.Outcome // by variant, or by its beginning
	// Facts are what facts must be, and Controls what they must be for anything to
	// be told at all: a fact's values, joined by a comma.
	Facts, Controls map[string]string
	// Never names a fact that may not be.
	Never string
	// Meanwhile, if true, takes a call that had no answer for none: it was made
	// during a change.
	Meanwhile bool
}

// Want says what is wanted.
func (r RolledBack) Want(p harness.Profile) string {
	var words []string
	for _, name := range sortedKeys(r.Calls) {
		words = append(words, name+": "+r.Calls[name].Want(p))
	}
	for _, facts := range []map[string]string{r.Controls, r.Facts} {
		for _, name := range sortedKeys(facts) {
			words = append(words, name+": "+facts[name])
		}
	}
	if r.Never != "" {
		words = append(words, "no "+r.Never)
	}
	return strings.Join(words, "; ")
}

// Judge judges calls and facts.
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
		if problem := r.fact(f); problem != nil {
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
	for _, name := range sortedKeys(r.Calls) {
		if strings.HasPrefix(variant, name) {
			return r.Calls[name]
		}
	}
	return nil
}

func (r RolledBack) fact(f harness.Fact) *harness.Problem {
	got := strings.Join(slices.Compact(slices.Clone(f.Values)), ", ")
	if got == "" {
		got = "nothing"
	}
	if want, ok := r.Controls[f.Name]; ok && got != want {
		return &harness.Problem{Verdict: harness.Inconclusive, Got: f.Name + ": " + got, Want: want}
	}
	if want, ok := r.Facts[f.Name]; ok && got != want {
		return contract(f.Name+": "+got, want)
	}
	if f.Name == r.Never {
		return contract(f.Name+": "+got, "none")
	}
	return nil
}
