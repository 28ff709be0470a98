package main

import (
	"errors"
	"fmt"

	"aegis.test/conformance/harness/lint/alert"
	"aegis.test/conformance/harness/lint/document"
	"aegis.test/conformance/harness/lint/place"
	"aegis.test/conformance/harness/saved"
)

// readRules reads a rule file by Prometheus's own parser, so that what it would refuse
// after minutes is told at once, with file and line.
func readRules(path string) ([]byte, error) {
	text, err := saved.File(path)
	if errors.Is(err, saved.ErrUTF16) {
		return nil, place.Errorf(place.Place{File: path, Line: 1}, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	documents, err := document.Read(path, text)
	if err != nil {
		return nil, fmt.Errorf("%w: render it and give what is under spec", err)
	}
	if len(documents) != 1 {
		return nil, place.Errorf(place.Place{File: path, Line: 1}, "it holds %s, want one with groups", plural(len(documents), "document"))
	}
	d := documents[0]
	if keys := d.Keys(); keys["kind"] {
		return nil, place.Errorf(d.At("kind"), "it is an object of Kubernetes, and no rule file: give what is under spec")
	} else if !keys["groups"] {
		return nil, place.Errorf(place.Place{File: path, Line: 1}, "it is no rule file: there are no groups in it")
	}
	_, err = alert.Read(d, text, false)
	return text, err
}
