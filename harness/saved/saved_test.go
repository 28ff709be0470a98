package saved

import (
	"errors"
	"testing"
)

// TestText: a mark that says nothing is passed over, and another encoding is named.
func TestText(t *testing.T) {
	for in, want := range map[string]string{"a: b": "a: b", "\ufeffa: b": "a: b", "": "", "\ufeff": "", "日本: b": "日本: b"} {
		if got, err := Text([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"\xff\xfea\x00:\x00", "\xfe\xff\x00a\x00:", "a\x00:\x00 \x00b\x00", "\x00a\x00:\x00 \x00b"} {
		if _, err := Text([]byte(in)); !errors.Is(err, ErrUTF16) {
			t.Errorf("%q: %v, want %v", in, err, ErrUTF16)
		}
	}
}

// TestDocuments: what holds nothing is none.
func TestDocuments(t *testing.T) {
	for in, want := range map[string]int{
		"a: b": 1, "%YAML 1.2\n---\na: b\n---\n": 1, "%TAG ! tag:x,2000:\n---\na: b\n...\n": 1, "# c\n---\na: b\n---\n# c\n": 1,
		"": 0, "%YAML 1.2\n---\n": 0, "a: b\n---\nc: d\n": 2,
	} {
		if got, err := Documents([]byte(in)); err != nil || len(got) != want {
			t.Errorf("%q: %d documents, %v, want %d", in, len(got), err, want)
		}
	}
}
