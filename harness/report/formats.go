package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"aegis.test/conformance/harness/signoff"
)

// Format is one way to tell a record.
type Format struct {
	Name string // as --format takes it
	File string // the artefact's name
	Says string // what it is for, in a few words
	// Render is a pure function: the same record gives the same bytes.
	Render func(signoff.Record) ([]byte, error)
}

// Formats lists every way to tell a record; signoff.json is the record itself.
var Formats = []Format{
	{"html", "signoff.html", "the page to read and to print", HTML},
	{"markdown", "signoff.md", "the same for a repository or a ticket", Markdown},
	{"junit", "junit.xml", "JUnit XML, for CI servers", JUnit},
	{"sarif", "signoff.sarif", "SARIF 2.1.0, for code scanning", SARIF},
	{"ctrf", "ctrf.json", "Common Test Report Format, for test dashboards", CTRF},
	{"oscal", "oscal.json", "OSCAL assessment results, for compliance tools", OSCAL},
	{"step-summary", "step-summary.md", "a short Markdown summary, for a CI job's page", StepSummary},
}

// Choose finds formats by name; none means all.
func Choose(names []string) ([]Format, error) {
	if len(names) == 0 {
		return Formats, nil
	}
	chosen := make([]Format, 0, len(names))
	for _, name := range names {
		f, ok := format(name)
		if !ok {
			return nil, fmt.Errorf("no format %q: there are %s", name, strings.Join(Names(), ", "))
		}
		chosen = append(chosen, f)
	}
	return chosen, nil
}

func format(name string) (Format, bool) {
	for _, f := range Formats {
		if f.Name == strings.TrimSpace(name) {
			return f, true
		}
	}
	return Format{}, false
}

// Names lists the formats' names.
func Names() []string {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = f.Name
	}
	return names
}

// Render tells the record in the given formats, by file name.
func Render(r signoff.Record, formats []Format) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range formats {
		data, err := f.Render(r)
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", f.File, err)
		}
		files[f.File] = data
	}
	return files, nil
}

// Files is everything that is published: the record, and it told in every
// format, by file name.
func Files(r signoff.Record) (map[string][]byte, error) {
	files, err := Render(r, Formats)
	if err != nil {
		return nil, err
	}
	files[signoff.RecordName], err = signoff.Encode(r)
	return files, err
}

// indented is a JSON document as SARIF and CTRF are written.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(v)
	return b.Bytes(), err
}
