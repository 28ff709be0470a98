package run

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
)

// estate is what a run created, and has not removed.
type estate struct {
	mu      sync.Mutex
	created []harness.Request
}

// creates reports whether a request, if accepted, creates something that is
// known to be removable.
func creates(r harness.Request) bool {
	return r.Face == nil && r.Unique != "" && r.Endpoint.CleanUp.Path != ""
}

// keep keeps a request that created something, or may have.
func (s *estate) keep(p harness.Profile, r harness.Request, seen harness.Observation) {
	if !creates(r) || seen.Transport == harness.Answered && !p.Accepts(seen.Status) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.created, func(kept harness.Request) bool {
		return kept.Unique == r.Unique && kept.Endpoint.Name == r.Endpoint.Name
	}) {
		s.created = append(s.created, r)
	}
}

// CleanUp removes what the run created. It gives how much it removed, and why
// what is left is left.
func (e *Engine) CleanUp(ctx context.Context) (removed int, left []string) {
	e.estate.mu.Lock()
	created := e.estate.created
	e.estate.created = nil
	e.estate.mu.Unlock()
	return e.Remove(ctx, created)
}

// Remove removes what requests created, of this run or an earlier one.
func (e *Engine) Remove(ctx context.Context, created []harness.Request) (removed int, left []string) {
	for _, r := range created {
		credential, err := e.credentials.of(e.target, r.Mode)
		if err != nil {
			return removed, append(left, err.Error())
		}
		call, ok := probe.Removal(e.target, r, credential)
		if !ok {
			continue
		}
		seen := e.send(ctx, []harness.Request{call}, e.anew())[0].Observation
		gone := []int{http.StatusNotFound, http.StatusGone}
		if seen.Status/100 == 2 || slices.Contains(gone, seen.Status) {
			removed++
			continue
		}
		left = append(left, fmt.Sprintf("%s %s: got %d %s", call.Method, call.Path, seen.Status, seen.Transport))
	}
	return removed, left
}
