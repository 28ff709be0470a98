package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSweepLeavesWhatItDoesNotKnow: a journal that is not understood, or of what the
// configuration does not name, is told with its path, stays, and ends a sweep with 3;
// what is understood beside it is undone.
func TestSweepLeavesWhatItDoesNotKnow(t *testing.T) {
	v := stand(t)
	const header, thing = `{"target":"victim"}` + "\n", `{"mode":"oidc","endpoint":"enrollment","unique":"conformance-1"}` + "\n"
	at := fmt.Sprintf(`"at":"%s/v1/secret/data/aegis/runtime"`, v.vault.URL)
	for what, row := range map[string]struct{ text, told string }{
		"a renamed target":     {`{"target":"another"}` + "\n" + thing, `target "another"`},
		"another address":      {`{"target":"victim","url":"https://elsewhere.test"}` + "\n" + thing, "elsewhere.test"},
		"a renamed endpoint":   {header + strings.Replace(thing, "enrollment", "onboarding", 1), `endpoint "onboarding"`},
		"no clean_up":          {header + strings.Replace(thing, "enrollment", "inference", 1), `endpoint "inference"`},
		"a mount that is gone": {header + `{"mount":"old-pki","serial":"1a:2b"}` + "\n", `mount "old-pki"`},
		"a Vault that moved":   {header + `{"change":{"of":"grants.vault","at":"https://old.test","was":"1","ours":"2"}}` + "\n", "old.test"},
		"somebody else's":      {header + `{"change":{"of":"grants.vault",` + at + `,"was":"7","ours":"9"}}` + "\n", "grants.vault"},
		"a copy that is gone":  {header + fmt.Sprintf(`{"change":{"of":"grants.hooks.trust_file","at":%q,"was":"run.1.copy","as":"0644 0:0","ours":"x"}}`, v.trusted) + "\n", "run.1.copy"},
		"a garbled header":     {"garbage\n" + thing, "line 1"},
		"no header":            {thing, "line 1"},
		"a way up":             {header + strings.Replace(thing, "conformance-1", "../../admin", 1), "../../admin"},
		"a long line":          {header + strings.Repeat("x", 70<<10) + "\n", "line 2"},
	} {
		path := filepath.Join(v.dir, "journal", "run.jsonl")
		_ = os.MkdirAll(filepath.Dir(path), 0o700)
		v.file("journal/run.jsonl", []byte(row.text), 0o600)
		before := v.state(t)
		said, errs, code := conformance(t, "sweep", "--config", filepath.Join(v.dir, "staging.yaml"))
		text, err := os.ReadFile(path)
		if code != exitIncomplete || !strings.Contains(said, row.told) || !strings.Contains(said, path) || err != nil || string(text) != row.text || v.state(t) != before {
			t.Errorf("%s: status %d, %v, want %q told\n%s%s", what, code, err, row.told, said, errs)
		}
	}
	v.file("journal/run.jsonl", []byte(header+"garbage\n"+thing), 0o600)
	v.things["conformance-1"] = true
	if said, errs, code := conformance(t, "sweep", "--config", filepath.Join(v.dir, "staging.yaml")); code != exitIncomplete || len(v.things) > 0 {
		t.Errorf("beside garbage: status %d, left %v\n%s%s", code, v.things, said, errs)
	}
	v.file("journal/run.jsonl", []byte(header+thing), 0o600)
	if said, errs, code := conformance(t, "sweep", "--config", filepath.Join(v.dir, "staging.yaml")); code != exitPass || !strings.Contains(said, "nothing is left") {
		t.Errorf("understood: status %d\n%s%s", code, said, errs)
	}
}

// TestSweepEnds: a sweep that waits for a Vault that does not answer, or for a pipe,
// ends when it is told to, with status 3, and its journals stay.
func TestSweepEnds(t *testing.T) {
	silent := try(net.Listen("tcp", "127.0.0.1:0")) // takes connections, and answers none
	defer func() { _ = silent.Close() }()
	for what, change := range map[string]func(v *victim) error{
		"Vault is silent": func(v *victim) error {
			path := filepath.Join(v.dir, "staging.yaml")
			text, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.ReplaceAll(text, []byte(v.vault.URL), []byte("http://"+silent.Addr().String())), 0o600))
		},
		"a token is a pipe": func(v *victim) error {
			path := filepath.Join(v.dir, "root.token")
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
		},
	} {
		v := stand(t)
		if err := change(v); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(v.dir, "journal", "run.jsonl")
		_ = os.MkdirAll(filepath.Dir(path), 0o700)
		v.file("journal/run.jsonl", []byte(`{"target":"victim"}`+"\n"+`{"change":{"of":"grants.vault","at":"x","was":"1","ours":"2"}}`+"\n"), 0o600)
		c := command(t, "sweep", "--config", filepath.Join(v.dir, "staging.yaml"))
		began := time.Now()
		time.AfterFunc(time.Second, func() { _ = c.Process.Signal(syscall.SIGTERM) })
		said, errs, code := finish(t, c)
		if _, err := os.Stat(path); code != exitIncomplete || time.Since(began) > 20*time.Second || err != nil {
			t.Errorf("%s: status %d after %s, %v\n%s%s", what, code, time.Since(began), err, said, errs)
		}
	}
}
