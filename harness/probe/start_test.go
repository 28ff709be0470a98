package probe

import (
	"context"
	"testing"

	"aegis.test/conformance/harness"
)

// TestStartsThatChangeNothingAreApart, on a stack of our own.
func TestStartsThatChangeNothingAreApart(t *testing.T) {
	replica := Replica(harness.OIDC)
	for name, c := range map[string]struct {
		start Start
		want  bool
	}{
		"an environment":       {replica.Unset("AUTH_MODE"), true},
		"environments":         {replica.EnvEach("AUTH_MODE", "odic", ""), true},
		"no Vault":             {replica.Unreachable(), true},
		"tokens of their own":  {replica.WithToken(harness.RevokedVaultToken), true},
		"another secret":       {replica.Without("oidc_jwks_uri"), false},
		"another secret later": {replica.Unset("AUTH_MODE").Or(replica.WithoutSecret()), false},
		"a sealed Vault":       {replica.Sealed(), false},
		"a deleted version":    {replica.Deleted(), false},
	} {
		for kind, here := range map[harness.Kind]bool{harness.Rehearsal: true, harness.SelfTest: true, harness.Live: false} {
			if got := c.start.Build().ApartOn(&harness.Target{Kind: kind}); got != (c.want && here) {
				t.Errorf("%s, %s: apart %v", name, kind, got)
			}
		}
	}
}

// callees answers from some call on.
type callees struct {
	harness.Hands
	target *harness.Target
	from   int
	calls  []harness.Request
}

func (c *callees) Target() *harness.Target { return c.target }

func (c *callees) Send(_ context.Context, r harness.Request) harness.Exchange {
	c.calls = append(c.calls, r)
	seen := harness.Observation{Transport: harness.Refused}
	if len(c.calls) > c.from {
		seen = harness.Observation{Status: 401}
	}
	return harness.Exchange{Request: r, Observation: seen}
}

func (c *callees) SendAll(ctx context.Context, requests []harness.Request) (all []harness.Exchange) {
	for _, r := range requests {
		all = append(all, c.Send(ctx, r))
	}
	return all
}

type placed struct{ harness.Replica }

func (placed) URL() harness.Face { return harness.Face{URL: "http://127.0.0.1:1"} }

// TestEachCallIsTriedWhileNobodyAnswers: one a round, each in its turn, and all of them
// once one is answered.
func TestEachCallIsTriedWhileNobodyAnswers(t *testing.T) {
	target := &harness.Target{
		Endpoints: []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}, {Name: "review", Method: "GET", Path: "/review"}},
		Certs:     harness.CertGrant{EnrolledCN: "caller"},
	}
	credential, err := directly(target, harness.MTLS)
	if err != nil {
		t.Fatal(err)
	}
	c := &callees{target: target, from: 4}
	v := visitor{Start: Replica(harness.MTLS), hands: c, replica: placed{}, credential: credential}
	tried := map[string]bool{}
	for turn := range 4 {
		if answers, refused := v.round(t.Context(), turn); len(answers) != 0 || refused != 1 {
			t.Fatalf("round %d: %d answers, %d refused", turn, len(answers), refused)
		}
		tried[c.calls[turn].Path+c.calls[turn].Variant] = true
	}
	if len(c.calls) != 4 || len(tried) != 4 {
		t.Errorf("%d calls, %d of them different: want four", len(c.calls), len(tried))
	}
	answers, refused := v.round(t.Context(), 4)
	answered := map[string]bool{}
	for _, x := range answers {
		answered[x.Request.Path+x.Request.Variant] = true
	}
	if len(answers) != 4 || len(answered) != 4 || refused != 0 {
		t.Errorf("%d answers to %d calls, %d refused: want all four", len(answers), len(answered), refused)
	}
}
