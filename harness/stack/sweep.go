package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/images"
)

// Labels of every container and network of a run. The library's own label is
// on other people's containers, too, and is never asked for.
const (
	ourLabel       = "aegis.test.conformance" // "1"
	runLabel       = "aegis.test.run"
	hostLabel      = "aegis.test.host" // whose process owns the run
	lockLabel      = "aegis.test.lock" // the file on that host that it holds while it lives
	componentLabel = "aegis.test.component"
)

// ownership is a run that is this process's: for as long as that lives, it
// holds a lock on a file.
type ownership struct {
	run, host string
	lock      *os.File
}

// own takes possession of a run, until release or the process's end.
func own(run string) (ownership, error) {
	host, err := os.Hostname()
	if err != nil {
		return ownership{}, fmt.Errorf("asking this host's name: %w", err)
	}
	if run == "" || run != filepath.Base(run) {
		return ownership{}, fmt.Errorf("taking run %q: its name must fit in a file's", run)
	}
	path := filepath.Join(os.TempDir(), "aegis-conformance-"+run+".lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return ownership{}, fmt.Errorf("taking run %q: %w", run, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return ownership{}, fmt.Errorf("taking run %q: another process has it: %w", run, err)
	}
	return ownership{run: run, host: host, lock: file}, nil
}

// release gives the run up: nothing of it is left at the engine.
func (o ownership) release() error {
	return errors.Join(os.Remove(o.lock.Name()), o.lock.Close())
}

func (o ownership) labels(component string) map[string]string {
	return map[string]string{
		ourLabel: "1", runLabel: o.run, hostLabel: o.host, lockLabel: o.lock.Name(), componentLabel: component,
	}
}

func (o ownership) filter() client.Filters { return runFilter(o.run) }

func runFilter(run string) client.Filters {
	return client.Filters{}.Add("label", ourLabel+"=1", runLabel+"="+run)
}

// Sweep removes what runs of this host have left at the engine whose process is
// dead, and says what it removed. What belongs to a live run, to another host or
// to anybody else stays. Without an engine the error is NoEngine.
func Sweep(ctx context.Context) ([]string, error) {
	client, err := images.Engine(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	return sweep(ctx, client)
}

func sweep(ctx context.Context, engine *client.Client) ([]string, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking this host's name: %w", err)
	}
	owners, err := owners(ctx, engine, host)
	if err != nil {
		return nil, err
	}
	var swept []string
	var errs []error
	for run, lock := range owners {
		gone, err := sweepRun(ctx, engine, run, lock)
		swept, errs = append(swept, gone...), append(errs, err)
	}
	return swept, errors.Join(errs...)
}

// owners are the runs of a host that have something at the engine: the path of
// the lock that the owner holds, by run.
func owners(ctx context.Context, engine *client.Client, host string) (map[string]string, error) {
	found := map[string]string{}
	containers, networks, err := inventory(ctx, engine, client.Filters{}.Add("label", ourLabel+"=1", hostLabel+"="+host))
	for _, c := range append(containers, networks...) {
		found[c.labels[runLabel]] = c.labels[lockLabel]
	}
	return found, err
}

// sweepRun removes a run whose lock nobody holds. A lock file that is not there
// any more has no holder.
func sweepRun(ctx context.Context, engine *client.Client, run, lock string) ([]string, error) {
	file, err := os.OpenFile(lock, os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return remove(ctx, engine, runFilter(run))
	case err != nil:
		return nil, nil // another user's: his own next run sweeps it
	}
	defer func() { _ = file.Close() }()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil, nil // it lives
	}
	gone, err := remove(ctx, engine, runFilter(run))
	if err == nil {
		err = os.Remove(lock)
	}
	return gone, err
}

// item is a container or network at the engine.
type item struct {
	id     string
	labels map[string]string
}

func inventory(ctx context.Context, engine *client.Client, filter client.Filters) (containers, networks []item, err error) {
	listed, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return nil, nil, fmt.Errorf("listing our containers: %w", err)
	}
	for _, c := range listed.Items {
		containers = append(containers, item{c.ID, c.Labels})
	}
	connected, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		return nil, nil, fmt.Errorf("listing our networks: %w", err)
	}
	for _, n := range connected.Items {
		networks = append(networks, item{n.ID, n.Labels})
	}
	return containers, networks, nil
}

// remove kills and removes what a filter selects, side by side, containers
// before networks. What is gone already is no error.
func remove(ctx context.Context, engine *client.Client, filter client.Filters) ([]string, error) {
	containers, networks, err := inventory(ctx, engine, filter)
	if err != nil {
		return nil, err
	}
	killed, err := each("container", containers, func(id string) error {
		_, err := engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	})
	if err != nil {
		return killed, err
	}
	cut, err := each("network", networks, func(id string) error {
		_, err := engine.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
		return err
	})
	return append(killed, cut...), err
}

func each(kind string, items []item, end func(id string) error) ([]string, error) {
	var (
		wait  sync.WaitGroup
		names = make([]string, len(items))
		errs  = make([]error, len(items))
	)
	for i, it := range items {
		names[i] = strings.Join([]string{kind, it.labels[componentLabel], "of run", it.labels[runLabel]}, " ")
		wait.Go(func() {
			if err := end(it.id); err != nil && !errdefs.IsNotFound(err) {
				errs[i] = fmt.Errorf("removing %s: %w", names[i], err)
			}
		})
	}
	wait.Wait()
	return names, errors.Join(errs...)
}
