package outcome

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// of is one exchange of a variant in oidc mode.
func of(variant string, o harness.Observation) harness.Exchange {
	return harness.Exchange{Request: harness.Request{Mode: harness.OIDC, Variant: variant}, Observation: o}
}

func judge(t *testing.T, o harness.Outcome, exchanges ...harness.Exchange) harness.Judgement {
	t.Helper()
	return o.Judge(harness.Profile{}, harness.Trace{Exchanges: exchanges})
}

func TestTolerances(t *testing.T) {
	either := Either(Accepted(), Unauthenticated())
	for _, c := range []struct {
		name    string
		outcome harness.Outcome
		want    map[string]judged
	}{
		{"either", either, map[string]judged{"200": pass, "401": pass, "403": undocumented, "500": undocumented, "502": unseenYet,
			"time-out": unseenYet}},
		{"genuine", Unauthenticated().Genuine(), map[string]judged{"200": detail, "401": pass, "500": detail, "502": unseenYet,
			"time-out": unseenYet}},
		{"genuine, either", Either(Accepted(), Unauthenticated()).Genuine(), map[string]judged{"200": pass, "401": pass, "500": detail,
			"403": detail}},
		{"never breaks", NeverBreaks(), map[string]judged{"200": pass, "401": pass, "404": pass, "500": undocumented, "503": unseenYet,
			"eof": pass}},
		{"too big", Unauthenticated().TooBig(), map[string]judged{"401": pass, "400": pass, "eof": pass, "reset": pass, "200": hole,
			"500": undocumented, "404": undocumented}},
	} {
		for class, want := range c.want {
			if got := verdict(t, judge(t, c.outcome, of("v", seen[class]))); got != want {
				t.Errorf("%s, %s: got %q, want %q", c.name, class, got, want)
			}
		}
	}
	if notes := judge(t, either.Recorded(), of("v", seen["200"]), of("v", seen["200"])).Notes; len(notes) != 1 || notes[0] != "v: 200" {
		t.Errorf("recorded %q", notes)
	}
}

