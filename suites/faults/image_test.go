package faults_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/fastapi"
	planted "aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites/faults"
)

// imageUnderTest is a plan for the FastAPI service as a team's own image.
func imageUnderTest(t *testing.T) faults.Plan {
	t.Helper()
	had, err := images.Ensure(t.Context(), []string{images.FastAPI}, images.Options{Pull: true, Build: true})
	if err != nil {
		t.Fatal(err)
	}
	return faults.Plan{Runtime: stack.Containers, Service: stack.Service{
		Image: had[images.FastAPI].Reference, IngressProof: true, RequestLog: 8081,
		Profile: harness.Profile{Propagation: 30 * time.Second, NewKeyBound: 10 * time.Second, RemovedKeyBound: 30 * time.Second, KeyRefresh: 5 * time.Second,
			HandledMetric: "aegis_requests_handled_total", ModeMetric: "aegis_auth_mode_info"},
	}}
}

// TestAnotherServiceIsNotAccused judges a sound service that is not the
// reference, in another language, on whom it serves and how it starts and counts.
func TestAnotherServiceIsNotAccused(t *testing.T) {
	inTurn(t, "another service")
	plan := imageUnderTest(t)
	areas := []string{"OIDC", "JOSE", "CLM", "JWKS", "BRR", "MTLS", "CHN", "HDR", "EPT", "ING", "ENR", "FFS", "MET"}
	plan.Areas = sample.Of(areas, 2)
	t.Logf("planted nothing in another service, judged on %d of %d areas: %s", len(plan.Areas), len(areas), strings.Join(plan.Areas, ", "))
	sound := plan.Sound(t.Context())
	for id, reason := range sound.Reasons {
		t.Errorf("the FastAPI service is accused: %s: %s", id, reason)
	}
	if sound.Error != "" || sound.Judged < 240 && sample.Seed == "" || sound.Judged < 5 {
		t.Errorf("%d judged, %s: want some two hundred and forty or more, or a part of them", sound.Judged, sound.Error)
	}
}

// TestFaultsOfAnotherServiceAreCaught plants five faults in it: each is judged on
// what the others name, too.
func TestFaultsOfAnotherServiceAreCaught(t *testing.T) {
	inTurn(t, "faults of another service")
	plan := imageUnderTest(t)
	var ids []string
	for _, f := range fastapi.Faults {
		ids = append(ids, f.ID)
	}
	ids = sample.Of(ids, 1)
	t.Logf("planted %d of %d in another service: %s", len(ids), len(fastapi.Faults), strings.Join(ids, ", "))
	for _, f := range fastapi.Faults {
		if !slices.Contains(ids, f.ID) {
			continue
		}
		plan.Faults = append(plan.Faults, planted.Fault{
			ID: f.ID, Component: "app", Says: f.Says, Origin: f.Origin, Named: f.CaughtBy, Endpoints: f.Endpoints,
			Env: func(env map[string]string) { env[fastapi.FaultVariable] = f.ID },
		})
		plan.IDs = append(plan.IDs, f.CaughtBy...)
	}
	judgePlanted(t, plan) // the service without a fault is judged above
}
