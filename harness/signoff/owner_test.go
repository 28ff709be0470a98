package signoff

import (
	"testing"

	"aegis.test/conformance/harness"
)

// TestOwnersAreTheTables: a failure is owned by who the row of what it needs says, where
// nobody was called; of several needs, the first row tells.
func TestOwnersAreTheTables(t *testing.T) {
	var owned []harness.CapabilityRow
	for _, row := range harness.CapabilityTable {
		f := Finding{Verdict: harness.Fail, Needs: []harness.Capability{row.Name}}
		want := row.Owner
		if want == "" {
			want = Service // who answered; nobody did
		} else {
			owned = append(owned, row)
		}
		if got := f.owner(); got != want {
			t.Errorf("%s: %s owns the failure, want %s", row.Name, got, want)
		}
	}
	if len(owned) < 5 {
		t.Fatalf("%d rows name an owner", len(owned))
	}
	for i := range owned[1:] {
		f := Finding{Verdict: harness.Fail, Needs: []harness.Capability{owned[i+1].Name, owned[i].Name}}
		if got := f.owner(); got != owned[i].Owner {
			t.Errorf("%s and %s: %s, want %s", owned[i+1].Name, owned[i].Name, got, owned[i].Owner)
		}
	}
}
