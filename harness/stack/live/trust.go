package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"aegis.test/conformance/harness"
)

// liveIngress is an ingress that trusts the authorities of a file, and reads it
// when a command tells it to. Every change of the file is noted first, with a copy of
// what it was.
type liveIngress struct {
	reload []string
	file   string
	dir    string // of copies, when it is put back after a kill
	note   func(Entry) error
	keep   func([]byte) (string, error)

	mu      sync.Mutex
	was     Change // while it is changed
	sound   []byte
	changed bool
}

// trust is the ingress that the configuration names, to be put back from the copies in dir.
func (b *builder) trust(dir string) *liveIngress {
	i := &liveIngress{reload: b.Grants.Hooks.Reload, dir: dir, note: b.note, keep: b.keep}
	if b.Grants.Hooks.TrustTo != "" {
		i.file = absolute(b.Lookup.Path(b.Grants.Hooks.TrustTo))
	}
	return i
}

// absolute is a path that is the same from wherever a sweep is started.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

func (i *liveIngress) at() string { return i.file }

// Reload makes it take its configuration anew.
func (i *liveIngress) Reload(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, i.reload[0], i.reload[1:]...).CombinedOutput() // #nosec G204 -- the operator's own
	if err != nil {
		return fmt.Errorf("reloading the ingress: %w: %.200q", err, out)
	}
	return nil
}

// TrustOnly writes the file, and reloads; an empty bundle is no file at all. A file that
// could not be changed, and put back, shows nothing of the ingress: harness.ErrUnseen.
func (i *liveIngress) TrustOnly(ctx context.Context, bundle []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.change(bundle); err != nil {
		return fmt.Errorf("changing what the ingress trusts: %w: %w", harness.ErrUnseen, err)
	}
	return i.Reload(ctx)
}

func (i *liveIngress) change(bundle []byte) error {
	if err := i.begin(); err != nil {
		return err
	}
	made := digest(bundle)
	if len(bundle) == 0 {
		made = absent
	}
	if err := i.noteOurs(made); err != nil {
		return err
	}
	i.changed = true
	if len(bundle) > 0 {
		return replace(i.file, bundle, i.was.As, func() error { return i.noteOurs(inPlace) })
	}
	if !mine(i.was.As) {
		return errors.New("it is another user's: where it was taken away it could not be given back")
	}
	return os.Remove(resolved(i.file))
}

// What may be made of a file beside new content, whose digest is noted.
const (
	absent  = "absent"
	inPlace = "in place" // it was written over, and not renamed: a kill leaves any part
)

// begin keeps a copy of the file, before it is changed.
func (i *liveIngress) begin() error {
	if i.changed {
		return nil
	}
	content, as, err := regular(i.file)
	if err != nil {
		return err
	}
	name, err := i.keep(content)
	if err != nil {
		return err
	}
	i.sound, i.was = content, Change{Of: ofTrust, At: i.file, Was: name, As: as}
	return nil
}

func (i *liveIngress) noteOurs(made string) error {
	c := i.was
	c.Ours = made
	return i.note(Entry{Change: &c})
}

// Restore puts the file back, and reloads.
func (i *liveIngress) Restore(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.changed {
		if err := replace(i.file, i.sound, i.was.As, func() error { return nil }); err != nil {
			return fmt.Errorf("putting back what the ingress trusts: %w", err)
		}
	}
	err := i.Reload(ctx)
	if err == nil {
		i.changed = false
	}
	return err
}

// end puts the file back after the run, if that was not done.
func (i *liveIngress) end(ctx context.Context) error {
	i.mu.Lock()
	changed := i.changed
	i.mu.Unlock()
	if !changed {
		return nil
	}
	return i.Restore(ctx)
}

// restore puts the file back after the run was killed, and reloads: nobody knows which
// of the two was the last that the run did.
func (i *liveIngress) restore(ctx context.Context, was Change, ours func(string) bool) (string, error) {
	kept := filepath.Join(i.dir, was.Was)
	sound, _, err := regular(kept)
	if err != nil {
		return "", fmt.Errorf("reading the copy of it: %w", err)
	}
	byHand := fmt.Sprintf("what it held is in %s: put it back by hand, and reload the ingress", kept)
	now, _, err := regular(i.file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && ours(absent), err == nil && (ours(inPlace) || ours(digest(now)) || digest(now) == digest(sound)):
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("somebody has changed it since: %s", byHand)
	default:
		return "", fmt.Errorf("%w: %s", err, byHand)
	}
	if err == nil && digest(now) == digest(sound) {
		err = removeNewcomer(i.file)
	} else {
		err = replace(i.file, sound, was.As, func() error { return nil })
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, byHand)
	}
	if len(i.reload) == 0 {
		return "", errors.New("it is as it was, and no hooks.reload is configured now: reload the ingress by hand")
	}
	if err := i.Reload(ctx); err != nil {
		return "", fmt.Errorf("it is as it was, and %w: reload the ingress by hand", err)
	}
	return "put back, and the ingress has reloaded", nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// regular reads a regular file, and tells its permissions and owner.
func regular(path string) (content []byte, as string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s is no regular file: %s", path, info.Mode().Type())
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, "", fmt.Errorf("%s: its owner cannot be told", path)
	}
	content, err = os.ReadFile(path)
	return content, fmt.Sprintf("%04o %d:%d", info.Mode().Perm(), owner.Uid, owner.Gid), err
}

// mine reports whether a file can be given such an owner again.
func mine(as string) bool {
	_, uid, gid, err := owned(as)
	return err == nil && (os.Geteuid() == 0 || uid == os.Geteuid() && gid == os.Getegid())
}

func owned(as string) (perm fs.FileMode, uid, gid int, err error) {
	_, err = fmt.Sscanf(as, "%o %d:%d", &perm, &uid, &gid)
	return perm, uid, gid, err
}

// maxLinks is how many symbolic links are followed.
const maxLinks = 16

// resolved is what a path's symbolic links lead to, which may be gone.
func resolved(path string) string {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path
}

// newcomerOf is where a file's new content is written, before it takes its place.
func newcomerOf(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".aegis-conformance")
}

func removeNewcomer(path string) error {
	if err := os.Remove(newcomerOf(resolved(path))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replace gives a file other content, its permissions and owner kept: by a rename, or
// where that cannot be, in its place, of which over is told first.
func replace(path string, content []byte, as string, over func() error) error {
	path = resolved(path)
	err := rename(path, content, as)
	if err == nil {
		return nil
	}
	err = errors.Join(err, removeNewcomer(path))
	if _, gone := os.Stat(path); gone != nil {
		return err
	}
	if told := over(); told != nil {
		return told
	}
	return os.WriteFile(path, content, 0o600) // it is there: its permissions stay
}

func rename(path string, content []byte, as string) error {
	perm, uid, gid, err := owned(as)
	if err != nil {
		return fmt.Errorf("reading the file's owner: %w", err)
	}
	if err := removeNewcomer(path); err != nil {
		return err
	}
	file, err := os.OpenFile(newcomerOf(path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chown(uid, gid), file.Chmod(perm), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(newcomerOf(path), path)
}
