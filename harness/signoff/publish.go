package signoff

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// RecordName is the name of the record's own file.
const RecordName = "signoff.json"

// Unwritten says that a sign-off could not be written where it was to be: the
// disk's fault, or the directory's.
type Unwritten struct{ error }

// Unwrap is the error underneath.
func (u Unwritten) Unwrap() error { return u.error }

// Writable reports whether a sign-off can be published in dir. It makes dir if
// there is none, and leaves nothing else behind.
func Writable(dir string) error {
	stage, err := stageIn(dir)
	if err != nil {
		return err
	}
	return os.RemoveAll(stage)
}

// staging begins the name of a directory that a set is written into, first.
const staging = ".publishing-"

// stageIn makes a directory inside dir, and so on its file system.
func stageIn(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", Unwritten{fmt.Errorf("making the sign-off directory: %w; choose another with --out", err)}
	}
	stage, err := os.MkdirTemp(dir, staging)
	if err != nil {
		return "", Unwritten{fmt.Errorf("writing to the sign-off directory: %w; make it writable or choose another with --out", err)}
	}
	return stage, nil
}

// Publish puts files into dir, by name, as one set with a manifest that lists it. All
// are scanned for secrets, and what else stands in dir with them. Then the set is
// written aside, and the directory is exchanged for it in one step; where that cannot
// be, each file is renamed, the manifest last, and whoever reads in between is told
// of a mix. An error, a Leak among them, leaves an earlier sign-off as it was. One
// process publishes at a time. A nil redactor knows no secrets.
func Publish(dir string, files map[string][]byte, redactor *Redactor) error {
	for _, name := range ordered(files) {
		if filepath.Base(name) != name {
			return fmt.Errorf("publishing %q: not a plain file name", name)
		}
		if redactor == nil {
			continue
		}
		if err := redactor.Scan(name, files[name]); err != nil {
			return err
		}
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	unlock, err := lock(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return Unwritten{fmt.Errorf("publishing into %s: %w", dir, err)}
	}
	defer unlock()
	return publishAlone(dir, files, redactor)
}

// publishAlone is Publish, alone in the directory.
func publishAlone(dir string, files map[string][]byte, redactor *Redactor) error {
	err := sweepStages(dir)
	if err != nil {
		return err
	}
	set, dropped, err := manifested(dir, files)
	if err != nil {
		return err
	}
	if redactor != nil {
		if err := redactor.scanDirectory(dir, append(ordered(set), dropped...)); err != nil {
			return err
		}
	}
	if err = exchange(dir, set, dropped); !errors.Is(err, errInPlace) {
		return err
	}
	return inPlace(dir, set, dropped)
}

// inPlace writes a set aside and renames each of its files, the record and the
// manifest last.
func inPlace(dir string, set map[string][]byte, dropped []string) (err error) {
	stage, err := stageIn(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	if err := writeAll(stage, set); err != nil {
		return err
	}
	if err := swap(dir, stage, ordered(set)); err != nil {
		return err
	}
	for _, name := range dropped {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Unwritten{fmt.Errorf("removing %s of the earlier sign-off: %w", name, err)}
		}
	}
	return nil
}

func writeAll(stage string, set map[string][]byte) error {
	for _, name := range ordered(set) {
		if err := write(filepath.Join(stage, name), set[name]); err != nil {
			return Unwritten{fmt.Errorf("writing %s: %w; the earlier sign-off is untouched: make room there, or choose another directory with --out", name, err)}
		}
	}
	return nil
}

// scanDirectory scans every file in dir and below, but for those that are about
// to be replaced.
func (r *Redactor) scanDirectory(dir string, replaced []string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // there is no directory yet, or a file has just gone
		}
		if err != nil {
			return Unwritten{fmt.Errorf("scanning %s for secrets: %w", path, err)}
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || !entry.Type().IsRegular() || slices.Contains(replaced, name) {
			return err
		}
		return r.scanFile(name, path)
	})
}

func (r *Redactor) scanFile(name, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return Unwritten{fmt.Errorf("scanning %s for secrets: %w", name, err)}
	}
	defer func() { _ = f.Close() }()
	return r.ScanReader(name, f)
}

// ordered lists the names, sorted, the record and then the manifest last.
func ordered(files map[string][]byte) []string {
	rank := func(name string) int { return slices.Index([]string{RecordName, ManifestName}, name) }
	return slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
}

func write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// swap renames every staged file into dir. When one cannot be, those already
// renamed are put back.
func swap(dir, stage string, names []string) error {
	undo := make([]func() error, 0, len(names))
	for _, name := range names {
		back, err := keep(filepath.Join(dir, name), filepath.Join(stage, name+".before"))
		if err == nil {
			err = os.Rename(filepath.Join(stage, name), filepath.Join(dir, name))
		}
		if err != nil {
			for _, restore := range slices.Backward(undo) {
				err = errors.Join(err, restore())
			}
			return Unwritten{fmt.Errorf("publishing %s: %w; the earlier sign-off was put back", name, err)}
		}
		undo = append(undo, back)
	}
	return nil
}

// keep copies the file at path aside and returns what puts it back; a file
// that was not there is put back by its removal.
func keep(path, aside string) (func() error, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return os.Remove(path) }, nil
	}
	if err != nil {
		return nil, err
	}
	return func() error { return os.Rename(aside, path) }, write(aside, data)
}
