// Package stack starts targets: Vault, IdP, ingress and the service, placed in
// containers or as loopback listeners of this process.
package stack

import (
	"context"
	"io"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
)

// Runtime says where components are placed.
type Runtime string

// Runtimes. Auto means Containers when an engine answers and every image is
// present or pulled within seconds, else Embedded.
const (
	Auto       Runtime = "auto"
	Containers Runtime = "containers"
	Embedded   Runtime = "embedded"
	// Given is no placement: the target was there before.
	Given Runtime = "live"
)

// Spec says what to start.
type Spec struct {
	Runtime Runtime
	// Ingress is one of Flavours; empty is the usual one.
	Ingress string
	// Service is the image under test; the zero value is the reference service.
	Service Service
	// HA makes Vault three nodes behind one address; in containers only.
	HA bool
	// Run identifies the run: it labels containers and marks probes.
	Run string
	// Rules is the rule file that Prometheus loads; nil is ours.
	Rules []byte
	// Fault is planted; the zero value is a sound stack.
	Fault faults.Fault
	// Progress receives one line per step, without a newline; nil discards.
	Progress func(line string)
	// Log receives the components' own output; nil discards.
	Log io.Writer
	// Met receives every secret that the stack is given for itself; nil discards.
	Met func(kind, value string)
}

// meet tells of the tokens of a Vault that is ready.
func (s Spec) meet(v seededVault) {
	if s.Met != nil {
		s.Met("token of Vault's root", v.root.Token())
		s.Met("service's Vault token", v.token.Reveal())
	}
}

// Stack is a started target.
type Stack struct {
	Target *harness.Target
	// Choice is the one line that says which runtime was taken, and why.
	Choice string

	stop func(context.Context) error
}

// Stop ends the stack. It is safe to call twice.
func (s *Stack) Stop(ctx context.Context) error {
	if s == nil || s.stop == nil {
		return nil
	}
	stop := s.stop
	s.stop = nil
	return stop(ctx)
}
