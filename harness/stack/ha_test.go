package stack

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// TestVaultFailover has a stack whose Vault is three nodes. The active one is
// stopped: the services keep serving, and believe the next one; a service that
// starts meanwhile waits for it, or ends and says why. With another sealed, no node is
// active: the services still serve, and none starts.
func TestVaultFailover(t *testing.T) {
	t.Parallel()
	have := had(t)
	front, err := images.Ensure(t.Context(), []string{images.HAProxy}, images.Options{Pull: true, Build: true})
	if err != nil {
		t.Fatal(err)
	}
	have[images.HAProxy] = front[images.HAProxy]
	s, err := startContainers(t.Context(), Spec{Run: "test-" + localhost.Nonce(), HA: true, Log: testLog{t}}, have)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := s.Target.Control.Launcher.(*containers)
	t.Logf("%s: ready after %d ms", s.Target.Components[0].Is, s.Target.Components[0].ReadyMS)

	steady := steadily(t, s.Target)
	began := time.Now()
	active, err := c.activeNode(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := active.remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	starting := launched(t, s.Target, harness.Launch{Mode: harness.OIDC})
	if err := vault.Active(within(t), c.vault.root); err != nil {
		t.Fatal(err)
	}
	t.Logf("the next node is active %s after the first was stopped", time.Since(began).Round(time.Millisecond))
	startsOrSays(t, c, starting)
	steady()
	believes(t, s.Target)

	next, err := c.activeNode(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := next.client.Sys().SealWithContext(t.Context()); err != nil { // one of three is no majority
		t.Fatal(err)
	}
	steady = steadily(t, s.Target)
	late := launched(t, s.Target, harness.Launch{Mode: harness.OIDC, Env: map[string]string{"STARTUP_TIMEOUT": "1s"}})
	status, err := late.Wait(within(t))
	if err != nil || status == 0 || !strings.Contains(late.Log(), "aegis/runtime") {
		t.Errorf("without an active node: got status %d, error %v, log %q; want a failed start that names aegis/runtime", status, err, late.Log())
	}
	steady()
}

// within is the test's context, for as long as a component may take.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), readyBound)
	t.Cleanup(cancel)
	return ctx
}

// steadily calls the services, one call after the other, until the end is called:
// each sound call must be served, and each without a credential refused.
func steadily(t *testing.T, target *harness.Target) (end func()) {
	t.Helper()
	sound, none := bearer(t, target), http.Header{}
	var calls, wrong atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, row := range []struct {
				mode   harness.Mode
				header http.Header
				pair   *harness.CertPair
				want   int
			}{{harness.OIDC, sound, nil, 200}, {harness.OIDC, none, nil, 401}, {harness.MTLS, none, &target.Certs.Enrolled, 200}, {harness.MTLS, none, &target.Certs.Unenrolled, 403}} {
				calls.Add(1)
				if got := callByHand(t, target, row.mode, row.header, row.pair); got != row.want {
					wrong.Add(1)
					t.Errorf("%s: got %d, want %d", row.mode, got, row.want)
				}
			}
		}
	}()
	return func() {
		close(stop)
		<-done
		if calls.Load() == 0 {
			t.Error("nobody was called meanwhile")
		}
		t.Logf("%d calls meanwhile, %d of them answered otherwise than before", calls.Load(), wrong.Load())
	}
}

// startsOrSays wants a replica to answer, or to end with the reason in its log.
func startsOrSays(t *testing.T, c *containers, r harness.Replica) {
	t.Helper()
	ended := make(chan int, 1)
	go func() {
		if status, err := r.Wait(within(t)); err == nil {
			ended <- status
		}
	}()
	if _, err := r.(*replica).placed.ready(t.Context(), c.answers(r.URL().URL+"/readyz", "")); err == nil {
		select {
		case status := <-ended:
			t.Errorf("a service that started meanwhile answered that it is ready, and ended with status %d", status)
		default:
		}
		return
	}
	select {
	case status := <-ended:
		if status == 0 || !strings.Contains(r.Log(), "aegis/runtime") {
			t.Errorf("a service that started meanwhile ended with status %d, and says %q", status, r.Log())
		}
	default:
		t.Error("a service that started meanwhile neither serves nor ends")
	}
}

// believes wants the services to take what is written now: they read the node that
// is active.
func believes(t *testing.T, target *harness.Target) {
	t.Helper()
	store := target.Control.Secrets
	fields, err := store.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changed := maps.Clone(fields)
	changed["clients/allowed"] = "[]"
	for _, step := range []struct {
		fields map[string]string
		want   int
	}{{changed, 403}, {fields, 200}} {
		if err := store.Write(t.Context(), step.fields); err != nil {
			t.Fatal(err)
		}
		ctx := within(t)
		for callByHand(t, target, harness.MTLS, http.Header{}, &target.Certs.Enrolled) != step.want {
			if ctx.Err() != nil {
				t.Fatalf("the services do not take what the next node holds: want %d", step.want)
			}
		}
	}
}
