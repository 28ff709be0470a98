package run

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
)

// created is what a run may have created, and has not removed: whatever was noted before
// it was sent. What became of it is no evidence: an answer may be of another request
// than the one that created, and a refusal may come after the deed.
type created struct {
	mu      sync.Mutex
	created []*thing
	known   map[string]*thing // by endpoint and identifier
}

// thing is what a request may have created. Refused says that each request which names
// it was one alone, and had a refusal for its answer.
type thing struct {
	request          harness.Request
	refused, perhaps bool
}

func key(r harness.Request) string { return r.Endpoint.Name + " " + r.Unique }

// creates reports whether a request, if accepted, creates something that is known to be
// removable: at whatever address of the target it comes in.
func creates(r harness.Request) bool {
	return r.Unique != "" && r.Endpoint.CleanUp.Path != ""
}

// keep keeps what a request may create, before it is sent.
func (s *created) keep(r harness.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]*thing{}
	}
	if s.known[key(r)] != nil {
		return
	}
	one := &thing{request: harness.Request{Mode: r.Mode, Unique: r.Unique, Endpoint: r.Endpoint}}
	s.known[key(r)], s.created = one, append(s.created, one)
}

// answered tells what a request got.
func (s *created) answered(p harness.Profile, r harness.Request, seen harness.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.known[key(r)]
	if one == nil {
		return
	}
	if r.Raw == nil && seen.Transport == harness.Answered && !p.Accepts(seen.Status) {
		one.refused = true
	} else {
		one.perhaps = true
	}
}

// take takes all that was created away: what was refused last.
func (s *created) take() []thing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var perhaps, refused []thing
	for _, one := range s.created {
		if one.refused && !one.perhaps {
			refused = append(refused, *one)
		} else {
			perhaps = append(perhaps, *one)
		}
	}
	s.created, s.known = nil, nil
	return append(perhaps, refused...)
}

// CleanUpBound is how long CleanUp may take now: a minute, and the pace of the run for
// whatever it may have created.
func (e *Engine) CleanUpBound() time.Duration {
	e.created.mu.Lock()
	things := len(e.created.created)
	e.created.mu.Unlock()
	bound := time.Minute + time.Duration(things)*200*time.Millisecond
	if pace := float64(e.pacer.pace.Limit()); pace < 1e6 {
		bound += time.Duration(float64(things) / pace * float64(time.Second))
	}
	return bound
}

// CleanUp removes what the run created. It gives how much it removed, and why
// what is left is left.
func (e *Engine) CleanUp(ctx context.Context) (removed int, left []string) {
	return e.remove(ctx, e.created.take())
}

// Remove removes what requests may have created, of an earlier run.
func (e *Engine) Remove(ctx context.Context, created []harness.Request) (removed int, left []string) {
	things := make([]thing, len(created))
	for i, r := range created {
		things[i].request = r
	}
	return e.remove(ctx, things)
}

func (e *Engine) remove(ctx context.Context, things []thing) (removed int, left []string) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(e.options.Concurrency)
	for _, one := range things {
		group.Go(func() error {
			did, why := e.removeOne(ctx, one)
			mu.Lock()
			defer mu.Unlock()
			if did {
				removed++
			}
			if why != "" {
				left = append(left, why)
			}
			return nil
		})
	}
	_ = group.Wait()
	return removed, left
}

// removeOne removes one thing, or says why it is left. What is not there is not left;
// nor is what was refused, and whose removal is.
func (e *Engine) removeOne(ctx context.Context, one thing) (removed bool, left string) {
	credential, err := e.credentials.of(e.target, one.request.Mode)
	if err != nil {
		return false, err.Error()
	}
	call, ok := probe.Removal(e.target, one.request, credential)
	if !ok {
		return false, ""
	}
	seen := e.send(ctx, []harness.Request{call}, e.anew())[0].Observation
	switch refused := one.refused && !one.perhaps; {
	case seen.Status/100 == 2: // which many answer for what was never there, too
		return !refused, ""
	case seen.Status == http.StatusNotFound, seen.Status == http.StatusGone, refused && seen.Status/100 == 4:
		return false, ""
	}
	return false, fmt.Sprintf("%s %s: got %d %s", call.Method, call.Path, seen.Status, seen.Transport)
}
