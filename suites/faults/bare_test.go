package faults

import (
	"testing"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
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
