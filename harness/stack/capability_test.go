package stack

import (
	"slices"
	"testing"

	"aegis.test/conformance/harness"
)

// TestEmbeddedGrantsByTheTable: a stack in this process grants each capability that its row
// does not keep from it, and names each that it cannot show.
func TestEmbeddedGrantsByTheTable(t *testing.T) {
	target := startHere(t, Spec{}).Target
	for _, row := range harness.CapabilityTable {
		if row.Name == harness.RevokedClient {
			continue // there is one where revocation is declared, and its row is not applicable elsewhere
		}
		beyond := slices.Contains(slices.Concat(target.Beyond, target.Unreachable), row.Name)
		if got := target.Grants(row.Name); got == beyond && row.Granted != nil {
			t.Errorf("%s: granted %v, named as out of reach %v; its row says %q", row.Name, got, beyond, row.Stack)
		}
		if beyond && row.Stack == "" {
			t.Errorf("%s is out of reach, and its row says of no placement", row.Name)
		}
	}
}
