package outcome

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

func counter(reasons ...float64) harness.Family {
	f := harness.Family{Type: "counter", Series: map[string]float64{}}
	for i, v := range reasons {
		f.Series[string(rune('a'+i))] = v
	}
	return f
}

func TestTallies(t *testing.T) {
	none := harness.Family{}
	for name, row := range map[string]struct {
		tally            harness.Tally
		each, not, there judged
	}{
		"fresh, comes with a refusal":   {harness.Tally{Fresh: true, Before: none, After: counter(1), Calls: 1}, pass, undocumented, pass},
		"fresh, absent after a refusal": {harness.Tally{Fresh: true, Before: none, After: none, Calls: 1}, undocumented, pass, undocumented},
		"rose by each":                  {harness.Tally{Before: counter(1, 2), After: counter(1, 7), Calls: 5}, pass, undocumented, pass},
		"rose over two series":          {harness.Tally{Before: counter(1, 2), After: counter(3, 5), Calls: 5}, pass, undocumented, pass},
		"rose by a new series":          {harness.Tally{Before: counter(1), After: counter(1, 5), Calls: 5}, pass, undocumented, pass},
		"did not move":                  {harness.Tally{Before: counter(1), After: counter(1), Calls: 5}, undocumented, pass, pass},
		"rose by half":                  {harness.Tally{Before: counter(1), After: counter(3), Calls: 5}, undocumented, undocumented, pass},
		"rose by double":                {harness.Tally{Before: counter(1), After: counter(11), Calls: 5}, undocumented, undocumented, pass},
		"fell":                          {harness.Tally{Before: counter(9), After: counter(0), Calls: 5}, undocumented, undocumented, pass},
		"absent":                        {harness.Tally{Before: none, After: none, Calls: 5}, undocumented, pass, undocumented},
		"came with the first call":      {harness.Tally{Before: none, After: counter(5), Calls: 5}, pass, undocumented, pass},
		"vanished":                      {harness.Tally{Before: counter(1), After: none, Calls: 5}, undocumented, undocumented, pass},
		"absent, nobody refused":        {harness.Tally{Before: none, After: none}, pass, pass, unseenYet},
		"fresh, at zero":                {harness.Tally{Fresh: true, Before: counter(0, 0), After: counter(0, 0)}, pass, pass, pass},
		"fresh, not at zero":            {harness.Tally{Fresh: true, Before: counter(0, 1), After: counter(0, 1)}, pass, pass, undocumented},
		"fresh, absent":                 {harness.Tally{Fresh: true, Before: none, After: none}, pass, pass, unseenYet},
	} {
		trace := harness.Trace{Tallies: []harness.Tally{row.tally},
			Exchanges: []harness.Exchange{{Observation: harness.Observation{Status: 401}}}}
		for outcome, want := range map[string]judged{"each": row.each, "none": row.not, "there": row.there} {
			o := map[string]Tallies{"each": CountsEach(Unauthenticated()), "none": CountsNone(Unauthenticated()), "there": PresentAtZero()}[outcome]
			if got := verdict(t, o.Judge(harness.Profile{}, trace)); got != want {
				t.Errorf("%s, %s: %q, want %q", name, outcome, got, want)
			}
		}
	}
}

// TestReadings: what more than two readings must show.
func TestReadings(t *testing.T) {
	explained := func(f harness.Family, kind string) harness.Family {
		f.Type, f.Help = kind, "Refused requests."
		return f
	}
	read := func(kind string, values ...float64) harness.Tally {
		tally := harness.Tally{Before: explained(counter(values[0]), kind), After: explained(counter(values[len(values)-1]), kind), Calls: 2}
		for _, v := range values[1 : len(values)-1] {
			tally.Between = append(tally.Between, explained(counter(v), kind))
		}
		return tally
	}
	late := read("counter", 0, 1, 2)
	late.Before = harness.Family{}
	gone := read("counter", 1, 1, 1)
	gone.Between[0], gone.After = harness.Family{}, harness.Family{}
	silent := read("counter", 0, 1, 2)
	silent.Between[0].Help = ""
	for name, row := range map[string]struct {
		tally              harness.Tally
		isCounter, workers judged
	}{
		"rises":                {read("counter", 0, 1, 1, 2), pass, undocumented},
		"each shows all":       {read("counter", 3, 5, 5, 5), pass, pass},
		"falls and rises":      {read("counter", 3, 5, 4, 5), undocumented, undocumented},
		"a gauge":              {read("gauge", 3, 5, 5), undocumented, pass},
		"comes with the first": {late, pass, undocumented},
		"goes away":            {gone, undocumented, undocumented},
		"not explained":        {silent, undocumented, undocumented},
		"reset at the end":     {read("counter", 3, 5, 0), undocumented, undocumented},
		"one worker's at last": {read("counter", 0, 2, 1), undocumented, undocumented},
	} {
		trace := harness.Trace{Tallies: []harness.Tally{row.tally},
			Exchanges: []harness.Exchange{{Observation: harness.Observation{Status: 401}}}}
		if got := verdict(t, IsCounter(Unauthenticated()).Judge(harness.Profile{}, trace)); got != row.isCounter {
			t.Errorf("%s, as a counter: %q, want %q", name, got, row.isCounter)
		}
		if got := verdict(t, Steady(Unauthenticated()).Judge(harness.Profile{}, trace)); got != row.workers {
			t.Errorf("%s, of several workers: %q, want %q", name, got, row.workers)
		}
	}
}

