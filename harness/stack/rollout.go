package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"aegis.test/conformance/fixtures/aegis"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// rollout deploys replicas in the place of the services that stand.
type rollout struct {
	launch func(context.Context, harness.Launch) (harness.Replica, error)
	// forward makes the ingress of a mode hand on to a replica, or to the service
	// that stood there first when it is nil.
	forward func(context.Context, harness.Mode, harness.Replica) error
	health  string // path at which a replica says that it is ready

	mu     sync.Mutex
	serves map[harness.Mode]harness.Replica // in the place of services
}

// Deploy starts a replica, and puts it in its place once it is ready.
func (r *rollout) Deploy(ctx context.Context, launch harness.Launch) (ready bool, err error) {
	replica, err := r.launch(ctx, launch)
	if err != nil {
		return false, fmt.Errorf("deploying a replica: %w", err)
	}
	if !becomesReady(ctx, replica, r.health) {
		return false, replica.Stop(context.WithoutCancel(ctx))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.forward(ctx, launch.Mode, replica); err != nil {
		return false, errors.Join(fmt.Errorf("putting a replica in its place: %w", err), replica.Stop(context.WithoutCancel(ctx)))
	}
	former := r.serves[launch.Mode]
	if r.serves == nil {
		r.serves = map[harness.Mode]harness.Replica{}
	}
	r.serves[launch.Mode] = replica
	if former != nil {
		err = former.Stop(context.WithoutCancel(ctx))
	}
	return true, err
}

// Restore puts the services in their places again.
func (r *rollout) Restore(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	var stops []func(context.Context) error
	for mode, replica := range r.serves {
		errs = append(errs, r.forward(ctx, mode, nil))
		stops = append(stops, replica.Stop)
	}
	r.serves = nil
	return errors.Join(append(errs, sideBySide(context.WithoutCancel(ctx), stops))...)
}

// becomesReady asks a replica until it says that it is ready, it has ended, or the
// bound of a start has passed.
func becomesReady(ctx context.Context, replica harness.Replica, health string) bool {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		if _, err := replica.Wait(ctx); err == nil {
			close(ended)
		}
	}()
	ticker := time.NewTicker(localhost.Poll)
	defer ticker.Stop()
	for {
		if isReady(ctx, replica.URL().URL+health) {
			return true
		}
		select {
		case <-ticker.C:
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func isReady(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// forward makes the embedded ingress hand on to a replica.
func (e *embedded) forward(ways []way) func(context.Context, harness.Mode, harness.Replica) error {
	return func(_ context.Context, mode harness.Mode, replica harness.Replica) error {
		for i, face := range e.faces() {
			if face != mode {
				continue
			}
			to := ways[i].proxy.Backend
			if replica != nil {
				to = replica.URL().URL
			}
			// What a fault has put beside the service is of no rollout, and stays.
			if err := ways[i].proxy.Forward(append([]string{to}, ways[i].proxy.Further...)...); err != nil {
				return err
			}
			ways[i].proxy.Reload()
		}
		return nil
	}
}

// forward makes nginx hand on to a replica.
func (n nginx) forward(ctx context.Context, mode harness.Mode, to harness.Replica) error {
	delete(n.replaced, mode)
	if r, ok := to.(*replica); ok {
		n.replaced[mode] = r.name
	}
	return n.Restore(ctx)
}

// plant is what is planted in a replica of this process.
func (e *embedded) plant(launch harness.Launch) func(*aegis.Service) {
	fault := e.blueprint.spec.Fault
	if !launch.Previous {
		return fault.Service
	}
	return func(s *aegis.Service) {
		aegis.Previous(s)
		if fault.Previous != nil {
			fault.Previous(s)
		}
	}
}

// beside starts the further replica of a fault, if it has one, and gives its URL.
func (e *embedded) beside(ctx context.Context, mode harness.Mode) ([]string, error) {
	env := e.blueprint.spec.Fault.Beside
	if env == nil {
		return nil, nil
	}
	further, err := e.Launch(ctx, harness.Launch{Mode: mode, Env: env})
	if err != nil {
		return nil, err
	}
	if !becomesReady(ctx, further, "/readyz") {
		return nil, fmt.Errorf("starting a replica beside service-%s: it is not ready; its log:\n%s", mode, indent(further.Log()))
	}
	return []string{further.URL().URL}, nil
}
