package suites

import (
	"encoding/json"
	"os"
	"testing"
)

// TestWhatIsGeneratedIsOfThisCatalogue: the score that every sign-off shows, and the
// sample sign-off, speak of the catalogue as it is.
func TestWhatIsGeneratedIsOfThisCatalogue(t *testing.T) {
	if faultScore() == nil {
		t.Error("faultscore.json is of another catalogue: make generate")
	}
	data, err := os.ReadFile("../harness/report/testdata/signoff.json")
	if err != nil {
		t.Fatal(err)
	}
	var sample struct {
		Catalogue struct{ Digest string }
		Faults    *struct{ Planted int }
	}
	if err := json.Unmarshal(data, &sample); err != nil {
		t.Fatal(err)
	}
	if sample.Catalogue.Digest != CatalogueDigest() || sample.Faults == nil {
		t.Errorf("the sample sign-off is of catalogue %s, its score %v: make generate", sample.Catalogue.Digest, sample.Faults)
	}
}

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
