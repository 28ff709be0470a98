package outcome

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Logged wants what a log must hold of calls, which are answered as given.
type Logged struct {
	words string
	calls harness.Outcome
	// judge judges one exchange by the lines of the log on it.
	judge func(x harness.Exchange, lines []string) *harness.Problem
	facts func(harness.Trace) *harness.Problem
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
	if problem := l.facts(t); problem != nil {
		problem.Exchange = -1
		j.Problems = append(j.Problems, *problem)
	}
	return j
}

// RecordsEach wants one structured record of every denial, that says when, where,
// why and of whom, and no credential anywhere in the log (ASVS 16.2.1, 16.2.5 and
// 16.3.1). Leaked names the fact of a credential in the log.
func RecordsEach(calls harness.Outcome, leaked string) Logged {
	return Logged{
		words: "one JSON record of each denial, with time, endpoint, reason, source and the request's ID, and no credential in the log",
		calls: calls, judge: recorded,
		facts: func(t harness.Trace) *harness.Problem {
			for _, f := range t.Facts {
				if f.Name == leaked {
					return contract(leaked+": "+strings.Join(f.Values, ", "), "none")
				}
			}
			return nil
		},
	}
}

// Names that loggers give to what a record must hold.
var (
	whenNames   = []string{"time", "timestamp", "ts", "@timestamp"}
	whyNames    = []string{"reason", "reason_class", "cause", "error_code"}
	sourceNames = []string{"from", "source", "source_ip", "client", "client_ip", "remote", "remote_addr", "remote_ip", "ip"}
)

func recorded(x harness.Exchange, lines []string) *harness.Problem {
	const want = "one record of the denial"
	denials := reasoned(lines)
	if len(denials) != 1 {
		return contract(fmt.Sprintf("%d records that give a reason, among %d lines on the call", len(denials), len(lines)), want)
	}
	var lacking []string
	if !dated(denials[0]) {
		lacking = append(lacking, "a time")
	}
	if !holds(denials[0], x.Request.Path) {
		lacking = append(lacking, "the endpoint")
	}
	if text(denials[0], sourceNames) == "" {
		lacking = append(lacking, "a source")
	}
	if len(lacking) > 0 {
		return contract("a record without "+strings.Join(lacking, ", "), want+" that says when, where, why and of whom")
	}
	return nil
}

// reasoned are the records that give a reason: of a denial, and of no call that was
// only noted.
func reasoned(lines []string) (denials []map[string]any) {
	for _, line := range lines {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && text(record, whyNames) != "" {
			denials = append(denials, record)
		}
	}
	return denials
}

// text is the first of some members that is text.
func text(record map[string]any, names []string) string {
	for _, name := range names {
		if s, ok := record[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// dated reports a time as text (RFC 3339) or as a number.
func dated(record map[string]any) bool {
	for _, name := range whenNames {
		if n, ok := record[name].(float64); ok && n > 0 {
			return true
		}
	}
	_, err := time.Parse(time.RFC3339Nano, text(record, whenNames))
	return err == nil
}

// holds reports whether some member is the text.
func holds(record map[string]any, want string) bool {
	for _, value := range record {
		if value == want {
			return true
		}
	}
	return false
}

// Noted wants the ingress's log to hold each call that it refused: a line with
// the request's ID and the status, or one on a handshake for each that was
// refused in TLS. Handshakes names the fact that counts those.
func Noted(calls harness.Outcome, handshakes string) Logged {
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
				return contract(fmt.Sprintf("%d lines of the log on the call, none with its status", len(lines)), "a line with status "+status)
			}
			return nil
		},
		facts: func(t harness.Trace) *harness.Problem {
			want := 0
			for _, x := range t.Exchanges {
				if x.Observation.Transport != harness.Answered {
					want++
				}
			}
			for _, f := range t.Facts {
				if got, err := strconv.Atoi(f.Values[0]); f.Name == handshakes && err == nil && got >= want {
					return nil
				}
			}
			return contract("fewer lines on refused handshakes than there were", fmt.Sprintf("%d", want))
		},
	}
}

// LogsUnreadable wants a service that cannot read its secrets to end, and to say
// in a record of level error which it could not read, without a value (runbook
// section 5). Leaked names the fact of a value in the log.
func LogsUnreadable(leaked string) harness.Outcome {
	const want = "a record of level error that names the secrets"
	return unreadable{Startup{want + ", and no value of them", func(_ harness.Profile, s harness.Startup) *harness.Problem {
		switch {
		case !s.Exited || s.Code == 0:
			return contract(ended(s)+" "+s.Variant, "an exit with a non-zero status")
		case !complains(s.Log):
			return contract("no such record "+s.Variant, want)
		}
		return nil
	}}, leaked}
}

type unreadable struct {
	Startup
	leaked string
}

// Judge judges the starts, and what was found in their logs.
func (u unreadable) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := u.Startup.Judge(p, t)
	for _, f := range t.Facts {
		if f.Name == u.leaked {
			problem := contract(u.leaked+": "+strings.Join(f.Values, ", "), "none")
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	return j
}

// complains reports a record of level error about aegis/runtime.
func complains(log string) bool {
	for line := range strings.Lines(log) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil {
			continue
		}
		level := strings.ToLower(text(record, []string{"level", "severity", "levelname", "lvl"}))
		if slices.Contains([]string{"error", "critical", "fatal"}, level) && strings.Contains(line, "aegis/runtime") {
			return true
		}
	}
	return false
}
