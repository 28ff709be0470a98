package faults

import (
	"context"
	"slices"
	"testing"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// TestOneModeIsWhole judges a sound stack that shows one mode and grants that mode's
// credentials only on every row that would call the other too: it is accused of
// nothing, and no row wants what it cannot have.
func TestOneModeIsWhole(t *testing.T) {
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		t.Run(string(mode), func(t *testing.T) {
			s, err := stack.Start(t.Context(), stack.Spec{Runtime: stack.Embedded, Run: "one", Fault: faults.Fault{Face: mode}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Stop(context.Background()) })
			if mode == harness.OIDC {
				s.Target.Certs = harness.CertGrant{}
			} else {
				s.Target.Tokens = harness.TokenGrant{}
			}
			e := run.New(s.Target, run.Options{})
			t.Cleanup(e.Close)
			judged := map[harness.Verdict]int{}
			for _, f := range e.All(t.Context(), ofBoth(suites.All()), nil) {
				judged[f.Verdict]++
				switch f.Verdict {
				case harness.Fail, harness.Error, harness.Inconclusive:
					t.Errorf("%s %s: %s", f.ID, f.Verdict, f.Reason)
				case harness.NotExercised:
					t.Logf("%s: %s", f.ID, f.Reason)
				}
			}
			if judged[harness.Pass] < 15 {
				t.Errorf("%v judged, want fifteen passes and more", judged)
			}
		})
	}
}

// ofBoth are the rows that need credentials of both modes where both are shown.
func ofBoth(all []harness.Expectation) []harness.Expectation {
	var rows []harness.Expectation
	tokens := []harness.Capability{harness.GivenTokens, harness.MintTokens}
	certificates := []harness.Capability{harness.GivenClientCerts, harness.ClientCAKey}
	for _, x := range all {
		s := x.Stimulus.Build()
		needs, modes := s.Needs, s.Modes
		crosses := func(mode harness.Mode, credentials []harness.Capability) bool {
			return (slices.Contains(modes, mode) || len(modes) == 0) &&
				slices.ContainsFunc(needs, func(c harness.Capability) bool { return slices.Contains(credentials, c) })
		}
		if crosses(harness.OIDC, certificates) || crosses(harness.MTLS, tokens) {
			rows = append(rows, x)
		}
	}
	return rows
}
