package stack

import (
	"slices"
	"testing"

	"aegis.test/conformance/harness"
)

// TestJournal: what a live run has noted is nobody else's; what a dead one left
// is found, and goes once it is removed.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir, "run-1", "aegis")
	if err != nil {
		t.Fatal(err)
	}
	entry := Entry{Mode: harness.OIDC, Endpoint: "enrollment", Unique: "conformance-1"}
	if err := j.Note(entry); err != nil {
		t.Fatal(err)
	}
	if found, err := FindAbandoned(dir); err != nil || len(found) != 0 {
		t.Errorf("found %v (%v) of a run that lives", found, err)
	}
	if _, err := OpenJournal(dir, "run-1", "aegis"); err == nil {
		t.Error("a run's journal was begun twice")
	}
	if err := j.Close(false); err != nil {
		t.Fatal(err)
	}
	found, err := FindAbandoned(dir)
	if err != nil || len(found) != 1 || found[0].Target != "aegis" || !slices.Equal(found[0].Entries, []Entry{entry}) {
		t.Fatalf("found %+v (%v)", found, err)
	}
	if err := found[0].Close(true); err != nil {
		t.Fatal(err)
	}
	if found, _ := FindAbandoned(dir); len(found) != 0 {
		t.Errorf("%d are found again", len(found))
	}
}
