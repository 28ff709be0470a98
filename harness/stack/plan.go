package stack

import (
	"context"
	"fmt"
	"os/exec"
	"slices"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
)

// Plan is what Start would do: which runtime it takes, and what that cannot
// show by its nature.
type Plan struct {
	Runtime Runtime
	Beyond  []harness.Capability
}

// unreachable are the capabilities that neither placement grants: no
// service of ours takes API keys or models.
var unreachable = onlyIn(harness.InNoStack)

// onlyIn lists the capabilities that some of our stacks grant at most.
func onlyIn(p harness.Placement) []harness.Capability {
	return harness.CapabilitiesWhere(func(r harness.CapabilityRow) bool { return r.Stack == p })
}

// Decide plans a start. Images are had as Start would have them; nothing is
// started.
func Decide(ctx context.Context, runtime Runtime) (Plan, error) {
	p, err := choose(ctx, Spec{Runtime: runtime})
	if err != nil {
		return Plan{Runtime: runtime}, err
	}
	plan := Plan{Runtime: p.runtime, Beyond: unreachable}
	if p.runtime != Embedded {
		plan.Beyond = append(slices.Clone(unreachable), wanting(p.have)...)
		return plan, nil
	}
	_, err = exec.LookPath("vault")
	plan.Beyond = slices.Concat(unreachable, beyondProcess(err != nil))
	return plan, nil
}

// beyondProcess are the capabilities that no stack in one process grants: nothing
// watches it, and nothing of it is deployed. One whose Vault is a stand-in has
// neither Vault's own nor its agent.
func beyondProcess(standIn bool) []harness.Capability {
	beyond := onlyIn(harness.InContainers)
	if standIn {
		beyond = append(beyond, onlyIn(harness.WithRealVault)...)
	}
	return beyond
}

// wanting is what a stack in containers cannot show for want of an image that
// takes minutes to build.
func wanting(have map[string]images.Have) []harness.Capability {
	if _, ok := have[images.Kubernetes]; ok {
		return nil
	}
	return []harness.Capability{harness.VaultKubernetes}
}

// Known reports whether there is such a runtime.
func Known(runtime Runtime) error {
	known := []Runtime{Auto, Containers, Embedded}
	if slices.Contains(known, runtime) {
		return nil
	}
	return fmt.Errorf("there is no runtime %q: want %s, %s or %s", runtime, Auto, Containers, Embedded)
}
