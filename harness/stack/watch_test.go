package stack

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/images"
)

// TestARuleFileThatDoesNotParse is a matter of the environment, not of the target:
// nothing starts, Prometheus's own words tell the line, and the next step is named.
func TestARuleFileThatDoesNotParse(t *testing.T) {
	had(t)
	if _, err := images.Ensure(t.Context(), []string{images.Prometheus, images.Alertmanager}, images.Options{
		Build: true, Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
	}); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Spec{Runtime: Containers, Rules: []byte("groups:\n  - name: aegis\n    rules: [{alert: Spike, expr: 'sum('}]\n")})
	if _, ok := errors.AsType[*EnvironmentError](err); !ok {
		t.Fatalf("got %v, want an EnvironmentError", err)
	}
	for _, word := range []string{"prometheus", "rules", "parse error", "promtool check rules"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}
