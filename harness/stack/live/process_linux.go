package live

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"aegis.test/conformance/harness/stack/localhost"
)

// dying puts a child into a process group of its own, and lets it die with us, even
// when we are killed.
func dying() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// started is when a process was started: the boot of the host, and clock ticks since.
func started(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	fields, err := status(pid)
	if err != nil || ended(fields) {
		return "", fmt.Errorf("process %d has ended, or cannot be seen (%v)", pid, err)
	}
	return strings.TrimSpace(string(boot)) + " " + fields[startTime], nil
}

// Where a process's status has what, behind its name (proc(5)).
const (
	state     = 0 // the third
	group     = 5 - 3
	startTime = 22 - 3
)

// ended reports whether a process by its status only waits to be waited for.
func ended(fields [startTime + 1]string) bool { return fields[state] == "Z" || fields[state] == "X" }

// status are the fields of a process's status behind its name, which may hold anything.
func status(pid int) (fields [startTime + 1]string, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return fields, err
	}
	copy(fields[:], strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])))
	return fields, nil
}

// endRounds is how often what is left is looked for: a process that is being ended may
// have started another.
const endRounds = 20

// end ends what bears the mark, and the group if its leader is the one that was
// started. Whatever else may have its number by now is left alone.
func (p Process) end() (killed int, err error) {
	var strange []int // of its group without its leader and its mark, unless they are just ending
	for range endRounds {
		marked, others, err := p.members()
		if err != nil {
			return killed, err
		}
		for _, pid := range marked {
			if p.kill(pid) {
				killed++
			}
		}
		now, _ := started(p.Group)
		led := p.Started != "" && now == p.Started
		strange = nil
		switch {
		case led:
			_ = syscall.Kill(-p.Group, syscall.SIGKILL) // it may just have ended
		case len(marked) == 0 && now == "" && len(others) > 0:
			strange = others
		case len(marked) == 0:
			return killed, nil
		}
		time.Sleep(localhost.Poll)
	}
	if len(strange) > 0 {
		return killed, fmt.Errorf("processes %v are of its group and do not bear its mark: look, and end them by hand", strange)
	}
	return killed, errors.New("it goes on starting others: end it by hand")
}

// kill kills a process by a handle of it, once that is known to bear the mark.
func (p Process) kill(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = process.Release() }()
	return p.isOf(pid) && process.Kill() == nil
}

// members are the processes that bear the mark, and the others that are in the group and
// alive.
func (p Process) members() (marked, others []int, err error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil, fmt.Errorf("looking for its processes: %w", err)
	}
	for _, one := range all {
		pid, err := strconv.Atoi(one.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		fields, err := status(pid)
		switch {
		case err != nil || ended(fields):
		case p.isOf(pid):
			marked = append(marked, pid)
		case p.Group > 1 && fields[group] == strconv.Itoa(p.Group):
			others = append(others, pid)
		}
	}
	return marked, others, nil
}

// isOf reports whether a process, which may be another user's, bears the mark. One that
// has ended, and is only waited for, has no environment.
func (p Process) isOf(pid int) bool {
	environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	for line := range bytes.SplitSeq(environment, []byte{0}) {
		if string(line) == p.line() {
			return true
		}
	}
	return false
}
