package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness/stack/localhost"
)

// StopActive ends the active node at once.
func (n *nodes) StopActive(ctx context.Context) error {
	active, err := n.c.activeNode(ctx)
	if err != nil {
		return err
	}
	n.stopped = active
	if _, err := n.c.engine.client.ContainerKill(ctx, active.id, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		return fmt.Errorf("ending %s: %w", active.name, err)
	}
	_, err = active.wait(ctx)
	return err
}

// TakenOver waits until the address of all nodes leads to an active one.
func (n *nodes) TakenOver(ctx context.Context) error { return vault.Active(ctx, n.c.vault.root) }

// Rejoin starts the node that was ended, unseals it, and waits until it knows who is
// active. None was ended, none is started.
func (n *nodes) Rejoin(ctx context.Context) error {
	if n.stopped == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	node := n.stopped
	if _, err := n.c.engine.client.ContainerStart(ctx, node.id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("starting %s again: %w", node.name, err)
	}
	if err := node.locate(ctx); err != nil { // its port is another one
		return err
	}
	again, err := vault.NewClient("https://"+node.at[vaultPort], n.c.blueprint.servers.RootPEM())
	if err != nil {
		return err
	}
	again.SetToken(n.c.vault.root.Token())
	node.client = again
	ticker := time.NewTicker(localhost.Poll)
	defer ticker.Stop()
	for {
		_, err := again.Sys().UnsealWithContext(ctx, n.c.vault.key.Reveal())
		if err == nil {
			leader, asked := again.Sys().LeaderWithContext(ctx)
			if err = asked; err == nil && leader.LeaderAddress != "" {
				n.stopped = nil
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s stands by again: %w (last: %v)", node.name, context.Cause(ctx), err)
		}
	}
}
