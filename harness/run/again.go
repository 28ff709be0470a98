package run

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"aegis.test/conformance/harness"
)

// Conduct tells what a run met on its way.
func (e *Engine) Conduct() harness.Conduct {
	e.breaker.mu.Lock()
	defer e.breaker.mu.Unlock()
	return harness.Conduct{Asked: e.breaker.asked, Waited: e.breaker.waited, Most: e.breaker.total, Again: e.breaker.again}
}

// again decides whether requests that were sent together are sent again, and says what
// for; "" is not. A target that is asked too much (429) has not looked at them: they
// wait, as told, for as long as is allowed. A connection that ended before any
// byte of HTTP, and a call that had no answer in time, may be the network's or a
// moment's: they are sent once more, on a new connection, as RFC 9112 section 9.3.1
// lets any client do with what is idempotent; what comes then is judged, a second close
// as the refusal that it is.
func (e *Engine) again(requests []harness.Request, seen []harness.Observation, by sending, earlier []string) string {
	switch {
	case len(seen) == 0:
		return ""
	case slices.ContainsFunc(seen, rateLimited):
		if e.breaker.patient() && len(earlier) < attempts {
			return tooMany
		}
		return ""
	case slices.ContainsFunc(earlier, func(why string) bool { return why != tooMany }),
		!lost(requests[0], seen[0]), !by.anew, slices.ContainsFunc(requests, creates):
		return ""
	}
	return string(seen[0].Transport)
}

// attempts are how often a call is sent that the target has too many of: a run is slowed
// down each time, so that one which is too much still is so by itself.
const attempts = 20

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
		notes = append(notes, fmt.Sprintf("%d of %d calls were sent again, as %s: what came then is judged",
			calls[why], len(exchanges), words[why]))
	}
	return notes
}

// rateLimited reports that the target had too many requests for one that was sent, or for one
// that was sent behind it.
func rateLimited(seen harness.Observation) bool {
	return seen.Status == http.StatusTooManyRequests || slices.Contains(seen.Further, http.StatusTooManyRequests)
}

// overrun makes a call that the target had no time for no verdict on it, whatever was
// wanted of it: it has not looked at it.
func overrun(t harness.Trace, problems []harness.Problem) {
	for i, p := range problems {
		if p.Verdict == harness.Fail && p.Bucket != harness.Security && p.Exchange >= 0 && rateLimited(t.Exchanges[p.Exchange].Observation) {
			problems[i].Verdict, problems[i].Bucket = harness.Inconclusive, ""
		}
	}
}

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

// A run is slowed to what its target bears: with an answer that says it is too much to a
// part of its pace, but for the least; one that had no pace begins at the first. So many
// requests without one make it a tenth faster again, up to what was configured.
const (
	unpaced = rate.Limit(16)
	slower  = 0.7
	slowest = rate.Limit(0.5)
	faster  = 1.1
	enough  = 25
)

// pacer is how fast a run goes.
type pacer struct {
	pace   *rate.Limiter
	burst  atomic.Int64 // requests that may come at once
	mu     sync.Mutex
	most   rate.Limit // that was configured
	deaf   time.Time  // what was sent before says nothing of the pace
	smooth int        // requests since the pace was changed
}

func newPacer(most rate.Limit, burst int) *pacer {
	g := &pacer{pace: rate.NewLimiter(most, burst), most: most}
	g.burst.Store(int64(burst))
	return g
}

// slow slows the run down, for a request that was sent at a time and is too much; what
// had its turn until the target is asked again had it at the pace before. Requests go one
// by one from then on: a burst is what a limit counts.
func (g *pacer) slow(sent, asked time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sent.Before(g.deaf) {
		return
	}
	g.deaf, g.smooth = asked.Add(time.Second), 0
	g.burst.Store(1)
	g.pace.SetBurst(1)
	g.pace.SetLimit(max(slower*min(g.pace.Limit(), unpaced), slowest))
}

// ease makes a run that was slowed faster again.
func (g *pacer) ease(requests int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.smooth += requests; g.smooth >= enough && g.pace.Limit() < g.most {
		g.smooth = 0
		g.pace.SetLimit(min(faster*g.pace.Limit(), g.most))
	}
}
