package outcome

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/challenge"
)

// Either tolerates the answers of both, where sound stacks differ.
func Either(a, b Answers) Answers {
	return Answers{
		accepts: a.accepts || b.accepts,
		genuine: a.genuine && b.genuine,
		words:   func(p harness.Profile) string { return a.words(p) + " or " + b.words(p) },
		allowed: func(p harness.Profile, x harness.Exchange) classes {
			one, other := a.allowed(p, x), b.allowed(p, x)
			return classes{statuses: slices.Concat(one.statuses, other.statuses), tls: one.tls || other.tls}
		},
		checks: slices.Concat(a.checks, b.checks),
	}
}

// NeverBreaks takes any answer but a 5xx.
func NeverBreaks() Answers {
	return Answers{
		accepts: true,
		words:   func(harness.Profile) string { return "anything but a 5xx" },
		allowed: func(_ harness.Profile, x harness.Exchange) classes {
			c := classes{tls: true}
			if s := x.Observation.Status; s >= 200 && s < 500 {
				c.statuses = []int{s}
			}
			return c
		},
	}
}

// Genuine says that the credential is its owner's own and in force, and only oddly
// spelled: to take it, or to break on it, is a detail of an RFC and no hole.
func (a Answers) Genuine() Answers {
	a.genuine = true
	return a
}

// Recorded notes each variant's answer: what sound stacks differ in is worth
// telling.
func (a Answers) Recorded() Answers {
	return a.with(check{"recorded", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		return nil, fmt.Sprintf("%s: %s", x.Request.Variant, Answer(x.Observation))
	}})
}

// TooBig tolerates the ways in which a server does not read what is too big for
// it, a close of the connection included (rulings A-32).
func (a Answers) TooBig() Answers {
	a = a.Or(400, 413, 414, 431, 494)
	words, allowed := a.words, a.allowed
	a.words = func(p harness.Profile) string { return words(p) + ", or a close" }
	a.allowed = func(p harness.Profile, x harness.Exchange) classes {
		c := allowed(p, x)
		c.tls = true
		return c
	}
	return a
}

// Scoped notes a challenge that does not name insufficient_scope (RFC 6750
// section 3.1).
func (a Answers) Scoped() Answers {
	return a.with(check{"a challenge that names insufficient_scope", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		if bearer, _ := challenge.Bearer(x); x.Observation.Status != 403 || bearer.Says() == "insufficient_scope" {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol,
			Got: "403 without error=\"insufficient_scope\"", Want: "WWW-Authenticate: Bearer error=\"insufficient_scope\""}, ""
	}})
}

// Unreflected wants nothing of the token's claims that begins with the mark in
// the answer (ASVS 9.1.1).
func (a Answers) Unreflected(mark string) Answers {
	return a.with(check{"no claim of the token in the answer", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		said := string(x.Observation.Body)
		for name, values := range x.Observation.Header {
			said += "\n" + name + ": " + strings.Join(values, "\n")
		}
		for _, claim := range slices.Sorted(maps.Keys(claims(x.Request))) {
			value, _ := claims(x.Request)[claim].(string)
			if strings.HasPrefix(value, mark) && strings.Contains(said, value) {
				return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract,
					Got: fmt.Sprintf("an answer that shows the token's unverified %s", claim), Want: "nothing of the token's claims"}, ""
			}
		}
		return nil, ""
	}})
}

// claims are what a request's bearer says, or nil.
func claims(r harness.Request) map[string]any {
	segments := strings.Split(strings.TrimPrefix(r.Get("Authorization"), "Bearer "), ".")
	if len(segments) < 2 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(segments[1])
	var members map[string]any
	if err != nil || json.Unmarshal(payload, &members) != nil {
		return nil
	}
	return members
}

// AsSubject wants the caller to have been served as the subject of his own
// token, where the service's log tells whom it served.
func (a Answers) AsSubject() Answers {
	return a.with(check{"served as the token's subject, where that shows", func(_ harness.Profile, x harness.Exchange) (*harness.Problem,
		string) {
		reached := x.Observation.Reached
		if reached == nil || !reached.Complete {
			return nil, "whom the service served was not seen: no request log"
		}
		want, _ := claims(x.Request)["sub"].(string)
		for _, got := range reached.Identity {
			if got != want {
				return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Security,
					Got: "served as another caller's subject", Want: "served as the token's subject"}, ""
			}
		}
		return nil, ""
	}})
}

// Same wants every exchange to be answered alike, whatever the endpoint.
type Same struct{ Each Answers }

// Want says what is wanted.
func (s Same) Want(p harness.Profile) string { return s.Each.Want(p) + "; everywhere the same" }

// Judge judges each exchange, and then all together.
func (s Same) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := s.Each.Judge(p, t)
	for i, x := range t.Exchanges {
		first := t.Exchanges[0].Observation.Status
		if x.Observation.Status != 0 && first != 0 && x.Observation.Status != first {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i,
				Got: fmt.Sprintf("%d here, %d elsewhere", x.Observation.Status, first), Want: "the same answer everywhere"})
			break
		}
	}
	return j
}

// Apart wants another outcome of some variants than of the rest.
type Apart struct {
	Those PerVariant
	Rest  harness.Outcome
}

// Want says what is wanted of each.
func (a Apart) Want(p harness.Profile) string { return a.Those.Want(p) + "; others: " + a.Rest.Want(p) }

