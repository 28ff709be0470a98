package run

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/edge"
)

// TestNamesOfNobody: what a server answers to every path under a name that is nobody's
// served nobody; what is the service's under such a name did.
func TestNamesOfNobody(t *testing.T) {
	say := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = w.Write([]byte(text)) }
	}
	score := say(200, `{"score": 0.5}`)
	at := func(path string, there, elsewhere http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, path) {
				there(w, r)
				return
			}
			elsewhere(w, r)
		}
	}
	page := say(200, "<!DOCTYPE html><title>Welcome</title>")
	for name, row := range map[string]struct {
		stranger http.HandlerFunc // answers under other names than its own
		accepted http.HandlerFunc
		want     harness.Verdict
		bucket   harness.Bucket
	}{
		"nothing in it, as Caddy is installed": {say(200, ""), score, harness.Pass, ""},
		"a page of its own":                    {page, score, harness.Pass, ""},
		"a page that repeats the call": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "<p>nothing at %s, %s", r.URL.Path, r.Header.Get(harness.ProbeHeader))
		}, score, harness.Pass, ""},
		"a JSON of its own":  {say(200, `{"message": "no route"}`), score, harness.Pass, ""},
		"a redirect to home": {http.RedirectHandler("https://www.example.com/", http.StatusFound).ServeHTTP, score, harness.Pass, ""},
		"a redirect of what is asked": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://www.example.com"+r.URL.Path, http.StatusMovedPermanently)
		}, score, harness.Pass, ""},
		"no server behind it":     {say(503, "<h1>503 Service Unavailable</h1>"), score, harness.Pass, ""},
		"the service":             {at("/predict", score, say(404, "")), score, harness.Fail, harness.Security},
		"the service at any path": {score, score, harness.Fail, harness.Security},
		"another answer of the service's, at any path": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"score": %d, "model": "x"}`, len(r.URL.Path))
		}, score, harness.Fail, harness.Security},
		"what is served is empty":                                {at("/predict", say(200, ""), say(404, "")), score, harness.Fail, harness.Security},
		"what is served is empty, at a path that nobody has too": {say(200, ""), say(200, ""), harness.Fail, harness.Security},
		"a redirect of an endpoint": {at("/predict", http.RedirectHandler("http://www.example.com/", http.StatusFound).ServeHTTP, say(404, "")), score,
			harness.Fail, harness.Contract},
		"it breaks": {say(500, ""), score, harness.Fail, harness.Contract},
	} {
		t.Run(name, func(t *testing.T) {
			var s *service
			s = serve(t, func(w http.ResponseWriter, r *http.Request, _ int, control bool) {
				switch {
				case "http://"+r.Host != s.url:
					row.stranger(w, r)
				case control:
					row.accepted(w, r)
				default:
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			s.Endpoints = s.Endpoints[:1]
			for _, x := range []harness.Expectation{
				{ID: "EPT-010", Stimulus: probe.Crossed("under another host", probe.Hosts()...).Following(),
					Outcome: outcome.Denied().Or(400, 421).SameOrigin(probe.SameOrigin)},
				{ID: "EPT-017", Stimulus: probe.Odd(), Outcome: outcome.PerVariant{
					probe.NoHost: outcome.Denied().Or(400, 421), probe.LowerCase: outcome.Denied(),
					probe.HTTP09:        outcome.Headless{Answers: outcome.Denied().Or(400, 426, 505).OrInTLS()},
					probe.ValidThenNone: outcome.Pair{First: 200, Second: 401}, probe.NoneThenValid: outcome.Pair{First: 401, Second: 200},
				}},
				{ID: "ING-005", Stimulus: edge.OtherHosts(), Outcome: outcome.Elsewhere{}},
			} {
				f := judge(t, s.Target, Options{}, x)
				want, bucket := row.want, row.bucket
				if x.ID == "ING-005" && name == "a redirect of an endpoint" {
					want, bucket = harness.Fail, harness.Contract // it leads to plain HTTP
				}
				if f.Verdict != want || f.Bucket != bucket {
					t.Errorf("%s: %s %s: %s", x.ID, f.Verdict, f.Bucket, f.Reason)
				}
				if told := strings.Contains(strings.Join(f.Notes, "\n"), "a name that is nobody's: nobody was served"); told != (want == harness.Pass) {
					t.Errorf("%s: notes %q", x.ID, f.Notes)
				}
			}
		})
	}
}
