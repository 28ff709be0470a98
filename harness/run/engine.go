// Package run drives: it holds a target against expectations and concludes a
// finding of each. It knows neither Ginkgo nor the engine that started the
// target, so the command, the suites and the fault suite call the same Judge.
package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/wire"
)

// Options says how requests are sent. The zero value suits a stack of our own.
type Options struct {
	Concurrency int           // requests at once, while as many connections are being opened; default 8
	Rate        float64       // requests a second; 0 is unpaced
	Burst       int           // default 10
	TimeOut     time.Duration // of one request; default 10 s
	// Met receives every credential before it is sent; nil discards.
	Met func(kind, value string)
	// StopAfter is how many requests in a row may have no answer; 0 is any number.
	StopAfter int
	// RetryAfter is how long a target's Retry-After is heeded at most, RetryTotal how
	// long all of a run are; 0 is not at all, and by default ten times RetryAfter.
	RetryAfter, RetryTotal time.Duration
	// Note is told of each request that may create something, before it is sent;
	// what it cannot note is not sent. Nil notes nothing.
	Note func(harness.Request) error
}

// Engine judges expectations on one target.
type Engine struct {
	target       *harness.Target
	options      Options
	underWay     chan struct{} // of requests under way
	connecting   chan struct{} // of connections that are being opened
	pacer        *pacer
	controlCache controlCache
	credentials  credentialCache
	sent         atomic.Int64
	breaker      breaker
	heart        heartbeat
	created      created
	http         *http.Client // for oracles and metrics pages
	end          func()       // ends the controls under way
}

// maxPage bounds what an oracle or a metrics page answers, bytes; whoever reads one
// has a bound of its own below it.
const maxPage = 16 << 20

// New makes an engine for a target.
func New(t *harness.Target, o Options) *Engine {
	if o.Concurrency <= 0 {
		o.Concurrency = 8
	}
	if o.TimeOut <= 0 {
		o.TimeOut = 10 * time.Second
	}
	if o.Burst <= 0 {
		o.Burst = 10
	}
	if o.RetryTotal <= 0 {
		o.RetryTotal = 10 * o.RetryAfter
	}
	limit := rate.Inf
	if o.Rate > 0 {
		limit = rate.Limit(o.Rate)
	}
	e := &Engine{
		target: t, options: o,
		underWay:   make(chan struct{}, o.Concurrency),
		connecting: make(chan struct{}, o.Concurrency),
		pacer:      newPacer(limit, o.Burst),
		breaker:    breaker{stopAfter: o.StopAfter, most: o.RetryAfter, total: o.RetryTotal},
		http:       outbound.Client(outbound.Options{TimeOut: o.TimeOut, Most: maxPage, Idle: o.Concurrency}.By(t.Signed)),
	}
	life, end := context.WithCancel(context.Background()) // a control outlives whoever asked for it first
	e.controlCache.send = func(l route) harness.Exchange { return e.control(life, l) }
	e.controlCache.ended = func(x harness.Exchange) string { return ended(t, x) }
	e.end = end
	e.heart.start(life)
	return e
}

// Sent is how many requests were sent, controls among them: each had its turn.
func (e *Engine) Sent() int { return int(e.sent.Load()) }

// Close ends the controls under way and frees what the engine holds.
func (e *Engine) Close() {
	e.end()
	e.http.CloseIdleConnections()
}

