// Package outcome judges: it accepts or refuses what was observed, and never
// acts. A 401, a 403, an ingress's 400, a TLS alert and a closed port are five
// different answers; "some error" is none (rulings 0.2).
package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
)

// Answers is what every exchange of a stimulus must be answered with.
type Answers struct {
	words   func(harness.Profile) string
	allowed func(harness.Profile, harness.Exchange) classes
	accepts bool // a success is wanted: nothing else is a denial
	claims  bool // whoever shows no certificate claims to be somebody
	genuine bool // whoever is served has the right to be: no fail is a hole
	checks  []check
}

// check looks at one exchange that was answered as wanted.
type check struct {
	words string
	judge func(harness.Profile, harness.Exchange) (problem *harness.Problem, note string)
}

// classes are the answers that are as documented.
type classes struct {
	statuses []int
	tls      bool // an alert, or a close before any byte of HTTP
	kinds    []harness.Transport
}

func (c classes) String() string {
	var names []string
	for _, s := range c.statuses {
		names = append(names, strconv.Itoa(s))
	}
	if c.tls {
		names = append(names, "a refusal in TLS")
	}
	return strings.Join(names, " or ")
}

// Accepted wants a documented success: 200 unless declared.
func Accepted() Answers {
	success := func(p harness.Profile) classes { return classes{statuses: p.Successes()} }
	return Answers{
		accepts: true,
		words:   func(p harness.Profile) string { return success(p).String() },
		allowed: func(p harness.Profile, _ harness.Exchange) classes { return success(p) },
	}
}

// Unauthenticated wants the documented answer to a caller who did not prove who
// he is: 401; in mtls mode the declared class for a certificate that is missing
// (rulings A-01) or does not verify.
func Unauthenticated() Answers {
	return Answers{
		words: func(p harness.Profile) string {
			return fmt.Sprintf("401; without a certificate %s, with one that does not verify %s", refusal(p.NoCertificate),
				refusal(p.BadCertificate))
		},
		allowed: unauthenticated,
	}
}

func unauthenticated(p harness.Profile, x harness.Exchange) classes {
	return unproven(p, x).and(asked(x))
}

// unproven is the answer to a caller who did not prove who he is, however he asks.
func unproven(p harness.Profile, x harness.Exchange) classes {
	switch {
	case x.Request.Mode != harness.MTLS:
		return classes{statuses: []int{401}}
	case x.Request.Certificate == nil:
		return refusal(p.NoCertificate)
	default:
		return refusal(p.BadCertificate)
	}
}

// statusesOf are those of each class of denial.
var statusesOf = map[harness.Refusal][]int{
	harness.HTTP401: {401}, harness.HTTP400: {400, 495, 496}, harness.HTTP403: {403}, harness.HTTP421: {421},
}

// refusal is a declared set of denials. A refusal in TLS is never worse than one in
// HTTP: it satisfies any (strangers A1).
func refusal(declared harness.Refusal) classes {
	c := classes{tls: true}
	for _, class := range declared.Classes() {
		c.statuses = append(c.statuses, statusesOf[class]...)
	}
	return c
}

// Forbidden wants 403: the caller is known, and not allowed.
func Forbidden() Answers {
	return Answers{
		words:   func(harness.Profile) string { return "403" },
		allowed: func(harness.Profile, harness.Exchange) classes { return classes{statuses: []int{403}} },
	}
}

// Malformed wants a message that is none to be refused as such: 400, or a stream or
// connection that ends (RFC 9113 section 8.1.1).
func Malformed() Answers {
	refused := classes{statuses: []int{400}, tls: true}
	return Answers{
		words:   func(harness.Profile) string { return refused.String() },
		allowed: func(harness.Profile, harness.Exchange) classes { return refused },
	}
}

// InHTTP2 wants another answer to what goes by HTTP/2.
func (a Answers) InHTTP2(other Answers) Answers {
	words, allowed := a.words, a.allowed
	a.words = func(p harness.Profile) string { return words(p) + "; in HTTP/2 " + other.words(p) }
	a.allowed = func(p harness.Profile, x harness.Exchange) classes {
		if x.Request.Protocol == "h2" {
			return other.allowed(p, x)
		}
		return allowed(p, x)
	}
	return a
}

// Denied wants any documented denial, a router's own included (rulings A-21).
func Denied() Answers {
	return Unauthenticated().Or(401, 403, 404, 405, 501)
}

