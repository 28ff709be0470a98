package challenge

import (
	"net/http"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// TestBearer: of several challenges the bearer's is found, with its error.
func TestBearer(t *testing.T) {
	for field, want := range map[string]string{
		`Bearer realm="a", error="invalid_token"`:         "invalid_token",
		`Basic realm="a, b", Bearer error=expired`:        "expired",
		`Negotiate aGVsbG8=, bearer error="a \"quoted\""`: `a "quoted"`,
		`Basic realm="a"`: "",
	} {
		x := harness.Exchange{Observation: harness.Observation{Header: http.Header{"Www-Authenticate": {field}}}}
		c, err := Bearer(x)
		if err != nil || c.Says() != want || (c == nil) != !strings.Contains(strings.ToLower(field), "bearer") {
			t.Errorf("%s: %q, %v; want %q", field, c.Says(), err, want)
		}
	}
}
