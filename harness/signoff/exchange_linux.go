package signoff

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// swapDirectories exchanges two directories in one step (renameat2(2)).
func swapDirectories(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// owned reports whether a directory is this user's, as one that we make is, and may be
// written to.
func owned(dir string, info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && unix.Access(dir, unix.W_OK) == nil
}
