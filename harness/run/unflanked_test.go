package run

import (
	"net/http"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// TestWhereItWrites: where an accepted call may not be made, calls that must be refused
// come without a body: that one was served fails, and a refusal is told and passes nothing
// by itself. What is neither is compared with the same call elsewhere: where that one is
// refused, it was not seen that anybody looks at who calls here.
func TestWhereItWrites(t *testing.T) {
	for name, row := range map[string]struct {
		status, bodiless int // there, and at an endpoint that takes accepted calls
		want             harness.Verdict
		note             string
	}{
		"refused":                          {401, 401, harness.Pass, "with no credential: 401: refused"},
		"served":                           {201, 401, harness.Fail, ""},
		"the body is looked at everywhere": {422, 422, harness.Pass, "with no credential: 422: that is no refusal of who calls"},
		"the body is looked at here only":  {422, 401, harness.Inconclusive, "422 to the endpoint enroll without a body, where predict answers the same call with 401"},
		"it breaks here only":              {500, 401, harness.Inconclusive, "500 to the endpoint enroll"},
		"there is no such thing":           {404, 401, harness.Pass, "with no credential: 404: that is no refusal of who calls"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int, control bool) {
				switch {
				case r.URL.Path == "/enroll":
					if control || r.ContentLength != 0 || r.Header.Get("Content-Length") != "0" {
						t.Errorf("a call that could write: accepted %v, a body of %d bytes", control, r.ContentLength)
					}
					w.WriteHeader(row.status)
				case r.Header.Get("Content-Length") == "0":
					w.WriteHeader(row.bodiless)
				case !control:
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			s.Refusing = s.Endpoints[1:2]
			s.Refusing[0].Body, s.Refusing[0].ContentType = []byte(`{"client": "{{unique}}"}`), "application/json"
			s.Endpoints = s.Endpoints[:1]
			s.Withheld = map[string]string{"enroll": "an accepted call writes"}
			x := harness.Expectation{ID: "X-1", Outcome: outcome.Unauthenticated(),
				Stimulus: probe.NoCredential(harness.OIDC).And(probe.Bearer(token.Literal("bad bearer", "bad"))).EvenWhereItWrites()}
			if p := Plan(s.Target, x); p.Requests != 4 || p.Unflanked != 2 || p.Writes != 0 {
				t.Errorf("planned %+v, want 4 requests, 2 of them there", p)
			}
			f := judge(t, s.Target, Options{}, x)
			if notes := strings.Join(append(f.Notes, f.Reason), "\n"); f.Verdict != row.want || !strings.Contains(notes, row.note) || strings.Contains(notes, "was not called") {
				t.Errorf("%s: %s\n%s", f.Verdict, f.Reason, notes)
			}
			if f.Verdict == harness.Fail && f.Bucket != harness.Security {
				t.Errorf("bucket %s", f.Bucket)
			}
		})
	}
}
