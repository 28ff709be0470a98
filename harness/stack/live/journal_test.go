package live

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
)

// TestJournal: what a live run has noted is nobody else's; what a dead one left
// is found, and goes once it is removed.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir, "run-1", config.Target{Name: "aegis", URL: "https://aegis.test"})
	if err != nil {
		t.Fatal(err)
	}
	entry := Entry{Mode: harness.OIDC, Endpoint: "enrollment", Unique: "conformance-1"}
	if err := j.Note(entry); err != nil {
		t.Fatal(err)
	}
	if found, err := FindAbandoned(dir); err != nil || len(found) != 0 {
		t.Errorf("found %v (%v) of a run that lives", found, err)
	}
	if _, err := OpenJournal(dir, "run-1", config.Target{Name: "aegis"}); err == nil {
		t.Error("a run's journal was begun twice")
	}
	if err := j.Close(false); err != nil {
		t.Fatal(err)
	}
	found, err := FindAbandoned(dir)
	if err != nil || len(found) != 1 || found[0].Target != "aegis" || !slices.Equal(found[0].Entries, []Entry{entry}) {
		t.Fatalf("found %+v (%v)", found, err)
	}
	if err := found[0].Close(true); err != nil {
		t.Fatal(err)
	}
	if found, _ := FindAbandoned(dir); len(found) != 0 {
		t.Errorf("%d are found again", len(found))
	}
}

// TestStrangeJournals: what is not understood is told and stays, whatever is asked for
// it; what is understood beside it is there. Nothing waits.
func TestStrangeJournals(t *testing.T) {
	const header, created = `{"target":"aegis","url":"https://aegis.test"}` + "\n", `{"mode":"oidc","endpoint":"enrollment","unique":"conformance-12"}` + "\n"
	for what, row := range map[string]struct {
		text, told string
		entries    int
	}{
		"empty":                 {"", "it is empty", 0},
		"a header that is cut":  {`{"target":"ae`, "first line is cut off", 0},
		"no header":             {created, "does not name a target", 0},
		"a garbled header":      {"\x00\xff\n" + created, "line 1 is no entry", 1},
		"a garbled line":        {header + "garbage\n" + created, "line 2 is no entry", 1},
		"a long line":           {header + `{"unique":"` + strings.Repeat("x", 3*maxLine) + `"}` + "\n" + created, "line 2 is longer", 1},
		"two entries in a line": {header + strings.TrimSpace(created) + created, "line 2 is no entry", 0},
		"a second header":       {header + header + created, "names a target again", 1},
		"nothing":               {header + "{}\n" + created, "not one of", 1},
		"two things":            {header + `{"mode":"oidc","endpoint":"e","unique":"conformance-12","serial":"1a"}` + "\n", "not one of", 0},
		"a key of a newer":      {header + `{"unique":"conformance-12","volume":1}` + "\n", "volume", 0},
		"a way up":              {header + `{"mode":"oidc","endpoint":"enrollment","unique":"../../admin"}` + "\n", "no identifier of ours", 0},
		"a way up behind ours":  {header + `{"mode":"oidc","endpoint":"enrollment","unique":"conformance-1/../../x"}` + "\n", "no identifier of ours", 0},
		"an encoded way up":     {header + `{"mode":"oidc","endpoint":"enrollment","unique":"conformance-1%2f.."}` + "\n", "no identifier of ours", 0},
		"another mode":          {header + `{"mode":"root","endpoint":"enrollment","unique":"conformance-1"}` + "\n", "no mode", 0},
		"no serial":             {header + `{"mount":"pki","serial":"../x"}` + "\n", "no serial number", 0},
		"an unknown change":     {header + `{"change":{"of":"grants.dns","at":"x","was":"1","ours":"2"}}` + "\n", "nothing is known", 0},
		"a copy elsewhere":      {header + `{"change":{"of":"grants.hooks.trust_file","at":"x","was":"../x","ours":"2"}}` + "\n", "no copy's name", 0},
		"everybody's processes": {header + `{"process":{"mark":"","group":1}}` + "\n", "no process of ours", 0},
		"cut by the kill":       {header + created + `{"mode":"oidc","endp`, "", 1},
		"nothing was noted":     {header, "", 0},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "run"+journalSuffix)
		if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := FindAbandoned(dir)
		if err != nil || len(found) != 1 || len(found[0].Entries) != row.entries {
			t.Errorf("%s: found %+v (%v), want %d entries", what, found, err, row.entries)
			continue
		}
		if strange := strings.Join(found[0].Strange, "; "); (strange == "") != (row.told == "") || !strings.Contains(strange, row.told) {
			t.Errorf("%s: told %q, want %q", what, strange, row.told)
		}
		_, gone := os.Stat(path)
		if err := found[0].Close(true); err != nil || gone != nil {
			t.Errorf("%s: %v, %v", what, err, gone)
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) != (row.told == "") {
			t.Errorf("%s: after it was closed: %v", what, err)
		}
	}
}

// TestNoFiles: what has a journal's name and is no file of this user's alone is told.
func TestNoFiles(t *testing.T) {
	for what, put := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("/dev/zero", path) },
		"anybody's": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte(`{"target":"aegis"}`+"\n"), 0o600), os.Chmod(path, 0o666))
		},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "run"+journalSuffix)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		found, err := FindAbandoned(dir)
		if err != nil || len(found) != 1 || len(found[0].Strange) != 1 {
			t.Errorf("%s: found %+v (%v)", what, found, err)
			continue
		}
		if err := found[0].Close(true); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s is gone: %v", what, err)
		}
	}
}

// TestLeftovers: what a kill leaves beside a journal goes: one that had not begun, and
// copies of a journal that is gone.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a" + beginningSuffix, "b.1" + copySuffix} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j, err := OpenJournal(dir, "c", config.Target{Name: "aegis"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Keep([]byte("theirs")); err != nil {
		t.Fatal(err)
	}
	if found, err := FindAbandoned(dir); err != nil || len(found) > 0 {
		t.Errorf("found %v (%v)", found, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if want := []string{filepath.Join(dir, "c.1.copy"), filepath.Join(dir, "c.jsonl")}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	if err := j.Close(true); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
