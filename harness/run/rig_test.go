package run

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// arrival is one request as the service saw it.
type arrival struct {
	path         string
	control      bool // it carried the valid token
	began, ended time.Time
}

// service is a target of one mode: it accepts the valid token, and refuses all
// else as wrong says.
type service struct {
	*harness.Target
	url string

	mu       sync.Mutex
	arrivals []arrival
}

// serve starts a service. Answer, if not nil, answers in its place; n counts
// from 0, controls are requests with the valid token.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int, control bool)) *service {
	t.Helper()
	s := &service{Target: &harness.Target{Run: "run"}}
	s.Tokens.Valid = harness.Secret(secretToken())
	if answer == nil {
		answer = sound
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := arrival{path: r.URL.Path, control: r.Header.Get("Authorization") == "Bearer "+s.Tokens.Valid.Reveal(), began: time.Now()}
		s.mu.Lock()
		n := len(s.arrivals)
		s.arrivals = append(s.arrivals, a)
		s.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body) // or the end of a call would not be seen
		answer(w, r, n, a.control)
		s.mu.Lock()
		s.arrivals[n].ended = time.Now()
		s.mu.Unlock()
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	s.Faces = map[harness.Mode]harness.Face{harness.OIDC: {URL: server.URL}}
	for _, path := range []string{"/predict", "/enroll", "/review"} {
		s.Endpoints = append(s.Endpoints, harness.Endpoint{Name: path[1:], Method: "POST", Path: path, Body: []byte("{}")})
	}
	return s
}

// sound accepts the valid token and nothing else.
func sound(w http.ResponseWriter, _ *http.Request, _ int, control bool) {
	if !control {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// always answers every request with one status.
func always(status int) func(http.ResponseWriter, *http.Request, int, bool) {
	return func(w http.ResponseWriter, _ *http.Request, _ int, _ bool) { w.WriteHeader(status) }
}

func (s *service) seen() (all []arrival, controls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.arrivals {
		if a.control {
			controls++
		}
	}
	return append(all, s.arrivals...), controls
}

// secretToken has the shape of a token, and none of its text occurs elsewhere.
func secretToken() string {
	segment := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return "eyJ" + segment(60) + "." + segment(300) + "." + segment(256)
}

// refusing expects calls with a bad bearer to be refused.
func refusing(id string) harness.Expectation {
	return harness.Expectation{ID: id, Stimulus: probe.Bearer(token.Literal("bad bearer", "bad")), Outcome: outcome.Unauthenticated()}
}

func refusals(n int) []harness.Expectation {
	var all []harness.Expectation
	for i := range n {
		all = append(all, refusing("X-"+strconv.Itoa(i)))
	}
	return all
}

// fixed is an outcome that says what it is told.
type fixed []harness.Problem

func (fixed) Want(harness.Profile) string { return "what is wanted" }

func (f fixed) Judge(harness.Profile, harness.Trace) harness.Judgement {
	return harness.Judgement{Problems: f}
}

// requestTo is a request with a bad bearer to the first endpoint.
func requestTo(t *harness.Target, authorization string) harness.Request {
	e := t.Endpoints[0]
	return harness.Request{Mode: harness.OIDC, Endpoint: e, Method: e.Method, Path: e.Path, Credential: "a credential",
		Fields: []harness.Field{{Name: "Host", Value: "aegis.test"}, {Name: harness.ProbeHeader, Value: "run-" + token.Random(6)},
			{Name: "Authorization", Value: authorization}}}
}

// judge judges one expectation with an engine of its own, which is never late.
func judge(t *testing.T, target *harness.Target, o Options, x harness.Expectation) harness.Finding {
	t.Helper()
	e := New(target, o)
	e.heart.stop()
	t.Cleanup(e.Close)
	return e.Judge(t.Context(), x)
}
