package stack

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// renderedDir is where, in their containers, Vault Agent renders and a replica
// reads.
const renderedDir = "/run/aegis"

// agent is how Vault Agent is set up: soundly, but for a fault.
func (b *blueprint) agent(o vault.AgentOptions) vault.AgentOptions {
	if b.spec.Fault.Agent != nil {
		b.spec.Fault.Agent(&o)
	}
	return o
}

// fromFiles makes a launch one of a replica that has files in a directory, and no
// Vault.
func fromFiles(launch harness.Launch, dir string) harness.Launch {
	env := map[string]string{"SECRETS_DIR": dir}
	for name, value := range launch.Env {
		env[name] = value
	}
	launch.Env = env
	launch.Unset = append(slices.Clone(launch.Unset), "VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT_BYTES")
	return launch
}

// login makes what Vault Agent logs in with.
func (b *blueprint) login(ctx context.Context, v seededVault) (vault.Login, error) {
	login, err := vault.NewLogin(ctx, v.root)
	if met := b.spec.Met; err == nil && met != nil {
		met("secret ID of Vault Agent", login.SecretID.Reveal())
	}
	return login, err
}

// allRendered reports whether files has every field.
func allRendered(rendered []harness.File) bool {
	return !slices.ContainsFunc(vault.Rendered, func(field string) bool {
		return !slices.ContainsFunc(rendered, func(f harness.File) bool { return f.Path == field })
	})
}

// rendered waits until every field is a file, or ctx is done.
func rendered(ctx context.Context, files func(context.Context) ([]harness.File, error)) error {
	ticker := time.NewTicker(localhost.Poll)
	defer ticker.Stop()
	for {
		now, err := files(ctx)
		if err == nil && allRendered(now) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting until Vault Agent has rendered: %w", context.Cause(ctx)), err)
		}
	}
}

// sidecars are the containers of a stack with a Vault Agent each.
type sidecars struct{ *containers }

// Launch starts a Vault Agent and a replica, which share a file system that has
// no disk.
func (c sidecars) Launch(ctx context.Context, launch harness.Launch) (harness.Rendered, error) {
	login, err := c.blueprint.login(ctx, c.vault)
	if err != nil {
		return nil, err
	}
	o := c.blueprint.agent(vault.AgentOptions{
		Address: vaultURL, CAFile: ServiceCA, RoleFile: files + "role-id", IDFile: files + "secret-id", Dir: renderedDir,
	})
	user, _, _ := strings.Cut(images.User, ":")
	agent, err := c.engine.start(ctx, part{
		name: "agent-" + localhost.Nonce(), image: c.have[images.Vault],
		command: []string{"/bin/vault", "agent", "-config=" + files + "agent.json"},
		files: map[string][]byte{
			ServiceCA: c.blueprint.servers.RootPEM(), files + "agent.json": []byte(vault.AgentConfig(o)),
			o.RoleFile: []byte(login.RoleID.Reveal()), o.IDFile: []byte(login.SecretID.Reveal()),
		},
		hidden: []string{login.SecretID.Reveal()},
		volume: memory(renderedDir, "0750"),
	})
	if err != nil {
		return nil, err
	}
	s := &sidecar{agent: agent}
	running, cancel := agent.while(ctx)
	defer cancel()
	if err := rendered(running, s.Files); err != nil {
		return nil, errors.Join(agent.failed(err), agent.remove(ctx))
	}
	service, err := c.service(ctx, "replica-"+localhost.Nonce(), fromFiles(launch, renderedDir))
	if err != nil {
		return nil, errors.Join(err, agent.remove(ctx))
	}
	service.shares = append(service.shares, agent.id)
	placed, err := c.startAnywhere(ctx, service)
	if err != nil {
		return nil, errors.Join(err, agent.remove(ctx))
	}
	s.replica = &replica{placed: placed}
	s.user, _ = strconv.Atoi(user)
	return s, nil
}

// sidecar is a replica with its Vault Agent, in containers.
type sidecar struct {
	*replica
	agent *placed
	user  int
}

// User is whom the replica runs as.
func (s *sidecar) User() int { return s.user }

// Files asks the engine for the agent's files.
func (s *sidecar) Files(ctx context.Context) ([]harness.File, error) {
	memory, err := s.agent.inMemory(ctx, renderedDir)
	if err != nil {
		return nil, err
	}
	copied, err := s.agent.engine.client.CopyFromContainer(ctx, s.agent.id, client.CopyFromContainerOptions{SourcePath: renderedDir})
	if err != nil {
		return nil, fmt.Errorf("reading the agent's files: %w", err)
	}
	defer func() { _ = copied.Content.Close() }()
	var found []harness.File
	for archive := tar.NewReader(copied.Content); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the agent's files: %w", err)
		}
		if _, name, _ := strings.Cut(path.Clean(head.Name), "/"); head.Typeflag == tar.TypeReg {
			found = append(found, harness.File{Path: name, Perm: head.FileInfo().Mode().Perm(), Owner: head.Uid, InMemory: memory})
		}
	}
}

// inMemory reports whether what is mounted at a path of the container is a tmpfs.
func (c *placed) inMemory(ctx context.Context, at string) (bool, error) {
	seen, err := c.engine.client.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil {
		return false, fmt.Errorf("asking what is mounted in %s: %w", c.name, err)
	}
	for _, m := range seen.Container.Mounts {
		if m.Destination != at || m.Type != mount.TypeVolume {
			continue
		}
		volume, err := c.engine.client.VolumeInspect(ctx, m.Name, client.VolumeInspectOptions{})
		if err != nil {
			return false, fmt.Errorf("asking what is mounted in %s: %w", c.name, err)
		}
		return volume.Volume.Options["type"] == "tmpfs", nil
	}
	return false, nil
}

