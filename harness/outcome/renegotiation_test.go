package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

// TestOneHandshake: a second handshake that began fails, and a call beside it that was
// served; a refusal of any kind is well, and one that could not be asked for is told.
func TestOneHandshake(t *testing.T) {
	call := func(status int) harness.Exchange {
		return harness.Exchange{Observation: harness.Observation{Status: status}}
	}
	second := func(kind harness.Transport) harness.Exchange {
		return harness.Exchange{Request: harness.Request{Renegotiate: true}, Observation: harness.Observation{Transport: kind, Detail: "so"}}
	}
	for name, row := range map[string]struct {
		exchanges []harness.Exchange
		problems  int
	}{
		"begun":           {[]harness.Exchange{call(403), second(harness.Answered)}, 1},
		"an alert":        {[]harness.Exchange{call(403), second(harness.Alert)}, 0},
		"an end":          {[]harness.Exchange{call(403), second(harness.EOF)}, 0},
		"silence":         {[]harness.Exchange{call(403), second(harness.TimeOut)}, 0},
		"none to ask for": {[]harness.Exchange{call(403), second(harness.Unoffered)}, 0},
		"a served call":   {[]harness.Exchange{call(200), second(harness.Alert)}, 1},
		"never asked":     {[]harness.Exchange{call(403)}, 1},
	} {
		j := OneHandshake{Forbidden()}.Judge(harness.Profile{}, harness.Trace{Exchanges: row.exchanges})
		if len(j.Problems) != row.problems || row.problems == 0 && len(j.Notes) == 0 {
			t.Errorf("%s: %d problems, notes %v; want %d problems", name, len(j.Problems), j.Notes, row.problems)
		}
	}
}
