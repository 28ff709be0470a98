package outcome

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/challenge"
)

// attribute is the value of error= as RFC 6750 section 3 has it: of printable
// characters without quotes.
var attribute = regexp.MustCompile(`^[\x20\x21\x23-\x5b\x5d-\x7e]+$`)

// Explained wants the error attribute of a Bearer challenge to fit: none where
// no credential came, invalid_token where a token did (RFC 6750 section 3.1),
// well written both times.
func (a Answers) Explained() Answers {
	return a.with(check{"an error attribute that fits", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		got := misfit(x)
		if got == "" {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol, Got: got, Want: "no error without a credential, " +
			"error=\"invalid_token\" with a bad one"}, ""
	}})
}

// misfit says what is wrong with an answer's Bearer challenge, or is empty.
func misfit(x harness.Exchange) string {
	bearer, err := challenge.Bearer(x)
	if err != nil {
		return "WWW-Authenticate is no list of challenges: " + err.Error()
	}
	if bearer == nil {
		return "no Bearer challenge"
	}
	said, present := bearer.Params["error"]
	switch shown := x.Request.Get("Authorization") != ""; {
	case present && (!said.Quoted || !attribute.MatchString(said.Value)):
		return "a challenge whose error is not a quoted string"
	case shown && said.Value != "invalid_token":
		return `a challenge without error="invalid_token"`
	case !shown && present:
		return "a challenge with an error, although no credential was sent"
	}
	return ""
}

// Fresh wants an answer that no cache gave (RFC 9111 sections 3.5 and 5.1).
func (a Answers) Fresh() Answers {
	return a.with(check{"no Age and no X-Cache hit", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		h := x.Observation.Header
		if h.Get("Age") == "" && !strings.Contains(strings.ToUpper(h.Get("X-Cache")), "HIT") {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Got: "an answer from a cache",
			Want: "an answer of the service"}, ""
	}})
}

// Consistent wants two variants that differ in an order to be treated alike:
// both refused as documented, or else both accepted, which is noted (rulings
//
type Consistent struct{ Refused Answers }

// Want says what is wanted.
func (c Consistent) Want(p harness.Profile) string {
	return c.Refused.Want(p) + ", whatever the order; at least the same for both"
}

// Judge compares what was accepted of each.
func (c Consistent) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	accepted, example := map[string]bool{}, map[string]int{}
	for i, x := range t.Exchanges {
		if s := x.Observation.Status; s >= 200 && s < 300 {
			accepted[x.Request.Variant], example[x.Request.Variant] = true, i
			continue
		}
		c.Refused.judge(p, i, x, &j)
		if _, ok := accepted[x.Request.Variant]; !ok {
			accepted[x.Request.Variant] = false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(accepted)) {
		if !accepted[name] {
			continue
		}
		j.Notes = append(j.Notes, "accepted: "+name)
		for _, other := range slices.Sorted(maps.Keys(accepted)) {
			if !accepted[other] {
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: example[name],
					Got: fmt.Sprintf("%s to %s, and a refusal of %s", Answer(t.Exchanges[example[name]].Observation), name, other), Want: c.Want(p)})
			}
		}
	}
	return j
}

// Uncovered wants a credential over plain HTTP not to be served: no connection, an
// answer that is no HTTP or a 4xx, or a redirect, which is noted: it was sent in the
// clear (RFC 6750 section 5.3).
func Uncovered() Answers {
	return Answers{
		words: func(harness.Profile) string { return "no connection, a 4xx or a redirect" },
		allowed: func(_ harness.Profile, x harness.Exchange) classes {
			c := classes{tls: true, kinds: []harness.Transport{harness.Refused, harness.Malformed}}
			if x.Observation.Connect == 0 { // nobody answered the connection: a filter drops what comes
				c.kinds = append(c.kinds, harness.TimeOut)
			}
			if s := x.Observation.Status; s >= 300 && s < 500 {
				c.statuses = []int{s}
			}
			return c
		},
	}.with(check{"redirects noted", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		if s := x.Observation.Status; s >= 300 && s < 400 {
			return nil, "plain HTTP is redirected: a credential sent there has been seen by whoever listens"
		}
		return nil, ""
	}})
}
