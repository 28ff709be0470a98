package run

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// shop is a target whose handler creates a thing for each call that it runs for, and
// removes one.
type shop struct {
	mu     sync.Mutex
	things map[string]bool
	made   int
	refuse func(http.ResponseWriter, *http.Request) bool // true when it answered
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodDelete {
		id := strings.TrimPrefix(r.URL.Path, "/enroll/")
		if !s.things[id] {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		delete(s.things, id)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if s.refuse != nil && s.refuse(w, r) {
		return
	}
	var asked struct{ Client string }
	if json.Unmarshal(body, &asked) == nil && asked.Client != "" {
		s.things[asked.Client] = true
		s.made++
	}
}

var enrolling = []harness.Endpoint{{Name: "enrollment", Method: "POST", Path: "/enroll", ContentType: "application/json",
	Body:   []byte(`{"client":"{{unique}}"}`),
	Effect: harness.Writes, CleanUp: harness.CleanUp{Method: "DELETE", Path: "/enroll/{{unique}}"}}}

// TestNothingIsLeft: whatever answer a call got, and though the run was interrupted
// before it had one, what it created is removed.
func TestNothingIsLeft(t *testing.T) {
	interrupt := func() {}
	for what, row := range map[string]struct {
		stimulus harness.Builder
		refuse   func(http.ResponseWriter, *http.Request) bool
	}{
		"two calls in one write": {probe.Odd(), func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") != "" {
				return false
			}
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}},
		"a refusal after the deed": {probe.NoCredential(harness.OIDC), func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			return false
		}},
		"an interrupt": {probe.NoCredential(harness.OIDC), func(http.ResponseWriter, *http.Request) bool {
			interrupt()
			return false
		}},
	} {
		s := &shop{things: map[string]bool{}, refuse: row.refuse}
		server := httptest.NewServer(s)
		target := &harness.Target{Run: "run", Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: server.URL}}, Endpoints: enrolling}
		target.Tokens.Valid = harness.Secret(secretToken())
		e := New(target, Options{Concurrency: 2})
		var ctx context.Context
		ctx, interrupt = context.WithCancel(t.Context())
		e.Judge(ctx, harness.Expectation{ID: "X-1", Stimulus: row.stimulus, Outcome: outcome.Unauthenticated()})
		s.mu.Lock()
		s.refuse = nil
		s.mu.Unlock()
		_, left := e.CleanUp(t.Context())
		e.Close()
		interrupt()
		server.Close()
		if s.made == 0 || len(s.things) > 0 || len(left) > 0 {
			t.Errorf("%s: %d were created, left are %v, told %v", what, s.made, s.things, left)
		}
	}
}
