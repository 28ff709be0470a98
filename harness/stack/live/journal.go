package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
)

// Journal is a file in which a run notes what it creates at a live target, changes
// there and starts beside it, before it does. Its process holds a lock on it; what a
// killed run leaves is Abandoned.
type Journal struct {
	mu     sync.Mutex
	file   *os.File
	copies int
	noted  bool
	broken error // of the first note that was not written: behind it nothing can be read
}

// Entry is one thing that a run may have created or changed: what is at an endpoint, by
// its identifier; a certificate of Vault's PKI, by its serial number; a Change; or a
// Process that it started.
type Entry struct {
	Target   string       `json:"target,omitempty"` // of the first entry: whose journal it is
	URL      string       `json:"url,omitempty"`    // of the first entry: where that is
	Mode     harness.Mode `json:"mode,omitempty"`
	Endpoint string       `json:"endpoint,omitempty"`
	Unique   string       `json:"unique,omitempty"`
	Mount    string       `json:"mount,omitempty"`
	Serial   string       `json:"serial,omitempty"`
	Change   *Change      `json:"change,omitempty"`
	Process  *Process     `json:"process,omitempty"`
}

// How the names of a run's files end: its journal, that before it is one, and what a
// file was before the run changed it.
const (
	journalSuffix   = ".jsonl"
	beginningSuffix = ".beginning"
	copySuffix      = ".copy"
)

// OpenJournal begins the journal of a run at a target, in a directory. It is there with
// its first line, or not at all; nor is it begun while a killed run is Unswept.
func OpenJournal(dir, run string, t config.Target) (*Journal, error) {
	if err := Unswept(dir, t); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the journal's directory: %w", err)
	}
	path := filepath.Join(dir, run+journalSuffix)
	beginning := filepath.Join(dir, run+beginningSuffix)
	file, err := os.OpenFile(beginning, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("beginning the run's journal: %w", err)
	}
	j := &Journal{file: file}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = j.write(Entry{Target: t.Called(), URL: t.URL})
	}
	if err == nil {
		err = os.Link(beginning, path) // refuses where there is one
	}
	if err = errors.Join(err, os.Remove(beginning)); err != nil {
		return nil, errors.Join(fmt.Errorf("beginning the run's journal: %w", err), file.Close())
	}
	return j, nil
}

// Note adds an entry, and sees it written. What is not noted is not to be done.
func (j *Journal) Note(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = j.write(e)
	}
	if j.broken != nil {
		return fmt.Errorf("writing the run's journal: %w", j.broken)
	}
	j.noted = true
	return nil
}

// NoteCreated notes a request that may create something.
func (j *Journal) NoteCreated(r harness.Request) error {
	return j.Note(Entry{Mode: r.Mode, Endpoint: r.Endpoint.Name, Unique: r.Unique})
}

// write writes a line; that of a change is on the disk before it is made.
func (j *Journal) write(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil || e.Change == nil {
		return err
	}
	return j.file.Sync()
}

// Keep keeps what a file holds beside the journal, and gives the copy's name.
func (j *Journal) Keep(content []byte) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.copies++
	path := j.stem() + "." + strconv.Itoa(j.copies) + copySuffix
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("keeping a copy beside the journal: %w", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", fmt.Errorf("keeping a copy beside the journal: %w", err)
	}
	return filepath.Base(path), nil
}

func (j *Journal) path() string { return j.stem() + journalSuffix }

// stem is the journal's path without its end: that of the file as it was begun.
func (j *Journal) stem() string { return strings.TrimSuffix(j.file.Name(), beginningSuffix) }

// Empty reports whether nothing was noted.
func (j *Journal) Empty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.noted
}

// Close gives the journal up: it is removed when nothing is left of the run,
// and stays for a sweep otherwise.
func (j *Journal) Close(nothingLeft bool) error {
	var err error
	if nothingLeft {
		err = removeJournal(j.path())
	}
	return errors.Join(err, j.file.Close())
}

// removeJournal removes a journal, and then the copies beside it.
func removeJournal(path string) error {
	copies, err := filepath.Glob(strings.TrimSuffix(path, journalSuffix) + ".*" + copySuffix)
	err = errors.Join(err, os.Remove(path))
	for _, c := range copies {
		err = errors.Join(err, os.Remove(c))
	}
	return err
}
