package live

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"aegis.test/conformance/harness/stack/localhost"
)

// Abandoned is the journal of a run that has ended without removing all that it
// created, and putting back all that it changed.
type Abandoned struct {
	Path    string
	Target  string
	URL     string // of the target; empty in journals of an older harness
	Entries []Entry
	// Strange says what in it is not understood: such a journal stays.
	Strange []string
	lock    *os.File
}

// maxLine is more than any line of a journal, bytes.
const maxLine = 64 << 10

// maxStrange is how much is told of what is not understood.
const maxStrange = 5

// FindAbandoned lists the journals in a directory that no process holds, and
// holds them until Close.
func FindAbandoned(dir string) ([]Abandoned, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for runs' journals: %w", err)
	}
	var found []Abandoned
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch {
		case strings.HasSuffix(path, beginningSuffix):
			removeUnheld(path)
		case strings.HasSuffix(path, copySuffix):
			removeOrphan(path)
		case strings.HasSuffix(path, journalSuffix):
			if a, lives := open(path); !lives {
				found = append(found, a)
			}
		}
	}
	return found, nil
}

// removeUnheld removes a journal that had not begun when its run was killed.
func removeUnheld(path string) {
	if a, lives := open(path); !lives && a.lock != nil {
		_ = errors.Join(os.Remove(path), a.lock.Close())
	}
}

// removeOrphan removes a copy whose journal is gone: all was put back.
func removeOrphan(path string) {
	stem := strings.TrimSuffix(strings.TrimSuffix(path, copySuffix), filepath.Ext(strings.TrimSuffix(path, copySuffix)))
	if _, err := os.Lstat(stem + journalSuffix); errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(path)
	}
}

// open opens and reads a journal, unless its run lives. It waits for nobody: what is no
// file of this user's alone is not read.
func open(path string) (a Abandoned, lives bool) {
	a.Path = path
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return a.strange("it cannot be opened: %v", err), false
	}
	info, err := file.Stat()
	if err == nil {
		err = private(info)
	}
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		_ = file.Close()
		return a.strange("%v", err), errors.Is(err, syscall.EWOULDBLOCK)
	}
	a.lock = file
	return a.read(file), false
}

// private wants a regular file that nobody else may write.
func private(info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is no regular file: %s", info.Mode().Type())
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return errors.New("it is another user's, or others may write it: let its owner sweep")
	}
	return nil
}

// strange notes what is not understood.
func (a Abandoned) strange(format string, args ...any) Abandoned {
	if len(a.Strange) == maxStrange {
		a.Strange = append(a.Strange, "and more")
	}
	if len(a.Strange) < maxStrange {
		a.Strange = append(a.Strange, fmt.Sprintf(format, args...))
	}
	return a
}

// read reads a journal's lines.
func (a Abandoned) read(r io.Reader) Abandoned {
	lines := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		switch {
		case long:
			a = a.strange("line %d is longer than %d bytes", number, maxLine)
		case err == nil:
			a = a.take(number, line)
		case !errors.Is(err, io.EOF):
			return a.strange("line %d cannot be read: %v", number, err)
		case number == 1:
			a = a.strange("it is empty, or its first line is cut off")
		}
		if err != nil { // what is behind the last line end was cut off by the kill: it was not done
			return a
		}
	}
}

// take takes a line for what it says.
func (a Abandoned) take(number int, line []byte) Abandoned {
	var e Entry
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	err := strict.Decode(&e)
	if err == nil && len(bytes.TrimSpace(line[strict.InputOffset():])) > 0 {
		err = errors.New("there is more behind it")
	}
	if err != nil {
		return a.strange("line %d is no entry: %v", number, err)
	}
	if number == 1 {
		if e.Target == "" || e.Endpoint != "" || e.Serial != "" || e.Change != nil || e.Process != nil {
			return a.strange("line 1 does not name a target")
		}
		a.Target, a.URL = e.Target, e.URL
		return a
	}
	if wrong := e.wrong(); wrong != "" {
		return a.strange("line %d: %s", number, wrong)
	}
	a.Entries = append(a.Entries, e)
	return a
}

// What identifiers of ours look like: nothing in them leads a path elsewhere.
var (
	uniqueForm = regexp.MustCompile(`^conformance-[0-9A-Za-z_-]{1,64}$`)
	serialForm = regexp.MustCompile(`^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){0,63}$`)
)

// wrong says what is wrong with an entry that is not the first; empty is nothing.
func (e Entry) wrong() string {
	created, issued := e.Unique+e.Endpoint+string(e.Mode) != "", e.Serial+e.Mount != ""
	kinds := 0
	for _, is := range []bool{created, issued, e.Change != nil, e.Process != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case e.Target+e.URL != "":
		return "it names a target again"
	case kinds != 1:
		return "it is not one of an identifier, a certificate, a change and a process"
	case created && !uniqueForm.MatchString(e.Unique):
		return fmt.Sprintf("%.80q is no identifier of ours", e.Unique)
	case created && !slices.Contains(localhost.Modes, e.Mode):
		return fmt.Sprintf("there is no mode %.80q", e.Mode)
	case issued && !serialForm.MatchString(e.Serial):
		return fmt.Sprintf("%.80q is no serial number", e.Serial)
	case e.Change != nil:
		return e.Change.wrong()
	case e.Process != nil:
		return e.Process.wrong()
	}
	return ""
}

// Close lets a journal go, and removes it when nothing is left.
func (a Abandoned) Close(nothingLeft bool) error {
	var err error
	if nothingLeft && len(a.Strange) == 0 {
		err = removeJournal(a.Path)
	}
	if a.lock != nil {
		err = errors.Join(err, a.lock.Close())
	}
	return err
}