// TestCallsThatCannotBeCounted: a call that was answered otherwise makes the
// count say nothing.
func TestCallsThatCannotBeCounted(t *testing.T) {
	for _, status := range []int{200, 404, 503} {
		trace := harness.Trace{Tallies: []harness.Tally{{Before: counter(0), After: counter(1), Calls: 1}},
			Exchanges: []harness.Exchange{{Observation: harness.Observation{Status: status}}}}
		if got := verdict(t, CountsEach(Unauthenticated()).Judge(harness.Profile{}, trace)); got != unseenYet {
			t.Errorf("%d: %q, want %q", status, got, unseenYet)
		}
	}
}

func TestAllows(t *testing.T) {
	want := Allows{"secret/data/aegis/runtime": {"read"}, "sys/mounts": {"deny"}}
	for name, row := range map[string]struct {
		facts []harness.Fact
		want  judged
	}{
		"exactly": {[]harness.Fact{harness.VaultAllows.Was("read").Of("secret/data/aegis/runtime"),
			harness.VaultAllows.Was("deny").Of("sys/mounts")}, pass},
		"more": {[]harness.Fact{harness.VaultAllows.Was("list", "read").Of("secret/data/aegis/runtime"),
			harness.VaultAllows.Was("deny").Of("sys/mounts")}, undocumented},
		"less": {[]harness.Fact{harness.VaultAllows.Was().Of("secret/data/aegis/runtime"),
			harness.VaultAllows.Was("deny").Of("sys/mounts")}, undocumented},
		"root": {[]harness.Fact{harness.VaultAllows.Was("read").Of("secret/data/aegis/runtime"),
			harness.VaultAllows.Was("root").Of("sys/mounts")}, undocumented},
		"one not read": {[]harness.Fact{harness.VaultAllows.Was("read").Of("secret/data/aegis/runtime")}, unseenYet},
	} {
		if got := verdict(t, want.Judge(harness.Profile{}, harness.Trace{Facts: row.facts})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestProcessesInTurn: what a page shows of now one process and now another is
// told as that, and as nothing else.
func TestProcessesInTurn(t *testing.T) {
	told := func(tally harness.Tally, o Tallies) bool {
		trace := harness.Trace{Tallies: []harness.Tally{tally}, Exchanges: []harness.Exchange{{Observation: harness.Observation{Status: 401}}}}
		j := o.Judge(harness.Profile{}, trace)
		return len(j.Problems) == 1 && strings.Contains(j.Problems[0].Got, "several processes answer in turn")
	}
	split := harness.Tally{Before: counter(4), After: counter(5), Again: []harness.Family{counter(7), counter(5)}, Calls: 5}
	if !told(split, CountsEach(Unauthenticated())) {
		t.Error("readings that differ while nobody calls are not told")
	}
	split.Again = []harness.Family{counter(5), counter(5)}
	if told(split, CountsEach(Unauthenticated())) {
		t.Error("one process that counts too little is told as several")
	}
	workers := harness.Tally{Before: counter(0), Between: []harness.Family{counter(2), counter(1)}, After: counter(2), Calls: 3}
	j := Steady(Unauthenticated()).Judge(harness.Profile{}, harness.Trace{Tallies: []harness.Tally{workers},
		Exchanges: []harness.Exchange{{Observation: harness.Observation{Status: 401}}}})
	if len(j.Problems) == 0 || !strings.Contains(j.Problems[0].Got, "in turn") {
		t.Errorf("%+v, want several processes told", j.Problems)
	}
}
