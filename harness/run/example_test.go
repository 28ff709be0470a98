package run_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/token"
)

// deployment is a target of one mode that serves whoever bears one of some tokens.
func deployment(accepted ...string) (t *harness.Target, stop func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(accepted, r.Header.Get("Authorization")) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="aegis"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	return &harness.Target{
		Run:       "example",
		Faces:     map[harness.Mode]harness.Face{harness.OIDC: {URL: server.URL}},
		Endpoints: []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", Body: []byte("{}")}},
		Tokens:    harness.TokenGrant{Valid: "the-token"},
	}, server.Close
}

// One expectation is a literal, and Judge makes a finding of it and a target: of a sound
// one, of one that serves anybody who bears anything, and of one that is down for
// everybody, which refuses nobody in particular.
func Example() {
	garbage := harness.Expectation{
		ID: "OIDC-004", Title: "No JWT", Level: harness.MUST,
		Rule:     harness.Says("A bearer that is no JWT is answered 401."),
		Stimulus: probe.Bearer(token.Literal("garbage", "garbage")), Outcome: outcome.Unauthenticated(),
	}
	for _, accepted := range [][]string{{"Bearer the-token"}, {"Bearer the-token", "Bearer garbage"}, nil} {
		target, stop := deployment(accepted...)
		engine := run.New(target, run.Options{})
		for _, f := range engine.All(context.Background(), []harness.Expectation{garbage}, nil) {
			fmt.Println(f.ID, f.Verdict, cmp.Or(f.Bucket, "-"))
		}
		engine.Close()
		stop()
	}
	// Output:
	// OIDC-004 pass -
	// OIDC-004 fail security
	// OIDC-004 inconclusive -
}
