package live

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// trusting is an ingress whose reload copies what it trusts to a file beside: what it is
// seen to trust.
func trusting(t *testing.T) (c *changing, file, seen string) {
	dir := t.TempDir()
	file, seen = filepath.Join(dir, "clients.pem"), filepath.Join(dir, "seen")
	if err := os.WriteFile(file, []byte("theirs"), 0o640); err != nil {
		t.Fatal(err)
	}
	c = changingAt(t, fmt.Sprintf("grants: {hooks: {trust_file: %q, reload: [sh, -c, 'cat \"$0\" >\"$1\" 2>/dev/null || echo none >\"$1\"', %q, %q]}}\n", file, file, seen))
	c.now = func() string {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
		return fmt.Sprint(len(names), len(hidden), err, read(t, file))
	}
	c.run(t)
	if err := c.target.Control.Ingress.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, file, seen
}

// trustChanges are the ways in which a run changes the file.
var trustChanges = map[string][][]byte{
	"another authority": {[]byte("ours")}, "none": {nil}, "several": {[]byte("ours"), nil, []byte("other")},
}

// TestTrustComesBack: the file of authorities is as it was, its permissions with it, and
// the ingress has read it: by the run, at its end, and by a sweep, twice.
func TestTrustComesBack(t *testing.T) {
	for what, bundles := range trustChanges {
		c, file, seen := trusting(t)
		before := c.now()
		ended := map[string]func() error{
			"by the run": func() error { return c.target.Control.Ingress.Restore(t.Context()) },
			"at its end": func() error { return c.stop() },
			"by a sweep": func() error {
				a := c.killed(t)
				_, left := BringBack(t.Context(), c.loaded, a)
				_, again := BringBack(t.Context(), c.loaded, a)
				return errors.Join(fmt.Errorf("%v", append(left, again...)), a.Close(true))
			},
		}
		for _, how := range []string{"by the run", "at its end", "by a sweep"} {
			for _, bundle := range bundles {
				if err := c.target.Control.Ingress.TrustOnly(t.Context(), bundle); err != nil {
					t.Fatal(err)
				}
				if now := read(t, file); bundle == nil && now != "absent" || bundle != nil && !strings.HasSuffix(now, string(bundle)) {
					t.Errorf("%s: it is %s", what, now)
				}
			}
			if err := ended[how](); err != nil && err.Error() != "[]" {
				t.Errorf("%s, %s: %v", what, how, err)
			}
			if c.now() != before || !strings.HasSuffix(read(t, seen), "theirs") {
				t.Errorf("%s, %s: it is %s, was %s, and the ingress has %s", what, how, c.now(), before, read(t, seen))
			}
			if how == "at its end" {
				if err := c.journal.Close(true); err != nil {
					t.Fatal(err)
				}
				c.run(t)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(c.dir, "journal", "*")); len(left) > 0 {
			t.Errorf("%s: %v is left", what, left)
		}
	}
}

// TestKilledWhileRestoring: whatever of the file a kill leaves, between the note and the
// rename, and between that and the reload, comes back.
func TestKilledWhileRestoring(t *testing.T) {
	for what, leave := range map[string]func(file string) error{
		"noted only":          func(string) error { return nil },
		"a newcomer half":     func(file string) error { return os.WriteFile(newcomerOf(file), []byte("ou"), 0o600) },
		"put back, no reload": func(file string) error { return os.WriteFile(file, []byte("theirs"), 0o640) },
	} {
		c, file, seen := trusting(t)
		before := c.now()
		if err := c.target.Control.Ingress.TrustOnly(t.Context(), []byte("ours")); err != nil {
			t.Fatal(err)
		}
		if err := leave(file); err != nil {
			t.Fatal(err)
		}
		if _, left := BringBack(t.Context(), c.loaded, c.killed(t)); len(left) > 0 || c.now() != before || !strings.HasSuffix(read(t, seen), "theirs") {
			t.Errorf("%s: left %v, it is %s, was %s, and the ingress has %s", what, left, c.now(), before, read(t, seen))
		}
	}
}

// TestOthersTrustStays: a file that somebody else has changed since stays, and where the
// copy is is told; so does a symbolic link.
func TestOthersTrustStays(t *testing.T) {
	c, file, _ := trusting(t)
	if err := c.target.Control.Ingress.TrustOnly(t.Context(), []byte("ours")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("renewed by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, left := BringBack(t.Context(), c.loaded, c.killed(t))
	if len(left) != 1 || !strings.Contains(left[0], "somebody has changed it") || !strings.Contains(left[0], ".copy") || !strings.HasSuffix(read(t, file), "renewed by hand") {
		t.Errorf("left %v, it is %s", left, read(t, file))
	}
}

// TestTrustIsNotChangedUnnoted: where nothing can be noted the file stays, and that says
// nothing of the ingress.
func TestTrustIsNotChangedUnnoted(t *testing.T) {
	c, file, _ := trusting(t)
	live, err := Connect(t.Context(), c.loaded, "run", func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.journal.file.Close()
	for how, target := range map[string]*harness.Target{"no journal": live.Target, "a full disk": c.target} {
		for what, bundles := range trustChanges {
			if err := target.Control.Ingress.TrustOnly(t.Context(), bundles[0]); !errors.Is(err, harness.ErrUnseen) || !strings.HasSuffix(read(t, file), "theirs") {
				t.Errorf("%s, %s: %v, it is %s", how, what, err, read(t, file))
			}
		}
	}
}

// TestTrustByLink: a link to the file stays one.
func TestTrustByLink(t *testing.T) {
	c, file, _ := trusting(t)
	other := filepath.Join(t.TempDir(), "there.pem")
	if err := errors.Join(os.Rename(file, other), os.Symlink(other, file)); err != nil {
		t.Fatal(err)
	}
	for _, bundle := range trustChanges["several"] {
		if err := c.target.Control.Ingress.TrustOnly(t.Context(), bundle); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasSuffix(read(t, other), "other") {
		t.Errorf("it is %s", read(t, other))
	}
	if err := c.target.Control.Ingress.TrustOnly(t.Context(), nil); err != nil || read(t, other) != "absent" {
		t.Errorf("taken away: %v, it is %s", err, read(t, other))
	}
	_, left := BringBack(t.Context(), c.loaded, c.killed(t))
	if link, err := os.Readlink(file); len(left) > 0 || err != nil || link != other || !strings.HasSuffix(read(t, other), "theirs") {
		t.Errorf("left %v, the link %q %v, it is %s", left, link, err, read(t, other))
	}
}
