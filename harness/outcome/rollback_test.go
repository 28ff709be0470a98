package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestRolledBack(t *testing.T) {
	outcome := RolledBack{
		Calls:  map[string]harness.Outcome{"valid": Accepted(), "none": Unauthenticated()},
		States: map[harness.StateOf]string{harness.SoundRollout: "ready"}, Controls: map[harness.StateOf]string{harness.DebugServes: "serves"},
		Never: harness.ModeTold, Meanwhile: true,
	}
	call := func(variant string, status int) harness.Exchange {
		return harness.Exchange{Request: harness.Request{Variant: variant}, Observation: harness.Observation{Status: status}}
	}
	for name, row := range map[string]struct {
		calls []harness.Exchange
		facts []harness.Fact
		want  judged
	}{
		"as it must be": {[]harness.Exchange{call("valid", 200), call("none, later", 401)},
			[]harness.Fact{harness.SoundRollout.Was("ready")}, pass},
		"served":                 {[]harness.Exchange{call("none", 200)}, nil, hole},
		"refused":                {[]harness.Exchange{call("valid", 401)}, nil, undocumented},
		"no answer meanwhile":    {[]harness.Exchange{call("valid", 200), call("none", 502)}, nil, pass},
		"another state":          {nil, []harness.Fact{harness.SoundRollout.Was("not ready")}, undocumented},
		"a state without a word": {nil, []harness.Fact{harness.SoundRollout.Was()}, undocumented},
		"what may not be":        {nil, []harness.Fact{harness.ModeTold.Was("none")}, undocumented},
		"a control that is none": {nil, []harness.Fact{harness.DebugServes.Was("serves nobody")}, unseenYet},
		"nothing":                {nil, nil, unseenYet},
		"the same value twice":   {nil, []harness.Fact{harness.SoundRollout.Was("ready", "ready")}, pass},
	} {
		if got := verdict(t, outcome.Judge(harness.Profile{}, harness.Trace{Exchanges: row.calls, Facts: row.facts})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
