package outcome

import (
	"net/http"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// answeredAs is an exchange of oidc mode.
func answeredAs(variant, authorization string, status int, header http.Header) harness.Exchange {
	r := harness.Request{Mode: harness.OIDC, Variant: variant, Credential: variant}
	if authorization != "" {
		r.Set("Authorization", authorization)
	}
	return harness.Exchange{Request: r, Observation: harness.Observation{Status: status, Header: header}}
}

func traceOf(f ...harness.Fact) harness.Trace { return harness.Trace{Facts: f} }

// first is the verdict of the first problem, or a pass.
func first(o harness.Outcome, p harness.Profile, trace harness.Trace) harness.Verdict {
	if problems := o.Judge(p, trace).Problems; len(problems) > 0 {
		return problems[0].Verdict
	}
	return harness.Pass
}

func TestKeyOutcomes(t *testing.T) {
	const late = harness.TimeOut
	slow := answeredAs("a", "Bearer x", 0, nil)
	slow.Observation.Transport = late
	flood := func(fetches int, lasted time.Duration) harness.Trace {
		var trace harness.Trace
		for range 20 {
			trace.Exchanges = append(trace.Exchanges, answeredAs("kid", "Bearer x", 401, nil))
		}
		trace.Facts = []harness.Fact{harness.KeySetFetches.Was(fetches), harness.FloodLasted.Was(lasted)}
		return trace
	}
	slower := slow
	slower.Observation.Earlier = []string{string(harness.TimeOut)}
	sparing := Sparing{}
	refreshing := harness.Profile{KeyRefresh: 100 * time.Millisecond}
	challenge := func(value string) http.Header { return http.Header{"Www-Authenticate": {value}} }
	for name, c := range map[string]struct {
		outcome harness.Outcome
		profile harness.Profile
		trace   harness.Trace
		want    harness.Verdict
	}{
		"no answer in time, once": {Prompt(Accepted()), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{slow}},
			harness.Inconclusive},
		"no answer in time": {Prompt(Accepted()), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{slower}}, harness.Fail},
		"a control that fails": {Shown(Accepted()), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a", "", 401,
			nil)}}, harness.Inconclusive},
		"503 while out of reach": {Unverifiable(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a", "", 503,
			nil)}}, harness.Pass},
		"served out of reach": {Unverifiable(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a", "", 200,
			nil)}}, harness.Fail},
		"no calls":          {Count{Of: harness.CallsOutOfBand}, harness.Profile{}, traceOf(harness.CallsOutOfBand.Was(0)), harness.Pass},
		"a call":            {Count{Of: harness.CallsOutOfBand}, harness.Profile{}, traceOf(harness.CallsOutOfBand.Was(1)), harness.Fail},
		"calls not counted": {Count{Of: harness.CallsOutOfBand}, harness.Profile{}, harness.Trace{}, harness.Inconclusive},
		"an exit": {OrExit{PerVariant{"a": Accepted()}}, harness.Profile{}, traceOf(harness.ReplicaEnded.Was("status 1")),
			harness.Pass},
		"neither answer nor exit": {OrExit{PerVariant{"a": Accepted()}}, harness.Profile{}, harness.Trace{}, harness.Inconclusive},
		"five fetches":            {sparing, harness.Profile{}, flood(5, 1*time.Second), harness.Pass},
		"six fetches":             {sparing, harness.Profile{}, flood(6, 1*time.Second), harness.Fail},
		"six, of which one due":   {sparing, refreshing, flood(6, 50*time.Millisecond), harness.Pass},
		"seven, of which one due": {sparing, refreshing, flood(7, 50*time.Millisecond), harness.Fail},
		"more due than sent":      {sparing, refreshing, flood(9, 10*time.Second), harness.Inconclusive},
		"the same status": {Deterministic{PerCredential{"a": NeverBreaks()}}, harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{
			answeredAs("a", "", 200, nil), answeredAs("a", "", 200, nil)}}, harness.Pass},
		"another status": {Deterministic{PerCredential{"a": NeverBreaks()}}, harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{
			answeredAs("a", "", 200, nil), answeredAs("a", "", 401, nil)}}, harness.Fail},
		"both orders refused": {Consistent{Unauthenticated().Or(400)}, harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{
			answeredAs("a", "x", 401, nil), answeredAs("b", "x", 400, nil)}}, harness.Pass},
		"one order served": {Consistent{Unauthenticated()}, harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{
			answeredAs("a", "x", 401, nil), answeredAs("b", "x", 200, nil)}}, harness.Fail},
		"an error unasked for": {Unauthenticated().Explained(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a",
			"", 401, challenge(`Bearer error="x"`))}}, harness.Fail},
		"an error that fits": {Unauthenticated().Explained(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a",
			"Bearer x", 401, challenge(`Bearer realm="r", error="invalid_token"`))}}, harness.Pass},
		"an error without quote": {Unauthenticated().Explained(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a",
			"Bearer x", 401, challenge(`Bearer error=invalid_token`))}}, harness.Fail},
		"an answer of a cache": {Unauthenticated().Fresh(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a", "",
			401, http.Header{"Age": {"3"}})}}, harness.Fail},
		"a redirect": {Uncovered(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a", "Bearer x", 301,
			nil)}}, harness.Pass},
		"served in the clear": {Uncovered(), harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{answeredAs("a", "Bearer x", 200,
			nil)}}, harness.Fail},
	} {
		if got := first(c.outcome, c.profile, c.trace); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
