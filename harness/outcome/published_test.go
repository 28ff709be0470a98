package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestPublished(t *testing.T) {
	const issuer = "https://idp.test"
	told := func(issuerNamed, keys string, wrong ...[]string) harness.Trace {
		facts := []harness.Fact{harness.IdPNames.Was(issuer).Of(harness.IssuerGranted), harness.IdPNames.Was(issuerNamed).Of(harness.IssuerNamed),
			harness.IdPNames.Was(keys).Of(harness.KeySetNamed)}
		for _, w := range wrong {
			facts = append(facts, harness.KeyPublished.Was(w...).Of("key"))
		}
		return harness.Trace{Facts: facts}
	}
	sound := told(issuer, issuer+"/jwks", nil, nil)
	for name, c := range map[string]struct {
		trace    harness.Trace
		profile  harness.Profile
		problems int
	}{
		"sound":                      {sound, harness.Profile{}, 0},
		"sound, declared":            {sound, harness.Profile{Issuer: issuer}, 0},
		"another issuer is declared": {sound, harness.Profile{Issuer: issuer + "/"}, 1},
		"another issuer":             {told("https://other.test", issuer+"/jwks", nil), harness.Profile{}, 1},
		"keys by http":               {told(issuer, "http://idp.test/jwks", nil), harness.Profile{}, 1},
		"no jwks_uri and no key":     {told(issuer, ""), harness.Profile{}, 2},
		"two bad keys":               {told(issuer, issuer+"/jwks", []string{"a symmetric key"}, nil, []string{"weak"}), harness.Profile{}, 2},
	} {
		if got := (Published{}).Judge(c.profile, c.trace).Problems; len(got) != c.problems {
			t.Errorf("%s: got %v, want %d problems", name, got, c.problems)
		}
	}
	if got := (Published{}).Judge(harness.Profile{}, harness.Trace{}).Problems; len(got) != 1 || got[0].Verdict != harness.Inconclusive {
		t.Errorf("nothing seen: got %v, want inconclusive", got)
	}
}
