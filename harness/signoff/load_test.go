package signoff

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	data := encoded(t, full())
	path := filepath.Join(dir, RecordName)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, path} {
		if r, read, err := Load(at); err != nil || r.Run != "r-1" || string(read) != string(data) {
			t.Errorf("%s: run %q, %v", at, r.Run, err)
		}
	}
	large := filepath.Join(dir, "large.json")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, MaxRecord+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ at, want string }{
		{large, "longer than 64 MiB, which no record is"},
		{filepath.Join(dir, "absent.json"), "no such file"},
		{file(t, "half.json", data[:len(data)/2]), "half.json: reading the sign-off: it is truncated after"},
	} {
		if _, _, err := Load(c.at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one that says %q", c.at, err, c.want)
		}
	}
	if _, _, err := LoadSigned(path, large); err == nil || !strings.Contains(err.Error(), "longer than 64 MiB") {
		t.Errorf("an envelope of 64 MiB: error %v", err)
	}
}

// FuzzRead: whatever it is given, Read either refuses it or gives a record that
// is written again as it can be read again.
func FuzzRead(f *testing.F) {
	data, err := Encode(full())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{data, data[:100], nil, []byte(`{"schema":"` + Schema + `"}`), []byte(`{"schema":"` + Schema + `","findings":null}`), []byte("[[[[")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(data)
		if err != nil {
			return
		}
		again, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(again); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}
