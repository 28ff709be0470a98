// Package rotation changes keys, certificates and lists while a steady mix of calls goes on.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/keyset"
	"aegis.test/conformance/harness/token"
)

// Classes of callers that steady traffic is a mix of.
const (
	ClassValid      = "valid"      // in mtls mode the enrolled client
	ClassExpired    = "expired"    // certificate
	ClassUnenrolled = "unenrolled" // with a certificate that verifies
	ClassNobody     = "nobody"     // no certificate, the enrolled client's name
	ClassStale      = "stale"      // token, expired
	ClassForged     = "forged"     // token, signed by a stranger
)

// underTraffic makes a change of what a target trusts callers by while a steady mix of
// calls goes on, ends that, and puts back what was changed. What is the change as a
// timeline says it, bound how long it may take to bite; nil is at once.
func underTraffic(what string, bound func(harness.Profile) time.Duration, play func(context.Context,
	*traffic) error) func(context.Context, harness.Client) (harness.Trace, error) {
	return func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		t := &traffic{client: client, target: client.Target(), came: make(chan struct{}), classes: map[string]*series{}}
		t.within(0)
		if bound != nil {
			t.within(bound(t.target.Profile))
		}
		calling, stop := context.WithCancel(ctx)
		t.ctx = calling
		err := play(ctx, t)
		stop()
		t.calling.Wait()
		trace := t.trace(what)
		for _, undo := range slices.Backward(t.undo) {
			err = errors.Join(err, undo(context.WithoutCancel(ctx)))
		}
		return trace, err
	}
}

// Then makes a further change after a first, with traffic of its own, on a target where
// that can be made.
func Then(first, next harness.Stimulus) harness.Stimulus {
	both := first
	both.Words += "; " + next.Words
	both.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		trace, err := first.Act(ctx, client)
		if err != nil || next.Unsuited(client.Target()) != "" {
			return trace, err
		}
		then, err := next.Act(ctx, client)
		trace.Exchanges, trace.Then = slices.Concat(trace.Exchanges, then.Exchanges), &then
		return trace, err
	}
	return both
}

// whereNoMTLS is what is needed, and more on a target that shows no mode mtls.
func whereNoMTLS(needs []harness.Capability, more ...harness.Capability) func(*harness.Target) []harness.Capability {
	return func(t *harness.Target) []harness.Capability {
		if t.Shows(harness.MTLS) {
			return needs
		}
		return probe.Union(needs, more)
	}
}

// traffic is a steady mix of calls: each class calls over and over, one call at
// a time, in its own pace.
type traffic struct {
	client  harness.Client
	target  *harness.Target
	ctx     context.Context // of the calls
	bound   time.Duration
	pace    time.Duration
	calling sync.WaitGroup

	mu      sync.Mutex
	undo    []func(context.Context) error // in order; done backwards
	marks   []moment
	calls   []harness.Exchange
	starts  []harness.Startup  // of replicas, meanwhile
	came    chan struct{}      // closed by the next call that ends
	classes map[string]*series // that began
	failed  error              // that a credential could not be made
}

// series are the calls of one class, from the first to the last.
type series struct {
	end  context.Context // of beginning calls
	stop context.CancelFunc
	gone chan struct{} // closed when the last call has been answered
}

// moment is a moment that has a name.
type moment struct {
	at    time.Time
	label string
	done  time.Time // when what it is of had been done; the zero time is at
}

// within makes the bound of the change this one, and the pace one after it: a
// class makes a hundred calls in that time, or two a second.
func (t *traffic) within(bound time.Duration) {
	t.bound, t.pace = bound, min(max(bound/100, 20*time.Millisecond), 500*time.Millisecond)
}

// credential makes a class's credential.
type credential func() (probe.Edit, error)

