package stack

import (
	"context"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/live"
)

// Live is a target that a configuration describes and somebody else started. It
// is connected: secrets are read, tokens and certificates fetched. Met receives
// each secret that is met. Stop takes back what was issued for the run.
func Live(ctx context.Context, l config.Loaded, run string, met func(kind, value string)) (*Stack, error) {
	return Noted(ctx, l, run, met, nil)
}

// Noted is Live, with what is issued and changed noted in a journal; without one
// nothing is changed.
func Noted(ctx context.Context, l config.Loaded, run string, met func(kind, value string), j *live.Journal) (*Stack, error) {
	c, err := live.Noted(ctx, l, run, met, j)
	if err != nil {
		return nil, &EnvironmentError{Runtime: Given, Err: err}
	}
	return &Stack{Target: c.Target, Choice: "live, as " + l.Source + " says", stop: c.Stop}, nil
}

// Paper is the same target as far as it can be told without sending a byte.
func Paper(l config.Loaded, run string) (*harness.Target, error) { return live.Paper(l, run) }
