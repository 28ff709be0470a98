package keyset

import (
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

func TestVectorsNeedTheKeySet(t *testing.T) {
	v := Vectors("replay", func() ([]token.JWK, []token.Recipe, []token.Recipe, error) { return nil, nil, nil, nil })
	target := &harness.Target{}
	x := harness.Expectation{Stimulus: v}
	if missing := x.Missing(target); len(missing) != 2 || !x.Alone() {
		t.Errorf("missing %v, alone %v: want the control of the key set and a key, alone", missing, x.Alone())
	}
}
