package outcome

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Swept wants every operation of a published schema denied; a schema that is
// public is worth a note (EPT-012).
type Swept struct {
	Schema, Operation string // variants
	Denial            Answers
}

// Want says what is wanted.
func (s Swept) Want(p harness.Profile) string {
	return "of every operation in a published schema: " + s.Denial.Want(p)
}

// Judge judges the operations, and notes the schema.
func (s Swept) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	published := 0
	for i, x := range t.Exchanges {
		if x.Request.Variant == s.Operation {
			s.Denial.judge(p, i, x, &j)
		} else if x.Observation.Status == 200 {
			published++
			if note := fmt.Sprintf("the schema at %s is public", x.Request.Path); !slices.Contains(j.Notes, note) {
				j.Notes = append(j.Notes, note)
			}
		} else if unseen(x.Observation) && !slices.Contains([]int{502, 503, 504}, x.Observation.Status) {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: Answer(x.Observation),
				Want: "an answer"})
		}
	}
	if published == 0 {
		j.Notes = append(j.Notes, "no schema is published: nothing to sweep")
	}
	return j
}

// insides are texts that no open page holds, whatever the target (ASVS 16.5.1).
var insides = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----|"d"\s*:\s*"[A-Za-z0-9_-]{20,}"`)},
	{"a token", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)},
	{"a Vault token", regexp.MustCompile(`\bhv[sb]\.[A-Za-z0-9_-]{20,}|(?i)VAULT_TOKEN["']?\s*[:=]\s*["']?\w`)},
	{"credentials in a URL", regexp.MustCompile(`(?i)https?://[^\s/"'@:]+:[^\s/"'@]+@`)},
	{"an AWS key", regexp.MustCompile(`\bAKIA[A-Z0-9]{16}\b`)},
	{"the environment", regexp.MustCompile(`(?i)\b(AUTH_MODE|OIDC_JWKS_URI|MTLS_ID_HEADER)["']?\s*[:=]`)},
	{"the enrolment list", regexp.MustCompile(`(?i)clients/allowed|"allowed"\s*:\s*\[`)},
}

// TellsNothing wants open pages without a secret, and without the names of
// clients. What they are answered with is otherwise theirs.
type TellsNothing struct{}

// Want says what is wanted.
func (TellsNothing) Want(harness.Profile) string {
	return "pages without tokens, keys, credentials, the environment, or names of clients"
}

// Judge looks through every body.
func (TellsNothing) Judge(_ harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	leak := func(i int, what string) {
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: i,
			Got: "a page that tells " + what, Want: "nothing of the inside"})
	}
	for i, x := range t.Exchanges {
		for _, l := range insides {
			if l.pattern.Match(x.Observation.Body) {
				leak(i, l.what)
			}
		}
	}
	for _, page := range harness.PageTells.In(t) {
		leak(-1, strings.Join(page.Is, ", ")+" ("+page.Of+")")
	}
	seen := func(x harness.Exchange) bool {
		return x.Observation.Transport == harness.Answered || inTLS(x.Observation)
	}
	if !slices.ContainsFunc(t.Exchanges, seen) && len(j.Problems) == 0 {
		return nothing() // to whom TLS refuses, nothing is told
	}
	return j
}

// NoWork wants counters of work that stand still while calls are denied, and
// that counted an accepted call before.
type NoWork struct{ Denial Answers }

// Want says what is wanted.
func (n NoWork) Want(p harness.Profile) string {
	return "no work done for a denied call; the calls: " + n.Denial.Want(p)
}

// Judge judges calls and counters.
func (n NoWork) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 || len(t.Tallies) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		if x.Request.Control {
			if !p.Accepts(x.Observation.Status) {
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: "a control answered " +
					Answer(x.Observation), Want: "a success"})
			}
			continue
		}
		n.Denial.judge(p, i, x, &j)
	}
	for _, tally := range t.Tallies {
		rise := tally.After.Sum() - tally.Before.Sum()
		switch {
		case tally.Fresh && rise < 1:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: fmt.Sprintf("%s did not rise with an accepted call in mode %s", tally.Name, tally.Mode), Want: "a counter of work"})
		case !tally.Fresh && rise > 0:
			j.Problems = append(j.Problems, *security(fmt.Sprintf("%s rose by %v over %d denied calls in mode %s", tally.Name, rise, tally.Calls,
				tally.Mode)))
			j.Problems[len(j.Problems)-1].Exchange = -1
		}
	}
	return j
}