// Judge judges every variant as one: an outcome sees all its exchanges.
func (a Apart) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	parts := map[string][]int{}
	for i, x := range t.Exchanges {
		name := x.Request.Variant
		if _, ok := a.Those[name]; !ok {
			name = ""
		}
		parts[name] = append(parts[name], i)
	}
	for _, name := range append(slices.Sorted(maps.Keys(a.Those)), "") {
		want := a.Those[name]
		if name == "" {
			want = a.Rest
		}
		one := judgePart(want, p, t, parts[name])
		j.Problems, j.Notes = append(j.Problems, one.Problems...), append(j.Notes, one.Notes...)
	}
	return j
}

// judgePart judges some exchanges of a trace.
func judgePart(want harness.Outcome, p harness.Profile, t harness.Trace, indices []int) harness.Judgement {
	var part harness.Trace
	for _, i := range indices {
		part.Exchanges = append(part.Exchanges, t.Exchanges[i])
	}
	j := want.Judge(p, part)
	for k, problem := range j.Problems {
		if problem.Exchange >= 0 {
			j.Problems[k].Exchange = indices[problem.Exchange]
		}
	}
	return j
}

// Timely wants an answer to every variant where the baseline was answered, and
// notes one that took an order of magnitude longer. No bound is put on the time
// itself: machines are noisy.
type Timely struct {
	Each     harness.Outcome
	Baseline string // the variant that others are held against
}

// slow is the least that is worth a note.
const slow = 2 * time.Second

// Want says what is wanted.
func (w Timely) Want(p harness.Profile) string { return w.Each.Want(p) + "; an answer in time" }

// Judge judges each exchange, and then the time.
func (w Timely) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := w.Each.Judge(p, t)
	usual := w.usual(t)
	if usual == 0 {
		return j
	}
	for i, x := range t.Exchanges {
		switch o := x.Observation; {
		case stalled(o):
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i,
				Got: "no answer in time", Want: fmt.Sprintf("an answer, as %s has after %s", w.Baseline, usual.Round(time.Millisecond))})
		case o.Total > slow && o.Total > 10*usual:
			j.Notes = append(j.Notes, fmt.Sprintf("%s: an answer after %s, ten times what is usual", x.Request.Variant, o.Total.Round(time.Second)))
		}
	}
	return j
}

// usual is the longest that an answer to the baseline took.
func (w Timely) usual(t harness.Trace) (longest time.Duration) {
	for _, x := range t.Exchanges {
		if x.Request.Variant == w.Baseline && x.Observation.Transport == harness.Answered {
			longest = max(longest, x.Observation.Total)
		}
	}
	return longest
}

// Leeway measures how long after their exp tokens are taken: by variant, how
// long ago each expired. Up to free it is a note, from limit on a fail, and in
// between a warning (rulings A-09).
type Leeway struct {
	Ages        map[string]time.Duration
	Free, Limit time.Duration
}

// Want says what is wanted.
func (l Leeway) Want(harness.Profile) string {
	return fmt.Sprintf("401 from %s after exp on; before that 200 or 401, measured", l.Limit)
}

// Judge measures.
func (l Leeway) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var strict, free []int
	var leeway time.Duration
	for i, x := range t.Exchanges {
		age := l.Ages[x.Request.Variant]
		if age >= l.Limit {
			strict = append(strict, i)
			continue
		}
		free = append(free, i)
		if p.Accepts(x.Observation.Status) {
			leeway = max(leeway, age)
		}
	}
	j := judgePart(Unauthenticated(), p, t, strict)
	tolerated := judgePart(Either(Accepted(), Unauthenticated()), p, t, free)
	j.Problems = append(j.Problems, tolerated.Problems...)
	j.Notes = append(j.Notes, fmt.Sprintf("measured leeway of exp: %s or more, less than the next step", leeway))
	if leeway > l.Free {
		j.Notes = append(j.Notes, fmt.Sprintf("warning: a leeway of more than %s (RFC 7519 section 4.1.4: a few minutes)", l.Free))
	}
	return j
}

// Vectors wants every variant but the controls answered as the rest is, counts
// them, and notes which controls were taken: those that were not tell that
// their vectors were refused before anybody looked at what is wrong with them.
type Vectors struct {
	Rest     harness.Outcome
	Controls []string
	Enough   string // the control without which nothing was shown
}

// Want says what is wanted.
func (v Vectors) Want(p harness.Profile) string { return "every vector: " + v.Rest.Want(p) }

// Judge judges the vectors, and counts them.
func (v Vectors) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var hostile []int
	accepted := map[string]bool{}
	for i, x := range t.Exchanges {
		if name := x.Request.Variant; slices.Contains(v.Controls, name) {
			accepted[name] = p.Accepts(x.Observation.Status)
		} else {
			hostile = append(hostile, i)
		}
	}
	j := judgePart(v.Rest, p, t, hostile)
	j.Notes = append(j.Notes, fmt.Sprintf("%d vectors, %d answered otherwise than wanted", len(hostile), len(j.Problems)))
	j.Notes = append(j.Notes, v.named(t, j.Problems)...)
	for _, name := range v.Controls {
		if !accepted[name] {
			j.Notes = append(j.Notes, fmt.Sprintf("not taken: %s; its vectors were refused for that, whatever is wrong with them", name))
		}
	}
	if !accepted[v.Enough] {
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
			Got: "not taken: " + v.Enough, Want: "a control that is accepted"})
	}
	return j
}

// named are the vectors that failed, in one note.
func (Vectors) named(t harness.Trace, problems []harness.Problem) []string {
	var names []string
	for _, problem := range problems {
		if problem.Exchange >= 0 {
			names = append(names, t.Exchanges[problem.Exchange].Request.Variant)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"vectors that failed: " + strings.Join(names, ", ")}
}
