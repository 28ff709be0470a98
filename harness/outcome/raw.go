package outcome

import (
	"fmt"
	"regexp"

	"aegis.test/conformance/harness"
)

// One wants one answer and no other on a connection: a second one is to a
// request that was never sent as such (RFC 9112 section 11.2). One that was
// served fails, and one denied in another way too; one denied alike is noted,
// for an ingress that itself finds two requests has judged each of them.
type One struct{ Answers }

// Want says what is wanted.
func (o One) Want(p harness.Profile) string {
	return o.Answers.Want(p) + "; no further answer on the connection but the same denial"
}

// Judge judges the answers and counts them.
func (o One) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Answers.Judge(p, t)
	for i, x := range t.Exchanges {
		for _, status := range x.Observation.Further {
			got := fmt.Sprintf("%s, and a further answer %d", Answer(x.Observation), status)
			switch {
			case status >= 200 && status < 300:
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: i, Got: got,
					Want: "exactly one answer"})
			case status >= 400 && status < 500 && status == x.Observation.Status:
				j.Notes = add(j.Notes, got)
			default:
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i, Got: got,
					Want: "exactly one answer"})
			}
		}
	}
	return j
}

// Pair wants two answers on a connection: the first call's and the second's,
// each by itself.
type Pair struct{ First, Second int }

// Want says what is wanted.
func (w Pair) Want(harness.Profile) string { return fmt.Sprintf("%d, then %d", w.First, w.Second) }

// Judge wants the call without a credential refused, whichever it is. The one
// with a credential may go unanswered: a server may close after a refusal.
func (w Pair) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	for i, x := range t.Exchanges {
		got := append([]int{x.Observation.Status}, x.Observation.Further...)
		fail := func(b harness.Bucket, v harness.Verdict) {
			j.Problems = append(j.Problems, harness.Problem{Verdict: v, Bucket: b, Exchange: i,
				Got: fmt.Sprintf("answers %v", got), Want: w.Want(p)})
		}
		switch {
		case x.Observation.Status == 0:
			fail("", harness.Inconclusive)
		case w.First == 401 && p.Accepts(got[0]), w.Second == 401 && len(got) > 1 && p.Accepts(got[1]), len(got) > 2:
			fail(harness.Security, harness.Fail)
		case got[0] != w.First && !(p.Accepts(w.First) && p.Accepts(got[0])):
			fail(harness.Contract, harness.Fail)
		case w.Second == 401 && len(got) == 1:
			fail("", harness.Inconclusive)
		case len(got) > 1 && got[1] != w.Second && !(p.Accepts(w.Second) && p.Accepts(got[1])):
			fail(harness.Contract, harness.Fail)
		}
	}
	return j
}

// Headless wants a denial, or an answer of HTTP/0.9: a body without a head, in
// which no error is hidden that the word for it does not name (RFC 1945 section
// 6). Such a body is told apart by its words alone. A server that waits for more, as
// one that knows no HTTP/0.9 does, serves nobody.
type Headless struct{ Answers }

// Judge judges what has a head as a denial; what has none by its words.
func (h Headless) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	for i, x := range t.Exchanges {
		if x.Observation.Transport != harness.Malformed {
			one := h.Answers.tolerating(harness.TimeOut).Judge(p, harness.Trace{Exchanges: []harness.Exchange{x}})
			for _, problem := range one.Problems {
				problem.Exchange = i
				j.Problems = append(j.Problems, problem)
			}
			continue
		}
		if !namesOf(x.Observation.Body) {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: i,
				Got: "an answer without a head that names no refusal", Want: h.Want(p)})
		}
	}
	return j
}

// namesOf reports whether a body names a refusal, in words or by its status.
func namesOf(body []byte) bool { return refusalWords.Match(body) }

var refusalWords = regexp.MustCompile(`(?i)\b4\d\d\b|unauthori|forbidden|bad request|not allowed|not found|required|denied|refused|invalid`)

// NoTunnel takes a switch of protocols for a call that was served.
type NoTunnel struct{ Answers }

// Want says what is wanted.
func (n NoTunnel) Want(p harness.Profile) string { return n.Answers.Want(p) + "; never 101" }

// Judge judges every exchange.
func (n NoTunnel) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := n.Answers.Judge(p, t)
	for i, problem := range j.Problems {
		if problem.Exchange >= 0 && t.Exchanges[problem.Exchange].Observation.Status == 101 {
			j.Problems[i].Verdict, j.Problems[i].Bucket = harness.Fail, harness.Security
			j.Problems[i].Got = "101: the protocol was switched for a caller who is nobody"
		}
	}
	return j
}

// Preflight wants an answer to a browser's preflight in which no handler ran: a
// success is one (rulings A-23).
func Preflight() Answers {
	denied := Denied().Or(400, 421)
	a := Answers{accepts: true,
		words: func(p harness.Profile) string { return "200 or 204 without a handler, or " + denied.words(p) },
		allowed: func(p harness.Profile, x harness.Exchange) classes {
			c := denied.allowed(p, x)
			c.statuses = append([]int{200, 204}, c.statuses...)
			return c
		},
	}
	return a.with(check{"no handler", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		if reached := x.Observation.Reached; reached == nil || reached.Handled == 0 {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Security,
			Got: Answer(x.Observation) + ", and the preflight reached the handler", Want: "no handler"}, ""
	}})
}
