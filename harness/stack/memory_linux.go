package stack

import "syscall"

// tmpfs is the magic number of the file system (statfs(2)).
const tmpfs = 0x01021994

// inMemory reports whether a directory is on a file system that has no disk.
func inMemory(dir string) bool {
	var at syscall.Statfs_t
	return syscall.Statfs(dir, &at) == nil && at.Type == tmpfs
}
