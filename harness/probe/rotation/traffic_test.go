package rotation

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/wire/wiretest"
)

// nobody is a credential that is none.
func nobody() (probe.Edit, error) { return func(*harness.Request) {}, nil }

// TestTrafficGoesOnThroughAChange wants calls before, during and after a change,
// the change undone when they have ended, and marks in their time.
func TestTrafficGoesOnThroughAChange(t *testing.T) {
	var open atomic.Bool
	target := wiretest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if !open.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	target.Profile.Replicas = 1
	target.Endpoints = []harness.Endpoint{{Name: "writes", Method: "POST", Path: "/w", Effect: harness.Writes}, {Name: "reads",
		Method: "GET", Path: "/r", Effect: harness.ReadOnly}}
	trace, err := underTraffic("it opens", func(harness.Profile) time.Duration { return time.Minute },
		func(ctx context.Context, tr *traffic) error {
			tr.within(time.Second)
			tr.finally(func(context.Context) error { open.Store(false); return nil })
			tr.begin(harness.OIDC, "caller", nobody)
			tr.hold(harness.OIDC, "held", "", nobody)
			if err := tr.rounds(ctx); err != nil {
				return err
			}
			_ = tr.change("opened", func() error { time.Sleep(20 * time.Millisecond); open.Store(true); return nil })
			return tr.settle(ctx, true, "caller", "held")
		})(t.Context(), probetest.On(target))
	if err != nil || open.Load() {
		t.Fatalf("%v, open %v: want no error, and closed again", err, open.Load())
	}
	line := trace.Timeline
	if line.Change != "it opens" || line.Bound != time.Second || len(line.Marks) != 1 || line.Marks[0].Label != "opened" ||
		len(line.Samples) > 0 {
		t.Errorf("timeline: %+v", line)
	}
	if m := line.Marks[0]; m.Done()-m.AtMS < 20 {
		t.Errorf("the change was made within %d ms, and took 20", m.Done()-m.AtMS)
	}
	seen := map[string][]int{}
	for _, x := range trace.Exchanges {
		if x.Request.Path != "/r" {
			t.Errorf("%s was called: want what only reads", x.Request.Path)
		}
		seen[x.Request.Variant] = append(seen[x.Request.Variant], x.Observation.Status)
	}
	for _, class := range []string{"caller", "held"} {
		if s := seen[class]; len(s) < 2*few || s[0] != 403 || s[len(s)-1] != 200 {
			t.Errorf("%s was answered %v", class, s)
		}
	}
}

// TestTrafficOfNoCredential ends with the reason.
func TestTrafficOfNoCredential(t *testing.T) {
	_, err := underTraffic("it", nil, func(ctx context.Context, tr *traffic) error {
		tr.begin(harness.OIDC, "caller", func() (probe.Edit, error) { return nil, errors.New("no such key") })
		return tr.rounds(ctx)
	})(t.Context(), probetest.On(wiretest.Target("https://127.0.0.1:1", nil)))
	if err == nil || !strings.Contains(err.Error(), `"caller": no such key`) {
		t.Errorf("got %v", err)
	}
}

// TestTrafficThatNeverSettles is called a few times past the bound.
func TestTrafficThatNeverSettles(t *testing.T) {
	target := wiretest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	target.Endpoints = []harness.Endpoint{{Method: "GET", Path: "/"}}
	trace, err := underTraffic("it", nil, func(ctx context.Context, tr *traffic) error {
		tr.begin(harness.OIDC, "caller", nobody)
		return tr.settleIn(ctx, 50*time.Millisecond, true, "caller")
	})(t.Context(), probetest.On(target))
	if err != nil || len(trace.Exchanges) < few {
		t.Errorf("%v, %d calls", err, len(trace.Exchanges))
	}
}

// TestAClassEndsWithItsLastCall: a call that is under way when its class is ended is
// answered before anything is changed. The service holds that call until the change
// is made, or for a while in which it would be if nobody waited.
func TestAClassEndsWithItsLastCall(t *testing.T) {
	underWay, changed := make(chan struct{}, 1), make(chan struct{})
	var held atomic.Bool
	target := wiretest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if !held.Swap(true) {
			underWay <- struct{}{}
			select {
			case <-changed:
				w.WriteHeader(http.StatusUnauthorized)
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
	target.Endpoints = []harness.Endpoint{{Method: "GET", Path: "/"}}
	trace, err := underTraffic("it", nil, func(ctx context.Context, tr *traffic) error {
		tr.begin(harness.OIDC, "old", nobody)
		<-underWay
		if err := tr.end(ctx, "old"); err != nil {
			return err
		}
		close(changed)
		tr.begin(harness.OIDC, "new", nobody)
		return tr.rounds(ctx)
	})(t.Context(), probetest.On(target))
	if err != nil {
		t.Fatal(err)
	}
	old := 0
	for _, x := range trace.Exchanges {
		if x.Request.Variant == "old" {
			old++
		}
		if x.Observation.Status != http.StatusOK {
			t.Errorf("%s was answered %d", x.Request.Variant, x.Observation.Status)
		}
	}
	if old != 1 {
		t.Errorf("%d calls of the class that was ended, want the one that was under way", old)
	}
}

// TestAnEndThatDoesNotCome is given up with its context.
func TestAnEndThatDoesNotCome(t *testing.T) {
	underWay := make(chan struct{})
	target := wiretest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(underWay)
		<-r.Context().Done()
	})
	target.Endpoints = []harness.Endpoint{{Method: "GET", Path: "/"}}
	_, err := underTraffic("it", nil, func(ctx context.Context, tr *traffic) error {
		tr.begin(harness.OIDC, "old", nobody)
		<-underWay
		limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		return tr.end(limited, "old")
	})(t.Context(), probetest.On(target))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
