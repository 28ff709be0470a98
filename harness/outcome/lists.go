package outcome

import (
	"fmt"

	"aegis.test/conformance/harness"
)

// RefusesOrForbids wants the process to end with a non-zero status, or to serve
// nobody at all: a list that cannot be read, or is none, enrols nobody, and not
// a part of it either (rulings A-17).
func RefusesOrForbids() Startup {
	const want = "an exit with a non-zero status, or nobody served"
	return Startup{want, func(p harness.Profile, s harness.Startup) *harness.Problem {
		for _, x := range s.After {
			switch status := x.Observation.Status; {
			case wasServed(x.Observation):
				return security(fmt.Sprintf("%s with %s was answered %d %s", x.Request.Endpoint.Path, x.Request.Credential, status, s.Variant))
			case status != 401 && status != 403 && status != 503:
				return contract(fmt.Sprintf("answered %s to %s at %s %s", Answer(x.Observation), x.Request.Credential, x.Request.Endpoint.Path,
					s.Variant), want)
			}
		}
		if s.Exited && s.Code != 0 || !s.Exited && len(s.After) > 0 {
			return nil
		}
		return contract(ended(s)+" "+s.Variant, want)
	}}
}

// Clean wants the calls denied, and no name found on the list afterwards that they would
// have left behind.
type Clean struct{ Answers }

// Want says what is wanted.
func (c Clean) Want(p harness.Profile) string {
	return c.Answers.Want(p) + "; and nothing left behind"
}

// Judge judges the calls, and what was found.
func (c Clean) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := c.Answers.Judge(p, t)
	for range harness.MarkerFound.In(t) {
		problem := security(string(harness.MarkerFound))
		problem.Exchange = -1
		j.Problems = append(j.Problems, *problem)
	}
	return j
}
