// Package replica starts further replicas of the service, each in conditions that differ in
// one thing, and watches what becomes of them.
package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Start starts a further replica of the service, in an environment or with
// secrets that differ in one thing, and watches it from outside.
type Start struct {
	words    string
	mode     harness.Mode
	env      map[string]string
	unset    []string
	hold     bool
	never    bool // what is held is not let go
	control  bool // it is sound
	serving  bool // it is called until it accepts valid credentials, or has had its time for keys
	impostor harness.Impostor
	names    []string       // what its log must name, if it ends
	sought   harness.Sought // what its log must not show
	needs    []harness.Capability
	// outsider calls also as a client who is on no list.
	outsider bool
	// foreign are tokens that must be refused, which it is called with as well.
	foreign []token.Recipe
	secrets probe.Rewriting // nil leaves them alone
	// prepare makes the rest of a start's conditions, and gives what unmakes it;
	// nil for none.
	prepare condition
	lends   bool    // prepare makes something for this replica alone
	further []Start // that are started after it
}

// In starts a replica of a mode's service.
func In(mode harness.Mode) Start { return Start{mode: mode, words: "as it is"} }

// Without starts it while the secret lacks fields.
func (s Start) Without(names ...string) Start {
	s.words, s.names = "while aegis/runtime lacks "+strings.Join(names, " and "), names
	s.secrets = probe.Lacking(names...)
	return s
}

// With starts it while a field of the secret has another value.
func (s Start) With(name, value string) Start {
	s.words = fmt.Sprintf("while %s is %q", name, value)
	s.names = []string{name}
	s.secrets = probe.Setting(name, value)
	return s
}

// WithoutSecret starts it while there is no secret at aegis/runtime.
func (s Start) WithoutSecret() Start {
	s.words = "while nothing stands at aegis/runtime"
	s.secrets = func(map[string]string) map[string]string { return nil }
	return s
}

// Presenting calls it also with tokens that must be refused.
func (s Start) Presenting(foreign ...token.Recipe) Start {
	s.foreign = foreign
	for _, recipe := range foreign {
		s.needs = probe.Union(s.needs, recipe.Needs)
	}
	return s
}

// Unset starts it without an environment variable.
func (s Start) Unset(name string) Start {
	s.words = "without " + name
	s.unset = []string{name}
	return s
}

// HeldVault starts it while Vault holds its answers back.
func (s Start) HeldVault() Start {
	s.words = "while Vault holds its answers back, then lets them go"
	s.hold = true
	return s
}

// While says in words what its conditions are.
func (s Start) While(words string) Start {
	s.words = words
	return s
}

// Seeking says what its log must not show, beside what the service holds.
func (s Start) Seeking(sought harness.Sought) Start {
	s.sought = sought
	return s
}

// Serving calls it until it accepts valid credentials, for as long as new keys may
// take: a service may listen before it has fetched any.
func (s Start) Serving() Start {
	s.serving = true
	return s
}

// Build is the stimulus of the starts.
func (s Start) Build() harness.Stimulus {
	var ways []string
	for _, one := range s.each() {
		ways = append(ways, fmt.Sprintf("in mode %s %s", one.mode, one.words))
	}
	return harness.Stimulus{
		Words: "start a replica " + strings.Join(ways, "; ") + ", and call it until it has answered or ended",
		Needs: needsOf(s.each()), NeedsOn: func(t *harness.Target) []harness.Capability { return needsOf(s.on(t)) },
		Effect: harness.Disruptive, Modes: s.modes(), // secrets change for everybody
		Apart:  !s.changed(),
		Starts: len(s.each()) + len(s.modes()), OwnControl: true, // a sound start of each mode
		Act: s.act,
	}
}

// needsOf is the right to start replicas, and to write secrets where they change.
func needsOf(starts []Start) []harness.Capability {
	needs := []harness.Capability{harness.RestartService}
	for _, one := range starts {
		needs = probe.Union(needs, one.needs)
		if one.secrets != nil {
			needs = probe.Union(needs, []harness.Capability{harness.VaultWrite})
		}
		if one.mode == harness.OIDC {
			needs = probe.Union(needs, []harness.Capability{harness.GivenTokens})
		} else {
			needs = probe.Union(needs, []harness.Capability{harness.GivenClientCerts})
		}
	}
	return needs
}

// each are the starts, in their order.
func (s Start) each() []Start {
	further := s.further
	s.further = nil
	return append([]Start{s}, further...)
}

// on are the starts in modes that a target shows: there is no service of another. On a
// live target nobody has the key of the authority that its Vault's certificate is of.
func (s Start) on(t *harness.Target) []Start {
	return slices.DeleteFunc(s.each(), func(one Start) bool {
		ours := one.impostor == "" || one.impostor == harness.UntrustedImpostor
		return !t.Shows(one.mode) || t.Kind == harness.Live && !ours
	})
}