func TestScoped(t *testing.T) {
	bare, named := seen["403"], seen["403"]
	named.Header = http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`}}
	if got := verdict(t, judge(t, Forbidden().Scoped(), of("v", bare))); got != detail {
		t.Errorf("without a challenge: got %q", got)
	}
	if got := verdict(t, judge(t, Forbidden().Scoped(), of("v", named))); got != pass {
		t.Errorf("with one: got %q", got)
	}
}

// bearing is an exchange of a token with a payload.
func bearing(variant, payload string, o harness.Observation) harness.Exchange {
	x := of(variant, o)
	x.Request.Set("Authorization", "Bearer x."+base64.RawURLEncoding.EncodeToString([]byte(payload))+".x")
	return x
}

func TestUnreflected(t *testing.T) {
	const payload = `{"sub":"marker-1","iss":"https://idp.test","n":1}`
	for name, c := range map[string]struct {
		body   string
		header http.Header
		want   judged
	}{
		"nothing":   {`{"error":"unauthorized"}`, nil, pass},
		"body":      {`no such user: marker-1`, nil, undocumented},
		"header":    {"", http.Header{"X-Caller": {"marker-1"}}, undocumented},
		"no marker": {"https://idp.test", nil, pass},
	} {
		o := harness.Observation{Status: 401, Body: []byte(c.body), Header: c.header}
		if got := verdict(t, judge(t, Unauthenticated().Unreflected("marker-"), bearing("v", payload, o))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAsSubject(t *testing.T) {
	for name, c := range map[string]struct {
		reached *harness.Reached
		want    judged
		notes   int
	}{
		"itself":  {&harness.Reached{Complete: true, Identity: []string{"me"}}, pass, 0},
		"another": {&harness.Reached{Complete: true, Identity: []string{"you"}}, hole, 0},
		"no log":  {nil, pass, 1},
	} {
		j := judge(t, Accepted().AsSubject(), bearing("v", `{"sub":"me"}`, harness.Observation{Status: 200, Reached: c.reached}))
		if got := verdict(t, j); got != c.want || len(j.Notes) != c.notes {
			t.Errorf("%s: got %q, notes %q", name, got, j.Notes)
		}
	}
}

func TestSame(t *testing.T) {
	each := Same{Either(Accepted(), Unauthenticated())}
	if got := verdict(t, judge(t, each, of("v", seen["200"]), of("v", seen["200"]))); got != pass {
		t.Errorf("alike: got %q", got)
	}
	if got := verdict(t, judge(t, each, of("v", seen["200"]), of("v", seen["401"]))); got != undocumented {
		t.Errorf("apart: got %q", got)
	}
}

func TestApart(t *testing.T) {
	apart := Apart{Those: PerVariant{"a": Either(Accepted(), Unauthenticated())}, Rest: Unauthenticated()}
	j := judge(t, apart, of("b", seen["401"]), of("a", seen["200"]), of("c", seen["200"]))
	if len(j.Problems) != 1 || j.Problems[0].Exchange != 2 || j.Problems[0].Bucket != harness.Security {
		t.Errorf("got %+v, want the third exchange to be served", j.Problems)
	}
	if j := judge(t, apart, of("b", seen["401"])); len(j.Problems) != 1 || j.Problems[0].Verdict != harness.Inconclusive {
		t.Errorf("a variant that was not sent: got %+v", j.Problems)
	}
}

func TestTimely(t *testing.T) {
	timely := Timely{Each: Unauthenticated(), Baseline: "usual"}
	quick, slow := seen["401"], seen["401"]
	quick.Total, slow.Total = 10*time.Millisecond, 5*time.Second
	if j := judge(t, timely, of("usual", quick), of("costly", slow)); len(j.Problems) != 0 || len(j.Notes) != 1 {
		t.Errorf("slow: got %+v", j)
	}
	if j := judge(t, timely, of("usual", quick), of("costly", seen["time-out"])); len(j.Problems) != 1 ||
		j.Problems[0].Verdict != harness.Inconclusive {
		t.Errorf("no answer once: got %+v, want it inconclusive", j.Problems)
	}
	again := seen["time-out"]
	again.Earlier = []string{string(harness.TimeOut)}
	j := judge(t, timely, of("usual", quick), of("costly", again))
	if last := j.Problems[len(j.Problems)-1]; last.Verdict != harness.Fail || last.Exchange != 1 {
		t.Errorf("no answer: got %+v", j.Problems)
	}
	if j := judge(t, timely, of("usual", seen["time-out"]), of("costly", seen["time-out"])); len(j.Problems) != 2 {
		t.Errorf("nothing answers: got %+v, want it inconclusive", j.Problems)
	}
}

func TestLeeway(t *testing.T) {
	leeway := Leeway{Ages: map[string]time.Duration{"30s": 30 * time.Second, "8m": 8 * time.Minute, "10m": 10 * time.Minute},
		Free: 5 * time.Minute, Limit: 10 * time.Minute}
	for name, c := range map[string]struct {
		answers map[string]string
		want    judged
		notes   string
	}{
		"none":     {map[string]string{"30s": "401", "8m": "401", "10m": "401"}, pass, "leeway of exp: 0s"},
		"some":     {map[string]string{"30s": "200", "8m": "401", "10m": "401"}, pass, "leeway of exp: 30s"},
		"much":     {map[string]string{"30s": "200", "8m": "200", "10m": "401"}, pass, "warning"},
		"too much": {map[string]string{"30s": "200", "8m": "200", "10m": "200"}, hole, "warning"},
	} {
		var exchanges []harness.Exchange
		for variant, class := range c.answers {
			exchanges = append(exchanges, of(variant, seen[class]))
		}
		j := judge(t, leeway, exchanges...)
		if got := verdict(t, j); got != c.want || !strings.Contains(strings.Join(j.Notes, "; "), c.notes) {
			t.Errorf("%s: got %q, notes %q", name, got, j.Notes)
		}
	}
}

func TestVectorsAreCountedAndNamed(t *testing.T) {
	vectors := Vectors{Rest: Unauthenticated(), Controls: []string{"one", "other"}, Enough: "one"}
	j := judge(t, vectors, of("one", seen["200"]), of("other", seen["401"]), of("tcId 46", seen["401"]), of("tcId 47", seen["200"]))
	if got := verdict(t, j); got != hole || j.Problems[0].Exchange != 3 {
		t.Errorf("got %+v", j.Problems)
	}
	notes := strings.Join(j.Notes, "; ")
	for _, want := range []string{"2 vectors, 1 answered otherwise", "vectors that failed: tcId 47", "not taken: other"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q lack %q", notes, want)
		}
	}
	if got := verdict(t, judge(t, vectors, of("one", seen["401"]), of("tcId 46", seen["401"]))); got != unseenYet {
		t.Errorf("no control: got %q", got)
	}
}
