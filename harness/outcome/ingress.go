package outcome

import (
	"fmt"
	"net/url"
	"strings"

	"aegis.test/conformance/harness"
)

// Elsewhere wants nothing served at other places than a mode's face: a denial
// of any kind, a redirect to https, or nobody there (rulings ). What
// goes to the face itself is judged as Unauthenticated.
type Elsewhere struct {
	// Same, if true, causes the face's own denial to be wanted there too, from
	// whoever answers.
	Same bool
}

// Want says what is wanted.
func (e Elsewhere) Want(p harness.Profile) string {
	if e.Same {
		return "there too " + Unauthenticated().Want(p) + ", or nobody there"
	}
	return "a denial, a redirect to https, or nobody there; at the face itself " + Unauthenticated().Want(p)
}

// Judge judges every exchange.
func (e Elsewhere) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	var j harness.Judgement
	for i, x := range t.Exchanges {
		o := x.Observation
		switch {
		case x.Request.Face == nil || e.Same && o.Transport == harness.Answered:
			Unauthenticated().judge(p, i, x, &j)
		case nobodys(x):
			j.Notes = add(j.Notes, x.Request.Variant+": "+nobodysWords(x))
		case o.Transport == harness.Answered:
			if problem := elsewhere(x); problem != nil {
				problem.Exchange = i
				j.Problems = append(j.Problems, *problem)
			}
		case o.Transport == harness.Broken:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: Answer(o), Want: e.Want(p)})
		}
	}
	return j
}

func elsewhere(x harness.Exchange) *harness.Problem {
	o, want := x.Observation, "nothing served there"
	switch {
	case o.Status >= 200 && o.Status < 300:
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Got: Answer(o) + ": the request was served", Want: want}
	case o.Status >= 300 && o.Status < 400 && !toHTTPS(o.Header.Get("Location")):
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract,
			Got: fmt.Sprintf("a redirect to %q", o.Header.Get("Location")), Want: "a redirect to https, or none"}
	case o.Status == 500:
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Got: "500: the service broke", Want: want}
	}
	return nil
}

// toHTTPS reports whether a Location leads to https.
func toHTTPS(location string) bool {
	u, err := url.Parse(location)
	return err == nil && strings.EqualFold(u.Scheme, "https") && u.Host != ""
}

// Blocked wants requests not to have reached the service, by its own log
// (runbook section 3: block traffic to the backend).
func (a Answers) Blocked() Answers {
	return a.with(check{"no line in the service's request log", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		switch reached := x.Observation.Reached; {
		case reached == nil || !reached.Complete:
			return &harness.Problem{Verdict: harness.Inconclusive, Got: "whether it reached the service was not seen", Want: "its request log"}, ""
		case reached.Seen > 0:
			return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract,
				Got: Answer(x.Observation) + ", and the request reached the service", Want: "a refusal by the ingress"}, ""
		}
		return nil, ""
	}})
}

// Through is an outcome during a change of the target: an exchange that ended
// without an answer is no denial, and no service either.
type Through struct{ Outcome harness.Outcome }

// Want says what is wanted.
func (w Through) Want(p harness.Profile) string {
	return w.Outcome.Want(p) + ", all the while; no answer is none"
}

// Judge judges the exchanges that were answered.
func (w Through) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	answered, lost := t, 0
	answered.Exchanges = nil
	for _, x := range t.Exchanges {
		if unseen(x.Observation) || inTLS(x.Observation) && !p.NoCertificate.Has(harness.TLSAlert) {
			lost++
			continue
		}
		answered.Exchanges = append(answered.Exchanges, x)
	}
	j := w.Outcome.Judge(p, answered)
	for i := range j.Problems {
		j.Problems[i].Exchange = -1 // its place in another list
	}
	if lost > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("%d of %d calls had no answer meanwhile", lost, len(t.Exchanges)))
	}
	return j
}

// FailsClosed wants 403 or 503, and never a success, while something that must
// be asked does not answer (ASVS 16.5.3). Any other denial is noted.
type FailsClosed struct{}

// Want says what is wanted.
func (FailsClosed) Want(harness.Profile) string { return "403 or 503, and no success" }

// Judge judges every exchange.
func (f FailsClosed) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	var j harness.Judgement
	for i, x := range t.Exchanges {
		o := x.Observation
		switch {
		case o.Status == 403 || o.Status == 503:
		case o.Status >= 200 && o.Status < 300:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: i, Got: Answer(o) +
				": the request was served", Want: f.Want(p)})
		case o.Status == 0:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: Answer(o), Want: f.Want(p)})
		default:
			j.Notes = add(j.Notes, "denied by "+Answer(o))
		}
	}
	return j
}
