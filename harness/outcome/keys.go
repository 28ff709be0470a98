package outcome

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Unverifiable wants the refusal of a token that cannot be verified while the
// keys are out of reach: 401 or 503. A 500 is worth a note (rulings A-35).
func Unverifiable() Answers {
	return Unauthenticated().Or(503, 500).with(check{"500 noted", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		if x.Observation.Status == 500 {
			return nil, "answered 500 where 401 or 503 would say what is wrong (rulings A-35)"
		}
		return nil, ""
	}})
}

// PerCredential wants another outcome of each credential, by its name, whatever
// the situation it was presented in.
type PerCredential map[string]harness.Outcome

// Want says what is wanted of each.
func (c PerCredential) Want(p harness.Profile) string { return PerVariant(c).Want(p) }

// Judge judges each credential by its own outcome.
func (c PerCredential) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	renamed := harness.Trace{Exchanges: slices.Clone(t.Exchanges)}
	for i := range renamed.Exchanges {
		renamed.Exchanges[i].Request.Variant = renamed.Exchanges[i].Request.Credential
	}
	return PerVariant(c).Judge(p, renamed)
}

// All wants every one of some outcomes.
type All []harness.Outcome

// Want says what each wants.
func (a All) Want(p harness.Profile) string {
	var words []string
	for _, o := range a {
		words = append(words, o.Want(p))
	}
	return strings.Join(words, "; ")
}

// Judge asks each.
func (a All) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	for _, o := range a {
		one := o.Judge(p, t)
		j.Problems = append(j.Problems, one.Problems...)
		j.Notes = append(j.Notes, one.Notes...)
	}
	return j
}

// Prompt wants what another outcome wants, and an answer in time: none is a
// failure, and not a matter of not having been seen, where it was sent again and had
// none either.
func Prompt(o harness.Outcome) harness.Outcome { return prompt{o} }

type prompt struct{ harness.Outcome }

// Want adds the time.
func (o prompt) Want(p harness.Profile) string { return o.Outcome.Want(p) + ", in time" }

// stalled reports a call that had no answer in time whenever it was sent.
func stalled(o harness.Observation) bool {
	return o.Transport == harness.TimeOut && slices.Contains(o.Earlier, string(harness.TimeOut))
}

// Judge fails what was not answered in time.
func (o prompt) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Outcome.Judge(p, t)
	for i, problem := range j.Problems {
		if problem.Exchange >= 0 && stalled(t.Exchanges[problem.Exchange].Observation) {
			j.Problems[i].Verdict, j.Problems[i].Bucket = harness.Fail, harness.Contract
		}
	}
	return j
}

// Telling notes the facts beside what another outcome wants.
func Telling(o harness.Outcome) harness.Outcome { return telling{o} }

type telling struct{ harness.Outcome }

// Judge adds the facts.
func (o telling) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Outcome.Judge(p, t)
	for _, f := range t.Facts {
		j.Notes = append(j.Notes, f.Name()+" "+f.Value())
	}
	return j
}

// Count wants a number that was counted to be 0 wherever it was, and to have
// been counted once at least: else it was not seen.
type Count struct {
	Of harness.CountOf
	// UnlessEnded needs nothing counted where a replica ended.
	UnlessEnded bool
	Bucket      harness.Bucket
}

// Want says what is wanted.
func (c Count) Want(harness.Profile) string { return "no " + string(c.Of) }

// Judge looks at the counts.
func (c Count) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	counts := c.Of.In(t)
	for _, n := range counts {
		if n != 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: c.Bucket, Exchange: -1,
				Got: fmt.Sprintf("%d %s", n, c.Of), Want: c.Want(p)})
		}
	}
	if len(counts) == 0 && !(c.UnlessEnded && len(harness.ReplicaEnded.In(t)) > 0) {
		return harness.Judgement{Problems: []harness.Problem{{Verdict: harness.Inconclusive, Exchange: -1, Got: "nothing was counted",
			Want: c.Want(p)}}}
	}
	return j
}

