package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestRolledBack(t *testing.T) {
	outcome := RolledBack{
		Calls: map[string]harness.Outcome{"valid": Accepted(), "none": Unauthenticated()},
		Facts: map[string]string{"rollout": "ready"}, Controls: map[string]string{"debug": "serves"}, Never: "told", Meanwhile: true,
	}
	call := func(variant string, status int) harness.Exchange {
		return harness.Exchange{Request: harness.Request{Variant: variant}, Observation: harness.Observation{Status: status}}
	}
	for name, row := range map[string]struct {
		calls []harness.Exchange
		facts []harness.Fact
		want  judged
	}{
		"as it must be":          {[]harness.Exchange{call("valid", 200), call("none, later", 401)}, []harness.Fact{{Name: "rollout", Values: []string{"ready"}}}, pass},
		"served":                 {[]harness.Exchange{call("none", 200)}, nil, hole},
		"refused":                {[]harness.Exchange{call("valid", 401)}, nil, undocumented},
		"no answer meanwhile":    {[]harness.Exchange{call("valid", 200), call("none", 502)}, nil, pass},
		"another fact":           {nil, []harness.Fact{{Name: "rollout", Values: []string{"not ready"}}}, undocumented},
		"a fact without a value": {nil, []harness.Fact{{Name: "rollout"}}, undocumented},
		"what may not be":        {nil, []harness.Fact{{Name: "told", Values: []string{"none"}}}, undocumented},
		"a control that is none": {nil, []harness.Fact{{Name: "debug", Values: []string{"serves nobody"}}}, unseenYet},
		"nothing":                {nil, nil, unseenYet},
		"the same value twice":   {nil, []harness.Fact{{Name: "rollout", Values: []string{"ready", "ready"}}}, pass},
	} {
		if got := verdict(t, outcome.Judge(harness.Profile{}, harness.Trace{Exchanges: row.calls, Facts: row.facts})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