// by is the credential of a recipe for tokens.
func (t *traffic) by(recipe token.Recipe) credential {
	return func() (probe.Edit, error) {
		value, err := recipe.Make(token.From(t.target))
		return func(r *harness.Request) { probe.SetToken(r, recipe.Name, value) }, err
	}
}

// with is the credential of a recipe for certificates.
func (t *traffic) with(recipe clientcert.Recipe) credential {
	return func() (probe.Edit, error) {
		certificate, err := recipe.Make(t.target)
		return func(r *harness.Request) { probe.SetCertificate(r, recipe.Name, certificate) }, err
	}
}

// mix begins the classes whose answers no change may change, of a mode.
func (t *traffic) mix(mode harness.Mode) {
	if mode == harness.OIDC {
		t.begin(mode, ClassStale, t.by(token.Expired(time.Hour)))
		t.begin(mode, ClassForged, t.by(token.StolenKid()))
		return
	}
	t.begin(mode, ClassExpired, t.with(clientcert.Expired()))
	t.begin(mode, ClassUnenrolled, t.with(clientcert.Unenrolled()))
	t.begin(mode, ClassNobody, func() (probe.Edit, error) {
		return func(r *harness.Request) {
			r.Set(t.target.Profile.Header(), clientcert.Claim(t.target, t.target.Certs.EnrolledCN))
		}, nil
	})
}

// begin begins a class: each of its calls is on a connection of its own.
func (t *traffic) begin(mode harness.Mode, class string, make credential) {
	t.beginBy(mode, class, make, t.client.Send)
}

// hold begins a class whose calls go over one connection that stays open.
func (t *traffic) hold(mode harness.Mode, class, protocol string, make credential) {
	var line harness.Conn
	t.beginBy(mode, class, make, func(ctx context.Context, r harness.Request) harness.Exchange {
		if line == nil {
			r.Protocol = protocol
			line = t.client.Hold(r)
			t.finally(func(context.Context) error { line.Close(); return nil })
		}
		return line.Send(ctx, r)
	})
}

// renewal is how long one credential serves a class: it is made anew long before
// it expires.
const renewal = time.Minute

func (t *traffic) beginBy(mode harness.Mode, class string, make credential, send func(context.Context, harness.Request) harness.Exchange) {
	c := t.class(class)
	t.calling.Go(func() {
		defer close(c.gone)
		defer c.stop()
		var change probe.Edit
		var made time.Time
		for n := 0; c.end.Err() == nil; n++ {
			if change == nil || time.Since(made) > renewal || t.lent() {
				var err error
				if change, err = make(); err != nil {
					t.fail(fmt.Errorf("preparing the caller %q: %w", class, err))
					return
				}
				made = time.Now()
			}
			places := probe.Harmless(t.target.Endpoints)
			r := probe.Plain(t.target, mode, places[n%len(places)])
			change(&r)
			r.Variant = class
			x := send(t.ctx, r)
			if t.ctx.Err() != nil {
				return
			}
			t.keep(x)
			probe.Pause(c.end, t.pace)
		}
	})
}

// class notes that a class begins.
func (t *traffic) class(name string) *series {
	c := &series{gone: make(chan struct{})}
	c.end, c.stop = context.WithCancel(t.ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.classes[name] = c
	return c
}

// lent reports that valid tokens come of a source, which knows how long each serves.
func (t *traffic) lent() bool { return t.target.Control != nil && t.target.Control.Bearer != nil }

func (t *traffic) keep(x harness.Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, x)
	close(t.came)
	t.came = make(chan struct{})
}

func (t *traffic) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = errors.Join(t.failed, err)
	close(t.came)
	t.came = make(chan struct{})
}

