package stack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"aegis.test/conformance/harness"
)

// crashBound is how long a process may take to die: one that writes its memory takes
// a while.
const crashBound = 20 * time.Second

// Crash ends the replica by SIGABRT, and visits what it has written to its file
// system, and to volumes that it may write to.
func (r *replica) Crash(ctx context.Context, visit func(string, io.Reader) error) (seen harness.Crash, err error) {
	inspected, err := r.engine.client.ContainerInspect(ctx, r.id, client.ContainerInspectOptions{})
	if err != nil {
		return seen, fmt.Errorf("asking how %s runs: %w", r.name, err)
	}
	seen.CoreLimit, seen.Piped = coreFiles(inspected.Container)
	if _, err := r.engine.client.ContainerKill(ctx, r.id, client.ContainerKillOptions{Signal: "SIGABRT"}); err != nil {
		return seen, fmt.Errorf("ending %s: %w", r.name, err)
	}
	limited, cancel := context.WithTimeout(ctx, crashBound)
	defer cancel()
	if seen.Code, err = r.Wait(limited); err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			err = nil // it lives on
		}
		return seen, err
	}
	seen.Ended = true
	changed, err := r.engine.client.ContainerDiff(ctx, r.id, client.ContainerDiffOptions{})
	if err != nil {
		return seen, fmt.Errorf("asking what %s has written: %w", r.name, err)
	}
	for _, c := range changed.Changes {
		if c.Kind == container.ChangeDelete {
			continue
		}
		if err := r.left(ctx, c.Path, false, visit); err != nil {
			return seen, err
		}
	}
	for _, m := range inspected.Container.Mounts {
		if m.Type != mount.TypeVolume || !m.RW {
			continue
		}
		if err := r.left(ctx, m.Destination, true, visit); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// left visits a file, or with whole the files of a directory.
func (r *replica) left(ctx context.Context, at string, whole bool, visit func(string, io.Reader) error) error {
	copied, err := r.engine.client.CopyFromContainer(ctx, r.id, client.CopyFromContainerOptions{SourcePath: at})
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", at, r.name, err)
	}
	defer func() { _ = copied.Content.Close() }()
	if copied.Stat.Mode.IsDir() && !whole {
		return nil
	}
	for archive := tar.NewReader(copied.Content); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s of %s: %w", at, r.name, err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		if err := visit(path.Join(path.Dir(at), head.Name), archive); err != nil { //nolint:gosec // a name to tell: nothing is written there
			return err
		}
	}
}

// coreFiles is the soft limit on a running container's core files, and whether the
// kernel hands these to a program: as the system tells where its process is one of
// this host's, and else as the engine was told.
func coreFiles(c container.InspectResponse) (limit string, piped bool) {
	if c.State != nil {
		proc := "/proc/" + strconv.Itoa(c.State.Pid)
		groups, err := os.ReadFile(proc + "/cgroup")
		limits, unread := os.ReadFile(proc + "/limits")
		if err == nil && unread == nil && strings.Contains(string(groups), c.ID) {
			pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
			return coreLimit(string(limits)), handsOn(string(pattern))
		}
	}
	if c.HostConfig != nil {
		for _, u := range c.HostConfig.Ulimits {
			if u.Name == "core" {
				return strconv.FormatInt(u.Soft, 10), false
			}
		}
	}
	return "", false
}

// coreLine is of proc_pid_limits(5): the soft limit comes first.
var coreLine = regexp.MustCompile(`(?m)^Max core file size +(\S+)`)

func coreLimit(limits string) string {
	if found := coreLine.FindStringSubmatch(limits); found != nil {
		return found[1]
	}
	return ""
}

// handsOn reports a pattern that is a program, or a socket, and no file (core(5)).
func handsOn(pattern string) bool {
	return strings.HasPrefix(pattern, "|") || strings.HasPrefix(pattern, "@")
}