// All judges expectations and gives their findings in the same order. What may
// share the target runs at once, and beside it, one by one, what starts replicas of
// its own; what must be alone follows, one by one. Each, if not nil, is called as
// findings come, one at a time. On a live target all this is done for core first.
func (e *Engine) All(ctx context.Context, expectations []harness.Expectation,
	each func(harness.Expectation, harness.Finding)) []harness.Finding {
	findings := make([]harness.Finding, len(expectations))
	told := make(chan int)
	go func() {
		defer close(told)
		judge := func(i int) {
			findings[i] = e.Judge(ctx, expectations[i])
			told <- i
		}
		var apart []int
		for i, x := range expectations {
			if x.Stimulus.Build().ApartOn(e.target) {
				apart = append(apart, i)
			}
		}
		var beside sync.WaitGroup
		beside.Go(func() { together(apart, apartAtOnce, judge) })
		for _, some := range e.turns(expectations) {
			var shared, alone []int
			for _, i := range some {
				switch x := expectations[i]; {
				case x.Stimulus.Build().ApartOn(e.target):
				case x.Alone():
					alone = append(alone, i)
				default:
					shared = append(shared, i)
				}
			}
			together(shared, 2*e.options.Concurrency, judge)
			if len(alone) > 0 {
				beside.Wait()
			}
			for _, i := range alone {
				judge(i)
			}
		}
		beside.Wait()
	}()
	for i := range told {
		if each != nil {
			each(expectations[i], findings[i])
		}
	}
	return findings
}

// turns are the expectations by their place, in the order in which they are judged: on a
// live target, where a run is paced, those of core first, so that its owner soon knows.
func (e *Engine) turns(expectations []harness.Expectation) [][]int {
	var core, rest []int
	for i, x := range expectations {
		if e.target.Kind == harness.Live && x.Tiered() == harness.Core {
			core = append(core, i)
		} else {
			rest = append(rest, i)
		}
	}
	return [][]int{core, rest}
}

// together judges some at once, so many at most.
func together(some []int, atOnce int, judge func(int)) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, i := range some {
		group.Go(func() error { judge(i); return nil })
	}
	_ = group.Wait()
}

// apartAtOnce is how many expectations that start things of their own go on at once.
// They mostly wait; a container engine that is asked to start sixteen at once does
// nothing else for most of a minute.
const apartAtOnce = 3

// sending is how requests are put on the wire: anew, on a connection of their own.
type sending struct {
	put  func(context.Context, []harness.Request) ([]harness.Observation, error)
	anew bool
}

// send sends requests on one connection, each in its turn; those that are to be sent
// again, again.
func (e *Engine) send(ctx context.Context, requests []harness.Request, by sending) []harness.Exchange {
	exchanges := make([]harness.Exchange, len(requests))
	pending := make([]int, len(requests))
	for i, r := range requests {
		exchanges[i].Request, pending[i] = r, i
		e.met(r)
	}
	var earlier []string
	for {
		now := make([]harness.Request, len(pending))
		for k, i := range pending {
			now[k] = requests[i]
		}
		seen, err := e.once(ctx, now, by, len(earlier) == 0)
		if err != nil && len(earlier) == 0 {
			return unsent(exchanges, err)
		}
		for k := range seen {
			exchanges[pending[k]].Observation = mark(now, seen, k, earlier, by)
		}
		why := e.again(now, seen, by, earlier)
		if err != nil || why == "" || ctx.Err() != nil {
			break
		}
		if len(requests) > e.options.Burst { // each for itself
			pending = slices.DeleteFunc(pending, func(i int) bool { return why == tooMany && !rateLimited(exchanges[i].Observation) })
		}
		earlier = append(earlier, why)
	}
	for i, x := range exchanges {
		e.breaker.watch(requests[i], x.Observation)
	}
	return exchanges
}

// once sends requests one time, in their turn; the first time they are noted.
func (e *Engine) once(ctx context.Context, requests []harness.Request, by sending, first bool) ([]harness.Observation, error) {
	turns := min(len(requests), int(e.pacer.burst.Load()))
	for range turns {
		if err := e.turn(ctx); err != nil {
			return nil, err
		}
	}
	if first {
		if err := e.note(requests); err != nil {
			return nil, err
		}
	}
	e.sent.Add(int64(turns))
	seen, err := by.put(ctx, requests)
	if err != nil {
		return nil, err
	}
	smooth := true
	for i := range seen {
		until, more := e.breaker.wait(requests[i], seen[i])
		if rateLimited(seen[i]) {
			smooth = false
			if more {
				e.pacer.slow(seen[i].At, until)
			}
		}
		seen[i].Reached, seen[i].Unread = e.reached(ctx, requests[i], seen[i])
		seen[i].Beside = e.beside(ctx, requests[i], seen[i])
		seen[i].Likewise = e.likewise(ctx, requests[i], seen[i])
		e.created.answered(e.target.Profile, requests[i], seen[i])
	}
	if smooth {
		e.pacer.ease(len(seen))
	}
	return seen, nil
}

