package run

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// fresh is how old a control may be and still stand before a stimulus (rulings
//
const fresh = 5 * time.Second

// route is what a control speaks for: a mode and an endpoint.
type route struct {
	mode           harness.Mode
	endpoint, path string
}

// control is an accepted request, or one that was not.
type control struct {
	exchange harness.Exchange
	ended    time.Time
	refusal  string // why it was not accepted; "" when it was
}

// denied reports a control that somebody answered, in whatever way, or ended in TLS
// (rulings A-02): he is there.
func (c control) denied() bool {
	switch o := c.exchange.Observation; o.Transport {
	case harness.Answered:
		return o.Status != 0
	case harness.Alert, harness.EOF, harness.Reset:
		return true
	default:
		return false
	}
}

// controlCache keeps the controls of a run, so that those of many findings are the
// same: a control that stands after one stimulus stands before the next.
type controlCache struct {
	send  func(route) harness.Exchange
	ended func(harness.Exchange) string // that the credential of one had; "" where not

	mu     sync.Mutex
	routes map[route]*routeControls
}

// routeControls is the controls of one endpoint in a mode: the last, the one under way, and the next,
// which has not been sent yet and may be waited for by many.
type routeControls struct {
	last    control
	running chan struct{} // closed when the one under way has ended; nil when none is
	next    *attempt
}

type attempt struct {
	done   chan struct{}
	result control
}

// before is a control that ended just now, or a new one.
func (l *controlCache) before(ctx context.Context, p harness.Profile, at route) control {
	l.mu.Lock()
	last := l.of(at).last
	l.mu.Unlock()
	if last.refusal == "" && time.Since(last.ended) < fresh {
		return last
	}
	return l.after(ctx, p, at)
}

// after is a control that is sent after the call.
func (l *controlCache) after(ctx context.Context, p harness.Profile, at route) control {
	if ctx.Err() != nil {
		return control{refusal: interrupted}
	}
	l.mu.Lock()
	here := l.of(at)
	f := here.next
	if f == nil {
		f = &attempt{done: make(chan struct{})}
		here.next = f
		go l.run(p, at, here, f, here.running)
	}
	l.mu.Unlock()
	select {
	case <-f.done:
		return f.result
	case <-ctx.Done():
		return control{refusal: interrupted}
	}
}

func (l *controlCache) of(at route) *routeControls {
	if l.routes == nil {
		l.routes = map[route]*routeControls{}
	}
	if l.routes[at] == nil {
		l.routes[at] = &routeControls{}
	}
	return l.routes[at]
}

// run sends a control once the one under way has ended: whoever asks from then
// on waits for the one after it.
func (l *controlCache) run(p harness.Profile, at route, here *routeControls, f *attempt, running chan struct{}) {
	if running != nil {
		<-running
	}
	l.mu.Lock()
	here.next, here.running = nil, f.done
	l.mu.Unlock()
	x := l.send(at)
	f.result = control{exchange: x, ended: time.Now(), refusal: refusalOf(p, x)}
	if f.result.refusal != "" && l.ended != nil {
		if why := l.ended(x); why != "" {
			f.result.refusal = why + ": " + f.result.refusal
		}
	}
	l.mu.Lock()
	here.last = f.result
	if here.running == f.done {
		here.running = nil
	}
	l.mu.Unlock()
	close(f.done)
}

// refusalOf says why a control was not accepted, or "".
func refusalOf(p harness.Profile, x harness.Exchange) string {
	judgement := outcome.Accepted().Judge(p, harness.Trace{Exchanges: []harness.Exchange{x}})
	if len(judgement.Problems) == 0 {
		return ""
	}
	words := fmt.Sprintf("%s %s with %s was answered: %s", x.Request.Method, x.Request.Path, x.Request.Credential, judgement.Problems[0].Got)
	return shown(words, x.Request)
}

// credentialCache keeps the credentials of controls: one serves many, for a minute.
type credentialCache struct {
	mu   sync.Mutex
	made map[harness.Mode]madeCredential
}

type madeCredential struct {
	change probe.Edit
	at     time.Time
}