// OrExit wants what another outcome wants of a replica that answers; one that
// ended served nobody (rulings A-29).
type OrExit struct{ harness.Outcome }

// Want adds the exit.
func (o OrExit) Want(p harness.Profile) string { return o.Outcome.Want(p) + "; or an exit" }

// Judge leaves out that nothing was seen, where the replica ended.
func (o OrExit) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Outcome.Judge(p, t)
	if len(harness.ReplicaEnded.In(t)) > 0 {
		j.Problems = slices.DeleteFunc(j.Problems, func(x harness.Problem) bool {
			return x.Verdict == harness.Inconclusive && x.Exchange < 0
		})
	}
	return j
}

// Sparing wants 401 for every unknown kid, and no more fetches of the key set
// than are declared for a minute, beside those that the service makes anyway.
type Sparing struct{}

// Want says what is wanted.
func (Sparing) Want(p harness.Profile) string {
	return fmt.Sprintf("%s, and at most %d fetches of the JWKS%s", Unauthenticated().Want(p), declaredFetches(p), anyway(p))
}

func declaredFetches(p harness.Profile) int { return cmp.Or(p.KeyFetches, harness.DefaultKeyFetches) }

func anyway(p harness.Profile) string {
	if p.KeyRefresh <= 0 {
		return ""
	}
	return fmt.Sprintf(" beside one every %s", p.KeyRefresh)
}

// Judge counts. A flood that lasted so long that as many fetches were due
// anyway tells nothing.
func (s Sparing) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := Unauthenticated().Judge(p, t)
	counted, timed := harness.KeySetFetches.In(t), harness.FloodLasted.In(t)
	if len(counted) != 1 || len(timed) != 1 {
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1, Got: "fetches were not counted",
			Want: s.Want(p)})
		return j
	}
	fetches, lasted := counted[0], timed[0].Duration
	due := 0
	if p.KeyRefresh > 0 {
		due = int(lasted/p.KeyRefresh) + 1
	}
	minutes := 1 + int(lasted/time.Minute)
	switch {
	case fetches > declaredFetches(p)*minutes+due:
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
			Got: fmt.Sprintf("%d fetches of the JWKS within %s", fetches, lasted.Round(time.Millisecond)), Want: s.Want(p)})
	case due >= len(t.Exchanges):
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
			Got: fmt.Sprintf("the flood lasted %s, in which %d fetches were due anyway", lasted.Round(time.Millisecond), due), Want: s.Want(p)})
	}
	j.Notes = append(j.Notes, fmt.Sprintf("%d fetches of the JWKS during %d unknown kids", fetches, len(t.Exchanges)))
	return j
}

// Deterministic wants the same status to the same credential at every endpoint
// every time, and what each credential's own outcome wants.
type Deterministic struct{ PerCredential }

// Want adds the sameness.
func (d Deterministic) Want(p harness.Profile) string {
	return d.PerCredential.Want(p) + "; the same every time"
}

// Judge compares.
func (d Deterministic) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := d.PerCredential.Judge(p, t)
	first := map[string]int{}
	for i, x := range t.Exchanges {
		if unseen(x.Observation) {
			continue
		}
		name := x.Request.Credential
		before, ok := first[name]
		if !ok {
			first[name] = x.Observation.Status
			j.Notes = append(j.Notes, fmt.Sprintf("%s: %s", name, Answer(x.Observation)))
			continue
		}
		if x.Observation.Status != before {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i,
				Got: fmt.Sprintf("%s, and %d before", Answer(x.Observation), before), Want: "the same every time"})
		}
	}
	return j
}

// Shown wants what another outcome wants of a control that a stimulus brings:
// where it fails, nothing was seen.
func Shown(o harness.Outcome) harness.Outcome { return shown{o} }

type shown struct{ harness.Outcome }

// Judge makes every failure inconclusive.
func (o shown) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Outcome.Judge(p, t)
	for i := range j.Problems {
		j.Problems[i].Verdict, j.Problems[i].Bucket = harness.Inconclusive, ""
		j.Problems[i].Got = "the control: " + j.Problems[i].Got
	}
	return j
}
