package run

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"aegis.test/conformance/harness"
)

// Conduct tells what a run met on its way.
func (e *Engine) Conduct() harness.Conduct {
	e.rails.mu.Lock()
	defer e.rails.mu.Unlock()
	return harness.Conduct{Asked: e.rails.asked, Waited: e.rails.waited, Most: e.rails.total, Again: e.rails.again}
}

// again decides whether requests that were sent together are sent again, and says what
// for; "" is not. A target that is asked too much (429) has not looked at them: they
// wait, as told, for as long as the rails allow. A connection that ended before any
// byte of HTTP, and a call that had no answer in time, may be the network's or a
// moment's: they are sent once more, on a new connection, as RFC 9112 section 9.3.1
// lets any client do with what is idempotent; what comes then is judged, a second close
// as the refusal that it is.
func (e *Engine) again(requests []harness.Request, seen []harness.Observation, by sending, earlier []string) string {
	switch {
	case len(seen) == 0:
		return ""
	case slices.ContainsFunc(seen, limited):
		if e.rails.patient() {
			return tooMany
		}
		return ""
	case slices.ContainsFunc(earlier, func(why string) bool { return why != tooMany }),
		!lost(requests[0], seen[0]), !by.anew, slices.ContainsFunc(requests, creates):
		return ""
	}
	return string(seen[0].Transport)
}

// tooMany is the end of an attempt that the target had no time for.
const tooMany = "429"

// sentAgain tells which calls were answered when they were sent again, and what for.
func sentAgain(exchanges []harness.Exchange) []string {
	calls := map[string]int{}
	for _, x := range exchanges {
		if x.Observation.Transport != harness.Answered {
			continue // it ended so whenever it was sent
		}
		for _, why := range slices.Compact(slices.Clone(x.Observation.Earlier)) {
			calls[why]++
		}
	}
	words := map[string]string{
		tooMany: "the target had too many (429)", string(harness.TimeOut): "there was no answer in time",
		string(harness.EOF): "the connection ended without an answer", string(harness.Reset): "the connection was reset without an answer",
	}
	var notes []string
	for _, why := range slices.Sorted(maps.Keys(calls)) {
		notes = append(notes, fmt.Sprintf("%d of %d calls were sent again, as %s: what came then is judged", calls[why], len(exchanges), words[why]))
	}
	return notes
}

func limited(seen harness.Observation) bool { return seen.Status == http.StatusTooManyRequests }

// lost reports that a connection ended without an answer. What a replica of ours does
// while it starts is watched by who started it, and bytes that are no call have no
// answer in time by their nature.
func lost(r harness.Request, seen harness.Observation) bool {
	switch seen.Transport {
	case harness.EOF, harness.Reset:
		return r.Face == nil
	case harness.TimeOut:
		return r.Face == nil && r.Raw == nil
	}
	return false
}

// mark says of an observation what became of earlier attempts, or that there can be no
// further one.
func mark(requests []harness.Request, seen []harness.Observation, i int, earlier []string, by sending) harness.Observation {
	o := seen[i]
	o.Earlier = slices.Clone(earlier)
	o.Unrepeated = lost(requests[i], o) && (!by.anew || slices.ContainsFunc(requests, creates))
	return o
}

// A run is slowed to what its target bears: with each answer that says it is too much
// to a part of its pace, but for the least; one that had no pace begins at the first.
const (
	unpaced = rate.Limit(16)
	slower  = 0.7
	slowest = rate.Limit(0.5)
)

// slow slows the run down. Requests go one by one then: a burst is what a limit counts.
func (e *Engine) slow(at time.Time) {
	e.slowing.Lock()
	defer e.slowing.Unlock()
	if at.Before(e.slowed) {
		return // it was sent at the pace before
	}
	e.slowed = time.Now()
	e.burst.Store(1)
	e.pace.SetBurst(1)
	e.pace.SetLimit(max(slower*min(e.pace.Limit(), unpaced), slowest))
}
