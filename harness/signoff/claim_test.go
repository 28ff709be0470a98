package signoff

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestClaimFor(t *testing.T) {
	for _, c := range []struct {
		kind  harness.Kind
		asked []string
		want  Claim
	}{
		{harness.Live, nil, CoreClaim}, {harness.Image, nil, FullClaim}, {harness.SelfTest, nil, FullClaim}, {harness.Rehearsal, nil, FullClaim},
		{harness.Live, []string{"", "full"}, FullClaim}, {harness.Image, []string{"core", "full"}, CoreClaim},
	} {
		if got := ClaimFor(c.kind, c.asked...); got != c.want {
			t.Errorf("%s, asked %v: %s, want %s", c.kind, c.asked, got, c.want)
		}
	}
}
