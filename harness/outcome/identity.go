package outcome

import (
	"fmt"
	"slices"

	"aegis.test/conformance/harness"
)

// NotIdentified wants the denial of a client whose certificate verifies and
// whose name is not the enrolled one's: 403; or 401 where the ingress takes the
// name for no identity at all, or refuses the certificate as the profile says
// (rulings A-26).
func NotIdentified() Answers {
	return Answers{
		words: func(p harness.Profile) string {
			return "403, or 401 where the name is taken for none, or the certificate refused: " + refusal(p.BadCertificate).String()
		},
		allowed: func(p harness.Profile, _ harness.Exchange) classes {
			c := refusal(p.BadCertificate)
			c.statuses = append(slices.Clip(c.statuses), 401, 403)
			return c
		},
	}
}

// NeverBoth wants each of some variants denied, and fails only where more than
// one of them is served at one endpoint: sound stacks differ in which of two
// names they take, and none takes both (rulings A-26).
type NeverBoth struct{ Denial Answers }

// Want says what is wanted.
func (n NeverBoth) Want(p harness.Profile) string {
	return n.Denial.Want(p) + "; never served in more than one of the orders"
}

// Judge judges by endpoint.
func (n NeverBoth) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	served := map[string]int{}
	for _, x := range t.Exchanges {
		if wasServed(x.Observation) {
			served[x.Request.Endpoint.Path]++
		}
	}
	j := n.Denial.Judge(p, t)
	j.Problems = slices.DeleteFunc(j.Problems, func(problem harness.Problem) bool {
		if problem.Exchange < 0 {
			return false
		}
		x := t.Exchanges[problem.Exchange]
		once := wasServed(x.Observation) && served[x.Request.Endpoint.Path] == 1
		if note := fmt.Sprintf("served with %s: one of two names is taken for the identity", x.Request.Variant); once &&
			!slices.Contains(j.Notes, note) {
			j.Notes = append(j.Notes, note)
		}
		return once
	})
	return j
}

func wasServed(o harness.Observation) bool { return o.Status >= 200 && o.Status < 300 }

// Unreachable wants a call past the ingress to come to nothing: nobody to be
// reached there, or 401 or 403 (RFC 9440 section 4).
type Unreachable struct{}

// Want says what is wanted.
func (Unreachable) Want(harness.Profile) string { return "unreachable, or 401 or 403" }

// Judge judges every exchange.
func (Unreachable) Judge(_ harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		o := x.Observation
		switch {
		case o.Transport != harness.Answered, o.Status == 401, o.Status == 403, o.Status == 421:
			continue
		case wasServed(o):
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: i,
				Got: Answer(o) + ": the service believes whoever reaches it", Want: "unreachable, or 401 or 403"})
		default:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i,
				Got: Answer(o), Want: "unreachable, or 401 or 403"})
		}
	}
	return j
}

// AcceptedOr wants a documented success or one of some denials, and the caller
// served as his certificate's identity where the service's log can be asked.
func AcceptedOr(statuses ...int) Answers {
	return Accepted().Or(statuses...).with(check{"served, if at all, as the identity of the certificate", func(p harness.Profile,
		x harness.Exchange) (*harness.Problem, string) {
		reached := x.Observation.Reached
		if !p.Accepts(x.Observation.Status) || reached == nil || !reached.Complete {
			return nil, ""
		}
		problem, note := Accepted().AsCertified().checks[0].judge(p, x)
		return problem, note
	}})
}

// AsBefore wants what a caller is answered without what was added: who showed
// no certificate as Unauthenticated says, who is not enrolled 403.
func AsBefore() Answers {
	none := Unauthenticated()
	return Answers{
		claims: true,
		words:  func(p harness.Profile) string { return none.words(p) + "; with one that is not enrolled 403" },
		allowed: func(p harness.Profile, x harness.Exchange) classes {
			if x.Request.Certificate != nil {
				return classes{statuses: []int{403}}.and(asked(x))
			}
			return none.allowed(p, x)
		},
	}
}

// believed reports a caller without a certificate whom the service itself knows, and
// does not allow: it has taken him for whom he says he is.
func believed(x harness.Exchange) bool {
	reached := x.Observation.Reached
	return x.Request.Certificate == nil && x.Observation.Status == 403 && reached != nil && reached.Seen > 0
}
