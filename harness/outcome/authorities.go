package outcome

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
)

// OwnAuthorities wants no authority of clients to be one of the public's.
type OwnAuthorities struct{}

// Want says what is wanted.
func (OwnAuthorities) Want(harness.Profile) string {
	return "authorities of clients that are the deployment's own, and no public one"
}

// maxTold is how many authorities are told by name: a system has some 150.
const maxTold = 3

// Judge judges each authority by what is wrong of it.
func (o OwnAuthorities) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	named := harness.AuthorityNamed.In(t)
	if len(named) == 0 {
		return nothing()
	}
	var wrong []string
	for _, authority := range named {
		if len(authority.Is) > 0 {
			wrong = append(wrong, fmt.Sprintf("%q, %s", authority.Of, strings.Join(authority.Is, ", ")))
		}
	}
	if len(wrong) == 0 {
		return harness.Judgement{}
	}
	got := fmt.Sprintf("%d of %d authorities of clients that are public: %s", len(wrong), len(named), strings.Join(wrong[:min(len(wrong), maxTold)], "; "))
	problem := contract(got, o.Want(p))
	problem.Exchange = -1
	return harness.Judgement{Problems: []harness.Problem{*problem}}
}
