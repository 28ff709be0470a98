package main

import (
	"path/filepath"
	"testing"
)

// TestNamesMayBeShort plans for an enrolled client of one letter and of two: what is
// made of its name is no shorter than nothing.
func TestNamesMayBeShort(t *testing.T) {
	v := stand(t)
	for _, name := range []string{"a", "ab"} {
		said, errs, code := conformance(t, "plan", "--config", filepath.Join(v.dir, "staging.yaml"),
			"--allow", "disruptive", "--set", "grants.certificates.enrolled_cn="+name)
		if code != exitPass {
			t.Errorf("%q: exit status %d\n%s%s", name, code, said, errs)
		}
	}
}