// modes are the modes of the replicas.
func (s Start) modes() []harness.Mode {
	var modes []harness.Mode
	for _, one := range s.each() {
		modes = probe.Union(modes, []harness.Mode{one.mode})
	}
	return modes
}

// changed reports whether one of the starts changes something for everybody.
func (s Start) changed() bool { return slices.ContainsFunc(s.each(), Start.changes) }

// changes reports whether a start's conditions are everybody's.
func (s Start) changes() bool { return s.secrets != nil || s.prepare != nil && !s.lends }

// atOnce is how many replicas that change nothing for others are started at once.
const atOnce = 2

// act starts the replicas, and a sound one of each mode as the control: one after the
// other, and the control last, where they change what others are given.
func (s Start) act(ctx context.Context, client harness.Client) (harness.Trace, error) {
	starts := s.on(client.Target())
	if !s.hold || s.never { // else it is released: its own control
		for _, mode := range s.modes() {
			if client.Target().Shows(mode) {
				starts = append(starts, control(mode))
			}
		}
	}
	seen := make([]harness.Startup, len(starts))
	var stopping sync.WaitGroup // beside the next start
	defer stopping.Wait()
	start := func(ctx context.Context, i int) (err error) {
		var stop func()
		seen[i], stop, err = starts[i].Once(ctx, client)
		stopping.Go(stop)
		return err
	}
	if s.Build().ApartOn(client.Target()) {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		for i := range starts {
			group.Go(func() error { return start(ctx, i) })
		}
		return harness.Trace{Startups: seen}, group.Wait()
	}
	changed := false
	for i, one := range starts {
		if one.control && changed {
			probe.Settle(ctx, client)
			changed = false
		}
		changed = changed || one.changes()
		if err := start(ctx, i); err != nil {
			return harness.Trace{Startups: seen[:i]}, err
		}
	}
	return harness.Trace{Startups: seen}, nil
}

// control is a sound start.
func control(mode harness.Mode) Start {
	s := In(mode).Serving()
	s.control = true
	return s
}

