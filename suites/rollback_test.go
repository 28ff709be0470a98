package suites

import (
	"slices"
	"testing"

	"aegis.test/conformance/suites/rollback"
)

// TestTheGuideLeadsThroughSectionSeven: every clause of it is a step, in order,
// and every step is held by expectations that exist.
func TestTheGuideLeadsThroughSectionSeven(t *testing.T) {
	var clauses []string
	for _, c := range Runbook {
		if c.Section() == "7" {
			clauses = append(clauses, c.ID)
		}
	}
	var steps []string
	for _, step := range rollback.Guide {
		steps = append(steps, step.Clause)
		if len(step.Do) == 0 || step.Shows == "" || step.Else == "" || len(step.Holds) == 0 || !slices.IsSorted(step.Holds) {
			t.Errorf("step %s is not whole: %+v", step.Clause, step)
		}
		for _, id := range step.Holds {
			if _, ok := Find(id); !ok {
				t.Errorf("step %s is held by %s, which does not exist", step.Clause, id)
			}
		}
	}
	if !slices.Equal(steps, clauses) {
		t.Errorf("steps for %q, want %q", steps, clauses)
	}
}
