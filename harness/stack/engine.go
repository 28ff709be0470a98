package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// NoEngine is the error when no container engine answers.
type NoEngine = images.NoEngine

const (
	// createBound is how long the engine may take to create and start one
	// container. It is not cut short: what is half made could not be found.
	createBound = 20 * time.Second
	// readyBound is how long a component may take to give its first answer.
	readyBound = 30 * time.Second
)

// loopback is where ports are published, and nowhere else.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// engine is the container engine, and what one run has there.
type engine struct {
	client  *client.Client
	run     ownership
	network string
	log     io.Writer // components' output, one line at a time
	logs    sync.WaitGroup
	mu      sync.Mutex
	outputs map[string]*tail // by component
}

// openEngine takes possession of a run at the engine, sweeps what dead runs
// have left, and makes the run's network. Close ends it, also after an error
// of a later step.
func openEngine(ctx context.Context, spec Spec) (*engine, error) {
	client, err := images.Engine(ctx)
	if err != nil {
		return nil, err
	}
	run, err := own(spec.Run)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	e := &engine{client: client, run: run, log: &lines{to: spec.Log}, outputs: map[string]*tail{}}
	if _, err := sweep(ctx, client); err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	made, err := tcnetwork.New(ctx, tcnetwork.WithLabels(run.labels("network")))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the run's network: %w", err), e.close(ctx))
	}
	e.network = made.Name
	return e, nil
}

// close removes everything of the run, whether or not ctx is done already.
func (e *engine) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localhost.StopBound)
	defer cancel()
	_, err := remove(ctx, e.client, e.run.filter())
	e.logs.Wait()
	_ = e.client.Close()
	if err != nil {
		return err // the next run's sweep finds the rest: the lock file stays
	}
	return e.run.release()
}

// part is a container to be: what runs in it.
type part struct {
	name    string // component and network alias: vault
	image   images.Have
	command []string
	env     map[string]string
	files   map[string][]byte
	ports   []int
	// hostPort is where the first port is published; 0 leaves it to the engine.
	hostPort int
	// quic are those of ports that are published by UDP too, under the number that they
	// have by TCP.
	quic []int
	// hidden is text that its log must not show.
	hidden []string
	// foreign, if true, causes it to run as its image says: its entry point, when
	// no command is given, its user, and the engine's usual capabilities.
	foreign bool
	// volume is a volume of its own; nil is none. shares are the IDs of containers
	// whose volumes it reads.
	volume *mount.Mount
	shares []string
	// dir is its working directory; empty is the image's.
	dir string
	// beside is the ID of a container whose process IDs it shares; empty is none. The
	// first process of its own would be spared by signals that end any other
	// (pid_namespaces(7)).
	beside string
	// cores, if true, causes it to be started without a limit on core files: they hold
	// what it held.
	cores bool
	// cue is text in its log that is counted; "" is none.
	cue string
}

// placed is a started container.
type placed struct {
	part
	id      string
	engine  *engine
	started time.Time
	at      map[int]string // host:port on this host, by the container's port
	output  *tail
	cues    *counter      // of part.cue
	read    chan struct{} // closed when all its output has been read
	handle  testcontainers.Container
}

// start starts a container, without waiting for its answer. It is in the
// engine's books under the run's label from its first moment, so that close
// finds it whatever became of start.
func (e *engine) start(ctx context.Context, p part) (*placed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createBound)
	defer cancel()
	at, err := bothAlike(p.quic)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	made, err := testcontainers.Run(ctx, p.image.Reference, e.options(p, at)...)
	if err != nil {
		return nil, fmt.Errorf("starting %s from %s: %w", p.name, p.image.Reference, err)
	}
	c := &placed{
		part:    p,
		id:      made.ID,
		engine:  e,
		started: started,
		output:  &tail{hidden: p.hidden},
		cues:    &counter{cue: []byte(p.cue)},
		read:    make(chan struct{}),
		handle:  made,
	}
	e.mu.Lock()
	e.outputs[p.name] = c.output
	e.mu.Unlock()
	if err := c.follow(); err != nil {
		return nil, err
	}
	return c, c.locate(ctx)
}

// Read gives what a component has written lately.
func (e *engine) Read(_ context.Context, component string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	output := e.outputs[component]
	if output == nil {
		return "", fmt.Errorf("reading the log of %q: there is no such component", component)
	}
	return output.String(), nil
}

