package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Tallies is what counters must show.
type Tallies struct {
	words string
	judge func(harness.Tally) *harness.Problem
	calls harness.Outcome // of the calls in between; nil where there are none
}

// CountsEach wants the counter to rise by one for each call, the calls being
// answered as given (MET-003).
func CountsEach(calls harness.Outcome) Tallies {
	return Tallies{"the counter rises by one for each call", func(t harness.Tally) *harness.Problem {
		return rise(t, float64(t.Calls))
	}, calls}
}

// CountsNone wants the counter not to move (MET-006).
func CountsNone(calls harness.Outcome) Tallies {
	return Tallies{"the counter does not move", func(t harness.Tally) *harness.Problem {
		return rise(t, 0)
	}, calls}
}

func rise(t harness.Tally, want float64) *harness.Problem {
	if len(t.Before.Series) == 0 && len(t.After.Series) == 0 && want == 0 {
		return nil // that it is absent is MET-001's
	}
	if len(t.After.Series) == 0 {
		return contract(fmt.Sprintf("%s is absent in mode %s", t.Name, t.Mode), fmt.Sprintf("a rise of %v", want))
	}
	if got := t.After.Sum() - t.Before.Sum(); got != want {
		return contract(fmt.Sprintf("%s rose by %v in mode %s over %d calls%s%s", t.Name, got, t.Mode, t.Calls, with(t), inTurn(t.Again)),
			fmt.Sprintf("a rise of %v", want))
	}
	return nil
}

// inTurn says that a page shows now one process's count and now another's, where
// readings say so between which nobody called.
func inTurn(readings []harness.Family) string {
	var sums []string
	moved := false
	for i, reading := range readings {
		sums = append(sums, fmt.Sprint(reading.Sum()))
		moved = moved || i > 0 && reading.Sum() != readings[i-1].Sum()
	}
	if !moved {
		return ""
	}
	return fmt.Sprintf("; read again while nobody called it showed %s: several processes answer in turn, each with its own count, and "+
		"the page must show their sum", strings.Join(sums, ", "))
}

// with says what was counted, where several things are told apart.
func with(t harness.Tally) string {
	if t.Of == "" {
		return ""
	}
	return " with " + t.Of
}

// IsCounter wants the family to be declared a counter, with a text that says
// what it counts, and no series of it to fall or to go away (MET-002). It may
// come with the first refusal.
func IsCounter(calls harness.Outcome) Tallies {
	return Tallies{"a counter with a HELP text, of which no reading is below the one before it", func(t harness.Tally) *harness.Problem {
		readings := slices.Concat([]harness.Family{t.Before}, t.Between, []harness.Family{t.After})
		for len(readings) > 1 && len(readings[0].Series) == 0 {
			readings = readings[1:]
		}
		for i, reading := range readings {
			switch {
			case len(reading.Series) == 0:
				return contract(fmt.Sprintf("%s is absent in mode %s%s", t.Name, t.Mode, inTurn(t.Again)), "a counter")
			case reading.Type != "counter":
				return contract(fmt.Sprintf("%s is of type %s in mode %s", t.Name, reading.Type, t.Mode), "type counter")
			case reading.Help == "":
				return contract(fmt.Sprintf("%s has no HELP text in mode %s", t.Name, t.Mode), "a text that says what it counts")
			case i > 0 && falls(readings[i-1], reading) != "":
				return contract(fmt.Sprintf("%s{%s} fell between two readings in mode %s%s", t.Name, falls(readings[i-1], reading), t.Mode,
					inTurn(t.Again)), "a counter that never falls")
			}
		}
		return nil
	}, calls}
}

// falls names a series that fell from one reading to the next, or went away.
func falls(before, after harness.Family) string {
	for _, series := range slices.Sorted(maps.Keys(before.Series)) {
		if now, ok := after.Series[series]; !ok || now < before.Series[series] {
			return series
		}
	}
	return ""
}

