package logline

import (
	"strings"
	"testing"
)

// TestParse: the same denial is read of a line in each form.
func TestParse(t *testing.T) {
	for name, line := range map[string]string{
		"JSON":         `{"time":"2026-01-02T03:04:05Z","level":"warn","path":"/predict","reason":"expired","from":"10.0.0.1:9"}`,
		"JSON, nested": `{"@timestamp":"2026-01-02T03:04:05Z","log":{"level":"warn"},"url":{"path":"/predict"},"event":{"reason":"expired"},"source":{"ip":"10.0.0.1"}}`,
		"logfmt":       `time=2026-01-02T03:04:05Z level=warn path=/predict reason=expired from=10.0.0.1:9`,
		"text":         `2026-01-02 03:04:05,123 WARNING p: POST /predict from 10.0.0.1 refused: token expired`,
	} {
		e := Parse(line)
		if !e.Dated() || !e.Places("/predict") || !e.Sourced() || e.Reason() == "" || e.Level() == "" {
			t.Errorf("%s: dated %v, places %v, sourced %v, reason %q, level %q: want all of them",
				name, e.Dated(), e.Places("/predict"), e.Sourced(), e.Reason(), e.Level())
		}
		if e.Places("/enroll") || Severe[e.Level()] {
			t.Errorf("%s: it is of another path, or severe", name)
		}
	}
	if e := Parse(""); e.Dated() || e.Places("/predict") || e.Sourced() || e.Reason() != "" || e.Level() != "" {
		t.Errorf("an empty line says something: %+v", e)
	}
}

// FuzzParse: whatever a line is, it is read without a panic, and a path that it does not
// hold is not found in it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "{", `{"a":{"b":[1,"x"]}}`, `a="b\"c" d=e`, "E1130 10:20:11.123456 1 main.go:42] x", "<11>Nov 30 10:20:11 host aegis: x", "\x00\xff\x1b[31m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e := Parse(line)
		_, _, _, _, _ = e.Dated(), e.Sourced(), e.Reason(), e.Level(), e.Said()
		if e.Places("/no-such-path-anywhere") && !strings.Contains(line, "no-such-path-anywhere") {
			t.Errorf("%q places a path that it does not hold", line)
		}
	})
}
