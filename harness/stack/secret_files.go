package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness/stack/localhost"
)

// handed are the variables of the contract that are in confidence. What a container
// is started with, whoever may ask the engine can read: so each is handed over as a
// file, in memory, that the variable of its name and _FILE leads to.
var handed = []string{"MTLS_PROXY_SECRET", "VAULT_TOKEN"}

// handedDir is where those files are, in the service's container and in the IdP's:
// that one is there before any service, and keeps them.
const handedDir = "/run/handed"

// handover are the files that were handed over, by what they hold. It is safe for
// concurrent use.
type handover struct {
	mu sync.Mutex
	at map[string]string
}

// memory is a file system that has no disk, of a container's own.
func memory(target, mode string) *mount.Mount {
	user, _, _ := strings.Cut(images.User, ":")
	return &mount.Mount{Type: mount.TypeVolume, Target: target, VolumeOptions: &mount.VolumeOptions{DriverConfig: &mount.Driver{
		Name:    "local",
		Options: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=4m,mode=" + mode + ",uid=" + user + ",gid=" + user},
	}}}
}

// handOver makes files of what an environment holds in confidence, and names them
// there as well.
func (c *containers) handOver(ctx context.Context, env map[string]string) error {
	for _, name := range handed {
		value, set := env[name]
		if !set {
			continue
		}
		at, err := c.file(ctx, name, value)
		if err != nil {
			return fmt.Errorf("handing over %s: %w", name, err)
		}
		env[name+"_FILE"] = at
	}
	return nil
}

// file is the path of a file that holds value: readable by the reference service, or
// by whoever an image under test runs as.
func (c *containers) file(ctx context.Context, name, value string) (string, error) {
	c.handover.mu.Lock()
	defer c.handover.mu.Unlock()
	if at, known := c.handover.at[name+"="+value]; known {
		return at, nil
	}
	user, _, _ := strings.Cut(images.User, ":")
	uid, err := strconv.Atoi(user)
	if err != nil {
		return "", err
	}
	perm := int64(0o440)
	if c.blueprint.spec.Service.given() {
		perm = 0o444
	}
	base := strings.ReplaceAll(strings.ToLower(name), "_", "-") + "-" + localhost.Nonce()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: base, Mode: perm, Uid: uid, Gid: uid, Size: int64(len(value))}); err != nil {
		return "", err
	}
	if _, err := w.Write([]byte(value)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	if _, err := c.engine.client.CopyToContainer(ctx, c.idpAt.id,
		client.CopyToContainerOptions{DestinationPath: handedDir, Content: &archive}); err != nil {
		return "", err
	}
	if c.handover.at == nil {
		c.handover.at = map[string]string{}
	}
	at := path.Join(handedDir, base)
	c.handover.at[name+"="+value] = at
	return at, nil
}
