package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// NeverServed wants nobody served, however he is denied: of calls that are odd in many ways
// sound stacks differ in the denial, and other expectations hold each to its own. What the
// odd ways leave untold is noted; a caller of whom nothing was seen is not judged.
type NeverServed struct {
	Plain string // the way that is not odd: nothing is left untold there
}

// Want says what is wanted.
func (NeverServed) Want(harness.Profile) string { return "any denial" }

// Judge judges every exchange.
func (n NeverServed) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	var j harness.Judgement
	var untold []string
	told := map[string]bool{} // callers, and whether anything was seen of them
	for i, x := range t.Exchanges {
		o, who := x.Observation, string(x.Request.Mode)+": "+x.Request.Credential
		told[who] = told[who] || false
		problem := answered(x, classes{}, false)
		switch {
		case unoffered(x) != "":
			told[who] = true
		case problem != nil && problem.Bucket == harness.Security:
			problem.Exchange, problem.Want = i, n.Want(p)
			j.Problems = append(j.Problems, *problem)
		case o.Status == 101:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: i,
				Got: "101: the protocol was switched", Want: n.Want(p)})
		case o.Status == 429, unseen(o) && strings.Contains(x.Request.Variant, ", "+n.Plain):
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: Answer(o), Want: n.Want(p)})
		case unseen(o):
			untold = add(untold, fmt.Sprintf("%s (%s)", x.Request.Variant, Answer(o)))
		default:
			told[who] = true
		}
	}
	for _, who := range slices.Sorted(maps.Keys(told)) {
		if !told[who] && len(j.Problems) == 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: "no answer that tells anything of " + who, Want: n.Want(p)})
		}
	}
	if len(untold) > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("%d of %d calls had no answer that tells anything, as by %s", len(untold), len(t.Exchanges),
			strings.Join(untold[:min(3, len(untold))], "; ")))
	}
	if stoodIn(t.Exchanges) {
		j.Notes = append(j.Notes, "who shows no certificate is refused in TLS by every way: who is not enrolled stood in nobody's place")
	}
	return j
}

// stoodIn reports whether all calls without a certificate in mode mtls ended in TLS.
func stoodIn(exchanges []harness.Exchange) bool {
	some := false
	for _, x := range exchanges {
		if x.Request.Mode != harness.MTLS || x.Request.Certificate != nil {
			continue
		}
		if x.Observation.Transport == harness.Answered {
			return false
		}
		some = true
	}
	return some
}
