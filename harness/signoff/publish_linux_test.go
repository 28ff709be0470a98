package signoff

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// ownMounts says that the test runs where it may mount.
const ownMounts = "SIGNOFF_TEST_OWN_MOUNTS"

// TestFullDisk writes to a file system that is too small, at each stage of the
// writing: the earlier sign-off stays as it was.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv(ownMounts) == "" {
		inNamespace(t)
		return
	}
	for name, room := range map[string]int{ // bytes left for a set of three times 64 KiB, and a copy of the earlier
		"for nothing": 0, "for one file": 70 << 10, "for two files": 140 << 10, "for the set alone": 192 << 10,
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t)
			if dir == "" {
				return
			}
			publish(t, dir, "earlier")
			fill(t, dir, room)
			err := Publish(dir, set(string(bytes.Repeat([]byte("x"), 64<<10))), nil)
			if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &Unwritten{}) {
				t.Errorf("error %v; want that no space is left, as Unwritten", err)
			}
			if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
				t.Fatal(err)
			}
			holds(t, dir, "earlier")
		})
	}
}

// smallDisk is a file system of a megabyte; "" where none can be mounted, which
// is said, and is an error where CI=true.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		unmountable(t, err)
		return ""
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func unmountable(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("mounting a small disk: %v; want it permitted where CI=true", err)
	}
	fmt.Fprintf(os.Stderr, "NOT TESTED: %s: mounting a small disk is not permitted here: %v\n", t.Name(), err)
}

// fill leaves room bytes of a disk free.
func fill(t *testing.T, dir string, room int) {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		t.Fatal(err)
	}
	size := int(stat.Bavail)*int(stat.Bsize) - room
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inNamespace runs the test again as the root of its own mounts.
func inNamespace(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), ownMounts+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.CombinedOutput()
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		t.Errorf("%v\n%s", err, out)
	case err != nil:
		unmountable(t, err)
	default:
		t.Logf("as the root of its own mounts:\n%s", out)
	}
}
