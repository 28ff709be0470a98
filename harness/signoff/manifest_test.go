package signoff

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// publishing makes this test binary a program that publishes into the directory that
// it names, one run after the other, until it is killed.
const publishing = "SIGNOFF_TEST_PUBLISHES_INTO"

func TestMain(m *testing.M) {
	dir := os.Getenv(publishing)
	if dir == "" {
		os.Exit(m.Run())
	}
	for n := 0; ; n++ {
		time.Sleep(2 * time.Millisecond) // for the others
		if err := Publish(dir, runSet(fmt.Sprintf("%d-%d", os.Getpid(), n)), nil); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if n == 0 {
			fmt.Println("published")
		}
	}
}

// names are the files of a set, as many as a run writes.
var names = []string{RecordName, "signoff.html", "signoff.md", "junit.xml", "signoff.sarif", "ctrf.json", "step-summary.md"}

// runSet is a set that names its run in each file.
func runSet(run string) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range names {
		files[name] = fmt.Appendf(nil, "{\"run\": %q}\n%s", run, strings.Repeat("x", 4<<10))
	}
	return files
}

// runsIn are the runs that the files in dir are of.
func runsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	runs := map[string]bool{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		run, _, _ := strings.Cut(string(data), "\n")
		runs[run] = true
	}
	return runs
}

// publisher starts a program that publishes, and waits for its first set.
func publisher(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), publishing+"="+dir)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "published\n" {
		t.Fatalf("%q, %v: want a publisher at work", line, err)
	}
	return c
}

func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
}

// TestKillsNeverLeaveAMixedSet kills a publisher at a hundred moments.
func TestKillsNeverLeaveAMixedSet(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "signoff")
	for range 100 {
		c := publisher(t, dir)
		time.Sleep(time.Duration(rand.IntN(30_000)) * time.Microsecond)
		kill(t, c)
		if runs := runsIn(t, dir); len(runs) != 1 {
			t.Fatalf("files of %d runs: %v", len(runs), runs)
		}
		if err := Whole(dir); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, dir, "last")
	holds(t, dir, "last")
	if entries, err := os.ReadDir(above); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want what the killed ones left to be gone", entries, err)
	}
}

// TestAMixIsRefused kills publishers into a directory that cannot be exchanged, as
// somebody else's directory stands in it: what is mixed there is refused.
func TestAMixIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	mixed := 0
	for range 30 {
		c := publisher(t, dir)
		time.Sleep(time.Duration(rand.IntN(30_000)) * time.Microsecond)
		kill(t, c)
		runs, err := runsIn(t, dir), Whole(dir)
		if len(runs) != 1 {
			mixed++
		}
		if len(runs) != 1 && err == nil {
			t.Fatalf("files of %d runs are taken for one set", len(runs))
		}
		if _, _, loaded := Load(dir); err != nil && (loaded == nil || loaded.Error() != err.Error()) {
			t.Fatalf("a record is read all the same: %v, want %v", loaded, err)
		}
	}
	t.Logf("%d of 30 kills left a mix", mixed)
	publish(t, dir, "last")
	if err := Whole(dir); err != nil {
		t.Error(err)
	}
}

// TestTwoPublishersAtOnce: whoever was last, the set is its own.
func TestTwoPublishersAtOnce(t *testing.T) {
	for name, foreign := range map[string]bool{"exchanged": false, "in place": true} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "signoff")
			if foreign {
				if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for range 10 {
				one, other := publisher(t, dir), publisher(t, dir)
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				unlock, err := lock(filepath.Dir(dir)) // as a reader would: nobody is between two files
				if err != nil {
					t.Fatal(err)
				}
				if runs, err := runsIn(t, dir), Whole(dir); len(runs) != 1 || err != nil {
					t.Errorf("files of %d runs, %v", len(runs), err)
				}
				kill(t, one)
				kill(t, other)
				unlock()
			}
		})
	}
}

// TestWhatElseStandsThereStays: what no run wrote is carried along.
func TestWhatElseStandsThereStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "signoff")
	publish(t, dir, "first")
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	publish(t, dir, "second")
	if data, err := os.ReadFile(note); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v: want it as it was", data, err)
	}
}

// TestASignatureBelongsToItsRecord: it joins the set of its record, and goes with it.
func TestASignatureBelongsToItsRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "signoff")
	put := func(files map[string][]byte) {
		t.Helper()
		if err := Publish(dir, files, nil); err != nil {
			t.Fatal(err)
		}
		if err := Whole(dir); err != nil {
			t.Fatal(err)
		}
	}
	envelope := filepath.Join(dir, EnvelopeName)
	put(runSet("a"))
	put(map[string][]byte{EnvelopeName: []byte("signed")})
	put(runSet("a"))
	if _, err := os.Stat(envelope); err != nil {
		t.Errorf("%v: want the signature to stay beside the same record", err)
	}
	put(runSet("b"))
	if _, err := os.Stat(envelope); err == nil {
		t.Error("the signature of another record stands beside this one")
	}
}

// TestChangedFilesAreRefused changes, removes and mixes what was published.
func TestChangedFilesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(dir string) error
		says   string
	}{
		"changed":        {func(dir string) error { return os.WriteFile(filepath.Join(dir, "junit.xml"), []byte("<pass/>"), 0o600) }, "junit.xml"},
		"gone":           {func(dir string) error { return os.Remove(filepath.Join(dir, "signoff.html")) }, "signoff.html"},
		"record changed": {func(dir string) error { return os.WriteFile(filepath.Join(dir, RecordName), []byte("{}"), 0o600) }, RecordName},
		"no manifest":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, ManifestName), []byte("{"), 0o600) }, ManifestName},
		"another's names": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ManifestName), []byte(`{"schema":"aegis-conformance/manifest/v1","files":{"../x":""}}`), 0o600)
		}, "plain file name"},
		"old": {func(dir string) error { _, err := Outdate(dir, "r-2", "the disk was full"); return err }, "r-2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Publish(dir, runSet("r-1"), nil); err != nil {
				t.Fatal(err)
			}
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			for what, read := range map[string]func() error{
				"Load":       func() error { _, _, err := Load(dir); return err },
				"LoadSigned": func() error { _, _, err := LoadSigned(filepath.Join(dir, RecordName), ""); return err },
			} {
				if err := read(); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: error %v, want one that names %q", what, err, c.says)
				}
			}
			publish(t, dir, "later")
			if err := Whole(dir); err != nil {
				t.Errorf("a later set: %v", err)
			}
		})
	}
}

// TestNothingOldIsNothingToMark: a run that fails where no sign-off stands leaves none.
func TestNothingOldIsNothingToMark(t *testing.T) {
	dir := t.TempDir()
	if marked, err := Outdate(dir, "r-1", "no engine"); marked || err != nil {
		t.Fatalf("marked: %t, %v", marked, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v: want nothing", entries, err)
	}
}