// Mistaken wants an answer to a caller who is known and allowed, and asks for
// what is not there, or in no proper way.
func Mistaken() Answers {
	answers := classes{statuses: []int{400, 404, 405, 411, 413, 414, 415, 422, 500, 501}}
	return Answers{
		accepts: true, // it may come from the handler
		words:   func(harness.Profile) string { return answers.String() },
		allowed: func(harness.Profile, harness.Exchange) classes { return answers },
	}
}

// Or tolerates further statuses.
func (a Answers) Or(statuses ...int) Answers {
	words, allowed := a.words, a.allowed
	a.words = func(p harness.Profile) string {
		return words(p) + ", or " + classes{statuses: statuses}.String()
	}
	a.allowed = func(p harness.Profile, x harness.Exchange) classes {
		c := allowed(p, x)
		c.statuses = append(slices.Clip(c.statuses), statuses...)
		return c
	}
	return a
}

func (a Answers) with(c check) Answers {
	a.checks = append(slices.Clip(a.checks), c)
	return a
}

// Want says what is wanted.
func (a Answers) Want(p harness.Profile) string {
	words := []string{a.words(p)}
	for _, c := range a.checks {
		words = append(words, c.words)
	}
	return strings.Join(words, "; ")
}

// Judge judges every exchange.
func (a Answers) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		a.judge(p, i, x, &j)
	}
	return j
}

// nothing is the judgement on a stimulus that left nothing to judge.
func nothing() harness.Judgement {
	return harness.Judgement{Problems: []harness.Problem{{
		Verdict: harness.Inconclusive, Exchange: -1, Got: "nothing was observed", Want: "an answer",
	}}}
}

func (a Answers) judge(p harness.Profile, i int, x harness.Exchange, j *harness.Judgement) {
	if x.Request.Unflanked {
		unflanked(p, i, x, j)
		return
	}
	if !a.accepts && nobodys(x) {
		j.Notes = add(j.Notes, x.Request.Variant+": "+nobodysWords(x))
		return
	}
	allowed := a.allowed(p, x)
	if problem := answered(x, allowed, a.accepts); problem != nil {
		if a.genuine && problem.Verdict == harness.Fail {
			problem.Bucket = harness.Protocol
		}
		if a.claims && believed(x) && problem.Verdict == harness.Fail {
			problem.Bucket, problem.Got = harness.Security, problem.Got+" by the service: it believes an identity that is only claimed"
		}
		problem.Exchange = i
		j.Problems = append(j.Problems, *problem)
		return
	}
	for _, c := range a.checks {
		problem, note := c.judge(p, x)
		if problem != nil {
			problem.Exchange = i
			j.Problems = append(j.Problems, *problem)
		}
		if note != "" && !slices.Contains(j.Notes, note) {
			j.Notes = append(j.Notes, note)
		}
	}
}

// unflanked judges a call at an endpoint where no accepted one may be made: that it was
// served is seen, and that it was refused is told, for nothing stands beside it. What is
// neither passes where an endpoint that looks at who calls answers the same: it looks at the
// call first. Where that one refuses, nobody may have looked here.
func unflanked(p harness.Profile, i int, x harness.Exchange, j *harness.Judgement) {
	o, r := x.Observation, x.Request
	if o.Status/100 == 2 || o.Reached != nil && o.Reached.Handled > 0 {
		problem := answered(x, unauthenticated(p, x), false)
		problem.Exchange = i
		j.Problems = append(j.Problems, *problem)
		return
	}
	called := fmt.Sprintf("%s, where an accepted call would write, was called without a body, with %s: %s", r.Endpoint.Name, r.Credential, Answer(o))
	if refuses(p, x, o) {
		j.Notes = add(j.Notes, called+": refused")
		return
	}
	if o.Likewise != nil && refuses(p, x, o.Likewise.Observation) {
		j.Problems = append(j.Problems, harness.Problem{
			Verdict: harness.Inconclusive, Exchange: i,
			Got: fmt.Sprintf("%s to the endpoint %s without a body, where %s answers the same call with %s: nobody was seen to look at who calls",
				Answer(o), r.Endpoint.Name, o.Likewise.Endpoint, Answer(o.Likewise.Observation)),
			Want: unauthenticated(p, x).String() + "; whole calls are made where writes are allowed",
		})
		return
	}
	j.Notes = add(j.Notes, called+": that is no refusal of who calls, and whether a whole call would be served was not seen")
}

