package outcome

import (
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// TestWhoIsNotAnsweredIsNotServed: what a target need not answer at all is not missed.
func TestWhoIsNotAnsweredIsNotServed(t *testing.T) {
	waits := harness.Observation{Transport: harness.TimeOut, Connect: time.Millisecond}
	for name, row := range map[string]struct {
		outcome harness.Outcome
		seen    harness.Observation
		want    judged
	}{
		"plain HTTP, nobody listens":    {Uncovered(), harness.Observation{Transport: harness.Refused}, pass},
		"plain HTTP, a filter drops it": {Uncovered(), harness.Observation{Transport: harness.TimeOut}, pass},
		"plain HTTP, an alert of TLS":   {Uncovered(), harness.Observation{Transport: harness.Malformed}, pass},
		"plain HTTP, no answer":         {Uncovered(), waits, unseenYet},
		"plain HTTP, served":            {Uncovered(), harness.Observation{Status: 200}, hole},
		"HTTP/0.9, it waits for more":   {Headless{Denied()}, waits, pass},
		"HTTP/0.9, it waits and handles": {Headless{Denied()}, harness.Observation{Transport: harness.TimeOut,
			Reached: &harness.Reached{Handled: 1}}, hole},
		"HTTP/0.9, a body":                {Headless{Denied()}, harness.Observation{Transport: harness.Malformed, Body: []byte("result")}, hole},
		"diagnostics, refused in TLS":     {TellsNothing{}, harness.Observation{Transport: harness.Alert, AlertCode: 116}, pass},
		"diagnostics, closed":             {TellsNothing{}, harness.Observation{Transport: harness.EOF}, pass},
		"diagnostics, nobody there":       {TellsNothing{}, harness.Observation{Transport: harness.Refused}, unseenYet},
		"diagnostics, an open page leaks": {TellsNothing{}, harness.Observation{Status: 200, Body: []byte("AUTH_MODE=none")}, hole},
	} {
		if got := verdict(t, row.outcome.Judge(harness.Profile{},
			harness.Trace{Exchanges: []harness.Exchange{{Observation: row.seen}}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestLongLifeNamesTheKeys: who declares nothing is told what to declare.
func TestLongLifeNamesTheKeys(t *testing.T) {
	j := ShortLived{}.Judge(harness.Profile{},
		harness.Trace{Facts: []harness.Fact{harness.CertificateLife.Was(8760 * time.Hour).Of("enrolled certificate")}})
	if len(j.Problems) != 1 || !strings.Contains(j.Problems[0].Got, "profile.revocation") || !strings.Contains(j.Problems[0].Want,
		"profile.short_lived") {
		t.Errorf("got %+v", j.Problems)
	}
}
