package wycheproof

import (
	"bytes"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// TestKeptIsWhatWasPublished: the files that are kept are the module's, byte for byte.
func TestKeptIsWhatWasPublished(t *testing.T) {
	files, err := kept.ReadDir("vectors")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		name, packed := bytes.CutSuffix([]byte(file.Name()), []byte(".gz"))
		if !packed {
			continue
		}
		got, err := unpacked(string(name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := fs.ReadFile(wycheproof.TestVectors, string(name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the module's: %v (gzip -9 -n of testvectors_v1/%[1]s)", name, err)
		}
		compared++
	}
	if compared != 2 {
		t.Errorf("%d files are kept, want 2", compared)
	}
}
