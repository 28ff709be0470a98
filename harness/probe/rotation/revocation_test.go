package rotation

import (
	"bytes"
	"testing"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/wire/wiretest"
)

// TestIntermediatesWhereRevocationIsChecked: a chain that was given is the one to be
// served, with or without the authority's key; a new intermediate has no list of what
// it revoked, so that an ingress that looks for one must refuse.
func TestIntermediatesWhereRevocationIsChecked(t *testing.T) {
	a := wiretest.Authority(t)
	between, err := a.Intermediate("Between")
	if err != nil {
		t.Fatal(err)
	}
	pair := func(a *certs.Authority) harness.CertPair {
		p := wiretest.Leaf(t, a, "caller")
		key, err := p.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		return harness.CertPair{Chain: p.ChainPEM(), Key: harness.Secret(key)}
	}
	key, err := a.Pair().KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		given   harness.CertPair
		revokes bool
		suited  bool
	}{
		"a leaf alone":                 {pair(a), false, true},
		"a leaf alone, CRLs checked":   {pair(a), true, false},
		"a whole chain, CRLs checked":  {pair(between), true, true},
		"a whole chain, and no checks": {pair(between), false, true},
	} {
		target := &harness.Target{
			Faces:     map[harness.Mode]harness.Face{harness.MTLS: {URL: "https://aegis.test"}},
			Endpoints: []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}},
			Profile:   harness.Profile{Intermediates: true, Revocation: row.revokes},
			Certs: harness.CertGrant{Enrolled: row.given, Unenrolled: row.given, EnrolledCN: "caller",
				Authority: harness.CertPair{Chain: a.RootPEM(), Key: harness.Secret(key)}},
		}
		s := probe.ByIntermediate()
		if got := s.Unsuited(target) == ""; got != row.suited {
			t.Errorf("%s: %q", name, s.Unsuited(target))
		}
		requests, ok := s.Requests(target)
		if !ok || len(requests[0].Certificate.Certificate) != 2 {
			t.Fatalf("%s: %d requests, want one with a chain of two", name, len(requests))
		}
		given := bytes.Count(row.given.Chain, []byte("BEGIN CERTIFICATE")) == 2
		if own := bytes.Equal(requests[0].Certificate.Certificate[1], between.Pair().Certificate.Raw); own != given {
			t.Errorf("%s: the given chain is presented: %v, want %v", name, own, given)
		}
		if needs := s.NeedsOn(target); (needs[0] == harness.GivenClientCerts) != given {
			t.Errorf("%s: needs %v", name, needs)
		}
		for _, r := range []harness.Stimulus{Overlapping(), Dropping()} {
			if got := r.Unsuited(target) == ""; got == row.revokes {
				t.Errorf("%s: %s: %q", name, r.Words, r.Unsuited(target))
			}
		}
	}
}
