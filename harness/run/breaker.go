package run

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"aegis.test/conformance/harness"
)

// breaker keeps a run from harming what it is held against: it heeds a target
// that asks for time, and ends a run that finds nobody.
type breaker struct {
	stopAfter int           // consecutive requests without any answer; 0 is never
	most      time.Duration // how long one Retry-After is heeded; 0 is not at all
	total     time.Duration // how long all of a run are heeded

	mu     sync.Mutex
	silent int           // consecutive requests without any answer
	first  string        // the first of these, and what became of it
	until  time.Time     // nothing is sent before
	waited time.Duration // for all that asked for it
	asked  int           // answers that asked for it
	again  int           // requests that were answered when they were sent again
	why    string        // why the run stopped; "" while it has not
}

// Stopped says why the engine stopped sending, or "".
func (e *Engine) Stopped() string { return e.breaker.stopped() }

func (r *breaker) stopped() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// heed waits for as long as the target asked for.
func (r *breaker) heed(ctx context.Context) error {
	for {
		r.mu.Lock()
		left := time.Until(r.until)
		r.mu.Unlock()
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// wait learns from an answer how long the target asks for, within both bounds. It
// gives until when nothing is sent, and reports whether that is later than before.
func (r *breaker) wait(request harness.Request, seen harness.Observation) (until time.Time, more bool) {
	if request.Face != nil && !rateLimited(seen) {
		return until, false // a place where nobody need be
	}
	asked := retryAfter(seen)
	if asked <= 0 {
		return until, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	from := time.Now()
	until = from.Add(min(asked, r.most))
	if r.until.After(from) {
		from = r.until
	}
	longer := min(until.Sub(from), r.total-r.waited)
	if longer <= 0 {
		return r.until, false
	}
	r.until, r.waited = from.Add(longer), r.waited+longer
	return r.until, true
}

// patient reports whether a target that asks for time is given it.
func (r *breaker) patient() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most > 0 && r.waited < r.total
}

// watch learns from what became of a request to the target's own face.
func (r *breaker) watch(request harness.Request, seen harness.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(seen.Earlier) > 0 && seen.Transport == harness.Answered {
		r.again++
	}
	if request.Face != nil || request.Raw != nil {
		return // a place where nobody need be
	}
	switch seen.Transport {
	case harness.Refused, harness.DNS, harness.TimeOut, harness.Untrusted, harness.Broken:
	default: // an answer, or a refusal in TLS: somebody is there
		r.silent = 0
		return
	}
	if seen.Unsent {
		return
	}
	if r.silent++; r.silent == 1 {
		r.first = shown(fmt.Sprintf("%s %s with %s at %s: %s", request.Method, request.Path, describe(request),
			seen.At.UTC().Format("15:04:05.000"), seen.Transport), request)
	}
	if r.stopAfter > 0 && r.silent >= r.stopAfter && r.why == "" {
		r.why = fmt.Sprintf("%d requests in a row had no answer, the first %s, the last: %s (%s)",
			r.silent, r.first, seen.Transport, printable(seen.Detail))
	}
}

// unsaid is how long a target is waited for that says it has too many requests, and
// not for how long: RFC 6585 section 4 leaves it to it.
const unsaid = time.Second

// retryAfter is how long an answer asks to wait (RFC 9110 section 10.2.3).
func retryAfter(seen harness.Observation) time.Duration {
	least := time.Duration(0)
	switch {
	case rateLimited(seen):
		least = unsaid
	case seen.Status == http.StatusServiceUnavailable:
	default:
		return 0
	}
	value := seen.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), least)
	}
	return least
}
