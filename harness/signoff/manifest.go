package signoff

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ManifestName is the name of the file that lists a published set.
const ManifestName = "manifest.json"

// OutdatedName is the name of the file that says of a set that a later run could not
// publish its own: what stands beside it is old.
const OutdatedName = "OUTDATED.txt"

// manifest lists the files of one set, so that a mix of two is known for one.
type manifest struct {
	Schema string            `json:"schema"`
	Run    string            `json:"run"`   // whose files they are
	Files  map[string]string `json:"files"` // sha256:… by name
}

const manifestSchema = "aegis-conformance/manifest/v1"

// manifested is the set that files make together with what stands in dir and is not
// replaced, and the names that are no part of it any more. A record begins a new set,
// unless it is the record that is there: its signature stands beside it then.
func manifested(dir string, files map[string][]byte) (set map[string][]byte, dropped []string, err error) {
	earlier, there, err := readManifest(dir)
	if err != nil && files[RecordName] == nil {
		return nil, nil, err
	}
	record, begins := files[RecordName]
	switch {
	case !begins && !there:
		return files, nil, nil // a report, or a signature, of a record that stands elsewhere
	case !begins:
		return with(manifest{Run: earlier.Run, Files: maps.Clone(earlier.Files)}, files), nil, nil
	}
	now, dropped := manifest{Run: runOf(record), Files: map[string]string{}}, []string{OutdatedName}
	same := earlier.Files[RecordName] == digest(record)
	for _, name := range slices.Sorted(maps.Keys(earlier.Files)) {
		switch _, replaced := files[name]; {
		case replaced, filepath.Base(name) != name:
		case same && earlier.holds(dir, name):
			now.Files[name] = earlier.Files[name]
		default:
			dropped = append(dropped, name)
		}
	}
	return with(now, files), dropped, nil
}

// holds reports whether a file in dir is the one that the manifest lists.
func (m manifest) holds(dir, name string) bool {
	data, err := bounded(filepath.Join(dir, name))
	return err == nil && digest(data) == m.Files[name]
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// with is files with the manifest that lists them.
func with(m manifest, files map[string][]byte) map[string][]byte {
	m.Schema = manifestSchema
	set := maps.Clone(files)
	for name, data := range files {
		m.Files[name] = digest(data)
	}
	data, _ := json.MarshalIndent(m, "", "  ") // of strings
	set[ManifestName] = append(data, '\n')
	return set
}

// runOf is the run that a record is of.
func runOf(record []byte) string {
	var r struct {
		Run string `json:"run"`
	}
	_ = json.Unmarshal(record, &r) // what is no record has none
	return r.Run
}

// readManifest reads the manifest in dir, if there is one.
func readManifest(dir string) (m manifest, there bool, err error) {
	data, err := bounded(filepath.Join(dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err == nil && m.Schema != manifestSchema {
		err = fmt.Errorf("its schema is %q, this program reads %q", m.Schema, manifestSchema)
	}
	if err != nil {
		return manifest{}, true, fmt.Errorf("reading %s: %w", filepath.Join(dir, ManifestName), err)
	}
	return m, true, nil
}

// Whole reports what in dir is not of one set: a file that another run wrote, was
// changed or is gone, or a whole set that is older than the last run. Without a
// manifest nothing is known of a set, and no error.
func Whole(dir string) error {
	if text, err := os.ReadFile(filepath.Join(dir, OutdatedName)); err == nil {
		return fmt.Errorf("the sign-off in %s is not of the last run: %s", dir, strings.TrimSpace(string(text)))
	}
	m, there, err := readManifest(dir)
	if err != nil || !there {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if filepath.Base(name) != name {
			return fmt.Errorf("reading %s: %q is not a plain file name", filepath.Join(dir, ManifestName), name)
		}
		if !m.holds(dir, name) {
			return fmt.Errorf("%s holds no whole sign-off of run %s: %s is of another run, was changed or is gone; run again, or copy the record elsewhere and render it there",
				dir, m.Run, name)
		}
	}
	return nil
}

// SameSet reports a set in dir that is not the one in the directory of a record:
// what is made of that record would stand among another run's files.
func SameSet(dir, from string) error {
	there, set, err := readManifest(dir)
	if err != nil || !set {
		return err
	}
	if own, _, err := readManifest(from); err != nil || own.Files[RecordName] != there.Files[RecordName] {
		return fmt.Errorf("%s holds the sign-off of run %s, and not of this record: choose another with --out", dir, there.Run)
	}
	return nil
}

// Outdate marks the sign-off in dir, if there is one, as older than a run that could
// not publish its own, and why. The file itself is the mark: on a full disk it is empty.
func Outdate(dir, run, why string) (marked bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, RecordName)); err != nil {
		return false, nil // nothing is taken for this run's
	}
	text := fmt.Sprintf("run %s ended without a sign-off, and what stands here is of an earlier run: %s\n", run, why)
	err = os.WriteFile(filepath.Join(dir, OutdatedName), []byte(text), 0o644)
	if _, there := os.Stat(filepath.Join(dir, OutdatedName)); there != nil {
		return false, Unwritten{fmt.Errorf("marking the earlier sign-off as old: %w", err)}
	}
	return true, nil
}
