package signoff

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"aegis.test/conformance/harness"
)

//go:embed schema.json
var schemaJSON []byte

// schemaID is the schema's own $id; nothing is fetched from it.
const schemaID = "https://aegis.test/conformance/signoff/v4/schema.json"

// JSONSchema is the published schema of a record (JSON Schema 2020-12).
func JSONSchema() []byte { return bytes.Clone(schemaJSON) }

// Encode writes a record in its canonical form: fixed order, two spaces,
// trailing newline, and every rune that does not print escaped, so that the
// file is safe to show on a terminal.
func Encode(r Record) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encoding the sign-off: %w", err)
	}
	return []byte(harness.Printable(b.String())), nil
}

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		return nil, fmt.Errorf("reading the sign-off's schema: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(schemaID, document); err != nil {
		return nil, fmt.Errorf("reading the sign-off's schema: %w", err)
	}
	return compiler.Compile(schemaID)
})

// Validate holds data against the schema.
func Validate(data []byte) error {
	schema, err := compiled()
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("reading the sign-off: it is no complete JSON document: %w", err)
	}
	if err := schema.Validate(document); err != nil {
		lines := strings.Split(err.Error(), "\n")
		return fmt.Errorf("holding the sign-off against its schema: %s", strings.Join(lines[1:], "; "))
	}
	return nil
}

// Read reads a record and holds it against its schema, which knows every field,
// and against itself. It refuses what is truncated, of another version, unknown
// to it, or at odds with its own findings.
func Read(data []byte) (Record, error) {
	if err := sameVersion(data); err != nil {
		return Record{}, err
	}
	valid := make(chan error, 1)
	go func() { valid <- Validate(data) }() // as long as the reading takes
	var r Record
	err := json.Unmarshal(data, &r)
	invalid := <-valid
	if err != nil {
		return Record{}, unreadable(data, err)
	}
	if invalid != nil {
		return Record{}, invalid
	}
	if err := r.consistent(); err != nil {
		return Record{}, fmt.Errorf("reading the sign-off: %w; it was not written by the harness, or was changed", err)
	}
	return r, nil
}

// unreadable says why data is no JSON of a record.
func unreadable(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset >= int64(len(data)) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the sign-off: it is truncated after %d bytes", len(data))
	}
	return fmt.Errorf("reading the sign-off: %w", err)
}

// sameVersion reads the version alone: it is the first field of a record.
func sameVersion(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data[:min(len(data), 1<<10)]))
	var first [3]json.Token // {, schema, its value
	for i := range first {
		var err error
		if first[i], err = d.Token(); err != nil {
			return unreadable(data, err)
		}
	}
	version, _ := first[2].(string)
	if first[1] != "schema" {
		version = ""
	}
	if version != Schema {
		return fmt.Errorf("reading the sign-off: its schema is %q, this program reads %q; use the harness version that wrote it", version, Schema)
	}
	return nil
}

// consistent holds the record's conclusions against its rows.
func (r Record) consistent() error {
	totals, buckets := tally(r.Findings)
	if !maps.Equal(totals, r.Totals) {
		return fmt.Errorf("totals %v disagree with the findings, which count %v", r.Totals, totals)
	}
	if !maps.Equal(buckets, r.Buckets) {
		return fmt.Errorf("buckets %v disagree with the findings, which count %v", r.Buckets, buckets)
	}
	if r.Catalogue.Expectations != len(r.Findings) {
		return fmt.Errorf("%d findings for a catalogue of %d", len(r.Findings), r.Catalogue.Expectations)
	}
	if err := r.fusion(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		if r.Kind != harness.Release && f.BeyondReach != r.beyondReach(f) {
			return fmt.Errorf("whether %s is within reach disagrees with what it lacks", f.ID)
		}
	}
	if !reflect.DeepEqual(r.checklist(), r.Checklist) {
		return errors.New("the checklist disagrees with the findings")
	}
	if !slices.Equal(r.Settled(r.Waivers), r.Waivers) {
		return errors.New("what became of the waivers disagrees with the findings")
	}
	if verdict, _ := r.judge(nil); r.Verdict != Invalid && r.Verdict != verdict {
		return fmt.Errorf("the verdict is %s, and the findings allow %s", r.Verdict, verdict)
	}
	return nil
}
