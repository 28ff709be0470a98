package suites

import (
	"encoding/json"
	"testing"
)

// TestFaultScoreIsOfThisCatalogue: a matrix that was run of another catalogue
// says nothing of this one.
func TestFaultScoreIsOfThisCatalogue(t *testing.T) {
	kept := scoreJSON
	t.Cleanup(func() { scoreJSON = kept })
	for _, c := range []struct {
		catalogue string
		known     bool
	}{{CatalogueDigest(), true}, {"sha256:0", false}, {"", false}} {
		data, err := json.Marshal(FaultScore{Catalogue: c.catalogue, Planted: 3, Caught: 2, Exact: 1})
		if err != nil {
			t.Fatal(err)
		}
		scoreJSON = data
		if score := faultScore(); (score != nil) != c.known || c.known && score.Caught != 2 {
			t.Errorf("of %q: %+v, want one: %v", c.catalogue, score, c.known)
		}
	}
}
