package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/saved"
)

// Reference says where a value is: env:NAME, file:PATH or vault:PATH#FIELD. The
// value itself never stands in a file.
type Reference string

// parts are a reference's kind and what follows it.
func (r Reference) parts() (kind, rest string) {
	kind, rest, _ = strings.Cut(string(r), ":")
	return kind, rest
}

// InVault reports whether the value is had from Vault, and where: a path, and a
// field of what is there.
func (r Reference) InVault() (path, field string, ok bool) {
	kind, rest := r.parts()
	path, field, _ = strings.Cut(rest, "#")
	return path, field, kind == "vault"
}

// Is reports whether text is a reference.
func (r Reference) Is() bool { return r.Wrong() == "" }

// Form says what a reference is.
func (Reference) Form() (wanted, remedy string) {
	return "a reference", "write env:NAME, file:PATH or vault:PATH#FIELD"
}

// Wrong says what is wrong with a reference, or "".
func (r Reference) Wrong() string {
	kind, rest := r.parts()
	path, field, vaulted := r.InVault()
	switch {
	case vaulted && (path == "" || field == ""):
		return "a vault reference needs a path and a field"
	case (kind == "env" || kind == "file" || vaulted) && rest == "":
		return "a reference needs a name behind " + kind + ":"
	case kind != "env" && kind != "file" && !vaulted:
		return "a literal where a reference is due"
	}
	return ""
}

// Lookup reads what references name.
type Lookup struct {
	Getenv func(string) string
	Dir    string // relative paths are from here
	// Vault reads a field; nil where Vault is not to be asked.
	Vault func(path, field string) (harness.Secret, error)
}

// ErrOffline is the error of a reference into Vault where Vault is not to be
// asked.
var ErrOffline = errors.New("it is in Vault, which is not asked now")

// Value is what a reference names; the empty reference is the empty value.
func (l Lookup) Value(r Reference) (harness.Secret, error) {
	kind, rest := r.parts()
	if path, field, ok := r.InVault(); ok {
		if l.Vault == nil {
			return "", fmt.Errorf("reading %s: %w", r, ErrOffline)
		}
		return l.Vault(path, field)
	}
	switch kind {
	case "":
		return "", nil
	case "env":
		if value := l.Getenv(rest); value != "" {
			return harness.Secret(strings.TrimSpace(value)), nil
		}
		return "", fmt.Errorf("reading %s: the variable is not set: export %s", r, rest)
	default:
		text, err := saved.File(l.Path(rest))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf(
				"reading %s: there is no such file: put it there, or name another; paths are from the configuration's directory", r,
			)
		case errors.Is(err, saved.ErrUTF16):
			return "", fmt.Errorf("reading %s: %w", r, err)
		case err != nil:
			return "", fmt.Errorf("reading %s: %w: name a file that may be read", r, err)
		case strings.TrimSpace(string(text)) == "":
			return "", fmt.Errorf("reading %s: the file is empty: name another", r)
		}
		return harness.Secret(trimmed(string(text))), nil
	}
}

// trimmed is a file's text without the space around it: an editor, and echo, end a
// token or a password with a line end that is no part of it. Text of several lines,
// as PEM is, keeps the end of its last one.
func trimmed(text string) string {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "\n") {
		text += "\n"
	}
	return text
}

// Path is a path of the file's, from where the file is.
func (l Lookup) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.Dir, name)
}
