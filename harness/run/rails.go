package run

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"aegis.test/conformance/harness"
)

// rails keep a run from harming what it is held against: they heed a target
// that asks for time, and end a run that finds nobody.
type rails struct {
	stopAfter int           // consecutive requests without any answer; 0 is never
	most      time.Duration // how long a Retry-After is heeded

	mu     sync.Mutex
	silent int       // consecutive requests without any answer
	until  time.Time // nothing is sent before
	why    string    // why the run stopped; "" while it has not
}

// Stopped says why the engine stopped sending, or "".
func (e *Engine) Stopped() string { return e.rails.stopped() }

func (r *rails) stopped() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// heed waits for as long as the target asked for.
func (r *rails) heed(ctx context.Context) error {
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

// watch learns from what was seen of a request to the target's own face.
func (r *rails) watch(request harness.Request, seen harness.Observation) {
	if request.Face != nil || request.Raw != nil {
		return // a place where nobody need be
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := retryAfter(seen); wait > 0 {
		r.until = time.Now().Add(min(wait, r.most))
	}
	switch seen.Transport {
	case harness.Refused, harness.DNS, harness.TimeOut, harness.Untrusted, harness.Broken:
	default: // an answer, or a refusal in TLS: somebody is there
		r.silent = 0
		return
	}
	if strings.HasPrefix(seen.Detail, notSent) {
		return
	}
	if r.silent++; r.stopAfter > 0 && r.silent >= r.stopAfter && r.why == "" {
		r.why = fmt.Sprintf("%d requests in a row had no answer, the last: %s (%s)", r.silent, seen.Transport, printable(seen.Detail))
	}
}

// retryAfter is how long an answer asks to wait (RFC 9110 section 10.2.3).
func retryAfter(seen harness.Observation) time.Duration {
	if seen.Status != http.StatusTooManyRequests && seen.Status != http.StatusServiceUnavailable {
		return 0
	}
	value := seen.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return time.Until(at)
	}
	return 0
}