// bothAlike finds a port of this host for each of some of a container's, which nobody has by
// TCP or by UDP. The engine takes it a moment later.
func bothAlike(ports []int) (map[int]int, error) {
	at := map[int]int{}
	for _, port := range ports {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: loopback.AsSlice()})
		if err != nil {
			return nil, fmt.Errorf("looking for a port of TCP and UDP: %w", err)
		}
		defer func() { _ = udp.Close() }()
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil {
			return nil, fmt.Errorf("looking for a port of TCP and UDP: %w", err)
		}
		defer func() { _ = tcp.Close() }()
		at[port] = udp.LocalAddr().(*net.UDPAddr).Port
	}
	return at, nil
}

// options are how a part is made; alike has the ports of this host for those that are
// published by UDP too.
func (e *engine) options(p part, alike map[int]int) []testcontainers.ContainerCustomizer {
	bindings := network.PortMap{}
	var exposed []string
	for i, number := range p.ports {
		port := network.MustParsePort(fmt.Sprintf("%d/tcp", number))
		binding := network.PortBinding{HostIP: loopback, HostPort: "0"}
		if i == 0 {
			binding.HostPort = fmt.Sprint(p.hostPort)
		}
		if host, ok := alike[number]; ok {
			binding.HostPort = fmt.Sprint(host)
			udp := network.MustParsePort(fmt.Sprintf("%d/udp", number))
			bindings[udp] = []network.PortBinding{binding}
			exposed = append(exposed, udp.String())
		}
		bindings[port] = []network.PortBinding{binding}
		exposed = append(exposed, port.String())
	}
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithEnv(p.env),
		testcontainers.WithLabels(e.run.labels(p.name)),
		testcontainers.WithExposedPorts(exposed...),
		tcnetwork.WithNetworkName([]string{p.name}, e.network),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			if !p.foreign {
				c.User = images.User
			}
			if p.dir != "" {
				c.WorkingDir = p.dir
			}
		}),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.PortBindings = bindings
			h.SecurityOpt = []string{"no-new-privileges"}
			h.Ulimits = []*container.Ulimit{p.coreLimit()}
			if p.beside != "" {
				h.PidMode = container.PidMode("container:" + p.beside)
			}
			if p.volume != nil {
				h.Mounts = append(h.Mounts, *p.volume)
			}
			for _, id := range p.shares {
				h.VolumesFrom = append(h.VolumesFrom, id+":ro")
			}
			if !p.foreign {
				h.CapDrop = []string{"ALL"}
			}
		}),
	}
	if len(p.files) > 0 {
		options = append(options, testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, made testcontainers.Container) error {
				return e.copy(ctx, made.GetContainerID(), p.files)
			}},
		}))
	}
	if len(p.command) > 0 {
		options = append(options, testcontainers.WithEntrypoint(p.command...))
	}
	return options
}

// copy puts files, by their absolute paths, into a container, all at once.
func (e *engine) copy(ctx context.Context, id string, files map[string][]byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o444, Size: int64(len(files[name]))}); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		if _, err := w.Write(files[name]); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("packing files: %w", err)
	}
	_, err := e.client.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive})
	return err
}

// coreLimit is the limit on core files: none is written, but for a fault.
func (p part) coreLimit() *container.Ulimit {
	if p.cores {
		return &container.Ulimit{Name: "core", Soft: -1, Hard: -1}
	}
	return &container.Ulimit{Name: "core"}
}

// follow reads the container's output to its end.
func (c *placed) follow() error {
	stream, err := c.engine.client.ContainerLogs(context.Background(), c.id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: true,
	})
	if err != nil {
		return fmt.Errorf("reading the output of %s: %w", c.name, err)
	}
	c.engine.logs.Go(func() {
		defer close(c.read)
		defer func() { _ = stream.Close() }()
		out := &lines{raw: c.output, to: io.MultiWriter(c.cues, &prefixed{c.name + " | ", c.engine.log}), hidden: c.hidden}
		_, _ = stdcopy.StdCopy(out, out, stream)
		out.flush()
	})
	return nil
}

