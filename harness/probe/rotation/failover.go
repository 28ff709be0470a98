package rotation

import (
	"context"
	"fmt"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/replica"
	"aegis.test/conformance/harness/token"
)

// ClassToken are callers with a valid token, where the enrolled client calls too.
const ClassToken = "valid token"

// Moments of a failover, by name.
const (
	ActiveStopped = "Vault's active node is stopped"
	NextActive    = "the next node is active"
)

// takeover is how long the nodes of Vault may take to agree on the next one: that is
// theirs, and no service's.
const takeover = 30 * time.Second

// FailedOver stops the active node of a Vault of several, where it is one (ROT-013).
func FailedOver() harness.Stimulus {
	return harness.Stimulus{
		Words: "where Vault is of several nodes, stop the active one under steady traffic, start a replica at once, and when the next node " +
			"is active put a client on the list, and call on until he is served",
		Modes: probe.BothModes, Effect: harness.Disruptive,
		Unsuited: func(t *harness.Target) string {
			if _, several := t.Control.Vault.(harness.Failover); !several {
				return "Vault is of one node, as far as is known"
			}
			return ""
		},
		Act: underTraffic("the active node of Vault is stopped", func(p harness.Profile) time.Duration {
			return probe.Bound(p.StartBound, harness.DefaultStartBound) + probe.Propagation(p)
		}, func(ctx context.Context, t *traffic) error {
			t.pace = 100 * time.Millisecond // a takeover is short, whatever its bound
			vault := t.target.Control.Vault.(harness.Failover)
			fields, err := t.secrets(ctx)
			if err != nil {
				return err
			}
			added := clientcert.Coin(t.target, "client-"+token.Random(4))
			if t.target.Shows(harness.MTLS) {
				t.begin(harness.MTLS, ClassValid, t.with(clientcert.Enrolled()))
				t.begin(harness.MTLS, ClassAdded, t.with(named(added)))
				t.mix(harness.MTLS)
			}
			if t.target.Shows(harness.OIDC) {
				t.begin(harness.OIDC, ClassToken, t.by(token.Sound()))
				t.mix(harness.OIDC)
			}
			if err := t.rounds(ctx); err != nil {
				return err
			}
			t.finally(vault.Rejoin)
			if err := t.change(ActiveStopped, func() error { return vault.StopActive(ctx) }); err != nil {
				return err
			}
			started := t.newcomer(ctx)
			err = t.takenOver(ctx, vault)
			if err == nil {
				fields[probe.ListField] = probe.ListOf(t.target.Certs.EnrolledCN, added)
				err = t.change(VersionBumped, func() error { return t.write(ctx, fields) })
			}
			if startErr := <-started; err == nil {
				err = startErr
			}
			if err != nil {
				return err
			}
			if t.target.Shows(harness.MTLS) {
				err = t.settle(ctx, true, ClassAdded)
			}
			if err != nil {
				return err
			}
			return t.rounds(ctx)
		}),
	}
}

// takenOver waits for the next node, and marks its moment.
func (t *traffic) takenOver(ctx context.Context, vault harness.Failover) error {
	limited, cancel := context.WithTimeout(ctx, takeover)
	defer cancel()
	if err := vault.TakenOver(limited); err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			err = harness.ErrUnseen
		}
		return fmt.Errorf("waiting for the next node of Vault within %s: %w", takeover, err)
	}
	t.mark(NextActive)
	return nil
}

// newcomer starts a replica, and watches what becomes of it.
func (t *traffic) newcomer(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	start := replica.In(probe.ModesOf(t.target)[0]).Serving().While("while Vault has no active node").Logging("aegis/runtime")
	go func() {
		seen, err := start.Watch(ctx, t.client)
		t.mu.Lock()
		t.starts = append(t.starts, seen)
		t.mu.Unlock()
		done <- err
	}()
	return done
}
