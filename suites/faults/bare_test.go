package faults

import (
	"os"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
)

// TestBareReferenceIsNotAccused: without its ingress the reference is as sound.
func TestBareReferenceIsNotAccused(t *testing.T) {
	sound := Plan{Runtime: stack.Embedded}.one(t.Context(), faults.Fault{ID: "none", Component: reference, Face: harness.OIDC, Bare: true})
	for id, reason := range sound.Reasons {
		t.Errorf("the reference is accused: %s: %s", id, reason)
	}
	if sound.Error != "" || sound.Judged < 80 {
		t.Errorf("%d judged, %s: want some eighty or more", sound.Judged, sound.Error)
	}
}

// TestFaultsOfTheServiceAreCaughtWithoutTheIngress judges some at the service itself,
// one of each area that is judged there.
func TestFaultsOfTheServiceAreCaughtWithoutTheIngress(t *testing.T) {
	plan := Plan{Runtime: stack.Embedded}
	all := []string{"M-006", "M-021", "M-035", "M-042", "M-176", "X-420"}
	chosen := Sample{Seed: config.Read(os.Getenv, "").Sample}.Of(all, 2)
	t.Logf("planted %d of %d at the service itself: %s", len(chosen), len(all), strings.Join(chosen, ", "))
	for _, id := range chosen {
		f, ok := faults.ByID(id)
		if !ok || plan.rig(f) != serviceRig {
			t.Fatalf("%s is no fault that is judged at the service", id)
		}
		plan.Faults = append(plan.Faults, f)
	}
	for _, r := range Run(t.Context(), plan) {
		if !r.Exact || r.Error != "" || r.Judged < 80 {
			t.Errorf("%s, %d judged, %s\n%v", r, r.Judged, r.Error, r.Reasons)
		}
	}
}

// TestWhatARotationLogsIsSeenInModeOIDC: a service of mode oidc has no list that shows
// when it has taken a change up; what it logs of the change is waited for all the same.
func TestWhatARotationLogsIsSeenInModeOIDC(t *testing.T) {
	f, ok := faults.ByID("X-761")
	plan := Plan{Runtime: stack.Embedded, IDs: []string{"SEC-001"}}
	if !ok || plan.rig(f) != serviceRig {
		t.Fatal("X-761 is no fault that is judged at the service")
	}
	f.Env = func(env map[string]string) { env["SECRETS_REFRESH"] = "2s" } // within the bound, and after the calls
	if r := plan.one(t.Context(), f); !r.Exact || r.Error != "" {
		t.Errorf("%s, %s\n%v", r, r.Error, r.Reasons)
	}
}
