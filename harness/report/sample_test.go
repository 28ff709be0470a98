package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

var update = flag.Bool("update", false, "render the sample sign-off anew from its record")

// TestSampleIsWhatItsRecordSays renders the committed sign-off, of a real rehearsal,
// from its record: every artefact is that, byte for byte.
func TestSampleIsWhatItsRecordSays(t *testing.T) {
	const dir = "testdata"
	data, err := os.ReadFile(filepath.Join(dir, signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	record, err := signoff.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	files, err := report.Files(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the record says: %v (go test ./harness/report -run Sample -update)", name, err)
		}
	}
}
