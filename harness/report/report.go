// Package report tells a sign-off: each format is a pure function of the
// record, and the same record gives the same bytes.
package report

import (
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// chapter is the findings of one part of the suite, in catalogue order.
type chapter struct {
	Name     string
	Findings []signoff.Finding
}

// chapters groups the findings; chapters come in the order of their first
// finding.
func chapters(r signoff.Record) []chapter {
	var all []chapter
	at := map[string]int{}
	for _, f := range r.Findings {
		i, ok := at[f.Chapter]
		if !ok {
			i = len(all)
			at[f.Chapter] = i
			all = append(all, chapter{Name: f.Chapter})
		}
		all[i].Findings = append(all[i].Findings, f)
	}
	return all
}

// Of counts the chapter's findings of one verdict.
func (c chapter) Of(verdict harness.Verdict) int {
	n := 0
	for _, f := range c.Findings {
		if f.Verdict == verdict {
			n++
		}
	}
	return n
}

// Summary counts the chapter's findings in words, zero counts left out.
func (c chapter) Summary() string {
	var parts []string
	for _, v := range harness.Verdicts {
		if n := c.Of(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words(v)))
		}
	}
	return strings.Join(parts, ", ")
}

// words is a verdict as a reader says it.
func words(v harness.Verdict) string {
	switch v {
	case harness.Pass:
		return "passed"
	case harness.Fail:
		return "failed"
	case harness.Error:
		return "harness error"
	default:
		return strings.ReplaceAll(string(v), "-", " ")
	}
}

// title is the record's verdict in words.
func title(r signoff.Record) string {
	verdict := map[signoff.Verdict]string{
		signoff.Passed:      "Passed",
		signoff.Rehearsed:   "Rehearsed",
		signoff.WithWaivers: "Passed with waivers",
		signoff.Failed:      "Failed",
		signoff.Incomplete:  "Incomplete",
		signoff.Invalid:     "Invalid",
	}[r.Verdict]
	if r.Kind == harness.Rehearsal && r.Verdict != signoff.Rehearsed {
		return "Rehearsal " + strings.ToLower(verdict)
	}
	return verdict
}

// kind says what kind of run it was.
func kind(r signoff.Record) string {
	switch r.Kind {
	case harness.Rehearsal:
		return "Rehearsal: the embedded stack, in one process"
	case harness.SelfTest:
		return "Self-test: containers, with the reference service"
	case harness.Image:
		return "Image: containers, with the team's own image"
	case harness.Live:
		return "Live: a deployment at a given address"
	case harness.Release:
		return "Release: the image's run and those of live targets, made one"
	default:
		return "None: nothing was started"
	}
}

// claim says what the sign-off claims to have seen.
func claim(r signoff.Record) string {
	if r.Claim == signoff.CoreClaim {
		return "core: what the runbook says in so many words, and any staging can show"
	}
	return "full: the whole catalogue"
}

// believed says whose tokens are accepted, and for whom, as it is declared.
func believed(r signoff.Record) string {
	of := func(value string, none bool) string {
		if none {
			return "any, which is declared"
		}
		return or(value, "undeclared")
	}
	p := r.Target.Profile
	return fmt.Sprintf("issuer %s, audience %s", of(p.Issuer, p.NoIssuer), of(p.Audience, p.NoAudience))
}

// weight says whether a failure decides the verdict.
func weight(f signoff.Finding) string {
	if f.Decides() {
		return string(f.Level)
	}
	return string(f.Level) + ", advice: it decides nothing"
}

// caveat says what a kind of run is no evidence of; empty when there is
// nothing to warn of.
func caveat(r signoff.Record) string {
	switch r.Kind {
	case harness.Rehearsal:
		return "This is no release evidence. It was held against an embedded stack, which shows that the harness and the rules work on this machine, and nothing about a deployment."
	case harness.SelfTest:
		return "The service under test was the reference service. A run with the team's image, or against staging, says whether a build may go to production."
	default:
		return ""
	}
}

// group is the IDs of findings that share something, and how many they are.
type group struct {
	Key, IDs string
	N        int
}

// gains lists what the container run adds to a rehearsal, by the capabilities
// that the embedded stack lacks.
func gains(r signoff.Record) []group {
	return groups(r.Additions(), func(f signoff.Finding) string { return join(f.Missing) })
}

// groups gathers findings that share a key, in order of first sight.
func groups(findings []signoff.Finding, key func(signoff.Finding) string) []group {
	var all []group
	at := map[string]int{}
	for _, f := range findings {
		k := key(f)
		if i, ok := at[k]; ok {
			all[i].IDs += ", " + f.ID
			all[i].N++
			continue
		}
		at[k] = len(all)
		all = append(all, group{Key: k, IDs: f.ID, N: 1})
	}
	return all
}

// standIns lists the components that are not the real thing.
func standIns(r signoff.Record) []harness.Component {
	var found []harness.Component
	for _, c := range r.Target.Components {
		if c.StandIn {
			found = append(found, c)
		}
	}
	return found
}

// counted is a number of things: 1 cause, 2 causes.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func join[T ~string](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// stamp is a time as JSON formats want it (RFC 3339).
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func duration(r signoff.Record) string {
	return r.Ended.Sub(r.Started).Round(100 * time.Millisecond).String()
}

// clauses resolves a finding's clause numbers; unknown ones keep their number.
func clauses(r signoff.Record, f signoff.Finding) []signoff.Clause {
	found := make([]signoff.Clause, len(f.Clauses))
	for i, id := range f.Clauses {
		found[i].ID = id
		for _, c := range r.Clauses {
			if c.ID == id {
				found[i] = c
			}
		}
	}
	return found
}
