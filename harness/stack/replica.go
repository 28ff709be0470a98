package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// Launch starts a further container of the service, and does not wait for its
// answer.
func (c *containers) Launch(ctx context.Context, launch harness.Launch) (harness.Replica, error) {
	id := localhost.Nonce()
	r := &replica{}
	if launch.Watched {
		address := fmt.Sprintf("replica-%s:%d", id, c.blueprint.spec.Service.port())
		if err := c.watch.add(ctx, address); err != nil {
			return nil, err
		}
		r.unwatch = func(ctx context.Context) error { return c.watch.remove(ctx, address) }
	}
	if launch.HoldVault || launch.Impostor != "" {
		var err error
		if r.gate, err = c.startGate(ctx, id+"."+gates, launch.Impostor); err != nil {
			return nil, err
		}
		launch.Env = maps.Clone(launch.Env)
		if launch.Env == nil {
			launch.Env = map[string]string{}
		}
		launch.Env["VAULT_ADDR"] = fmt.Sprintf("https://%s.%s:%d", id, gates, vaultPort)
	}
	p, err := c.service(ctx, "replica-"+id, launch)
	if err != nil {
		return nil, errors.Join(err, r.Stop(ctx))
	}
	if r.placed, err = c.startAnywhere(ctx, p); err != nil {
		return nil, errors.Join(err, r.Stop(ctx))
	}
	return r, nil
}

// startAnywhere starts p at a port of this host that is known beforehand, so
// that the address of a replica that ends at once is known, too. Another
// process may take the port meanwhile: then another one is tried.
func (c *containers) startAnywhere(ctx context.Context, p part) (*placed, error) {
	var errs []error
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		p.hostPort = l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		started, err := c.engine.start(ctx, p)
		if err == nil || ctx.Err() != nil {
			return started, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// controlPort is where a gate's controls listen.
const controlPort = 8080

// startGate starts a gate, or an impostor, before Vault, under a name on the
// run's network, and waits for an answer of its controls.
func (c *containers) startGate(ctx context.Context, name string, impostor harness.Impostor) (*placed, error) {
	env := map[string]string{
		"LISTEN_ADDR":  fmt.Sprintf(":%d", vaultPort),
		"CONTROL_ADDR": fmt.Sprintf(":%d", controlPort),
		"UPSTREAM":     fmt.Sprintf("vault:%d", vaultPort),
	}
	if impostor != "" {
		pair, err := localhost.ImpostorPair(impostor, name, c.blueprint.servers)
		if err != nil {
			return nil, err
		}
		key, err := pair.KeyPEM()
		if err != nil {
			return nil, err
		}
		env["TLS_CERT"], env["TLS_KEY"] = string(pair.ChainPEM()), string(key)
	}
	p, err := c.engine.start(ctx, part{
		name: name, image: c.have[images.Fixture], command: []string{"/bin/fixture", "gate"}, ports: []int{controlPort}, env: env,
	})
	if err != nil {
		return nil, err
	}
	if _, err := p.ready(ctx, c.answers("http://"+p.at[controlPort], "")); err != nil {
		return nil, errors.Join(err, p.remove(ctx))
	}
	return p, nil
}

// replica is a further container of the service, with a gate before its Vault
// or none.
type replica struct {
	*placed
	gate    *placed
	release sync.Once
	unwatch func(context.Context) error // nil when nothing watches it
}

// URL is where it listens, or would.
func (r *replica) URL() harness.Face {
	return harness.Face{URL: fmt.Sprintf("http://127.0.0.1:%d", r.hostPort)}
}

// Wait waits for its end and gives the exit status.
func (r *replica) Wait(ctx context.Context) (int, error) {
	status, err := r.wait(ctx)
	if err != nil {
		return 0, err
	}
	select {
	case <-r.read: // Log is complete
	case <-ctx.Done():
	}
	return status, nil
}

// Asked waits until it has asked a Vault that is held.
func (r *replica) Asked(ctx context.Context) error {
	if r.gate == nil {
		return localhost.ErrNotHeld
	}
	return r.control(ctx, http.MethodGet, "asked")
}

// Release lets Vault answer.
func (r *replica) Release() {
	if r.gate == nil {
		return
	}
	r.release.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), localhost.StopBound)
		defer cancel()
		_ = r.control(ctx, http.MethodPost, "release") // a gate that is gone holds nothing
	})
}

// Cut takes its Vault away.
func (r *replica) Cut(ctx context.Context) error {
	if r.gate == nil {
		return localhost.ErrNotHeld
	}
	return r.control(ctx, http.MethodPost, "cut")
}

// TurnedAway waits until it has asked n times for the Vault that was cut.
func (r *replica) TurnedAway(ctx context.Context, n int) error {
	if r.gate == nil {
		return localhost.ErrNotHeld
	}
	return r.control(ctx, http.MethodGet, "turned/"+strconv.Itoa(n))
}

func (r *replica) control(ctx context.Context, method, what string) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.gate.at[controlPort]+"/"+what, nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("asking the gate before Vault: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("asking the gate before Vault: got %s, want 204", answer.Status)
	}
	return nil
}

// Log is what it has written so far.
func (r *replica) Log() string { return r.output.String() }

// Stop kills and removes it, and its gate.
func (r *replica) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localhost.StopBound)
	defer cancel()
	var errs []error
	if r.unwatch != nil {
		errs = append(errs, r.unwatch(ctx))
	}
	for _, p := range []*placed{r.placed, r.gate} {
		if p != nil {
			errs = append(errs, p.remove(ctx))
		}
	}
	return errors.Join(errs...)
}