// refuses reports an answer that refuses who calls.
func refuses(p harness.Profile, x harness.Exchange, o harness.Observation) bool {
	return slices.Contains([]int{401, 403}, o.Status) || slices.Contains(unproven(p, x).statuses, o.Status) || inTLS(o)
}

// answered judges one answer against the documented ones.
func answered(x harness.Exchange, allowed classes, accepts bool) *harness.Problem {
	o := x.Observation
	got, want := Answer(o), allowed.String()
	fail := func(b harness.Bucket, got string) *harness.Problem {
		return &harness.Problem{Verdict: harness.Fail, Bucket: b, Got: got, Want: want}
	}
	if !accepts && o.Reached != nil && o.Reached.Handled > 0 {
		return fail(harness.Security, got+", and the request reached the handler")
	}
	if !accepts && o.Status >= 200 && o.Status < 300 {
		return fail(harness.Security, got+": the request was served")
	}
	switch {
	case slices.Contains(allowed.statuses, o.Status):
		return nil
	case inTLS(o) && allowed.tls, o.Transport != harness.Answered && slices.Contains(allowed.kinds, o.Transport):
		return nil
	case unseen(o):
		return &harness.Problem{Verdict: harness.Inconclusive, Got: got, Want: want}
	case o.Status >= 500:
		return fail(harness.Contract, got+": the service broke")
	default:
		return fail(harness.Contract, got)
	}
}

// protocolVersion is the alert of a server that does not speak the TLS version:
// it has not looked at a credential (RFC 8446 section 6.2).
const protocolVersion = 70

// inTLS reports a refusal before any byte of HTTP (rulings A-02). Which alert
// it is says nothing, but for the one of a version not spoken.
func inTLS(o harness.Observation) bool {
	return o.Transport == harness.Alert && o.AlertCode != protocolVersion || o.Transport == harness.EOF || o.Transport == harness.Reset
}

// unseen reports an answer that tells nothing about the target's verdict:
// nobody there, too busy, or a component behind it gone (rulings 0.2). A connection that
// ended, of a call that could not be sent again, may be a moment's.
func unseen(o harness.Observation) bool {
	switch o.Transport {
	case harness.Answered:
		return o.Status == 429 || o.Status == 502 || o.Status == 503 || o.Status == 504
	case harness.Alert:
		return o.AlertCode == protocolVersion
	case harness.EOF, harness.Reset:
		return o.Unrepeated
	case harness.Malformed:
		return false
	default:
		return true
	}
}

// Answer says in words how a request was answered.
func Answer(o harness.Observation) string {
	switch o.Transport {
	case harness.Answered:
		return strconv.Itoa(o.Status)
	case harness.Alert:
		return fmt.Sprintf("TLS alert %d", o.AlertCode)
	case harness.EOF:
		return "connection closed before any byte of HTTP"
	case harness.Reset:
		return "connection reset"
	case harness.Refused:
		return "connection refused"
	case harness.DNS:
		return "name not resolved"
	case harness.TimeOut:
		return "no answer in time"
	case harness.Untrusted:
		return "server certificate not trusted: " + o.Detail
	case harness.Malformed:
		return "bytes that are no HTTP"
	default:
		return "no answer: " + o.Detail
	}
}

// PerVariant wants another outcome of each variant, by its name. A variant
// without an outcome is a defect of the expectation, and says so.
type PerVariant map[string]harness.Outcome

// Want says what is wanted of each.
func (v PerVariant) Want(p harness.Profile) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		words = append(words, name+": "+v[name].Want(p))
	}
	return strings.Join(words, "; ")
}

// Judge judges each variant by its own outcome.
func (v PerVariant) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	seen := map[string]bool{}
	for i, x := range t.Exchanges {
		want, ok := v[x.Request.Variant]
		if !ok {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Error, Exchange: i,
				Got: fmt.Sprintf("variant %q", x.Request.Variant), Want: "a variant with an outcome of its own"})
			continue
		}
		seen[x.Request.Variant] = true
		one := want.Judge(p, harness.Trace{Exchanges: []harness.Exchange{x}})
		for _, problem := range one.Problems {
			problem.Exchange = i
			j.Problems = append(j.Problems, problem)
		}
		j.Notes = append(j.Notes, one.Notes...)
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if !seen[name] && !slices.Contains(t.Moot, name) {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: fmt.Sprintf("variant %q was not sent", name), Want: v[name].Want(p)})
		}
	}
	return j
}
