package faults

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/aegis"
	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// lenient makes of the service behind the ingress an echo: it serves everybody, as
// whom every identity header that reaches it says.
func lenient(s *aegis.Service) {
	s.Authenticate = func(r *http.Request) (string, error) {
		return strings.Join(r.Header.Values(s.Config.IdentityHeader), ","), nil
	}
}

// followedBy is one change of the service, if any, and then another.
func followedBy(first, then func(*aegis.Service)) func(*aegis.Service) {
	return func(s *aegis.Service) {
		if first != nil {
			first(s)
		}
		then(s)
	}
}

// passedOn is a fault in whom the ingress names of a chain: that shows when the
// service turns the name away.
const passedOn = "M-097"

// TestIngressFaultsAreCaughtWithoutTheService is the ingress-only rig of rulings
// 2.H: nothing behind the ingress refuses anybody, so that no service hides what
// an ingress lets through or passes on. What the sound ingress keeps alone, each of
// its faults must fail some of; which, without a service that masks, is more than
// the fault names.
func TestIngressFaultsAreCaughtWithoutTheService(t *testing.T) {
	plan := Plan{Runtime: stack.Embedded, Areas: []string{"MTLS", "CHN", "HDR", "EPT", "ING"}}
	sound := plan.one(t.Context(), faults.Fault{ID: "none", Component: reference, Face: harness.MTLS, Service: lenient})
	if sound.Error != "" {
		t.Fatal(sound.Error)
	}
	for _, x := range suites.All() {
		kept := !slices.Contains(sound.CaughtBy, x.ID) && !slices.Contains(sound.Masked, x.ID)
		if kept && slices.Contains(plan.Areas, x.Area()) {
			plan.IDs = append(plan.IDs, x.ID)
		}
	}
	for _, f := range faults.All() {
		keeps := func(id string) bool { return slices.Contains(plan.IDs, id) }
		if f.Component == "ingress" && f.Embedded() && f.Beside == nil && f.Face != harness.OIDC && slices.ContainsFunc(f.Falls(), keeps) && f.ID != passedOn {
			f.Service = followedBy(f.Service, lenient)
			plan.Faults = append(plan.Faults, f)
		}
	}
	if len(plan.IDs) < 50 || len(plan.Faults) < 20 {
		t.Fatalf("%d expectations held by the ingress alone, %d of its faults fail them", len(plan.IDs), len(plan.Faults))
	}
	seed := config.Read(os.Getenv, "").Sample
	var ids []string
	for _, f := range plan.Faults {
		ids = append(ids, f.ID)
	}
	ids = Sample{Seed: seed}.Of(ids, len(ids)/8)
	t.Logf("planted %d of %d of the ingress's before a lenient service", len(ids), len(plan.Faults))
	plan.Faults = slices.DeleteFunc(plan.Faults, func(f faults.Fault) bool { return !slices.Contains(ids, f.ID) })
	for _, r := range Run(t.Context(), plan) {
		if r.Error != "" || len(r.CaughtBy) == 0 {
			t.Errorf("%s %s\n%v", r, r.Error, r.Reasons)
		}
	}
}

// TestSampleKeepsWhatFaultsName: in a sample each fault is judged on what it names, a
// share of them on everything that their rigs hold, and others by another seed.
func TestSampleKeepsWhatFaultsName(t *testing.T) {
	plan := Plan{Runtime: stack.Embedded, Faults: faults.All()}
	everywhere := len(plan.Faults)
	if got := len(plan.Whole()); got != everywhere {
		t.Errorf("without a seed %d of %d faults are judged on everything", got, everywhere)
	}
	ever := map[string]bool{}
	for seed := range 150 {
		plan.Sample = Sample{Seed: strconv.Itoa(seed)}
		plan.whole = plan.Whole()
		if got, want := len(plan.whole), (everywhere+share-1)/share; got != want {
			t.Fatalf("seed %d judges %d faults on everything, want %d", seed, got, want)
		}
		for _, f := range plan.Faults {
			judged := plan.expectations(f)
			whole := slices.Contains(plan.whole, f.ID)
			ever[f.ID] = ever[f.ID] || whole
			if !whole && len(judged) != len(f.Named) {
				t.Fatalf("seed %d: %s is judged on %d expectations, and names %d", seed, f.ID, len(judged), len(f.Named))
			}
			for _, id := range f.Named {
				if !slices.ContainsFunc(judged, func(x harness.Expectation) bool { return x.ID == id }) {
					t.Fatalf("seed %d: %s is not judged on %s, which it names", seed, f.ID, id)
				}
			}
		}
	}
	if len(ever) != everywhere {
		t.Errorf("%d of %d faults looked at", len(ever), everywhere)
	}
	for id, judged := range ever {
		if !judged {
			t.Errorf("none of 150 seeds judges %s on everything", id)
		}
	}
	if got := len(plan.expectations(Reference)); got != len(suites.All()) {
		t.Errorf("the reference is judged on %d of %d", got, len(suites.All()))
	}
}
