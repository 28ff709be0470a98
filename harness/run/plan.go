package run

import (
	"fmt"

	"aegis.test/conformance/harness"
)

// Planned is what a run would do about one expectation.
type Planned struct {
	ID string `json:"id"`
	// Verdict is not-exercised, not-applicable, or empty for what would run.
	Verdict harness.Verdict      `json:"verdict"`
	Reason  string               `json:"reason"`
	Missing []harness.Capability `json:"missing"`
	// Requests is how many requests its stimulus sends, its controls left out;
	// -1 when that turns on what is answered. A row that is not exercised sends
	// some where it lacks its controls only: it can fail, and cannot pass. Writes
	// are those of them that write where they are accepted.
	Requests int `json:"requests"`
	Writes   int `json:"writes"`
	// About says that the run chooses some of them: Requests may be a few more or fewer.
	About bool `json:"about,omitempty"`
	// Unflanked are those of them that go to endpoints where no accepted call may be made.
	Unflanked int `json:"unflanked,omitempty"`
	// Starts is how many replicas it starts, WaitsMS how long its waits for bounds of
	// time last at most, milliseconds.
	Starts  int   `json:"starts"`
	WaitsMS int64 `json:"waits_ms"`
}

// Amount says in words what is sent.
func (p Planned) Amount(effect harness.Effect) string {
	switch {
	case p.Requests < 0:
		return string(effect) + ", requests as it is answered"
	case p.About:
		return fmt.Sprintf("%s, about %d requests", effect, p.Requests)
	case p.Writes > 0:
		return fmt.Sprintf("%s, %d requests, %d writes", effect, p.Requests, p.Writes)
	default:
		return fmt.Sprintf("%s, %d requests", effect, p.Requests)
	}
}

// Plan says what a run would do about an expectation. It sends nothing.
func Plan(t *harness.Target, x harness.Expectation) Planned {
	p := Planned{ID: x.ID, Missing: []harness.Capability{}}
	if f := standing(t, x); f.Verdict != "" {
		p.Verdict, p.Reason, p.Missing = f.Verdict, f.Reason, append(p.Missing, f.Missing...)
		if !oneSided(t, x) {
			return p
		}
	}
	if p.Verdict == "" {
		starts, most := waits(t, x)
		p.Starts, p.WaitsMS = starts, most.Milliseconds()
	}
	requests, ok := foretold(t, x)
	if !ok {
		p.Requests = -1
		return p
	}
	p.Requests, p.About = len(requests), x.Stimulus.Build().Seeded
	for _, r := range requests {
		if r.Unflanked {
			p.Unflanked++
		}
		if x.Stimulus.Build().Effect == harness.Writes && r.Endpoint.Effect == harness.Writes {
			p.Writes++
		}
	}
	return p
}

// foretold are the requests of a stimulus, where that can be told.
func foretold(t *harness.Target, x harness.Expectation) ([]harness.Request, bool) {
	stimulus := x.Stimulus.Build()
	if stimulus.Requests == nil {
		return nil, false
	}
	return stimulus.Requests(t)
}

// oneSided reports whether an expectation that cannot be exercised is sent all the
// same: it lacks its controls only, and what it sends is known.
func oneSided(t *harness.Target, x harness.Expectation) bool {
	if x.NotApplicable(t) != "" || !x.OneSided(t) {
		return false
	}
	_, ok := foretold(t, x)
	return ok
}

// standing is how an expectation stands before anything is sent: its verdict is
// empty when it can be judged.
func standing(t *harness.Target, x harness.Expectation) harness.Finding {
	f := harness.Finding{ID: x.ID}
	if reason := x.NotApplicable(t); reason != "" {
		f.Verdict, f.Reason = harness.NotApplicable, reason
	} else if missing := x.Missing(t); len(missing) > 0 {
		f.Verdict, f.Missing = harness.NotExercised, missing
		f.Reason = "the target does not grant " + list(missing)
	}
	return f
}
