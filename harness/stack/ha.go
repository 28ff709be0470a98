package stack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
)

// nodeCount is how many nodes a Vault on raft has: one may be lost.
const nodeCount = 3

// node is one of them.
type node struct {
	*placed
	client *api.Client // root, past the address that all are behind
}

// frontFile is the configuration of what stands before the nodes.
const frontFile = files + "haproxy.cfg"

// startVaults starts three nodes on raft behind one address, which is that of the
// active one; it is what the services know.
func (c *containers) startVaults(ctx context.Context) (harness.Component, error) {
	began := time.Now()
	c.nodes = make([]*node, nodeCount)
	var steps []func(context.Context) error
	for i := range c.nodes {
		steps = append(steps, func(ctx context.Context) (err error) { c.nodes[i], err = c.startNode(ctx, i); return err })
	}
	if err := sideBySide(ctx, steps); err != nil {
		return harness.Component{}, err
	}
	var front *placed
	err := sideBySide(ctx, []func(context.Context) error{
		func(ctx context.Context) (err error) { front, err = c.startFront(ctx); return err },
		c.joinNodes,
	})
	if err != nil {
		return harness.Component{}, err
	}
	if err := c.turnToFront(ctx, front); err != nil {
		return harness.Component{}, front.failed(err)
	}
	ready := time.Since(began)
	is := fmt.Sprintf("Vault %s, %d nodes on raft behind HAProxy %s", c.nodes[0].image.Version, nodeCount, front.image.Version)
	return front.component(is, vaultPort, ready), c.seed(ctx, front)
}

func nodeName(i int) string { return fmt.Sprintf("vault-%d", i+1) }

func (c *containers) startNode(ctx context.Context, i int) (*node, error) {
	name := nodeName(i)
	shown, err := c.shown("vault", name, "vault", "*."+gates, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	shown[files+"vault.json"] = []byte(vault.Config(vault.Options{
		APIAddr: fmt.Sprintf("https://%s:%d", name, vaultPort), Node: name, CertFile: files + "vault.pem", KeyFile: files + "vault-key.pem",
	}))
	p, err := c.engine.start(ctx, part{
		name: name, image: c.have[images.Vault], ports: []int{vaultPort}, files: shown,
		command: []string{"/bin/vault", "server", "-config=" + files + "vault.json"},
		env:     map[string]string{"VAULT_RAFT_AUTOPILOT_DISABLE": "1"}, // it makes a node wait for its vote
	})
	if err != nil {
		return nil, err
	}
	client, err := vault.NewClient("https://"+p.at[vaultPort], c.blueprint.servers.RootPEM())
	return &node{p, client}, err
}

// joinNodes makes the first node the active one, and the others stand by.
func (c *containers) joinNodes(ctx context.Context) error {
	first := c.nodes[0]
	if _, err := c.begin(ctx, first.placed); err != nil {
		return err
	}
	var steps []func(context.Context) error
	for _, n := range c.nodes[1:] {
		steps = append(steps, func(ctx context.Context) error {
			ctx, cancel := n.while(ctx)
			defer cancel()
			leader := fmt.Sprintf("https://%s:%d", first.name, vaultPort)
			if err := vault.Join(ctx, n.client, leader, c.blueprint.servers.RootPEM(), c.vault.key); err != nil {
				return n.failed(err)
			}
			return nil
		})
	}
	if err := sideBySide(ctx, steps); err != nil {
		return err
	}
	for _, n := range c.nodes {
		n.client.SetToken(c.vault.root.Token())
	}
	ctx, cancel := first.while(ctx)
	defer cancel()
	return vault.Voters(ctx, c.vault.root, nodeCount)
}

// startFront starts the address of all nodes: HAProxy, which hands TLS on to the
// one that says it is active.
func (c *containers) startFront(ctx context.Context) (*placed, error) {
	var servers strings.Builder
	for _, n := range c.nodes {
		fmt.Fprintf(&servers, "  server %s %s:%d check check-ssl verify required ca-file %sca.pem verifyhost %s\n", n.name, n.name, vaultPort,
			files, n.name)
	}
	return c.engine.start(ctx, part{
		name:    "vault",
		image:   c.have[images.HAProxy],
		ports:   []int{vaultPort},
		command: []string{"/usr/sbin/haproxy", "-db", "-f", frontFile},
		files: map[string][]byte{
			files + "ca.pem": c.blueprint.servers.RootPEM(),
			frontFile:        []byte(fmt.Sprintf(frontConfig, vaultPort, servers.String())),
		},
	})
}

// frontConfig is HAProxy's configuration: a node that is not active answers its health
// check with another status than 200.
const frontConfig = `defaults
  mode tcp
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  timeout check 1s
listen vault
  bind :%d
  option httpchk GET /v1/sys/health
  http-check expect status 200
  default-server inter 100ms fall 1 rise 1 on-marked-down shutdown-sessions
%s`

// turnToFront has root ask by the address of all nodes from now on, and waits
// until that leads to the active one.
func (c *containers) turnToFront(ctx context.Context, front *placed) error {
	ctx, cancel := front.while(ctx)
	defer cancel()
	root, err := vault.NewClient("https://"+front.at[vaultPort], c.blueprint.servers.RootPEM())
	if err != nil {
		return err
	}
	root.SetToken(c.vault.root.Token())
	c.vault.root = root
	return vault.Active(ctx, root)
}

// activeNode is the node that is active, once one is.
func (c *containers) activeNode(ctx context.Context) (*node, error) {
	if err := vault.Active(ctx, c.vault.root); err != nil {
		return nil, err
	}
	leader, err := c.vault.root.Sys().LeaderWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking Vault which node is active: %w", err)
	}
	for _, n := range c.nodes {
		if strings.Contains(leader.LeaderAddress, "//"+n.name+":") {
			return n, nil
		}
	}
	return nil, fmt.Errorf("asking Vault which node is active: none of ours is at %q", leader.LeaderAddress)
}

// nodes are a Vault of several nodes in the hands of who runs it.
type nodes struct {
	*vault.Operator
	c       *containers
	stopped *node // by StopActive
}

// operator is who runs Vault.
func (c *containers) operator() harness.VaultControl {
	one := vault.NewOperator(c.vault.root, c.vault.key)
	if c.blueprint.spec.HA {
		return &nodes{Operator: one, c: c}
	}
	return one
}

// Seal seals so many, one after the other, that what is left is no majority: a node
// that stands by cannot be sealed.
func (n *nodes) Seal(ctx context.Context) error {
	for range nodeCount/2 + 1 {
		active, err := n.c.activeNode(ctx)
		if err != nil {
			return err
		}
		if err := active.client.Sys().SealWithContext(ctx); err != nil {
			return fmt.Errorf("sealing %s: %w", active.name, err)
		}
	}
	return nil
}

// Unseal unseals those that are sealed, and returns when one is active.
func (n *nodes) Unseal(ctx context.Context) error {
	for _, one := range n.c.nodes {
		if _, err := one.client.Sys().UnsealWithContext(ctx, n.c.vault.key.Reveal()); err != nil {
			return fmt.Errorf("unsealing %s: %w", one.name, err)
		}
	}
	return vault.Active(ctx, n.c.vault.root)
}