// Steady wants every reading to show as many failures as there were calls
// (MET-009): a page that shows one worker's count shows less, and now another's.
func Steady(calls harness.Outcome) Tallies {
	return Tallies{"every reading shows a rise by one for each call", func(t harness.Tally) *harness.Problem {
		for i, reading := range append(slices.Clip(t.Between), t.After) {
			if got := reading.Sum() - t.Before.Sum(); got != float64(t.Calls) {
				return contract(fmt.Sprintf("reading %d of %s shows a rise of %v in mode %s over %d calls%s", i+1, t.Name, got, t.Mode, t.Calls,
					inTurn(t.Between)), fmt.Sprintf("a rise of %d in each", t.Calls))
			}
		}
		return nil
	}, calls}
}

// PresentAtZero wants the counter on the page, at zero on a replica that has just
// started, or else there once a call was refused (MET-001): a counter with labels
// has no series before, and absent is zero.
func PresentAtZero() Tallies {
	return Tallies{"the counter is there, and stands at zero after a start; or it comes with the first refusal",
		func(t harness.Tally) *harness.Problem {
			switch {
			case t.Fresh && t.Before.Sum() != 0:
				return contract(fmt.Sprintf("%s stands at %v after a start in mode %s", t.Name, t.Before.Sum(), t.Mode), "0")
			case len(t.Before.Series) > 0 || len(t.After.Series) > 0:
				return nil
			case t.Calls == 0:
				return &harness.Problem{Verdict: harness.Inconclusive, Got: fmt.Sprintf("%s is absent in mode %s, and no call was refused that "+
					"would be counted", t.Name, t.Mode), Want: "a refusal, and the counter after it"}
			default:
				return contract(fmt.Sprintf("%s is absent in mode %s, after a call that was refused too", t.Name, t.Mode), "present")
			}
		}, nil}
}

// Want says what is wanted.
func (w Tallies) Want(p harness.Profile) string {
	if w.calls == nil {
		return w.words
	}
	return w.words + "; the calls: " + w.calls.Want(p)
}

// Judge judges the counters, and the calls between their readings.
func (w Tallies) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Tallies) == 0 {
		return nothing()
	}
	if j.Problems = w.uncountable(p, t); len(j.Problems) > 0 {
		return j
	}
	for _, tally := range t.Tallies {
		if problem := w.judge(tally); problem != nil {
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	return j
}

// uncountable are the calls that were answered otherwise than they had to be:
// that is others' to judge, here it says that the count cannot be told.
func (w Tallies) uncountable(p harness.Profile, t harness.Trace) []harness.Problem {
	if w.calls == nil {
		return nil
	}
	problems := w.calls.Judge(p, t).Problems
	for i := range problems {
		problems[i].Verdict, problems[i].Bucket = harness.Inconclusive, ""
	}
	return problems
}

// Allows wants the service's token to have exactly the given capabilities on each path
// of Vault, and no other.
type Allows map[string][]string

// Want says what is wanted.
func (a Allows) Want(harness.Profile) string {
	var words []string
	for _, path := range slices.Sorted(maps.Keys(a)) {
		words = append(words, fmt.Sprintf("%s: %s", path, strings.Join(a[path], ", ")))
	}
	return strings.Join(words, "; ")
}

// Judge compares. A path of which nothing was read is not seen.
func (a Allows) Judge(_ harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	read := harness.VaultAllows.In(t)
	for _, path := range slices.Sorted(maps.Keys(a)) {
		if !slices.ContainsFunc(read, func(s harness.State) bool { return s.Of == path }) {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: "nothing was read of " + path, Want: strings.Join(a[path], ", ")})
		}
	}
	for _, path := range read {
		got, want := strings.Join(path.Is, ", "), strings.Join(a[path.Of], ", ")
		if got != want {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: fmt.Sprintf("%s on %s", got, path.Of), Want: want})
		}
	}
	return j
}