// together sends on one connection that is the requests' own. It is opened while
// others have their place: a request that is next costs one round trip then.
func (e *Engine) together(ctx context.Context, requests []harness.Request) ([]harness.Observation, error) {
	if err := enter(ctx, e.connecting); err != nil {
		return nil, err
	}
	conn, left := e.connect(ctx, requests[0])
	<-e.connecting
	defer conn.Close()
	opened := time.Now()
	if err := enter(ctx, e.underWay); err != nil {
		return nil, err
	}
	defer func() { <-e.underWay }()
	conn.Waited(time.Since(opened))
	if burst := int(e.pacer.burst.Load()); len(requests) > burst { // the others wait for their turn on the connection
		conn.Paced(func(i int) error { return e.turnOf(ctx, i, burst) }, e.options.TimeOut)
		return conn.Send(ctx, requests), nil
	}
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return conn.Send(limited, requests), nil
}

// anew is together, as a sending.
func (e *Engine) anew() sending { return sending{e.together, true} }

// atOnce is together without a place: beside all others.
func (e *Engine) atOnce(ctx context.Context, requests []harness.Request) ([]harness.Observation, error) {
	conn, left := e.connect(ctx, requests[0])
	defer conn.Close()
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return conn.Send(limited, requests), nil
}

// connect opens a connection for a request, and says what is left of the time-out.
func (e *Engine) connect(ctx context.Context, r harness.Request) (*wire.Connection, time.Duration) {
	limited, cancel := context.WithTimeout(ctx, e.options.TimeOut)
	defer cancel()
	began := time.Now()
	conn := wire.Connect(limited, e.target, r)
	return conn, e.options.TimeOut - time.Since(began)
}

// enter takes a place, which is left by a receive.
func enter(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn waits until one more request may be sent.
func (e *Engine) turn(ctx context.Context) error {
	if err := e.breaker.heed(ctx); err != nil {
		return err
	}
	if err := e.pacer.pace.Wait(ctx); err != nil {
		return err
	}
	if why := e.Stopped(); why != "" {
		return errors.New("the run stopped: " + why)
	}
	return nil
}

// turnOf is turn for a request on a connection: the first of them have had theirs.
func (e *Engine) turnOf(ctx context.Context, i, burst int) error {
	if i < burst {
		return nil
	}
	if err := e.turn(ctx); err != nil {
		return fmt.Errorf("%w: %w", harness.ErrUnsent, err)
	}
	e.sent.Add(1)
	return nil
}

// note tells of what requests may create, and keeps it: all that is noted is removed.
func (e *Engine) note(requests []harness.Request) error {
	for _, r := range requests {
		if !creates(r) {
			continue
		}
		if e.options.Note != nil {
			if err := e.options.Note(r); err != nil {
				return fmt.Errorf("noting what it creates: %w", err)
			}
		}
		e.created.keep(r)
	}
	return nil
}

// met tells of a request's tokens; what is no token is no secret.
func (e *Engine) met(r harness.Request) {
	if e.options.Met == nil {
		return
	}
	for _, c := range credentials(r) {
		for _, token := range compact.FindAllString(c, -1) {
			e.options.Met("bearer token", token)
		}
	}
}

// unsent marks exchanges that were not sent.
func unsent(exchanges []harness.Exchange, why error) []harness.Exchange {
	for i := range exchanges {
		exchanges[i].Observation = harness.Observation{
			Transport: harness.Broken, Unsent: true, Detail: harness.ErrUnsent.Error() + ": " + why.Error(), At: time.Now(),
		}
	}
	return exchanges
}

// reached asks the service's request log what became of a probe; nil where there is no
// log, or, with the reason, where it could not be read.
func (e *Engine) reached(ctx context.Context, r harness.Request, seen harness.Observation) (reached *harness.Reached, unread string) {
	oracle := e.target.Oracles[r.Mode]
	if oracle == "" || r.Face != nil || seen.ProbeID == "" {
		return nil, ""
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, oracle+"/"+url.PathEscape(seen.ProbeID), nil)
	if err != nil {
		return nil, err.Error()
	}
	response, err := e.http.Do(request)
	if err != nil {
		return nil, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, "it answers " + response.Status
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<20)).Decode(&reached); err != nil {
		return nil, err.Error()
	}
	return reached, ""
}

