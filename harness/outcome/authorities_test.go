package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestOwnAuthorities(t *testing.T) {
	own, public := harness.AuthorityNamed.Was().Of("CN=ours"), harness.AuthorityNamed.Was("public").Of("CN=everybody's")
	for name, c := range map[string]struct {
		facts []harness.Fact
		want  harness.Verdict
	}{
		"our own":         {[]harness.Fact{own}, harness.Pass},
		"a public beside": {[]harness.Fact{own, public}, harness.Fail},
		"nothing seen":    {nil, harness.Inconclusive},
	} {
		got := harness.Pass
		for _, problem := range (OwnAuthorities{}).Judge(harness.Profile{}, harness.Trace{Facts: c.facts}).Problems {
			got = problem.Verdict
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestNoEarlyData(t *testing.T) {
	for name, c := range map[string]struct {
		given, allowed int
		want           harness.Verdict
	}{
		"tickets without it": {2, 0, harness.Pass},
		"no ticket":          {0, 0, harness.Pass},
		"a ticket with it":   {1, 16384, harness.Fail},
	} {
		trace := harness.Trace{Exchanges: []harness.Exchange{{Observation: harness.Observation{Status: 200}}},
			Facts: []harness.Fact{harness.TicketsGiven.Was(c.given), harness.EarlyDataAllowed.Was(c.allowed)}}
		got := harness.Pass
		for _, problem := range (NoEarlyData{}).Judge(harness.Profile{}, trace).Problems {
			got = problem.Verdict
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
