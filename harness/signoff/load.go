package signoff

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// MaxRecord is how long a record may be, bytes: some fifty times one of a whole
// run, so that what is longer is no record.
const MaxRecord = 64 << 20

// Load reads the record at path, or in the directory there, and gives the bytes
// it was read from too.
func Load(path string) (Record, []byte, error) {
	path = recordAt(path)
	data, err := whole(path)
	if err != nil {
		return Record{}, nil, err
	}
	r, err := Read(data)
	if err != nil {
		return Record{}, data, fmt.Errorf("%s: %w", path, err)
	}
	return r, data, nil
}

// LoadSigned gives the bytes of a record and of its envelope, which stands
// beside it unless it is named. Neither is believed yet: Verify reads them.
func LoadSigned(path, envelope string) (record, signed []byte, err error) {
	path = recordAt(path)
	if record, err = whole(path); err != nil {
		return nil, nil, err
	}
	if envelope == "" {
		envelope = filepath.Join(filepath.Dir(path), EnvelopeName)
	}
	if signed, err = bounded(envelope); err != nil {
		return nil, nil, fmt.Errorf("%w; conformance sign writes the signature", err)
	}
	return record, signed, nil
}

// whole reads a record, and makes sure that what was published with it is of one run.
func whole(path string) ([]byte, error) {
	dir := filepath.Dir(path)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	defer share(filepath.Dir(dir))()
	data, err := bounded(path)
	if err != nil || filepath.Base(path) != RecordName {
		return data, err
	}
	return data, Whole(dir)
}

// recordAt is the record's file, whether it or its directory was given.
func recordAt(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, RecordName)
	}
	return path
}

// bounded reads a file that is no longer than a record may be.
func bounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the sign-off: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, MaxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("reading the sign-off: %w", err)
	}
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("reading the sign-off: %s is longer than %d MiB, which no record is", path, MaxRecord>>20)
	}
	return data, nil
}