// control sends the request a target must accept.
func (e *Engine) control(ctx context.Context, l route) harness.Exchange {
	for _, endpoint := range slices.Concat(e.target.Endpoints, e.target.Others) {
		if endpoint.Name != l.endpoint || endpoint.Path != l.path {
			continue
		}
		credential, err := e.credentials.of(e.target, l.mode)
		if err != nil {
			return unsent([]harness.Exchange{{}}, err)[0]
		}
		return e.send(ctx, []harness.Request{probe.With(e.target, l.mode, endpoint, credential)}, e.anew())[0]
	}
	return unsent([]harness.Exchange{{}}, fmt.Errorf("no endpoint %q", l.endpoint))[0]
}

// client are what one judgement acts with: they keep its controls.
type client struct {
	*Engine
	controlled bool
	controls   controls
	sent       atomic.Int64

	overdueMu sync.Mutex
	overdue   []harness.Overdue // what was waited for in vain
}

func (h *client) Target() *harness.Target { return h.target }

func (h *client) Scrape(ctx context.Context, url string) (map[string]harness.Family, error) {
	return wire.Scrape(ctx, h.http, url)
}

func (h *client) Send(ctx context.Context, r harness.Request) harness.Exchange {
	return h.SendTogether(ctx, []harness.Request{r})[0]
}

func (h *client) SendTogether(ctx context.Context, requests []harness.Request) []harness.Exchange {
	return h.sendBy(ctx, requests, h.anew())
}

func (h *client) sendBy(ctx context.Context, requests []harness.Request, by sending) []harness.Exchange {
	if err := h.before(ctx, requests); err != nil {
		exchanges := make([]harness.Exchange, len(requests))
		for i, r := range requests {
			exchanges[i].Request = r
		}
		return unsent(exchanges, err)
	}
	h.sent.Add(int64(len(requests)))
	return h.send(ctx, requests, by)
}

func (h *client) Hold(like harness.Request) harness.Conn {
	return keptOpen{h, wire.Hold(h.target, like)}
}

// keptOpen sends on a connection that is kept open.
type keptOpen struct {
	client *client
	*wire.Conn
}

func (c keptOpen) Send(ctx context.Context, r harness.Request) harness.Exchange {
	put := func(ctx context.Context, requests []harness.Request) ([]harness.Observation, error) {
		if err := enter(ctx, c.client.underWay); err != nil {
			return nil, err
		}
		defer func() { <-c.client.underWay }()
		limited, cancel := context.WithTimeout(ctx, c.client.options.TimeOut)
		defer cancel()
		return []harness.Observation{c.Conn.Send(limited, requests[0])}, nil
	}
	return c.client.sendBy(ctx, []harness.Request{r}, sending{put, false})[0]
}

func (h *client) SendAll(ctx context.Context, requests []harness.Request) []harness.Exchange {
	return h.sendAll(ctx, requests, 2*h.options.Concurrency, h.anew()) // those with a place, and the next
}

func (h *client) SendAtOnce(ctx context.Context, requests []harness.Request) []harness.Exchange {
	return h.sendAll(ctx, requests, len(requests), sending{h.atOnce, true})
}

func (h *client) sendAll(ctx context.Context, requests []harness.Request, limit int, by sending) []harness.Exchange {
	exchanges := make([]harness.Exchange, len(requests))
	var group errgroup.Group
	group.SetLimit(max(1, limit))
	for i, r := range requests {
		group.Go(func() error {
			exchanges[i] = h.sendBy(ctx, []harness.Request{r}, by)[0]
			return nil
		})
	}
	_ = group.Wait()
	return exchanges
}
