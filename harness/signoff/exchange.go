package signoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// errInPlace says that a directory cannot be exchanged as a whole.
var errInPlace = errors.New("the directory is written in place")

// exchange writes a set, and what else stands in dir, into a directory beside it, and
// exchanges the two in one step. The error is errInPlace where dir is not ours to
// replace, or the system cannot.
func exchange(dir string, set map[string][]byte, dropped []string) error {
	others, ok := replaceable(dir, set, dropped)
	if !ok {
		return errInPlace
	}
	stage, err := os.MkdirTemp(filepath.Dir(dir), stagePrefix(dir))
	if err != nil {
		return errInPlace
	}
	if err := stageBeside(stage, dir, set, others); err != nil {
		return errors.Join(err, os.RemoveAll(stage))
	}
	if swapDirectories(stage, dir) != nil {
		return errors.Join(os.RemoveAll(stage), errInPlace)
	}
	return discard(stage, dir, dropped)
}

// stagePrefix begins the name of a directory beside dir that is to take its place.
func stagePrefix(dir string) string { return "." + filepath.Base(dir) + staging }

// replaceable reports whether dir may be exchanged for another, and lists the files
// there that are no part of any set and go with it.
func replaceable(dir string, set map[string][]byte, dropped []string) (others []string, ok bool) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(dir, 0o755)
	} else if err == nil && (!info.IsDir() || !owned(dir, info) || current(info)) {
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if _, replaced := set[e.Name()]; replaced && e.Type().IsRegular() || slices.Contains(dropped, e.Name()) {
			continue
		}
		if !e.Type().IsRegular() {
			return nil, false
		}
		others = append(others, e.Name())
	}
	return others, err == nil
}

// current reports whether a directory is the one that the program stands in.
func current(dir fs.FileInfo) bool {
	here, err := os.Stat(".")
	return err != nil || os.SameFile(here, dir)
}

// stageBeside makes stage what dir is to be.
func stageBeside(stage, dir string, set map[string][]byte, others []string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Chmod(stage, info.Mode().Perm()) != nil {
		return errInPlace
	}
	if err := writeAll(stage, set); err != nil {
		return err
	}
	for _, name := range others {
		if os.Link(filepath.Join(dir, name), filepath.Join(stage, name)) != nil {
			return errInPlace
		}
	}
	return nil
}

// discard removes what was exchanged. A file that was made there meanwhile goes to
// where it was meant to be.
func discard(old, dir string, dropped []string) error {
	entries, err := os.ReadDir(old)
	for _, e := range entries {
		if _, missing := os.Lstat(filepath.Join(dir, e.Name())); errors.Is(missing, fs.ErrNotExist) && !slices.Contains(dropped, e.Name()) {
			err = errors.Join(err, os.Rename(filepath.Join(old, e.Name()), filepath.Join(dir, e.Name())))
		}
	}
	if err = errors.Join(err, os.RemoveAll(old)); err != nil {
		return Unwritten{fmt.Errorf("removing the earlier sign-off from %s: %w", old, err)}
	}
	return nil
}

// sweepStages removes what publishers that were killed have left of dir. Nobody else
// publishes there.
func sweepStages(dir string) error {
	var left []string
	for _, pattern := range []string{filepath.Join(filepath.Dir(dir), stagePrefix(dir)+"*"), filepath.Join(dir, staging+"*")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // a name that is a pattern itself: its own is not found, and no other's
		}
		left = append(left, found...)
	}
	for _, stage := range left {
		if err := os.RemoveAll(stage); err != nil {
			return Unwritten{fmt.Errorf("removing what a killed run left: %w", err)}
		}
	}
	return nil
}
