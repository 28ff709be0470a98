package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/localhost"
	"aegis.test/conformance/harness/token"
)

// hooks are the operator's commands.
func (b *builder) hooks(t *harness.Target) error {
	h := b.Grants.Hooks
	if len(h.Replica.Command) > 0 {
		env := map[string]string{"PATH": b.Lookup.Getenv("PATH"), "HOME": b.Lookup.Getenv("HOME")}
		for name, value := range h.Replica.Env {
			read, err := b.maybe(value)
			if err != nil {
				return fmt.Errorf("reading the replica's %s: %w", name, err)
			}
			env[name] = read
		}
		t.Control.Launcher = &launcher{hook: h.Replica, env: env, place: make(chan struct{}, 1), note: b.note}
	}
	if len(h.Reload) > 0 {
		ingress := b.trust("")
		if !b.paper {
			if _, _, err := regular(ingress.file); err != nil {
				return fmt.Errorf("reading what the ingress trusts: %w", err)
			}
		}
		b.onStop(ingress.end)
		t.Control.Ingress = ingress
	}
	if h.JWKS.URL == "" {
		return nil
	}
	keys, err := b.jwks("")
	if err != nil {
		return err
	}
	for _, k := range t.Tokens.Signing {
		keys.granted = append(keys.granted, k.ID)
	}
	b.onStop(keys.end)
	t.Control.JWKS = keys
	return nil
}

// maybe is a value, or what it names where it is a reference.
func (b *builder) maybe(value string) (string, error) {
	if !config.Reference(value).Is() {
		return value, nil
	}
	secret, err := b.secret("replica's environment", config.Reference(value), anything)
	return secret.Reveal(), err
}

// portMark stands for a free port.
const portMark = "{{port}}"

// launcher starts replicas by a command: each at a port of its own, or one at a
// time where they share an address.
type launcher struct {
	hook  config.Replica
	env   map[string]string
	place chan struct{} // holds one while a replica has the shared address
	note  func(Entry) error
}

// Launch starts the command, its environment changed.
func (l *launcher) Launch(ctx context.Context, launch harness.Launch) (harness.Replica, error) {
	leave, port, err := l.room(ctx)
	if err != nil {
		return nil, err
	}
	r, err := l.start(launch, port)
	if err != nil {
		leave()
		return nil, err
	}
	r.leave = leave
	return r, nil
}

// room gives a replica a port of its own, or the address that all share.
func (l *launcher) room(ctx context.Context) (leave func(), port string, err error) {
	if strings.Contains(l.hook.URL, portMark) {
		s, err := localhost.Bind()
		if err != nil {
			return nil, "", err
		}
		s.Close() // the replica takes it
		_, port, err = net.SplitHostPort(s.Addr)
		return func() {}, port, err
	}
	select {
	case l.place <- struct{}{}:
		return sync.OnceFunc(func() { <-l.place }), "", nil
	case <-ctx.Done():
		return nil, "", fmt.Errorf("waiting for the replicas' address: %w", ctx.Err())
	}
}

func (l *launcher) start(launch harness.Launch, port string) (*commanded, error) {
	for _, name := range launch.Unset {
		if _, set := l.env[name]; !set && name != "AUTH_MODE" {
			return nil, fmt.Errorf("starting a replica without %s: %w: hooks.replica.env does not set it", name, harness.ErrNotOffered)
		}
	}
	env := localhost.LaunchEnv(l.env, launch)
	for name, value := range env {
		env[name] = strings.ReplaceAll(value, portMark, port)
	}
	if _, changed := launch.Env["AUTH_MODE"]; !changed && !slices.Contains(launch.Unset, "AUTH_MODE") {
		env["AUTH_MODE"] = string(launch.Mode)
	}
	r := &commanded{
		url:     strings.ReplaceAll(l.hook.URL, portMark, port),
		metrics: strings.ReplaceAll(l.hook.Metrics, portMark, port),
		ended:   make(chan struct{}),
	}
	if launch.HoldVault || launch.Impostor != "" {
		if err := r.hold(env, launch.Impostor); err != nil {
			return nil, err
		}
	}
	r.cmd = exec.Command(l.hook.Command[0], l.hook.Command[1:]...) // #nosec G204 -- the operator's own
	for name, value := range env {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.Stdout, r.cmd.Stderr = &r.output, &r.output
	r.cmd.SysProcAttr = dying()
	if err := l.noted(r); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", l.hook.Command[0], err), r.Shut())
	}
	return r, nil
}

// noted starts a replica between two notes: of the mark that it and all its children
// bear, and of its process group.
func (l *launcher) noted(r *commanded) error {
	p := Process{Mark: token.Random(16)}
	r.cmd.Env = append(r.cmd.Env, p.line())
	if err := l.note(Entry{Process: &p}); err != nil {
		return err
	}
	begun := make(chan error)
	go r.run(begun)
	if err := <-begun; err != nil {
		return err
	}
	p.Group = r.cmd.Process.Pid
	var err error
	if p.Started, err = started(p.Group); err != nil {
		p.Started = "" // it has ended
	}
	if err := l.note(Entry{Process: &p}); err != nil {
		_ = syscall.Kill(-p.Group, syscall.SIGKILL)
		return err
	}
	return nil
}

// commanded is a replica that a command runs.
type commanded struct {
	url, metrics string
	cmd          *exec.Cmd
	localhost.Gate
	output scroll
	ended  chan struct{}
	leave  func()
}

// run starts the command and waits for its end, on one thread: it is told to die with
// the thread that started it.
func (r *commanded) run(begun chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := r.cmd.Start()
	begun <- err
	if err == nil {
		_ = r.cmd.Wait() // its state says how it ended
		close(r.ended)
	}
}

// hold puts a gate, or an impostor, before the backend of secrets that the environment
// names. It is at 127.0.0.1, so that the backend's own certificate must be good for that.
func (r *commanded) hold(env map[string]string, impostor harness.Impostor) error {
	name := "VAULT_ADDR"
	if env[name] == "" && env[endpointOfAWS] != "" {
		name = endpointOfAWS
	}
	u, err := url.Parse(env[name])
	if err != nil || u.Hostname() != "127.0.0.1" {
		return fmt.Errorf("standing before the backend of secrets: %w: %s of the replica is not at 127.0.0.1", harness.ErrUnseen, name)
	}
	if u.Host, err = r.Between(u.Host, impostor, nil); err != nil {
		return err
	}
	env[name] = u.String()
	return nil
}

// endpointOfAWS is the variable by which AWS's own SDKs are told another endpoint.
const endpointOfAWS = "AWS_ENDPOINT_URL_SECRETS_MANAGER"

// URL is where it listens, or would.
func (r *commanded) URL() harness.Face { return harness.Face{URL: r.url} }

// Metrics is its metrics page, where one is named.
func (r *commanded) Metrics() string { return r.metrics }

// Wait waits for its end and gives the exit status.
func (r *commanded) Wait(ctx context.Context) (int, error) {
	select {
	case <-r.ended:
		return r.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Log is what it has written so far.
func (r *commanded) Log() string { return r.output.String() }

// Stop kills its process group, and waits for its end.
func (r *commanded) Stop(ctx context.Context) error {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	_, err := r.Wait(ctx)
	r.leave()
	return errors.Join(err, r.Shut())
}

// scroll keeps the first of what is written to it.
type scroll struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// maxScroll is how much that is, bytes.
const maxScroll = 256 << 10

func (s *scroll) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text.Len() < maxScroll {
		s.text.Write(p)
	}
	return len(p), nil
}

func (s *scroll) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
