package live

import (
	"fmt"
	"regexp"
)

// Process is what a run starts beside a live target. It is noted before it is started,
// by its mark, and then once more with its group.
type Process struct {
	// Mark is the value of markVariable in its environment, and in that of whatever it
	// starts: by it, and no number alone, a process is known to be the run's.
	Mark string `json:"mark"`
	// Group is its process group, and Started when the group's leader was, as the
	// system has it: another boot of the host, or another time, is another process.
	Group   int    `json:"group,omitempty"`
	Started string `json:"started,omitempty"`
}

// markVariable is in the environment of each replica that a command starts.
const markVariable = "AEGIS_CONFORMANCE_REPLICA"

var markForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// wrong says what is wrong with a process; empty is nothing.
func (p Process) wrong() string {
	if !markForm.MatchString(p.Mark) || p.Group < 0 || p.Group == 1 {
		return fmt.Sprintf("mark %.80q and group %d are of no process of ours", p.Mark, p.Group)
	}
	return ""
}

// EndAll ends what a killed run started and left. It gives what it ended, and what it
// could not.
func EndAll(a Abandoned) (done, left []string) {
	for _, e := range a.Entries {
		if e.Process == nil {
			continue
		}
		ended, err := e.Process.end()
		if ended > 0 {
			done = append(done, fmt.Sprintf("ended %d processes of a replica, group %d", ended, e.Process.Group))
		}
		if err != nil {
			left = append(left, fmt.Sprintf("a replica, process group %d, is not ended: %v", e.Process.Group, err))
		}
	}
	return done, left
}

// line is the mark as an environment's line has it.
func (p Process) line() string { return markVariable + "=" + p.Mark }
