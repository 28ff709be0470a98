package outcome

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/logline"
)

// Logged wants what a log must hold of calls, which are answered as given.
type Logged struct {
	words string
	calls harness.Outcome
	// judge judges one exchange by the lines of the log on it.
	judge func(x harness.Exchange, lines []string) *harness.Problem
	// log judges what else the log tells, under a key.
	log   func(harness.Trace) *harness.Problem
	reads harness.Key
}

// Want says what is wanted.
func (l Logged) Want(p harness.Profile) string { return l.words + "; the calls: " + l.calls.Want(p) }

// Judge judges the log. Calls that were answered otherwise are others' to judge:
// here they say that it cannot be told.
func (l Logged) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 || len(t.Records) == 0 {
		return nothing()
	}
	j.Problems = l.calls.Judge(p, t).Problems
	for i := range j.Problems {
		j.Problems[i].Verdict, j.Problems[i].Bucket = harness.Inconclusive, ""
	}
	if len(j.Problems) > 0 {
		return j
	}
	for _, record := range t.Records {
		if problem := l.judge(t.Exchanges[record.Exchange], record.Lines); problem != nil {
			problem.Exchange = record.Exchange
			j.Problems = append(j.Problems, *problem)
		}
	}
	if problem := l.log(t); problem != nil {
		problem.Exchange = -1
		j.Problems = append(j.Problems, *problem)
	}
	return j
}

// RecordsEach wants one record of every denial, that says when, where,
// why and of whom, and no credential anywhere in the log (ASVS 16.2.1, 16.2.5 and
// 16.3.1).
func RecordsEach(calls harness.Outcome) Logged {
	return Logged{
		words: "one record of each denial, with time, endpoint, reason, source and the request's ID, and no credential in the log",
		calls: calls, judge: recorded,
		reads: harness.CredentialsLogged,
		log: func(t harness.Trace) *harness.Problem {
			for _, found := range harness.CredentialsLogged.In(t) {
				return contract(string(harness.CredentialsLogged)+": "+strings.Join(found.Is, ", "), "none")
			}
			return nil
		},
	}
}

func recorded(x harness.Exchange, lines []string) *harness.Problem {
	const want = "one record of the denial"
	denials := reasoned(lines)
	if len(denials) != 1 {
		return contract(fmt.Sprintf("%d records that give a reason, among %d lines on the call", len(denials), len(lines)), want)
	}
	var lacking []string
	if !denials[0].Dated() {
		lacking = append(lacking, "a time")
	}
	if !denials[0].Places(x.Request.Path) {
		lacking = append(lacking, "the endpoint")
	}
	if !denials[0].Sourced() {
		lacking = append(lacking, "a source")
	}
	if len(lacking) > 0 {
		return contract("a record without "+strings.Join(lacking, ", "), want+" that says when, where, why and of whom")
	}
	return nil
}

// reasoned are the records that give a reason: of a denial, and of no call that was
// only noted. Where some name it as a field, those are the records.
func reasoned(lines []string) []logline.Entry {
	var named, worded []logline.Entry
	for _, line := range lines {
		switch e := logline.Parse(line); {
		case e.Field(logline.WhyNames) != "":
			named = append(named, e)
		case e.Reason() != "":
			worded = append(worded, e)
		}
	}
	if len(named) > 0 {
		return named
	}
	return worded
}

// Noted wants the ingress's log to hold each call that it refused: a line with
// the request's ID and the status, or one on a handshake for each that was
// refused in TLS.
func Noted(calls harness.Outcome) Logged {
	return Logged{
		words: "a line of the ingress's log on each refusal",
		calls: calls,
		judge: func(x harness.Exchange, lines []string) *harness.Problem {
			o := x.Observation
			if o.Transport != harness.Answered {
				return nil
			}
			status := strconv.Itoa(o.Status)
			if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, status) }) {
				return contract(fmt.Sprintf("%d lines of the log on the call, none with its status", len(lines)),
					"a line with the target and status "+status+", by the ingress's log format")
			}
			return nil
		},
		reads: harness.RefusedHandshakes,
		log: func(t harness.Trace) *harness.Problem {
			want := 0
			for _, x := range t.Exchanges {
				if x.Observation.Transport != harness.Answered {
					want++
				}
			}
			for _, got := range harness.RefusedHandshakes.In(t) {
				if got >= want {
					return nil
				}
			}
			return contract("fewer lines on refused handshakes than there were", fmt.Sprintf("%d", want))
		},
	}
}

// LogsUnreadable wants a service that cannot read its secrets to end, and to say
// in a record of level error which it could not read, without a value (runbook
// section 5).
func LogsUnreadable() harness.Outcome {
	const want = "a record of level error that names the secrets"
	return unreadable{Startup{want + ", and no value of them", func(_ harness.Profile, s harness.Startup) *harness.Problem {
		switch {
		case !s.Exited || s.Code == 0:
			return contract(ended(s)+" "+s.Variant, "an exit with a non-zero status")
		case !complains(s.Log):
			return contract("no such record "+s.Variant, want)
		}
		return nil
	}}}
}

type unreadable struct{ Startup }

// Judge judges the starts, and what was found in their logs.
func (u unreadable) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := u.Startup.Judge(p, t)
	for _, found := range harness.ValuesLogged.In(t) {
		problem := contract(string(harness.ValuesLogged)+": "+strings.Join(found.Is, ", "), "none")
		problem.Exchange = -1
		j.Problems = append(j.Problems, *problem)
	}
	return j
}

// complains reports a record of level error about aegis/runtime, in whatever form:
// lines that have no level go on with the record before them.
func complains(log string) bool {
	worse := false
	for line := range strings.Lines(log) {
		e := logline.Parse(strings.TrimSpace(line))
		if level := e.Level(); level != "" {
			worse = logline.Severe[level]
		}
		if worse && strings.Contains(e.Said(), "aegis/runtime") {
			return true
		}
	}
	return false
}