// locate learns where the container's ports are published.
func (c *placed) locate(ctx context.Context) error {
	seen, err := c.engine.client.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("asking where %s is published: %w", c.name, err)
	}
	c.at = map[int]string{}
	for port, bindings := range seen.Container.NetworkSettings.Ports {
		for _, binding := range bindings {
			c.at[int(port.Num())] = net.JoinHostPort(binding.HostIP.String(), binding.HostPort)
		}
	}
	return nil
}

// wait waits for the container's end and gives its exit status.
func (c *placed) wait(ctx context.Context) (int, error) {
	end := c.engine.client.ContainerWait(ctx, c.id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case status := <-end.Result:
		return int(status.StatusCode), nil
	case err := <-end.Error:
		return 0, fmt.Errorf("waiting for the end of %s: %w", c.name, err)
	}
}

// while is ctx for as long as the container runs, and no longer than
// readyBound: its cause tells which, with the end of the container's output.
func (c *placed) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyBound, fmt.Errorf("no answer from %s within %s", c.name, readyBound))
	ctx, stop := context.WithCancelCause(ctx)
	go func() {
		status, err := c.wait(ctx)
		if err != nil {
			return
		}
		select {
		case <-c.read: // all of its output is there
		case <-ctx.Done():
		}
		stop(fmt.Errorf("%s has ended with status %d", c.name, status))
	}()
	return ctx, func() { stop(nil); cancel() }
}

// failed is err with the end of the container's output.
func (c *placed) failed(err error) error {
	return fmt.Errorf("%w; the end of its output:\n%s", err, indent(c.output.last(20)))
}

// ready asks until there is an answer, and gives the time from start to then.
func (c *placed) ready(ctx context.Context, ask func(context.Context) error) (time.Duration, error) {
	running, cancel := c.while(ctx)
	defer cancel()
	ticker := time.NewTicker(localhost.Poll)
	defer ticker.Stop()
	for {
		err := ask(running)
		if err == nil {
			return time.Since(c.started), nil
		}
		select {
		case <-ticker.C:
		case <-running.Done():
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			return 0, c.failed(fmt.Errorf("starting %s: %w (last: %w)", c.name, context.Cause(running), err))
		}
	}
}

// remove kills and removes the container. One that is gone is no error.
func (c *placed) remove(ctx context.Context) error {
	_, err := c.engine.client.ContainerRemove(ctx, c.id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing %s: %w", c.name, err)
	}
	return nil
}

// component is the container as the sign-off records it.
func (c *placed) component(is string, port int, ready time.Duration) harness.Component {
	return harness.Component{
		Name: c.name, Is: is, Image: c.image.Reference, Digest: c.image.ID, Labels: c.image.Labels, Origin: string(c.image.Origin),
		ReadyMS: ready.Milliseconds(), Endpoint: c.at[port],
	}
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	hidden []string // what last does not show
	mu     sync.Mutex
	text   []byte
}

const tailBytes = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = slices.Delete(t.text, 0, over)
	}
	return len(p), nil
}

// String is the end as it was written: what must not show would show in it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// last is the last n lines, without hidden text.
func (t *tail) last(n int) string {
	all := strings.Split(strings.TrimRight(string(without([]byte(t.String()), t.hidden)), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

// lines hands on whole lines, each in one write: to raw as they are, to to
// without hidden text. It is safe for concurrent use. With nowhere to write to
// it discards.
type lines struct {
	raw    io.Writer
	to     io.Writer
	hidden []string
	mu     sync.Mutex
	rest   []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n') + 1
		if end == 0 {
			return len(p), nil
		}
		l.handOn(l.rest[:end])
		l.rest = l.rest[end:]
	}
}

// flush ends a last line that has no end.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.handOn(append(l.rest, '\n'))
	}
	l.rest = nil
}

func (l *lines) handOn(line []byte) {
	if l.raw != nil {
		_, _ = l.raw.Write(line)
	}
	if l.to != nil {
		_, _ = l.to.Write(without(line, l.hidden))
	}
}

// without is text with dots for what is hidden.
func without(text []byte, hidden []string) []byte {
	for _, h := range hidden {
		text = bytes.ReplaceAll(text, []byte(h), []byte("••••"))
	}
	return text
}

// prefixed puts a prefix before each write.
type prefixed struct {
	prefix string
	to     io.Writer
}

func (p *prefixed) Write(b []byte) (int, error) {
	_, err := p.to.Write(append([]byte(p.prefix), b...))
	return len(b), err
}
