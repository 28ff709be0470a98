package replica

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/wire/wiretest"
)

// shelf is a secret store in memory.
type shelf struct {
	fields map[string]string
	writes int
	broken error
}

func (s *shelf) Read(context.Context) (map[string]string, error) { return maps.Clone(s.fields), nil }

func (s *shelf) Write(ctx context.Context, fields map[string]string) error {
	s.writes++
	if err := errors.Join(s.broken, ctx.Err()); err != nil {
		return err
	}
	s.fields = maps.Clone(fields)
	return nil
}

func (s *shelf) Remove(context.Context) error { s.fields = nil; return nil }

func (s *shelf) Delete(context.Context) error                                      { return nil }
func (s *shelf) Destroy(context.Context) error                                     { return nil }
func (s *shelf) ServiceCan(context.Context, []string) (map[string][]string, error) { return nil, nil }
func (s *shelf) ServiceToken(context.Context) (harness.VaultToken, error) {
	return harness.VaultToken{}, nil
}

// noLauncher starts nothing, and interrupts.
type noLauncher struct{ interrupt func() }

func (n noLauncher) Launch(context.Context, harness.Launch) (harness.Replica, error) {
	n.interrupt()
	return nil, errors.New("no replica today")
}

// TestSecretsArePutBack: whatever becomes of the stimulus, an interrupt
// included, the secret is as it was.
func TestSecretsArePutBack(t *testing.T) {
	a := wiretest.Authority(t)
	key, err := a.Pair().KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	original := map[string]string{"oidc_jwks_uri": "https://idp.test/jwks", probe.ListField: `["caller"]`}
	for name, stimulus := range map[string]harness.Builder{
		"removal of a client": probe.RemoveClient(), "empty list": probe.EmptyList(), "list in JSON": probe.JSONList(),
		"field missing": In(harness.OIDC).Without("oidc_jwks_uri"), "field changed": In(harness.OIDC).With("oidc_jwks_uri", ""),
		"secret missing": In(harness.OIDC).WithoutSecret(),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			target := wiretest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { interrupt(); w.WriteHeader(http.StatusForbidden) })
			target.Faces[harness.MTLS] = target.Faces[harness.OIDC]
			target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}}
			target.Certs = harness.CertGrant{Authority: harness.CertPair{Chain: a.Pair().ChainPEM(), Key: harness.Secret(key)},
				EnrolledCN: "caller", UnenrolledCN: "other"}
			store := &shelf{fields: maps.Clone(original)}
			target.Control = &harness.Control{Launcher: noLauncher{interrupt}, Secrets: store}
			_, _ = stimulus.Build().Act(ctx, probetest.On(target))
			if !maps.Equal(store.fields, original) || store.writes == 0 {
				t.Errorf("%v after %d writes, want the original", store.fields, store.writes)
			}
		})
	}
}

// TestSecretsThatCannotBePutBack are told: the target is not as it was.
func TestSecretsThatCannotBePutBack(t *testing.T) {
	broken := errors.New("vault is sealed")
	target := &harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {}},
		Control: &harness.Control{Launcher: noLauncher{func() {}}, Secrets: &shelf{fields: map[string]string{}, broken: broken}}}
	if _, err := In(harness.OIDC).WithoutSecret().Build().Act(t.Context(), probetest.On(target)); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// TestStartsThatChangeNothingAreApart, on a stack of our own.
func TestStartsThatChangeNothingAreApart(t *testing.T) {
	replica := In(harness.OIDC)
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
	harness.Client
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
	credential, err := probe.DirectCredential(target, harness.MTLS)
	if err != nil {
		t.Fatal(err)
	}
	c := &callees{target: target, from: 4}
	v := visitor{Start: In(harness.MTLS), client: c, replica: placed{}, credential: credential}
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
