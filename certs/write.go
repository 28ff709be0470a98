package certs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names used where WriteOptions gives none.
const (
	DefaultAuthority  = "Aegis Conformance Authority"
	DefaultEnrolled   = "aegis-client"
	DefaultUnenrolled = "other-client"
)

// WriteOptions says what Write makes. The zero value is sound.
type WriteOptions struct {
	Force        bool   // replace files that exist
	Authority    string // common name; default DefaultAuthority
	EnrolledCN   string // default DefaultEnrolled
	UnenrolledCN string // default DefaultUnenrolled
}

// File is a file that was written.
type File struct {
	Path string
	Says string // what it is, in one line
}

// file is a file to be written.
type file struct {
	name, says string
	mode       fs.FileMode
	content    []byte
}

// File modes: a key is for its owner only.
const (
	keyMode       = fs.FileMode(0o600)
	publicMode    = fs.FileMode(0o644)
	directoryMode = fs.FileMode(0o750)
)

// Write makes a fresh authority with all its personas and writes them to dir:
// ca.pem, NAME.pem and NAME.key for each persona, and README.txt. Every file is
// complete or not there. Nothing is written when one of them exists, unless
// Force says so. The authority's key is not written: it dies here.
func Write(dir string, o WriteOptions) ([]File, error) {
	if dir == "" {
		return nil, errors.New("writing certificates: no directory given: name one with --out")
	}
	files, err := o.files(time.Now())
	if err != nil {
		return nil, err
	}
	if err := vacant(dir, files, o.Force); err != nil {
		return nil, fmt.Errorf("writing certificates: %w", err)
	}
	if err := place(dir, files); err != nil {
		return nil, fmt.Errorf("writing certificates: %w: give --out a directory that you may write to", err)
	}
	written := make([]File, len(files))
	for i, f := range files {
		written[i] = File{Path: filepath.Join(dir, f.name), Says: f.says}
	}
	return written, nil
}

// files is everything to be written, in memory.
func (o WriteOptions) files(now time.Time) ([]file, error) {
	o = o.filled()
	authority, err := NewAuthority(o.Authority)
	if err != nil {
		return nil, err
	}
	personas, err := Personas(authority, o.EnrolledCN, o.UnenrolledCN)
	if err != nil {
		return nil, err
	}
	files := []file{
		{"README.txt", "what each file is, and how to use it", publicMode, []byte(readme(o, authority, personas, now))},
		{"ca.pem", "the authority, for the ingress to trust as client CA", publicMode, authority.RootPEM()},
	}
	for _, p := range personas {
		key, err := p.Pair.KeyPEM()
		if err != nil {
			return nil, err
		}
		files = append(files,
			file{p.Name + ".pem", "expect " + p.Expect + ": " + p.Says, publicMode, p.Pair.ChainPEM()},
			file{p.Name + ".key", "the key of " + p.Name + ".pem", keyMode, key})
	}
	return files, nil
}

func (o WriteOptions) filled() WriteOptions {
	o.Authority = cmp.Or(o.Authority, DefaultAuthority)
	o.EnrolledCN = cmp.Or(o.EnrolledCN, DefaultEnrolled)
	o.UnenrolledCN = cmp.Or(o.UnenrolledCN, DefaultUnenrolled)
	return o
}

// vacant sees to it that no file is in the way, before any is written.
func vacant(dir string, files []file, force bool) error {
	var taken []string
	for _, f := range files {
		info, err := os.Lstat(filepath.Join(dir, f.name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("looking into %q: %w: give --out another directory", dir, err)
		case info.IsDir():
			return fmt.Errorf("%q is a directory: give --out another directory", filepath.Join(dir, f.name))
		default:
			taken = append(taken, f.name)
		}
	}
	if len(taken) == 0 || force {
		return nil
	}
	return fmt.Errorf("%q already has %s: give --out another directory, or replace them with --force", dir, several(taken))
}

// several names the first few, and counts the others.
func several(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// place writes all files aside first, on the same file system, and then renames
// them into place, so that a full disk changes nothing.
func place(dir string, files []file) error {
	if err := os.MkdirAll(dir, directoryMode); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(dir, ".certs-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(aside) }()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(aside, f.name), f.content, f.mode); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(aside, f.name), filepath.Join(dir, f.name)); err != nil {
			return err
		}
	}
	return nil
}
