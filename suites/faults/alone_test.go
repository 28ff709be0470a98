package faults

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/aegis"
	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
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
			f.Service = lenient
			plan.Faults = append(plan.Faults, f)
		}
	}
	if len(plan.IDs) < 50 || len(plan.Faults) < 20 {
		t.Fatalf("%d expectations held by the ingress alone, %d of its faults fail them", len(plan.IDs), len(plan.Faults))
	}
	for _, r := range Run(t.Context(), plan) {
		if r.Error != "" || len(r.CaughtBy) == 0 {
			t.Errorf("%s %s\n%v", r, r.Error, r.Reasons)
		}
	}
}

// TestShareKeepsWhatFaultsAreAbout: a shared matrix judges a fault on all that it is
// about, on a part of the rest, and on another part by another seed.
func TestShareKeepsWhatFaultsAreAbout(t *testing.T) {
	few, ok := faults.ByID("M-006")
	if !ok {
		t.Fatal("the fault of this test is gone")
	}
	whole := len(Plan{}.expectations(few))
	seen := map[string]bool{}
	for seed := range uint64(100) {
		plan := Plan{Share: 6, Seed: seed}
		part := plan.expectations(few)
		about := map[string]bool{}
		for _, x := range part {
			seen[x.ID], about[x.ID] = true, true
		}
		for _, id := range few.Named {
			if !about[id] {
				t.Fatalf("seed %d: %s is not judged, which it is about", seed, id)
			}
		}
		if len(part) > whole/2 {
			t.Fatalf("seed %d: %d of %d judged", seed, len(part), whole)
		}
	}
	if len(seen) != whole {
		t.Errorf("a hundred seeds judged %d of %d expectations", len(seen), whole)
	}
	sound := faults.Fault{ID: "none", Component: reference}
	if got := len((Plan{Share: 6}).expectations(sound)); got != len(suites.All()) {
		t.Errorf("the reference is judged on %d of %d", got, len(suites.All()))
	}
}
