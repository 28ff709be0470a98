package probe

import (
	"context"
	"fmt"

	"aegis.test/conformance/harness"
)

// Absent is a stimulus that nobody here can give: what it lacks is granted by no
// target, so that it is never exercised.
type Absent struct {
	What  string
	Lacks harness.Capability
}

// Words says what would be done.
func (a Absent) Words() string { return a.What }

// Needs is what nobody grants.
func (a Absent) Needs() []harness.Capability {
	return []harness.Capability{harness.VaultWrite, a.Lacks}
}

// Effect is disruptive: a secret changes for everybody.
func (Absent) Effect() harness.Effect { return harness.Disruptive }

// Modes are both.
func (Absent) Modes() []harness.Mode { return bothModes }

// Controlled is true.
func (Absent) Controlled() bool { return true }

// Act is never asked for.
func (a Absent) Act(context.Context, harness.Hands) (harness.Trace, error) {
	return harness.Trace{}, fmt.Errorf("%s: %w: nobody here can do that", a.What, ErrUnseen)
}
