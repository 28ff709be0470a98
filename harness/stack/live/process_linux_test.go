package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/localhost"
)

// orphaning is in the environment of a copy of this test that starts a replica, and is
// killed: the directory of its journal.
const orphaning = "CONFORMANCE_TEST_ORPHANING"

// TestMain lets a test run this very program as another process, which is to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(orphaning); dir != "" {
		orphan(dir)
	}
	os.Exit(m.Run())
}

// orphan starts a replica that starts another process, in its group, and one that leaves
// it, and waits to be killed.
func orphan(dir string) {
	j, err := OpenJournal(dir, "run", config.Target{Name: "aegis"})
	if err != nil {
		panic(err)
	}
	hook := config.Replica{URL: "http://127.0.0.1:{{port}}", Command: []string{"sh", "-c", "sleep 300 & setsid sleep 300 & echo $! >" + dir + "/apart; wait"}}
	l := &launcher{hook: hook, env: map[string]string{"PATH": os.Getenv("PATH"), "SECRET": "held"}, note: j.Note}
	r, err := l.Launch(context.Background(), harness.Launch{Mode: harness.OIDC})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.(*commanded).cmd.Process.Pid)
	select {}
}

// TestReplicasOfAKilledRun: the replica dies with the run, and what it has started is
// ended by a sweep; what has a number of the journal's and is another's lives.
func TestReplicasOfAKilledRun(t *testing.T) {
	dir := t.TempDir()
	copied := exec.Command(os.Args[0])
	copied.Env = append(os.Environ(), orphaning+"="+dir)
	out, err := copied.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := copied.Start(); err != nil {
		t.Fatal(err)
	}
	var leader int
	if _, err := fmt.Fscan(out, &leader); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, func() bool { text, _ := os.ReadFile(filepath.Join(dir, "apart")); return len(text) > 0 })
	_ = copied.Process.Kill()
	_ = copied.Wait()
	awaitTrue(t, func() bool { return !running(leader) }) // the parent's death tells it
	found, err := FindAbandoned(dir)
	if err != nil || len(found) != 1 || len(found[0].Strange) > 0 {
		t.Fatalf("found %+v (%v)", found, err)
	}
	apart := atoi(t, read(t, filepath.Join(dir, "apart")))
	p := found[0].Entries[len(found[0].Entries)-1].Process
	marked, _, err := p.members()
	if err != nil || len(marked) != 2 || !running(apart) {
		t.Errorf("alive are %v (%v), want the two that it started, %d among them", marked, err, apart)
	}
	for range 2 {
		if _, left := EndAll(found[0]); len(left) > 0 {
			t.Errorf("left %v", left)
		}
		for _, pid := range append(marked, apart) {
			if running(pid) {
				t.Errorf("%d lives on", pid)
			}
		}
	}
	if err := found[0].Close(true); err != nil {
		t.Error(err)
	}
}

// TestForeignProcessesLive: a process that has the number which a journal tells, and was
// started at another time or bears no mark, is never ended.
func TestForeignProcessesLive(t *testing.T) {
	foreign := exec.Command("sleep", "300")
	foreign.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Process.Kill(); _ = foreign.Wait() }()
	now, err := started(foreign.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	boot, ticks, _ := strings.Cut(now, " ")
	for what, then := range map[string]string{
		"another time": boot + " " + strconv.Itoa(atoi(t, ticks)-1), "another boot": "00000000-0000-0000-0000-000000000000 " + ticks, "no time": "",
	} {
		_, _ = EndAll(Abandoned{Entries: []Entry{{Process: &Process{Mark: strings.Repeat("0", 32), Group: foreign.Process.Pid, Started: then}}}})
		if !running(foreign.Process.Pid) {
			t.Fatalf("%s: it was ended", what)
		}
	}
	done, left := EndAll(Abandoned{Entries: []Entry{{Process: &Process{Mark: strings.Repeat("0", 32), Group: foreign.Process.Pid, Started: now}}}})
	awaitTrue(t, func() bool { return !running(foreign.Process.Pid) })
	if len(left) > 0 {
		t.Errorf("the same process: done %v, left %v", done, left)
	}
}

// TestReplicaIsNotStartedUnnoted: what cannot be noted is not started.
func TestReplicaIsNotStartedUnnoted(t *testing.T) {
	dir := t.TempDir()
	j := journal(t)
	_ = j.file.Close()
	hook := config.Replica{URL: "http://127.0.0.1:{{port}}", Command: []string{"touch", filepath.Join(dir, "started")}}
	l := &launcher{hook: hook, env: map[string]string{"PATH": os.Getenv("PATH")}, note: j.Note}
	if _, err := l.Launch(t.Context(), harness.Launch{Mode: harness.OIDC}); err == nil || read(t, filepath.Join(dir, "started")) != "absent" {
		t.Errorf("got %v, it was started: %s", err, read(t, filepath.Join(dir, "started")))
	}
}

func running(pid int) bool {
	fields, err := status(pid)
	return err == nil && !ended(fields)
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	words := strings.Fields(text)
	n, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func awaitTrue(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(localhost.Poll) {
		if time.Now().After(end) {
			t.Fatal("waited for 10 s")
		}
	}
}

// TestLogCommandsEnd: a command that prints a log, and what it has started, end with the
// time that they have.
func TestLogCommandsEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "child")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := printed(ctx, []string{"sh", "-c", `sleep 300 & echo $! >"$0"; wait`, file}, ""); err == nil || time.Since(began) > time.Minute {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
	child := atoi(t, read(t, file))
	awaitTrue(t, func() bool { return !running(child) })
}
