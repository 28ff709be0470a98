package strict_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness/strict"
)

// form is a file with a value of each kind.
type form struct {
	Name   string            `yaml:"name" enum:"one,two"`
	At     string            `yaml:"at" form:"url"`
	Ticket string            `yaml:"ticket" plain:"yes"`
	Many   []string          `yaml:"many" single:"yes"`
	Number int               `yaml:"number"`
	Share  float64           `yaml:"share"`
	Held   bool              `yaml:"held"`
	Wait   time.Duration     `yaml:"wait"`
	Sub    sub               `yaml:"sub"`
	Words  map[string]string `yaml:"words"`
}

type sub struct {
	Key key `yaml:"key"`
}

// key is a text with a form of its own.
type key string

func (key) Form() (wanted, remedy string) { return "a key", "write key:NAME" }

func (k key) Wrong() string {
	if !strings.HasPrefix(string(k), "key:") {
		return "a literal where a key is due"
	}
	return ""
}

func TestFileReads(t *testing.T) {
	var got form
	origins, err := strict.File("f.yaml", []byte("\ufeff%YAML 1.2\n---\nname: one\nat: HTTP://a.test\nticket: 412\nmany: x\nnumber: 3\nshare: 0.5\n"+
		"held: true\nwait: 3m\nsub: {key: \"key:a\"}\nwords: {a: b}\n---\n"), &got)
	want := form{Name: "one", At: "http://a.test", Ticket: "412", Many: []string{"x"}, Number: 3, Share: 0.5, Held: true,
		Wait: 3 * time.Minute, Sub: sub{"key:a"}, Words: map[string]string{"a": "b"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if origins["sub.key"] != "f.yaml:11" || origins["number"] != "f.yaml:7" {
		t.Errorf("origins %v", origins)
	}
}

// TestFileRefuses: one mistake at a time, with its line, and no value that could be secret.
func TestFileRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "f.yaml: want one document with keys, got 0",
		"name: one\n---\nname: two\n":       "want one document with keys, got 2",
		"name: [\n":                         "f.yaml:1:7: it is no YAML",
		"name: one\n\tat: x\n":              "indent by spaces",
		"\xff\xfen\x00":                     "it is UTF-16",
		"name: one\nnme: two\n":             `f.yaml:2: nme: there is no such key: the nearest is "name"`,
		"name: one\nname: two\n":            "f.yaml:2: name: the key stands here twice",
		"name: three\n":                     `"three" is none of the values it may have`,
		"name:\n":                           "nothing behind the key",
		"name: [one]\n":                     "got a list, want text",
		"name: &a one\n":                    "anchors, aliases and tags are not read",
		"number: -1\n":                      "is no whole number from 0",
		"number: 1.5\n":                     "got a number, want a whole number",
		"held: \"true\"\n":                  "got text, want true or false",
		"wait: 3\n":                         "want a duration",
		"wait: -3s\n":                       "is no duration",
		"at: ftp://a\n":                     "is no URL of http or https",
		"sub: {key: eyJhbGciOi}\n":          "a literal where a key is due, •••• (10 characters): write key:NAME",
		"sub: {key: 3}\n":                   "got a number, want a key",
		"many: {a: b}\n":                    "want a list",
		"words: [a]\n":                      "want keys with values",
		"at: https://user:pass@host.test\n": "••••",
	} {
		var got form
		_, err := strict.File("f.yaml", []byte(text), &got)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := strict.File("f.yaml", []byte("a: 1\nb: 2\n"), &form{}); err == nil || !strings.HasPrefix(err.Error(), "2 problems\n") {
		t.Errorf("two mistakes: %v", err)
	}
}

// FuzzFile: whatever a file holds, it is refused with a place, or what is read is of its form.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"name: one\nsub: {key: \"key:a\"}\n", "words: {? [a] : b}\n", "many: [*a]\n", "a: !!binary aGk=\n", "sub:\n", "wait: 1e400\n", "- a\n", "\t", "share: .inf\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got form
		_, err := strict.File("f.yaml", data, &got)
		if err != nil && !strings.Contains(err.Error(), "f.yaml") {
			t.Errorf("%v names no place", err)
		}
		if got.Number < 0 || got.Share < 0 || got.Wait < 0 || got.Sub.Key != "" && got.Sub.Key.Wrong() != "" {
			t.Errorf("read as %+v", got)
		}
	})
}
