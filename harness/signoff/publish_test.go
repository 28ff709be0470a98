package signoff

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func set(text string) map[string][]byte {
	return map[string][]byte{"signoff.json": []byte(text), "signoff.md": []byte(text), "junit.xml": []byte(text)}
}

// holds requires dir to hold exactly a set of that text, and its manifest.
func holds(t *testing.T, dir, text string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(set(""))+1 {
		t.Errorf("%d entries in %s; want %d", len(entries), dir, len(set(""))+1)
	}
	if err := Whole(dir); err != nil {
		t.Error(err)
	}
	for name := range set("") {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != text {
			t.Errorf("%s holds %.40q, %v; want %q", name, data, err, text)
		}
	}
}

func TestPublish(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "build", "signoff")
	for _, text := range []string{"first", "second"} {
		if err := Publish(dir, set(text), nil); err != nil {
			t.Fatal(err)
		}
		holds(t, dir, text)
	}
}

func TestPublishRefusalLeavesTheEarlierSignOff(t *testing.T) {
	t.Run("leak", func(t *testing.T) {
		dir := t.TempDir()
		publish(t, dir, "earlier")
		var redactor Redactor
		redactor.Register("bearer token", "hunter2hunter2")
		err := Publish(dir, set("has hunter2hunter2 in it"), &redactor)
		var leak Leak
		if !errors.As(err, &leak) || leak.Kind != "bearer token" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v; want a Leak that names the kind and not the value", err)
		}
		holds(t, dir, "earlier")
	})
	t.Run("no plain name", func(t *testing.T) {
		dir := t.TempDir()
		publish(t, dir, "earlier")
		if err := Publish(dir, map[string][]byte{"../signoff.json": nil}, nil); err == nil {
			t.Error("a name outside the directory was accepted")
		}
		holds(t, dir, "earlier")
	})
	t.Run("a file that cannot be replaced", func(t *testing.T) {
		dir := t.TempDir()
		publish(t, dir, "earlier")
		files := set("later")
		files["signoff.html"] = []byte("later") // after junit.xml in order
		if err := os.Mkdir(filepath.Join(dir, "signoff.html"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Publish(dir, files, nil); err == nil || !strings.Contains(err.Error(), "signoff.html") {
			t.Errorf("error %v; want one that names signoff.html", err)
		}
		if err := os.Remove(filepath.Join(dir, "signoff.html")); err != nil {
			t.Fatal(err)
		}
		holds(t, dir, "earlier")
	})
	t.Run("a first set that fails leaves nothing", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "signoff.json"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Publish(dir, set("new"), nil); err == nil {
			t.Error("want an error")
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%d entries, %v; want only what was there", len(entries), err)
		}
	})
}

func publish(t *testing.T, dir, text string) {
	t.Helper()
	if err := Publish(dir, set(text), nil); err != nil {
		t.Fatal(err)
	}
}

func TestWritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := Writable(dir); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d entries, %v; want an empty directory", len(entries), err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, blocked := range []string{file, filepath.Join(file, "below"), "/proc/signoff"} {
		if err := Writable(blocked); err == nil || !strings.Contains(err.Error(), "--out") {
			t.Errorf("%s: error %v; want one that says what to do", blocked, err)
		}
	}
}

func TestScanFindsEveryForm(t *testing.T) {
	const secret = `s3cr+t/"v<lue&\ok?~`
	const key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqG\nSM49AwEHBG0wawIBAQQgabcdefgh\n-----END PRIVATE KEY-----\n"
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
	var redactor Redactor
	redactor.Register("secret", secret)
	redactor.Register("private key", key)
	redactor.Register("token", jwt)
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"raw":             secret,
		"base64":          base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url":       base64.URLEncoding.EncodeToString([]byte(secret)),
		"hex":             hex.EncodeToString([]byte(secret)),
		"HEX":             strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"query":           url.QueryEscape(secret),
		"path":            url.PathEscape(secret),
		"JSON":            string(quoted),
		"HTML":            html.EscapeString(secret),
		"key as it is":    key,
		"one line of key": "… SM49AwEHBG0wawIBAQQgabcdefgh …",
		"key in JSON":     strings.ReplaceAll(key, "\n", `\n`),
		"key in base64":   base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(key))),
		"token":           "Bearer " + jwt,
		"claims":          "eyJzdWIiOiJhbm4ifQ",
		"signature":       "c2lnbmF0dXJlLW9mLXRoZS10b2tlbg",
	} {
		t.Run(name, func(t *testing.T) {
			var leak Leak
			if err := redactor.Scan("x", []byte("before "+text+" after")); !errors.As(err, &leak) {
				t.Errorf("not found (%v)", err)
			}
		})
	}
	for _, sound := range []string{"", "short", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOiJSUzI1NiJ9", "s3cr+t/"} {
		if err := redactor.Scan("x", []byte(sound)); err != nil {
			t.Errorf("%q: %v", sound, err)
		}
	}
}

func TestShortValuesAreNotRegistered(t *testing.T) {
	var redactor Redactor
	redactor.Register("secret", "")
	redactor.Register("secret", "pass")
	if err := redactor.Scan("x", []byte("pass, in so many words: pass")); err != nil {
		t.Error(err)
	}
}
