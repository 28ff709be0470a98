package run

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/keyset"
	"aegis.test/conformance/harness/probe/replica"
)

// TestEstimated: a run takes its requests, those of the calls around them, the replicas
// that it starts, and where it is slow what it waits for.
func TestEstimated(t *testing.T) {
	target := &harness.Target{Endpoints: make([]harness.Endpoint, 2), Profile: harness.Profile{StartBound: time.Minute}}
	for name, row := range map[string]struct {
		rows []Planned
		rate float64
		want Estimate
	}{
		"requests, and the calls around them": {[]Planned{{Requests: 8}}, 5, Estimate{2 * time.Second, 2 * time.Second}},
		"unpaced":                             {[]Planned{{Requests: 8}}, 0, Estimate{}},
		"as it is answered":                   {[]Planned{{Requests: -1}}, 1, Estimate{22 * time.Second, 22 * time.Second}},
		"what is not run":                     {[]Planned{{Verdict: harness.NotApplicable}}, 1, Estimate{}},
		"what is sent all the same": {[]Planned{{Verdict: harness.NotExercised, Requests: 8}}, 5, Estimate{2 * time.Second,
			2 * time.Second}},
		"starts and waits": {[]Planned{{Requests: 8, Starts: 3, WaitsMS: 60_000}}, 5, Estimate{17 * time.Second,
			77 * time.Second}},
	} {
		if got := Estimated(target, row.rows, row.rate); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

// TestWhatIsWaitedFor is read from what an expectation needs and starts.
func TestWhatIsWaitedFor(t *testing.T) {
	target := &harness.Target{Profile: harness.Profile{StartBound: time.Minute, NewKeyBound: 10 * time.Second}}
	for name, row := range map[string]struct {
		stimulus harness.Builder
		starts   int
		most     time.Duration
	}{
		"calls":                {probe.ValidToken(), 0, 0},
		"a start, and a sound": {replica.In(harness.OIDC).Unset("OIDC_JWKS_URI"), 2, 2 * time.Minute},
		"a start, and a list":  {replica.In(harness.MTLS).Without("clients/allowed"), 2, 2*time.Minute + 2*harness.DefaultPropagation},
		"a new key":            {keyset.NewKey(), 0, 20 * time.Second},
		"lists, and a sound":   {replica.MalformedLists(), 5, 5*time.Minute + 2*harness.DefaultPropagation},
	} {
		starts, most := waits(target, harness.Expectation{ID: "X-1", Stimulus: row.stimulus, Outcome: outcome.Accepted()})
		if starts != row.starts || most != row.most {
			t.Errorf("%s: %d starts, %s; want %d, %s", name, starts, most, row.starts, row.most)
		}
	}
}
