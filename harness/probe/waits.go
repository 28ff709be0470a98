package probe

import (
	"context"
	"time"

	"aegis.test/conformance/harness"
)

// Until asks often whether something has come true, for as long as limit.
func Until(ctx context.Context, client harness.Client, limit time.Duration, came func() bool) {
	over := client.Patience(limit)
	for !came() && !over() && Pause(ctx, 20*time.Millisecond) {
	}
}

// MaxRounds bounds the rounds of calls during one reload.
const MaxRounds = 40

// Promptness is how long a call that needs no fetch may take.
const Promptness = 3 * time.Second

// NewKeyBound is how long a new key may take to be accepted.
func NewKeyBound(p harness.Profile) time.Duration { return Bound(p.NewKeyBound, harness.DefaultNewKey) }

// RemovedKeyBound is how long a withdrawn key may take to be refused.
func RemovedKeyBound(p harness.Profile) time.Duration {
	return Bound(p.RemovedKeyBound, harness.DefaultRemovedKey)
}

// Propagation is how long a change of aegis/runtime may take to bite.
func Propagation(p harness.Profile) time.Duration {
	return Bound(p.Propagation, harness.DefaultPropagation)
}

// Pause waits for the next poll; false when ctx ended.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Bound is what is declared, or the standard where nothing is.
func Bound(declared, standard time.Duration) time.Duration {
	if declared > 0 {
		return declared
	}
	return standard
}

// Tail is the end of a text: so many bytes of it.
func Tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}
