//go:build unix && !linux

package live

import (
	"errors"
	"syscall"
)

// dying puts a child into a process group of its own.
func dying() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// started is not told here.
func started(int) (string, error) { return "", nil }

// end ends nothing: whether a number is still the run's cannot be told here.
func (p Process) end() (int, error) {
	if p.Group == 0 || syscall.Kill(-p.Group, 0) != nil {
		return 0, nil
	}
	return 0, errors.New("whether it is the run's cannot be told on this system: look, and end it by hand")
}