// end ends a class, and returns once its last call has been answered: whatever is
// changed next, no call under way is judged by.
func (t *traffic) end(ctx context.Context, class string) error {
	t.mu.Lock()
	c := t.classes[class]
	t.mu.Unlock()
	c.stop()
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// change marks a moment, and makes the change that is named for it: from then on it may
// bite, and its bound counts from when it had been made.
func (t *traffic) change(label string, do func() error) error {
	i := t.mark(label)
	err := do()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks[i].done = time.Now()
	return err
}

func (t *traffic) mark(label string) (i int) { return t.markAt(label, time.Now()) }

// markAt marks a moment that will come.
func (t *traffic) markAt(label string, at time.Time) (i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, moment{at: at, label: label})
	return len(t.marks) - 1
}

// finally is done when the traffic has ended.
func (t *traffic) finally(undo func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo = append(t.undo, undo)
}

// has reports whether a class began.
func (t *traffic) has(class string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.classes[class] != nil
}

// few is how many calls in a row show that a class is answered alike; many, where
// several replicas may answer.
const few, many = 3, 12

// settle waits until the classes are served, or are not, several times in a row.
// What has not come about within the bound is called a few times more.
func (t *traffic) settle(ctx context.Context, served bool, classes ...string) error {
	return t.settleIn(ctx, t.bound, served, classes...)
}

// settleIn is settle within another bound.
func (t *traffic) settleIn(ctx context.Context, within time.Duration, served bool, classes ...string) error {
	began, enough, over := time.Now(), few, t.client.Patience(within)
	var passed time.Time // when the bound had
	if t.target.Profile.Replicas != 1 {
		enough = many
	}
	as := func(x harness.Exchange) bool { return t.target.Profile.Accepts(x.Observation.Status) == served }
	return t.until(ctx, func() bool {
		if passed.IsZero() && over() {
			passed = time.Now()
		}
		return t.each(classes, began, enough, as) || !passed.IsZero() && t.each(classes, passed, few, anyhow)
	})
}

func anyhow(harness.Exchange) bool { return true }

// rounds waits until every class that calls has made a few more calls.
func (t *traffic) rounds(ctx context.Context) error {
	began := time.Now()
	return t.until(ctx, func() bool {
		for class, c := range t.classes {
			if c.end.Err() == nil && !t.each([]string{class}, began, few, anyhow) {
				return false
			}
		}
		return true
	})
}

// each reports whether the last calls of every class, some that began since, are
// so.
func (t *traffic) each(classes []string, since time.Time, some int, so func(harness.Exchange) bool) bool {
	for _, class := range classes {
		row := 0
		for _, x := range slices.Backward(t.calls) {
			if x.Request.Variant != class {
				continue
			}
			if x.Observation.At.Before(since) || !so(x) {
				break
			}
			row++
		}
		if row < some {
			return false
		}
	}
	return len(classes) > 0
}

// until waits for something to come true, which is asked after each call.
func (t *traffic) until(ctx context.Context, true func() bool) error {
	for {
		t.mu.Lock()
		enough, failed, next := true(), t.failed, t.came
		t.mu.Unlock()
		if enough || failed != nil {
			return failed
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// trace is what was seen: the calls in order, and the timeline without samples.
func (t *traffic) trace(change string) harness.Trace {
	slices.SortStableFunc(t.calls, func(a, b harness.Exchange) int { return a.Observation.At.Compare(b.Observation.At) })
	line := harness.Timeline{Change: change, Bound: t.bound}
	if len(t.calls) > 0 {
		first := t.calls[0].Observation.At
		line.Window = time.Since(first)
		for _, m := range t.marks {
			mark := harness.Mark{AtMS: max(0, m.at.Sub(first).Milliseconds()), Label: m.label}
			if done := m.done.Sub(first).Milliseconds(); done > mark.AtMS {
				mark.DoneMS = done
			}
			line.Marks = append(line.Marks, mark)
		}
	}
	return harness.Trace{Exchanges: t.calls, Timeline: &line, Startups: t.starts}
}

// scene is the key set at work under the traffic; the sound one is put back.
func (t *traffic) scene() *keyset.Set {
	s := keyset.Of(t.client)
	t.finally(s.Restore)
	return s
}
