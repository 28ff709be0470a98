package faults

import (
	"maps"
	"slices"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// rig is the part of the stack that a fault is judged in (rulings 2.H): what holds
// the fault, and nothing before it that would hide it or cost a handshake.
type rig int

const (
	// wholeRig is everything: ingress, both services, Vault, IdP.
	wholeRig rig = iota
	// serviceRig is the service of mode oidc, called at its own address.
	serviceRig
)

// rig is where a fault is judged. What is wrong with a service shows at the
// service, if all that fails on it can be asked there; in containers what is asked
// is whether it shows in the whole of them.
func (p Plan) rig(f faults.Fault) rig {
	switch {
	case f.Bare:
		return serviceRig
	case p.Runtime == stack.Containers || f.Component == reference || f.Face == harness.MTLS ||
		f.Ingress != nil || f.Beside != nil || f.Previous != nil || // in front of the service, or in its place
		slices.ContainsFunc(f.Falls(), beyondService):
		return wholeRig
	default:
		return serviceRig
	}
}

// beyondService reports an expectation that cannot be asked of the service of mode
// oidc alone.
func beyondService(id string) bool {
	x, ok := suites.Find(id)
	if !ok {
		return true
	}
	modes := x.Stimulus.Build().Modes
	return len(modes) > 0 && !slices.Contains(modes, harness.OIDC) ||
		slices.ContainsFunc(x.Stimulus.Build().Needs, func(c harness.Capability) bool { return c.Row().Ingress })
}

// placed is a fault as its rig has it: that of the service starts one service.
func (p Plan) placed(f faults.Fault) faults.Fault {
	if p.rig(f) == serviceRig {
		f.Face = harness.OIDC
	}
	return f
}

// narrow leaves out the face that the fault is not planted in, which is the
// reference's own, and makes expectations that name no endpoint call the one
// that every fault shows on, and those the fault names: what holds of one
// endpoint holds of the others, and a matrix is many runs. The reference is
// judged on all.
func narrow(t *harness.Target, f faults.Fault) {
	if f.Component == reference {
		return
	}
	other := func(mode harness.Mode, _ harness.Face) bool { return f.Face != "" && mode != f.Face }
	maps.DeleteFunc(t.Faces, other)
	maps.DeleteFunc(t.Backends, other)
	var kept []harness.Endpoint
	for _, e := range t.Endpoints {
		if e.Name == t.Endpoints[0].Name || slices.Contains(f.Endpoints, e.Name) {
			kept = append(kept, e)
		} else {
			t.Others = append(t.Others, e)
		}
	}
	t.Endpoints = kept
}

// bare makes the service's own address the target's, and leaves the expectations
// that can be asked there.
func bare(t *harness.Target, all []harness.Expectation) []harness.Expectation {
	t.Faces = maps.Clone(t.Backends)
	t.Open, t.Foreign, t.Plain, t.Addresses, t.Siblings, t.Backends = nil, nil, "", nil, nil, nil
	return slices.DeleteFunc(slices.Clone(all), func(x harness.Expectation) bool {
		return x.NotApplicable(t) != "" || len(x.Missing(t)) > 0
	})
}

// crossings is the expectation that asks every way together with every caller: it falls
// with whatever others fall on who is served, and by the selection that the run's seed
// makes. It is judged on the faults that it is about, and on the reference.
const crossings = "EPT-023"

// expectations are those of the plan's areas, and of the halves of the catalogue
// that the fault is about: on who is served, and on how the service is run. A
// fault of one half is judged on it whole, or else on what it names; the reference
// is judged on both.
func (p Plan) expectations(f faults.Fault) []harness.Expectation {
	few := f.Component != reference && p.Sample.Seed != "" && !slices.Contains(p.whole, f.ID) ||
		f.Beside != nil // whoever meets the stray replica fails: chance has it
	run := slices.ContainsFunc(f.Named, running) || f.Component == reference
	serve := slices.ContainsFunc(f.Named, func(id string) bool { return !running(id) }) || f.Component == reference
	return slices.DeleteFunc(suites.All(), func(x harness.Expectation) bool {
		if x.ID == crossings && f.Component != reference && !slices.Contains(f.Named, crossings) {
			return true
		}
		return len(p.Areas) > 0 && !slices.Contains(p.Areas, x.Area()) || len(p.IDs) > 0 && !slices.Contains(p.IDs, x.ID) ||
			few && !slices.Contains(f.Named, x.ID) || running(x.ID) && !run || !running(x.ID) && !serve
	})
}