// Once makes the conditions of one start, watches it, and unmakes them; stop ends
// the replica, if it has not ended.
func (s Start) Once(ctx context.Context, client harness.Client) (seen harness.Startup, stop func(), err error) {
	restore, err := s.change(ctx, client.Target())
	if err != nil {
		return seen, func() {}, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if s.prepare != nil {
		undo, err := s.prepare(ctx, client.Target(), &s)
		if err != nil {
			return seen, func() {}, err
		}
		defer func() { err = errors.Join(err, undo(context.WithoutCancel(ctx))) }()
	}
	return s.observe(ctx, client)
}

// change changes the secret, and gives what puts it back.
func (s Start) change(ctx context.Context, t *harness.Target) (restore func() error, err error) {
	if s.secrets == nil {
		return func() error { return nil }, nil
	}
	return probe.Rewrite(ctx, t, s.secrets)
}

// Watch observes the replica, and ends it.
func (s Start) Watch(ctx context.Context, client harness.Client) (harness.Startup, error) {
	seen, stop, err := s.observe(ctx, client)
	stop()
	return seen, err
}

// observe starts the replica and calls it until it ended, or answered every
// call, or the profile's bound passed. Stop ends it, if it has not ended.
func (s Start) observe(ctx context.Context, client harness.Client) (seen harness.Startup, stop func(), err error) {
	seen, stop = harness.Startup{Variant: s.words, Control: s.control}, func() {}
	limit := probe.Bound(client.Target().Profile.StartBound, harness.DefaultStartBound)
	ctx, cancel := context.WithTimeout(ctx, 4*limit) // longer where we are late
	defer cancel()
	began := time.Now()
	replica, err := client.Target().Control.Launcher.Launch(ctx, harness.Launch{
		Mode: s.mode, Env: s.env, Unset: s.unset, HoldVault: s.hold, Impostor: s.impostor,
	})
	if err != nil {
		return seen, stop, fmt.Errorf("starting a replica %s: %w", s.words, err)
	}
	stop = func() { _ = replica.Stop(context.WithoutCancel(ctx)) }
	ended := make(chan int, 1)
	go func() {
		if code, err := replica.Wait(ctx); err == nil {
			ended <- code
		}
	}()
	credential, err := probe.DirectCredential(client.Target(), s.mode)
	if err != nil {
		return seen, stop, err
	}
	v := visitor{Start: s, client: client, replica: replica, credential: credential, over: client.Patience(limit)}
	if s.hold && !s.never {
		if err := v.whileHeld(ctx, &seen); err != nil {
			return seen, stop, err
		}
		replica.Release()
	}
	v.untilAnswered(ctx, ended, &seen)
	seen.Took = time.Since(began)
	s.read(client.Target(), replica, &seen)
	return seen, stop, nil
}

// read takes from the replica's log what it tells, and what it must not.
func (s Start) read(t *harness.Target, replica harness.Replica, seen *harness.Startup) {
	text, sought := replica.Log(), maps.Clone(t.Held)
	if sought == nil {
		sought = harness.Sought{}
	}
	maps.Copy(sought, s.sought)
	seen.Leaks = sought.In(text)
	for _, name := range s.names {
		if !strings.Contains(text, name) {
			seen.Unnamed = append(seen.Unnamed, name)
		}
	}
	seen.Log = probe.Tail(sought.Hide(text), 2000)
}

// rounds is how often a replica without its secrets is called.
const rounds = 5

// visitor calls a replica from its first moment.
type visitor struct {
	Start
	client     harness.Client
	replica    harness.Replica
	credential probe.Edit
	over       func() bool // the bound of a start has passed
}

// whileHeld calls the replica from its first moment until it has asked for its
// secrets, and a few rounds more.
func (v visitor) whileHeld(ctx context.Context, seen *harness.Startup) error {
	asked := make(chan error, 1)
	go func() { asked <- v.replica.Asked(ctx) }()
	for left := rounds; left > 0; {
		answers, refused := v.round(ctx, seen.Refused)
		seen.Before = append(seen.Before, answers...)
		seen.Refused += refused
		if len(seen.Before) > 0 {
			return nil // it serves without having asked, or while it waits
		}
		select {
		case err := <-asked:
			if err != nil {
				return fmt.Errorf("waiting until the replica asks for its secrets: %w", err)
			}
			seen.Asked, asked = true, nil
		default:
		}
		if seen.Asked {
			left--
		}
		if v.over() || !probe.Pause(ctx, 20*time.Millisecond) {
			return errors.New("waiting until the replica asks for its secrets: it did not within the bound")
		}
	}
	return nil
}

// untilAnswered calls the replica until it has ended or answered a whole round.
func (v visitor) untilAnswered(ctx context.Context, ended <-chan int, seen *harness.Startup) {
	var late func() bool // for keys, once it listens
	known := false       // it has keys, so that what it refuses it has verified
	for turn := 0; ; turn++ {
		select {
		case code := <-ended:
			seen.Exited, seen.Code = true, code
			return
		default:
		}
		answers, refused := v.round(ctx, turn)
		if len(answers) > 0 && refused == 0 && !unready(answers) {
			seen.After = answers
			p := v.client.Target().Profile
			if late == nil {
				late = v.client.Patience(probe.NewKeyBound(p))
			}
			if !v.serving || accepted(p, answers) && (known || len(v.foreign) == 0) || late() {
				return
			}
			known = accepted(p, answers)
		}
		if v.over() || !probe.Pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// accepted reports that every call with a valid credential was.
func accepted(p harness.Profile, answers []harness.Exchange) bool {
	return !slices.ContainsFunc(answers, func(x harness.Exchange) bool {
		return x.Request.Variant == probe.ValidCredential && !p.Accepts(x.Observation.Status)
	})
}

// unready reports that every call was answered 503: it listens, and says that
// it does not serve yet.
func unready(answers []harness.Exchange) bool {
	return !slices.ContainsFunc(answers, func(x harness.Exchange) bool { return x.Observation.Status != 503 })
}

// round calls every critical endpoint of the replica once with a valid
// credential and once with none; a call that found nobody is only counted. While
// nobody answers, one of the calls is made a round, each in its turn.
func (v visitor) round(ctx context.Context, turn int) (answers []harness.Exchange, refused int) {
	t, face := v.client.Target(), v.replica.URL()
	requests := probe.Direct(t, v.mode, face, v.credential)
	if v.outsider {
		for _, endpoint := range t.Endpoints {
			r := probe.At(t, v.mode, face, endpoint)
			r.Variant, r.Credential = probe.Outsider, "identity header of a client on no list"
			probe.Forward(t, &r, clientcert.Coin(t, "client-"+token.Random(4)))
			requests = append(requests, r)
		}
	}
	for _, recipe := range v.foreign {
		value, err := recipe.Make(token.From(t))
		if err != nil {
			continue
		}
		for _, endpoint := range t.Endpoints {
			r := probe.At(t, v.mode, face, endpoint)
			r.Variant = probe.Unentitled
			probe.SetToken(&r, recipe.Name, value)
			requests = append(requests, r)
		}
	}
	first := turn % len(requests)
	scout := v.client.Send(ctx, requests[first])
	if scout.Observation.Transport != harness.Answered {
		return nil, 1
	}
	answers = []harness.Exchange{scout}
	for _, x := range v.client.SendAll(ctx, slices.Delete(requests, first, first+1)) {
		if x.Observation.Transport == harness.Answered {
			answers = append(answers, x)
		} else {
			refused++
		}
	}
	return answers, refused
}
