package faults_test

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites/faults"
)

// TestSoundIngressesAreNotAccused judges each sound ingress where they differ:
// on what they refuse, and how. Caddy's image takes minutes to build, so that
// it is judged by conformance run --ingress caddy.
func TestSoundIngressesAreNotAccused(t *testing.T) {
	inTurn(t, "an ingress")
	chosen := sample.Of([]string{"nginx-400", "nginx-optional", "haproxy"}, 1)
	t.Logf("planted nothing in %d of 3 ingresses: %s", len(chosen), strings.Join(chosen, ", "))
	for _, name := range chosen {
		t.Run(name, func(t *testing.T) {
			plan := faults.Plan{Runtime: stack.Containers, Ingress: name, Areas: []string{"MTLS", "CHN", "HDR", "EPT"}}
			sound := plan.Sound(t.Context())
			for id, reason := range sound.Reasons {
				t.Errorf("%s is accused: %s: %s", name, id, reason)
			}
			if sound.Error != "" || sound.Judged < 50 {
				t.Errorf("%d judged, %s: want some fifty or more", sound.Judged, sound.Error)
			}
		})
	}
}
