package harness

import "context"

// Stimulus is something done to a target, as one literal: inert until Act is called.
// It acts and reports; it never judges.
type Stimulus struct {
	Words string // what is done
	// Needs lists what the target must grant, beyond its address, where it shows every
	// mode: a credential of a mode that it does not show is not asked of it.
	Needs []Capability
	// NeedsOn lists what one target must grant, where that turns on the target; nil is
	// Needs.
	NeedsOn func(*Target) []Capability
	// Unsuited is why a target gives it nothing to do, or ""; nil where every one does.
	Unsuited func(*Target) string
	Effect   Effect // what it does to the target
	// Modes lists the modes that it addresses; none means any. A target that shows none
	// of them makes the expectation not applicable.
	Modes []Mode
	// OwnControl says that it is itself the accepted request, or brings its own controls:
	// else accepted requests must surround it.
	OwnControl bool
	// Alone says that others' requests would disturb it, as they would be counted too. One
	// that is disruptive is alone in any case.
	Alone bool
	// Apart says that it starts replicas of its own, and changes nothing for anybody else.
	Apart bool
	// Endpoints names those that it is about; none means every one.
	Endpoints []string
	// Starts is how many replicas it starts, the sound ones among them; 0 where its needs
	// tell it.
	Starts int
	// Requests are what Act sends, and false where that turns on what is answered; nil
	// where it always does.
	Requests func(*Target) ([]Request, bool)
	// Seeded says that a part of its requests is chosen by the run: another run has some
	// more or fewer.
	Seeded bool
	// Tells are the keys of what Act reads beside its exchanges; what it tells under another
	// is an error of the harness.
	Tells []Key
	// Act does it. An error means that the harness could not act; what the target
	// answered, or failed to answer, is in the Trace.
	Act func(context.Context, Client) (Trace, error)
}

// Build is the stimulus as it is.
func (s Stimulus) Build() Stimulus { return s }

// needsOn is what it needs of a target.
func (s Stimulus) needsOn(t *Target) []Capability {
	if s.NeedsOn != nil {
		return s.NeedsOn(t)
	}
	return s.Needs
}

// ApartOn reports whether it may go on beside others on a target: one where replicas are
// started side by side, which is a stack of our own.
func (s Stimulus) ApartOn(t *Target) bool { return s.Apart && t.Kind != Live }

// Builder makes a stimulus: a literal is its own, and calls that are narrowed or crossed
// step by step are what they have come to.
type Builder interface{ Build() Stimulus }
