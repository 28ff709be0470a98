package certs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteMakesUsableFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "certs")
	files := must(Write(dir, WriteOptions{}))(t)
	var listed []string
	for _, f := range files {
		listed = append(listed, filepath.Base(f.Path))
		if f.Says == "" || filepath.Dir(f.Path) != dir {
			t.Errorf("got %+v, want a sentence and a path in %s", f, dir)
		}
	}
	slices.Sort(listed)
	if there := names(t, dir); !slices.Equal(there, listed) {
		t.Errorf("got files %q, want those that were reported, %q", there, listed)
	}
	if want := 2 + 2*(3+len(Defects)); len(files) != want {
		t.Errorf("got %d files, want %d", len(files), want)
	}
	for _, name := range listed {
		checkFile(t, dir, name)
	}
}

// checkFile holds a file to its name.
func checkFile(t *testing.T, dir, name string) {
	t.Helper()
	base, isKey := strings.CutSuffix(name, ".key")
	if !isKey {
		if bytes.Contains(read(t, dir, name), []byte("PRIVATE KEY")) {
			t.Errorf("%s: got a private key in it", name)
		}
		return
	}
	if mode := must(os.Stat(filepath.Join(dir, name)))(t).Mode(); mode != fs.FileMode(0o600) {
		t.Errorf("%s: got mode %v, want 0600", name, mode)
	}
	if _, err := ParsePair(read(t, dir, base+".pem"), read(t, dir, name)); err != nil {
		t.Errorf("%s: %v", base, err)
	}
	if !bytes.Contains(read(t, dir, "README.txt"), []byte(base+".pem")) {
		t.Errorf("README.txt: got no line on %s", base)
	}
}

func TestWriteTakesNames(t *testing.T) {
	dir := t.TempDir()
	must(Write(dir, WriteOptions{Authority: "My CA", EnrolledCN: "us", UnenrolledCN: "them"}))(t)
	for base, want := range map[string]string{"enrolled": "us", "unenrolled": "them", "expired": "us"} {
		c := must(ParsePair(read(t, dir, base+".pem"), read(t, dir, base+".key")))(t).Certificate
		if c.Subject.CommonName != want || c.Issuer.CommonName != "My CA" {
			t.Errorf("%s: got %q by %q, want %q by My CA", base, c.Subject, c.Issuer, want)
		}
	}
}

func TestWriteOverwritesOnlyByForce(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "wrong-eku.key")
	if err := os.WriteFile(kept, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Write(dir, WriteOptions{})
	wantError(t, err, "already has wrong-eku.key: give --out another directory, or replace them with --force")
	if there := names(t, dir); !slices.Equal(there, []string{"wrong-eku.key"}) || string(read(t, dir, "wrong-eku.key")) != "mine" {
		t.Errorf("got files %q, want the one that was there, untouched", there)
	}
	must(Write(dir, WriteOptions{Force: true}))(t)
	checkFile(t, dir, "wrong-eku.key")
	before := read(t, dir, "ca.pem")
	_, err = Write(dir, WriteOptions{})
	wantError(t, err, "already has README.txt, ca.pem, enrolled.pem and ")
	if !bytes.Equal(read(t, dir, "ca.pem"), before) {
		t.Error("got another ca.pem, want it untouched")
	}
}

func TestWriteByForceReplacesALinkNotItsTarget(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(elsewhere, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	_, err := Write(dir, WriteOptions{})
	wantError(t, err, "already has ca.pem")
	must(Write(dir, WriteOptions{Force: true}))(t)
	if got := must(os.ReadFile(elsewhere))(t); string(got) != "mine" {
		t.Errorf("got %q through the link, want it untouched", got)
	}
}

func TestWriteRefuses(t *testing.T) {
	busy := t.TempDir()
	if err := os.Mkdir(filepath.Join(busy, "ca.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		dir     string
		options WriteOptions
		want    string
	}{
		{"", WriteOptions{}, "no directory given: name one with --out"},
		{plain, WriteOptions{Force: true}, "not a directory"},
		{filepath.Join(plain, "below"), WriteOptions{}, "not a directory"},
		{busy, WriteOptions{Force: true}, "is a directory: give --out another directory"},
		{t.TempDir(), WriteOptions{EnrolledCN: "x", UnenrolledCN: "x"}, "give two that differ"},
	} {
		_, err := Write(bad.dir, bad.options)
		wantError(t, err, bad.want)
	}
	if there := names(t, busy); !slices.Equal(there, []string{"ca.pem"}) {
		t.Errorf("got files %q, want nothing new", there)
	}
}

// A name that no file can have stands for a disk that is full.
func TestPlaceChangesNothingWhenAFileCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	earlier := []file{{"a", "", publicMode, []byte("earlier")}}
	if err := place(dir, earlier); err != nil {
		t.Fatal(err)
	}
	later := []file{{"a", "", publicMode, []byte("later")}, {"no/such/place", "", publicMode, nil}}
	wantError(t, place(dir, later), "no/such/place")
	if got := string(read(t, dir, "a")); got != "earlier" {
		t.Errorf("got %q, want the earlier file", got)
	}
	if there := names(t, dir); !slices.Equal(there, []string{"a"}) {
		t.Errorf("got files %q, want no leftovers", there)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, entry := range must(os.ReadDir(dir))(t) {
		out = append(out, entry.Name())
	}
	return out
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	return must(os.ReadFile(filepath.Join(dir, name)))(t)
}