func (w *credentialCache) of(t *harness.Target, mode harness.Mode) (probe.Edit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.made[mode]; ok && time.Since(c.at) < time.Minute {
		return c.change, nil
	}
	change, err := probe.Credential(t, mode)
	if err != nil || len(t.Tokens.Signing) == 0 && mode == harness.OIDC { // a source knows better how long one serves
		return change, err
	}
	if w.made == nil {
		w.made = map[harness.Mode]madeCredential{}
	}
	w.made[mode] = madeCredential{change, time.Now()}
	return change, nil
}

// controls is the controls around one stimulus.
type controls struct {
	mu     sync.Mutex
	before map[route]control
	after  map[route]control
}

// exchanges are the controls' own.
func (r *controls) exchanges() []harness.Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []harness.Exchange
	for _, side := range []map[route]control{r.before, r.after} {
		for _, c := range side {
			all = append(all, c.exchange)
		}
	}
	return all
}

// openControls puts a control before a stimulus that changes the target, at every
// endpoint: once it has acted it is too late for one.
func (h *client) openControls(ctx context.Context, s harness.Stimulus) {
	if !h.controlled || s.Effect != harness.Disruptive {
		return
	}
	var wait sync.WaitGroup
	for _, mode := range s.Modes {
		for _, endpoint := range h.target.Endpoints {
			if h.target.Shows(mode) {
				wait.Go(func() { h.stand(ctx, route{mode, endpoint.Name, endpoint.Path}) })
			}
		}
	}
	wait.Wait()
}

// before makes sure that a control stands before each of the requests. One that was
// answered and not accepted hides nothing: the requests are sent all the same, for what
// is served that must not be is a hole whatever the control; a refusal shows nothing
// then. Where nobody answered, an error says so, and nothing is sent.
func (h *client) before(ctx context.Context, requests []harness.Request) error {
	if !h.controlled {
		return nil
	}
	for _, r := range requests {
		if r.Face != nil || r.Unflanked {
			continue
		}
		if c := h.stand(ctx, route{r.Mode, r.Endpoint.Name, r.Endpoint.Path}); c.refusal != "" && !c.denied() {
			return fmt.Errorf("control before: %s", c.refusal)
		}
	}
	return nil
}

// stand is the control before the stimulus on a route: one, however often it is
// asked for.
func (h *client) stand(ctx context.Context, at route) control {
	h.controls.mu.Lock()
	c, ok := h.controls.before[at]
	h.controls.mu.Unlock()
	if ok {
		return c
	}
	c = h.controlCache.before(ctx, h.target.Profile, at)
	h.controls.mu.Lock()
	defer h.controls.mu.Unlock()
	if h.controls.before == nil {
		h.controls.before = map[route]control{}
	}
	h.controls.before[at] = c
	return c
}

// closeControls sends the controls after the stimulus. What that changed is put back by
// then, and a hook may return before it serves: the controls are sent again until they
// are accepted, for as long as a change may take to bite.
func (h *client) closeControls(ctx context.Context, s harness.Stimulus) {
	var patience time.Duration
	if s.Effect == harness.Disruptive {
		patience = cmp.Or(h.target.Profile.Propagation, harness.DefaultPropagation)
	}
	deadline := time.Now().Add(patience)
	var wait sync.WaitGroup
	for at, before := range h.controls.before {
		wait.Go(func() {
			c := h.controlCache.after(ctx, h.target.Profile, at)
			for before.refusal == "" && c.refusal != "" && time.Now().Before(deadline) && pause(ctx, patience/100) {
				c = h.controlCache.after(ctx, h.target.Profile, at)
			}
			h.controls.mu.Lock()
			defer h.controls.mu.Unlock()
			if h.controls.after == nil {
				h.controls.after = map[route]control{}
			}
			h.controls.after[at] = c
		})
	}
	wait.Wait()
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// broken says which control was not accepted, or "".
func (r *controls) broken() string {
	for _, side := range []struct {
		name string
		at   map[route]control
	}{{"before", r.before}, {"after", r.after}} {
		for _, c := range side.at {
			if c.refusal != "" {
				return "the control " + side.name + " the stimulus was not accepted: " + c.refusal
			}
		}
	}
	return ""
}
