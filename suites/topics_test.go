package suites

import (
	"testing"

	"aegis.test/conformance/harness/signoff"
)

// TestEveryExpectationHasATopic: a failure of any of them says why it matters and how it is
// mended, once.
func TestEveryExpectationHasATopic(t *testing.T) {
	for _, x := range All() {
		if n := len(signoff.TopicsOf(x.ID)); n != 1 {
			t.Errorf("%s is of %d topics, want 1 (harness/signoff/topics_list.go)", x.ID, n)
		}
	}
}
