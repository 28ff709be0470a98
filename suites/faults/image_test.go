package faults_test

import (
	"os"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/fastapi"
	planted "aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites/faults"
)

// imageUnderTest is a plan for the FastAPI service as a team's own image; false
// where no engine is to be used.
func imageUnderTest(t *testing.T) (faults.Plan, bool) {
	t.Helper()
	if config.Read(os.Getenv, "").Runtime != string(stack.Containers) {
		t.Log("not in containers: make test judges the FastAPI service where an engine answers")
		return faults.Plan{}, false
	}
	had, err := images.Ensure(t.Context(), []string{images.FastAPI}, images.Options{Pull: true, Build: true})
	if err != nil {
		t.Fatal(err)
	}
	return faults.Plan{Runtime: stack.Containers, Service: stack.Service{
		Image: had[images.FastAPI].Reference, ProvesIngress: true, RequestLog: 8081,
		Profile: harness.Profile{Propagation: 30 * time.Second, NewKeyBound: 10 * time.Second, RemovedKeyBound: 30 * time.Second, KeyRefresh: 5 * time.Second,
			HandledMetric: "aegis_requests_handled_total", ModeMetric: "aegis_auth_mode_info"},
	}}, true
}

// TestAnotherServiceIsNotAccused judges a sound service that is not the
// reference, in another language, on whom it serves and how it starts and counts.
func TestAnotherServiceIsNotAccused(t *testing.T) {
	plan, ok := imageUnderTest(t)
	if !ok {
		return
	}
	plan.Areas = []string{"OIDC", "JOSE", "CLM", "JWKS", "BRR", "MTLS", "CHN", "HDR", "EPT", "ING", "ENR", "FFS", "MET"}
	sound := plan.Sound(t.Context())
	for id, reason := range sound.Reasons {
		t.Errorf("the FastAPI service is accused: %s: %s", id, reason)
	}
	if sound.Error != "" || sound.Judged < 240 {
		t.Errorf("%d judged, %s: want some two hundred and forty or more", sound.Judged, sound.Error)
	}
}

// TestFaultsOfAnotherServiceAreCaught plants five faults in it: each is judged on
// what the others name, too.
func TestFaultsOfAnotherServiceAreCaught(t *testing.T) {
	plan, ok := imageUnderTest(t)
	if !ok {
		return
	}
	for _, f := range fastapi.Faults {
		plan.Faults = append(plan.Faults, planted.Fault{
			ID: f.ID, Component: "app", Says: f.Says, Origin: f.Origin, Named: f.CaughtBy, Endpoints: f.Endpoints,
			Env: func(env map[string]string) { env[fastapi.FaultVariable] = f.ID },
		})
		plan.IDs = append(plan.IDs, f.CaughtBy...)
	}
	judgeMatrix(t, plan)
}
