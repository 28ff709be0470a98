package run

import (
	"slices"
	"time"

	"aegis.test/conformance/harness"
)

// What a run takes beside the requests that are foretold, as it was measured on targets
// of many kinds.
const (
	unforetold = 20              // requests of a stimulus that turn on what is answered
	aStart     = 5 * time.Second // a replica's, to its answer or its end
)

// Estimate is how long a run takes: at least, and where every wait lasts to its bound.
type Estimate struct{ Least, Most time.Duration }

// Estimated is how long planned rows take at a rate of requests a second, which is 0
// for unpaced: the accepted calls around them are one an endpoint.
func Estimated(t *harness.Target, rows []Planned, rate float64) Estimate {
	requests, starts, waits := 0, 0, time.Duration(0)
	for _, r := range rows {
		if r.Verdict != "" && r.Requests <= 0 {
			continue
		}
		if r.Requests < 0 {
			requests += unforetold
		}
		requests += max(r.Requests, 0) + len(t.Endpoints)
		starts += r.Starts
		waits += time.Duration(r.WaitsMS) * time.Millisecond
	}
	least := time.Duration(starts) * aStart
	if rate > 0 {
		least += time.Duration(float64(requests) / rate * float64(time.Second))
	}
	return Estimate{least, least + waits}
}

// waits are the replicas that an expectation starts, and how long its waits last at most.
func waits(t *harness.Target, x harness.Expectation) (starts int, most time.Duration) {
	s := x.Stimulus.Build()
	p, needs := t.Profile, s.Needs
	starts = s.Starts
	if starts == 0 && (slices.Contains(needs, harness.RestartService) || slices.Contains(needs, harness.RollOut)) {
		starts = 1
	}
	if s.Effect != harness.Disruptive {
		return starts, 0
	}
	most = time.Duration(starts) * or(p.StartBound, harness.DefaultStartBound)
	for _, bound := range []struct {
		of   harness.Capability
		most time.Duration
	}{
		{harness.VaultWrite, or(p.Propagation, harness.DefaultPropagation)},
		{harness.ControlJWKS, or(p.NewKeyBound, harness.DefaultNewKey)},
		{harness.IngressControlled, or(p.Propagation, harness.DefaultPropagation)},
		{harness.AlertsAPI, or(p.AlertBound, harness.DefaultAlertBound)},
	} {
		if slices.Contains(needs, bound.of) {
			most += 2 * bound.most // there, and back
		}
	}
	return starts, most
}

func or(declared, standard time.Duration) time.Duration {
	if declared > 0 {
		return declared
	}
	return standard
}
