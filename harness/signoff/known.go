package signoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"aegis.test/conformance/harness"
)

// Known is a catalogue that a record is held against: the one that is compiled in, or
// what conformance list --json of another version wrote.
type Known struct {
	Digest       string     `json:"digest"` // sha256:…
	Expectations []KnownRow `json:"expectations"`
}

// KnownRow is one expectation of it, as far as a verdict turns on it.
type KnownRow struct {
	ID    string        `json:"id"`
	Level harness.Level `json:"level"`
	Tier  harness.Tier  `json:"tier"`
}

// ReadKnown reads what conformance list --json wrote.
func ReadKnown(data []byte) (Known, error) {
	var k Known
	err := json.Unmarshal(data, &k)
	if err == nil && (k.Digest == "" || len(k.Expectations) == 0) {
		err = errors.New("it has no digest, or no expectations: conformance list --json writes one")
	}
	if err != nil {
		return Known{}, fmt.Errorf("reading the catalogue: %w", err)
	}
	return k, nil
}

// Holds reports whether a record is of this catalogue, whole: another one, or a part,
// says nothing of what was left out.
func (k Known) Holds(r Record) error {
	if r.Catalogue.Digest != k.Digest {
		return fmt.Errorf("the run was held to the catalogue %s, want %s: use the harness version that wrote it, or name its catalogue with --catalogue", r.Catalogue.Digest, k.Digest)
	}
	rows := make([]KnownRow, len(r.Findings))
	for i, f := range r.Findings {
		rows[i] = KnownRow{f.ID, f.Level, f.Tier}
	}
	if slices.Equal(rows, k.Expectations) {
		return nil
	}
	for i, want := range k.Expectations {
		if i >= len(rows) || rows[i] != want {
			return fmt.Errorf("the record has %d rows, and not the catalogue's %d: %s is not there as %s, %s", len(rows), len(k.Expectations), want.ID, want.Level, want.Tier)
		}
	}
	return fmt.Errorf("the record has %d rows, want the catalogue's %d", len(rows), len(k.Expectations))
}
