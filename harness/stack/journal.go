package stack

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"aegis.test/conformance/harness"
)

// Journal is a file in which a run notes what it creates at a live target,
// before it does. Its process holds a lock on it; what a killed run leaves is
// Abandoned.
type Journal struct {
	mu   sync.Mutex
	file *os.File
}

// Entry is one thing that a run may have created: at an endpoint, by its
// identifier, or a certificate of Vault's PKI, by its serial number.
type Entry struct {
	Target   string       `json:"target,omitempty"` // of the first entry: whose journal it is
	Mode     harness.Mode `json:"mode,omitempty"`
	Endpoint string       `json:"endpoint,omitempty"`
	Unique   string       `json:"unique,omitempty"`
	Mount    string       `json:"mount,omitempty"`
	Serial   string       `json:"serial,omitempty"`
}

// journalSuffix ends the name of a journal.
const journalSuffix = ".jsonl"

// OpenJournal begins the journal of a run in a directory.
func OpenJournal(dir, run, target string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the journal's directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, run+journalSuffix), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("beginning the run's journal: %w", err)
	}
	j := &Journal{file: file}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("holding the run's journal: %w", err), file.Close())
	}
	return j, j.Note(Entry{Target: target})
}

// Note adds an entry, and sees it written.
func (j *Journal) Note(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the run's journal: %w", err)
	}
	return nil
}

// Close gives the journal up: it is removed when nothing is left of the run,
// and stays for a sweep otherwise.
func (j *Journal) Close(nothingLeft bool) error {
	var err error
	if nothingLeft {
		err = os.Remove(j.file.Name())
	}
	return errors.Join(err, j.file.Close())
}

// Abandoned is the journal of a run that has ended without removing all that it
// created.
type Abandoned struct {
	Path    string
	Target  string
	Entries []Entry
	lock    *os.File
}

// FindAbandoned lists the journals in a directory that no process holds, and
// holds them until Close.
func FindAbandoned(dir string) ([]Abandoned, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+journalSuffix))
	if err != nil {
		return nil, err
	}
	var found []Abandoned
	for _, path := range paths {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return found, fmt.Errorf("opening a run's journal: %w", err)
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			_ = file.Close() // its run lives
			continue
		}
		a := Abandoned{Path: path, lock: file}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var e Entry
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				continue // cut off by the kill: what it tells of was not sent
			}
			if e.Target != "" {
				a.Target = e.Target
				continue
			}
			a.Entries = append(a.Entries, e)
		}
		found = append(found, a)
	}
	return found, nil
}

// Close lets a journal go, and removes it when nothing is left.
func (a Abandoned) Close(nothingLeft bool) error {
	var err error
	if nothingLeft {
		err = os.Remove(a.Path)
	}
	return errors.Join(err, a.lock.Close())
}
