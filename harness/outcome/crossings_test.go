package outcome

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// TestNeverServed: whoever is served fails, by whatever way; any denial passes; a caller of
// whom nothing was seen is not judged.
func TestNeverServed(t *testing.T) {
	call := func(variant string, o harness.Observation) harness.Exchange {
		if o.Transport == "" {
			o.Transport = harness.Answered
		}
		return harness.Exchange{Request: harness.Request{Mode: harness.MTLS, Credential: "somebody", Variant: "somebody, " + variant}, Observation: o}
	}
	refused := call("plain", harness.Observation{Status: 403})
	for name, row := range map[string]struct {
		seen []harness.Exchange
		want harness.Verdict
	}{
		"nothing":                      {nil, harness.Inconclusive},
		"denied":                       {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 404})}, harness.Pass},
		"redirected":                   {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 308})}, harness.Pass},
		"served":                       {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 204})}, harness.Fail},
		"switched":                     {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 101})}, harness.Fail},
		"denied, having been handled":  {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 403, Reached: &harness.Reached{Seen: 1, Handled: 1}})}, harness.Fail},
		"an odd way untold":            {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 502})}, harness.Pass},
		"the plain way untold":         {[]harness.Exchange{call("plain", harness.Observation{Status: 502}), call("odd", harness.Observation{Status: 401})}, harness.Inconclusive},
		"every way untold":             {[]harness.Exchange{call("odd", harness.Observation{Status: 503})}, harness.Inconclusive},
		"too often":                    {[]harness.Exchange{refused, call("odd", harness.Observation{Status: 429})}, harness.Inconclusive},
		"a protocol that is not there": {[]harness.Exchange{refused, call("odd", harness.Observation{Transport: harness.Unoffered})}, harness.Pass},
	} {
		j := NeverServed{Plain: "plain"}.Judge(harness.Profile{}, harness.Trace{Exchanges: row.seen})
		got := harness.Pass
		if len(j.Problems) > 0 {
			got = j.Problems[0].Verdict
		}
		if got != row.want {
			t.Errorf("%s: %s %v, want %s", name, got, j.Problems, row.want)
		}
	}
	j := NeverServed{Plain: "plain"}.Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{call("plain",
		harness.Observation{Transport: harness.Alert, AlertCode: 116})}})
	if !strings.Contains(strings.Join(j.Notes, " "), "in nobody's place") {
		t.Errorf("notes %q do not say who stood in nobody's place", j.Notes)
	}
}
