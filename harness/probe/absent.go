package probe

import (
	"context"
	"fmt"

	"aegis.test/conformance/harness"
)

// Absent is a stimulus that nobody here can give: what it lacks is granted by no
// target, so that it is never exercised.
func Absent(words string, lacks harness.Capability) harness.Stimulus {
	return harness.Stimulus{
		Words: words, Needs: []harness.Capability{harness.VaultWrite, lacks}, Effect: harness.Disruptive, Modes: bothModes,
		Act: func(context.Context, harness.Hands) (harness.Trace, error) {
			return harness.Trace{}, fmt.Errorf("%s: %w: nobody here can do that", words, harness.ErrUnseen)
		},
	}
}
