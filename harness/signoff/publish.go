package signoff

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// stageIn makes a directory inside dir, and so on its file system.
func stageIn(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", Unwritten{fmt.Errorf("making the sign-off directory: %w; choose another with --out", err)}
	}
	stage, err := os.MkdirTemp(dir, ".publishing-")
	if err != nil {
		return "", Unwritten{fmt.Errorf("writing to the sign-off directory: %w; make it writable or choose another with --out", err)}
	}
	return stage, nil
}

// Publish puts files into dir, by name, as one set: all are scanned for
// secrets, and what else stands in dir with them, then all are written aside,
// then each is renamed into place, the record last. An error, a Leak among them,
// leaves an earlier sign-off as it was. A nil redactor knows no secrets.
func Publish(dir string, files map[string][]byte, redactor *Redactor) (err error) {
	names := ordered(files)
	for _, name := range names {
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
	if redactor != nil {
		if err := redactor.scanDirectory(dir, names); err != nil {
			return err
		}
	}
	stage, err := stageIn(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	for _, name := range names {
		if err := write(filepath.Join(stage, name), files[name]); err != nil {
			return Unwritten{fmt.Errorf("writing %s: %w; the earlier sign-off is untouched: make room there, or choose another directory with --out", name, err)}
		}
	}
	return swap(dir, stage, names)
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

// ordered lists the names, sorted, the record last.
func ordered(files map[string][]byte) []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return name == RecordName })
	if _, ok := files[RecordName]; ok {
		names = append(names, RecordName)
	}
	return names
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
