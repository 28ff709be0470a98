package outcome

import (
	"crypto/tls"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// called is one call of a class, in milliseconds from the first.
type called struct {
	at     int
	class  string
	status int // 0 is a connection that was refused, -1 one that ended, -2 no answer in time
}

func timeline(bound time.Duration, calls ...called) harness.Trace {
	start := time.Now()
	t := harness.Trace{Timeline: &harness.Timeline{Change: "it changes", Bound: bound, Marks: []harness.Mark{{AtMS: 100,
		Label: "it is made"}}}}
	for _, c := range calls {
		x := harness.Exchange{Observation: harness.Observation{At: start.Add(time.Duration(c.at) * time.Millisecond), Total: time.Millisecond,
			Status: max(c.status, 0)}}
		x.Request.Variant, x.Request.Mode, x.Request.Certificate = c.class, harness.MTLS, &tls.Certificate{}
		x.Observation.Transport = map[int]harness.Transport{0: harness.Refused, -1: harness.Broken, -2: harness.TimeOut}[c.status]
		t.Exchanges = append(t.Exchanges, x)
	}
	return t
}

// TestGapless judges a class that must always be served, and one that is taken
// away at 100 ms, within a second.
func TestGapless(t *testing.T) {
	g := Gapless{Classes: map[string][]Duty{
		"stays": Always(Accepted()), "goes": Until("it is made", Accepted(), Forbidden()),
	}}
	first := called{0, "stays", 200}
	for name, c := range map[string]struct {
		calls    []called
		replicas int
		verdict  harness.Verdict
		bucket   harness.Bucket
		wrong    int
	}{
		"sound":                    {[]called{{10, "goes", 200}, {150, "goes", 403}}, 1, harness.Pass, "", 0},
		"late, within the bound":   {[]called{{10, "goes", 200}, {1050, "goes", 200}, {1090, "goes", 403}}, 1, harness.Pass, "", 0},
		"past the bound":           {[]called{{10, "goes", 200}, {1150, "goes", 200}}, 1, harness.Fail, harness.Security, 1},
		"before it was made":       {[]called{{10, "goes", 403}, {150, "goes", 403}}, 1, harness.Fail, harness.Contract, 1},
		"meanwhile":                {[]called{{99, "goes", 403}, {150, "goes", 403}}, 1, harness.Pass, "", 0},
		"never seen to come about": {[]called{{10, "goes", 200}, {150, "goes", 200}}, 1, harness.Inconclusive, "", 0},
		"falls back": {[]called{{10, "goes", 200}, {150, "goes", 403}, {160, "goes", 403}, {170, "goes", 403}, {180, "goes",
			200}, {190, "goes", 403}}, 1, harness.Fail, harness.Security, 1},
		"falls back, on replicas": {[]called{{10, "goes", 200}, {150, "goes", 403}, {160, "goes", 403}, {170, "goes", 403}, {180, "goes",
			200}, {190, "goes", 403}}, 3, harness.Pass, "", 0},
		"a gap":                     {[]called{{10, "goes", 200}, {120, "stays", 0}, {150, "goes", 403}}, 1, harness.Fail, harness.Contract, 1},
		"a gap in the service":      {[]called{{10, "goes", 200}, {120, "stays", 502}, {150, "goes", 403}}, 1, harness.Fail, harness.Contract, 1},
		"a call that got lost":      {[]called{{10, "goes", 200}, {120, "stays", -2}, {150, "goes", 403}}, 1, harness.Pass, "", 0},
		"an open connection ended":  {[]called{{10, "goes", 200}, {150, "goes", -1}}, 1, harness.Pass, "", 0},
		"nobody who is to be taken": {[]called{{10, "stays", 200}}, 1, harness.Inconclusive, "", 0},
		"somebody without duties":   {[]called{{10, "goes", 200}, {20, "who?", 200}, {150, "goes", 403}}, 1, harness.Error, "", 0},
	} {
		j := g.Judge(harness.Profile{Replicas: c.replicas}, timeline(time.Second, append([]called{first}, c.calls...)...))
		verdict, bucket := harness.Pass, harness.Bucket("")
		if len(j.Problems) > 0 {
			verdict, bucket = j.Problems[0].Verdict, j.Problems[0].Bucket
		}
		wrong := 0
		for _, s := range j.Timeline.Samples {
			if !s.Right {
				wrong++
			}
		}
		if verdict != c.verdict || bucket != c.bucket || wrong != c.wrong {
			t.Errorf("%s: %s %s, %d wrong: %v; want %s %s, %d wrong", name, verdict, bucket, wrong, j.Problems, c.verdict, c.bucket, c.wrong)
		}
	}
}

// TestGaplessOfWhatIsUndeclared judges a class whose change has no bound, and one
// that need not call.
func TestGaplessOfWhatIsUndeclared(t *testing.T) {
	never := func(harness.Profile, time.Duration) time.Duration { return -1 }
	g := Gapless{Classes: map[string][]Duty{
		"held":  {{Want: Accepted()}, {From: "it is made", Want: Forbidden(), Within: never}},
		"other": Always(Accepted()),
	}, Optional: []string{"other"}}
	if j := g.Judge(harness.Profile{Replicas: 1}, timeline(0, called{0, "held", 200}, called{5000, "held", 200})); len(j.Problems) > 0 {
		t.Errorf("got %v, want no problem", j.Problems)
	}
	if j := g.Judge(harness.Profile{}, harness.Trace{}); len(j.Problems) != 1 || j.Problems[0].Verdict != harness.Inconclusive {
		t.Errorf("of nothing: got %v, want inconclusive", j.Problems)
	}
}

// TestGaplessThen judges a further change by its own duties, and what started
// meanwhile.
func TestGaplessThen(t *testing.T) {
	g := Gapless{
		Classes: map[string][]Duty{"stays": Always(Accepted())},
		Then:    &Gapless{Classes: map[string][]Duty{"goes": Until("it is made", Accepted(), Forbidden())}, Starts: WaitsOrSays()},
	}
	answer := harness.Exchange{Observation: harness.Observation{Status: 200}}
	for name, row := range map[string]struct {
		then  []called
		start harness.Startup
		want  judged
		at    int
	}{
		"sound":                  {[]called{{10, "goes", 200}, {150, "goes", 403}}, harness.Startup{After: []harness.Exchange{answer}}, pass, 0},
		"wrong after the second": {[]called{{10, "goes", 200}, {1150, "goes", 200}}, harness.Startup{After: []harness.Exchange{answer}}, hole, 2},
		"a start that says why":  {[]called{{10, "goes", 200}, {150, "goes", 403}}, harness.Startup{Exited: true, Code: 1}, pass, 0},
		"a start that does not": {[]called{{10, "goes", 200}, {150, "goes", 403}}, harness.Startup{Exited: true, Code: 1,
			Unnamed: []string{"aegis/runtime"}}, undocumented, -1},
		"a start that is well": {[]called{{10, "goes", 200}, {150, "goes", 403}}, harness.Startup{Exited: true}, undocumented, -1},
		"a start that hangs":   {[]called{{10, "goes", 200}, {150, "goes", 403}}, harness.Startup{}, undocumented, -1},
	} {
		trace, then := timeline(time.Second, called{0, "stays", 200}), timeline(time.Second, row.then...)
		then.Startups = []harness.Startup{row.start}
		trace.Exchanges, trace.Then = append(trace.Exchanges, then.Exchanges...), &then
		j := g.Judge(harness.Profile{Replicas: 1}, trace)
		if got := verdict(t, j); got != row.want || row.want != pass && j.Problems[0].Exchange != row.at {
			t.Errorf("%s: %q, %v; want %q at %d", name, got, j.Problems, row.want, row.at)
		}
		if j.Timeline.Then == nil || len(j.Timeline.Samples) != 1 || len(j.Timeline.Then.Samples) != 2 {
			t.Errorf("%s: got %+v, want a timeline of each change", name, j.Timeline)
		}
	}
}

// TestAConnectionThatEndedOnce is no verdict on a class that must be served: it may be
// the network's. Two are a gap, and so is one whose call was refused again.
func TestAConnectionThatEndedOnce(t *testing.T) {
	g := Gapless{Classes: map[string][]Duty{"stays": Always(Accepted())}}
	again := harness.Observation{Status: 200, Earlier: []string{string(harness.EOF)}}
	alone := harness.Observation{Transport: harness.Reset, Unrepeated: true}
	twice := harness.Observation{Transport: harness.EOF, Earlier: []string{string(harness.EOF)}}
	for name, row := range map[string]struct {
		seen []harness.Observation
		want judged
	}{
		"none":                         {[]harness.Observation{{Status: 200}}, pass},
		"one":                          {[]harness.Observation{{Status: 200}, again}, unseenYet},
		"one that cannot be repeated":  {[]harness.Observation{{Status: 200}, alone}, unseenYet},
		"one that ended again":         {[]harness.Observation{{Status: 200}, twice}, undocumented},
		"a target that was asked much": {[]harness.Observation{{Status: 200, Earlier: []string{"429"}}}, pass},
	} {
		trace := timeline(time.Second)
		for _, o := range row.seen {
			x := harness.Exchange{Observation: o}
			x.Request.Variant = "stays"
			trace.Exchanges = append(trace.Exchanges, x)
		}
		if got := verdict(t, g.Judge(harness.Profile{}, trace)); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
	trace := timeline(time.Second)
	for range 2 {
		x := harness.Exchange{Observation: again}
		x.Request.Variant = "stays"
		trace.Exchanges = append(trace.Exchanges, x)
	}
	if j := g.Judge(harness.Profile{}, trace); len(j.Problems) != 2 || j.Problems[0].Verdict != harness.Fail {
		t.Errorf("two: got %v, want a gap", j.Problems)
	}
}

// TestGaplessTellsWhichBoundWasBroken: an answer of the duty before, past the bound, is a
// matter of time; any other is not. A call is as old as its connection.
func TestGaplessTellsWhichBoundWasBroken(t *testing.T) {
	g := Gapless{Classes: map[string][]Duty{"goes": Until("it is made", Accepted(), Forbidden())}}
	for name, row := range map[string]struct {
		last   called
		opened int
		want   judged
		bound  bool
	}{
		"of the duty before, too late":    {called{1150, "goes", 200}, 1150, hole, true},
		"of neither":                      {called{1150, "goes", 404}, 1150, undocumented, false},
		"on a connection from before it":  {called{1150, "goes", 200}, 1050, unseenYet, false},
		"of the duty before, before time": {called{20, "goes", 403}, 20, undocumented, false},
	} {
		trace := timeline(time.Second, called{0, "goes", 200}, row.last)
		trace.Exchanges[1].Observation.Opened = trace.Exchanges[0].Observation.At.Add(time.Duration(row.opened) * time.Millisecond)
		j := g.Judge(harness.Profile{Replicas: 1}, trace)
		if got := verdict(t, j); got != row.want || row.bound != (j.Problems[0].Overdue != nil) {
			t.Errorf("%s: %s, %+v; want %s, a bound: %v", name, got, j.Problems, row.want, row.bound)
		}
		for _, p := range j.Problems {
			if o := p.Overdue; o != nil && (o.Bound != time.Second || o.Until.Sub(o.Since) != 1050*time.Millisecond) {
				t.Errorf("%s: %+v", name, o)
			}
		}
	}
}

// TestABoundCountsFromWhenItWasMade: making a change may itself take a while, in which
// either answer is as good.
func TestABoundCountsFromWhenItWasMade(t *testing.T) {
	g := Gapless{Classes: map[string][]Duty{"goes": Until("it is made", Accepted(), Forbidden())}}
	for at, want := range map[int]judged{1550: unseenYet, 1650: hole} { // not seen to come about, and too late
		trace := timeline(time.Second, called{0, "goes", 200}, called{at, "goes", 200})
		trace.Timeline.Marks[0].DoneMS = 600
		if got := verdict(t, g.Judge(harness.Profile{Replicas: 1}, trace)); got != want {
			t.Errorf("served %d ms after the first: %s, want %s", at, got, want)
		}
	}
}
