package main

import (
	"strings"
	"testing"

	"aegis.test/conformance/suites/faults"
)

const log = `{"Action":"output","Package":"aegis.test/conformance/a","Test":"TestX","Output":"    x_test.go:7: no engine answers\n"}
{"Action":"skip","Package":"aegis.test/conformance/a","Test":"TestX","Elapsed":0}
{"Action":"output","Package":"aegis.test/conformance/a","Test":"TestY","Output":"    y_test.go:9: planted 2 of 3 in nginx\n"}
{"Action":"pass","Package":"aegis.test/conformance/a","Test":"TestY","Elapsed":2.5}
{"Action":"pass","Package":"aegis.test/conformance/a","Test":"TestY/part","Elapsed":2}
not JSON
{"Action":"fail","Package":"aegis.test/conformance/a","Test":"TestZ","Elapsed":1}
{"Action":"fail","Package":"aegis.test/conformance/a","Elapsed":4}
`

func TestSummary(t *testing.T) {
	s, err := read(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	if s.count(true) != 2 || s.count(false) != 1 || s.skipped["TestX"] != "no engine answers" || len(s.sampled) != 1 {
		t.Errorf("%+v", s)
	}
	if len(s.packages) != 1 || s.packages[0] != (timed{"a", 4}) || len(s.tests) != 3 {
		t.Errorf("packages %v, tests %v: want one, and three that are whole", s.packages, s.tests)
	}
	if s.tell(false) {
		t.Error("a test that failed must be told")
	}
	s.held = nil
	if s.tell(true) || !s.tell(false) {
		t.Error("a skipped test that is not allowed is a failure where CI is set, and only there")
	}
}

// TestWhatASampleLeavesOutIsAllowed: it is judged with the next commits, and by
// make test-all.
func TestWhatASampleLeavesOutIsAllowed(t *testing.T) {
	s := seen{skipped: map[string]string{"TestW": faults.NotSampled}}
	if !s.tell(true) {
		t.Error("want what the sample leaves out not to count as skipped for no reason")
	}
}

// TestWhatPassesWhenRunAgainIsUnstable: it is no failure, and it is told; what fails
// twice is a failure.
func TestWhatPassesWhenRunAgainIsUnstable(t *testing.T) {
	const again = `{"Action":"pass","Package":"aegis.test/conformance/a","Test":"TestZ","Elapsed":1}
{"Action":"pass","Package":"aegis.test/conformance/a","Elapsed":4}
`
	s, err := read(strings.NewReader(log + again))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.unstable) != 1 || s.unstable[0] != "a TestZ" || s.count(false) != 0 || !s.tell(false) {
		t.Errorf("unstable %v, %d failed: want TestZ told and nothing failed", s.unstable, s.count(false))
	}
	if s, err = read(strings.NewReader(log + again[strings.Index(again, "\n")+1:] + log)); err != nil || len(s.unstable) != 0 || s.count(false) != 1 {
		t.Errorf("%v: unstable %v, %d failed: want what fails twice to have failed", err, s.unstable, s.count(false))
	}
}