// Stop removes the replica and then its agent, with what they share.
func (s *sidecar) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localhost.StopBound)
	defer cancel()
	return errors.Join(s.replica.Stop(ctx), s.agent.remove(ctx))
}

// besides are the replicas of this process with a Vault Agent each.
type besides struct{ *embedded }

// shm is a file system that has no disk, where there is one.
const shm = "/dev/shm"

// Launch starts the vault on PATH as an agent, and a replica.
func (e besides) Launch(ctx context.Context, launch harness.Launch) (harness.Rendered, error) {
	login, err := e.blueprint.login(ctx, e.vault)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(shm, "aegis-rendered-")
	if err != nil {
		dir, err = os.MkdirTemp("", "aegis-rendered-")
	}
	if err != nil {
		return nil, fmt.Errorf("making a directory for Vault Agent: %w", err)
	}
	end := &tail{hidden: []string{login.SecretID.Reveal()}}
	output := e.output("agent", end, login.SecretID)
	o := e.blueprint.agent(vault.AgentOptions{Address: e.vault.root.Address(), Dir: dir})
	agent, err := vault.StartAgent(e.binary, o, login, e.blueprint.servers.RootPEM(), output)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	b := &beside{agent: agent, dir: dir}
	running, cancel := agent.While(ctx)
	defer cancel()
	if err := rendered(running, b.Files); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; the end of its output:\n%s", err, indent(end.last(20))), b.end())
	}
	started, err := e.embedded.Launch(ctx, fromFiles(launch, dir))
	if err != nil {
		return nil, errors.Join(err, b.end())
	}
	b.Replica = started
	e.onStop(func(context.Context) error { return b.end() })
	return b, nil
}

// beside is a replica of this process with its Vault Agent.
type beside struct {
	harness.Replica
	agent *vault.Process
	dir   string
}

// User is whom this process runs as.
func (*beside) User() int { return os.Getuid() }

// Files looks at the files.
func (b *beside) Files(context.Context) ([]harness.File, error) {
	memory := inMemory(b.dir)
	var found []harness.File
	err := filepath.WalkDir(b.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) { // a file that was replaced meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		below, err := filepath.Rel(b.dir, name)
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
			found = append(found, harness.File{Path: filepath.ToSlash(below), Perm: info.Mode().Perm(), Owner: int(owner.Uid), InMemory: memory})
		}
		return err
	})
	return found, err
}

// Stop ends the replica and its agent.
func (b *beside) Stop(ctx context.Context) error { return errors.Join(b.Replica.Stop(ctx), b.end()) }

func (b *beside) end() error { return errors.Join(b.agent.Stop(), os.RemoveAll(b.dir)) }

// deployment is what the services of a stack in containers were deployed as.
type deployment struct{ *containers }

// Each visits what each service's container was started with and what was copied
// into it, as the engine tells it, and the layers of each image. What it was handed
// in memory is no part of it.
func (d deployment) Each(ctx context.Context, visit func(string, io.Reader) error) error {
	seen := map[string]bool{}
	for _, mode := range localhost.Modes {
		p := d.services[mode]
		inspected, err := d.engine.client.ContainerInspect(ctx, p.id, client.ContainerInspectOptions{})
		if err != nil {
			return fmt.Errorf("asking how %s was started: %w", p.name, err)
		}
		if err := visit("the environment and configuration of "+p.name, strings.NewReader(string(inspected.Raw))); err != nil {
			return err
		}
		for name := range p.files {
			if err := d.file(ctx, p, name, visit); err != nil {
				return err
			}
		}
		if seen[p.image.ID] {
			continue
		}
		seen[p.image.ID] = true
		if err := d.image(ctx, p.image, visit); err != nil {
			return err
		}
	}
	return nil
}

// file visits a file that was copied into a container.
func (d deployment) file(ctx context.Context, p *placed, name string, visit func(string, io.Reader) error) error {
	copied, err := d.engine.client.CopyFromContainer(ctx, p.id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", name, p.name, err)
	}
	defer func() { _ = copied.Content.Close() }()
	return visit(name+" of "+p.name, copied.Content)
}

// image visits an image's history and layers.
func (d deployment) image(ctx context.Context, image images.Have, visit func(string, io.Reader) error) error {
	inspected, err := d.engine.client.ImageInspect(ctx, image.Reference)
	if err != nil {
		return fmt.Errorf("asking for the configuration of %s: %w", image.Reference, err)
	}
	history, err := d.engine.client.ImageHistory(ctx, image.Reference)
	if err != nil {
		return fmt.Errorf("asking for the history of %s: %w", image.Reference, err)
	}
	told, err := json.Marshal([]any{inspected, history})
	if err != nil {
		return err
	}
	if err := visit("the configuration of image "+image.Reference, strings.NewReader(string(told))); err != nil {
		return err
	}
	layers, err := d.engine.client.ImageSave(ctx, []string{image.Reference})
	if err != nil {
		return fmt.Errorf("reading the layers of %s: %w", image.Reference, err)
	}
	defer func() { _ = layers.Close() }()
	return visit("the layers of image "+image.Reference, layers)
}
