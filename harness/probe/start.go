package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
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
	serving  bool // it is called until it accepts valid credentials, or has had its time for keys
	impostor bool
	names    []string       // what its log must name, if it ends
	sought   harness.Sought // what its log must not show, beside what the service holds
	needs    []harness.Capability
	// outsider calls also as a client who is on no list.
	outsider bool
	secrets  func(fields map[string]string) map[string]string // nil: left alone; nil result: removed
	// prepare makes the rest of a start's conditions, and gives what unmakes it;
	// nil for none.
	prepare condition
	further []Start // that are started after it
}

// Replica starts a replica of a mode's service.
func Replica(mode harness.Mode) Start { return Start{mode: mode, words: "as it is"} }

// WithoutField starts it while the secret lacks a field.
func (s Start) WithoutField(name string) Start {
	s.words = fmt.Sprintf("while aegis/runtime lacks %s", name)
	s.names = []string{name}
	s.secrets = func(fields map[string]string) map[string]string {
		delete(fields, name)
		return fields
	}
	return s
}

// WithField starts it while a field of the secret has another value.
func (s Start) WithField(name, value string) Start {
	s.words = fmt.Sprintf("while %s is %q", name, value)
	s.names = []string{name}
	s.secrets = func(fields map[string]string) map[string]string {
		fields[name] = value
		return fields
	}
	return s
}

// WithoutSecret starts it while there is no secret at aegis/runtime.
func (s Start) WithoutSecret() Start {
	s.words = "while nothing stands at aegis/runtime"
	s.secrets = func(map[string]string) map[string]string { return nil }
	return s
}

// Unset starts it without an environment variable.
func (s Start) Unset(name string) Start {
	s.words = "without " + name
	s.unset = []string{name}
	return s
}

// With starts it with another value of an environment variable.
func (s Start) With(name, value, words string) Start {
	s.words = words
	return s.and(name, value)
}

func (s Start) and(name, value string) Start {
	s.env = maps.Clone(s.env)
	if s.env == nil {
		s.env = map[string]string{}
	}
	s.env[name] = value
	return s
}

// HeldVault starts it while Vault holds its answers back.
func (s Start) HeldVault() Start {
	s.words = "while Vault holds its answers back, then lets them go"
	s.hold = true
	return s
}

// Serving calls it until it accepts valid credentials, for as long as new keys may
// take: a service may listen before it has fetched any.
func (s Start) Serving() Start {
	s.serving = true
	return s
}

// Words says what is done.
func (s Start) Words() string {
	var ways []string
	for _, one := range s.each() {
		ways = append(ways, fmt.Sprintf("in mode %s %s", one.mode, one.words))
	}
	return "start a replica " + strings.Join(ways, "; ") + ", and call it until it has answered or ended"
}

// Needs is the right to start replicas, and to write secrets where they change.
func (s Start) Needs() []harness.Capability {
	needs := []harness.Capability{harness.RestartService}
	for _, one := range s.each() {
		needs = union(needs, one.needs)
		if one.secrets != nil {
			needs = union(needs, []harness.Capability{harness.VaultWrite})
		}
		if one.mode == harness.OIDC {
			needs = union(needs, []harness.Capability{harness.GivenTokens})
		} else {
			needs = union(needs, []harness.Capability{harness.GivenClientCerts})
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

// Effect is disruptive: secrets change for everybody.
func (s Start) Effect() harness.Effect { return harness.Disruptive }

// Modes are the modes of the replicas.
func (s Start) Modes() []harness.Mode {
	var modes []harness.Mode
	for _, one := range s.each() {
		modes = union(modes, []harness.Mode{one.mode})
	}
	return modes
}

// Controlled is false: a sound start is the control.
func (s Start) Controlled() bool { return false }

// Act starts the replicas, one after the other, then a sound one of each mode
// as the control.
func (s Start) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	changed := false
	for _, one := range s.each() {
		seen, err := one.once(ctx, hands)
		if err != nil {
			return trace, err
		}
		trace.Startups = append(trace.Startups, seen)
		changed = changed || one.secrets != nil || one.prepare != nil
	}
	if changed {
		settle(ctx, hands)
	}
	if s.hold && !s.never {
		return trace, nil // it was released: its own control
	}
	for _, mode := range s.Modes() {
		control, err := Replica(mode).Serving().watch(ctx, hands)
		control.Control = true
		trace.Startups = append(trace.Startups, control)
		if err != nil {
			return trace, err
		}
	}
	return trace, nil
}

// once makes the conditions of one start, watches it, and unmakes them.
func (s Start) once(ctx context.Context, hands harness.Hands) (seen harness.Startup, err error) {
	restore, err := s.change(ctx, hands.Target())
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if s.prepare != nil {
		undo, err := s.prepare(ctx, hands.Target(), &s)
		if err != nil {
			return seen, err
		}
		defer func() { err = errors.Join(err, undo(context.WithoutCancel(ctx))) }()
	}
	return s.watch(ctx, hands)
}

// change changes the secret, and gives what puts it back.
func (s Start) change(ctx context.Context, t *harness.Target) (restore func() error, err error) {
	if s.secrets == nil {
		return func() error { return nil }, nil
	}
	store := t.Control.Secrets
	original, err := store.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading aegis/runtime before it is changed: %w", err)
	}
	restore = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := store.Write(ctx, original); err != nil {
			return fmt.Errorf("putting aegis/runtime back: %w", err)
		}
		return nil
	}
	if changed := s.secrets(maps.Clone(original)); changed != nil {
		err = store.Write(ctx, changed)
	} else {
		err = store.Remove(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("changing aegis/runtime: %w", err), restore())
	}
	return restore, nil
}

// settle waits until the services that run have taken the secret back: each
// accepts its control again.
func settle(ctx context.Context, hands harness.Hands) {
	t := hands.Target()
	for mode := range t.Faces {
		until(ctx, bound(t.Profile.Propagation, harness.DefaultPropagation), func() bool {
			request, err := Sound(t, mode, t.Endpoints[0])
			return err != nil || t.Profile.Accepts(hands.Send(ctx, request).Observation.Status)
		})
	}
}

// watch starts the replica and calls it until it ended, or answered every
// call, or the profile's bound passed.
func (s Start) watch(ctx context.Context, hands harness.Hands) (harness.Startup, error) {
	seen := harness.Startup{Variant: s.words}
	ctx, cancel := context.WithTimeout(ctx, bound(hands.Target().Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	began := time.Now()
	replica, err := hands.Target().Control.Launcher.Launch(ctx, harness.Launch{
		Mode: s.mode, Env: s.env, Unset: s.unset, HoldVault: s.hold, Impostor: s.impostor,
	})
	if err != nil {
		return seen, fmt.Errorf("starting a replica %s: %w", s.words, err)
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	ended := make(chan int, 1)
	go func() {
		if code, err := replica.Wait(ctx); err == nil {
			ended <- code
		}
	}()
	if s.hold && !s.never {
		if err := s.whileHeld(ctx, hands, replica, &seen); err != nil {
			return seen, err
		}
		replica.Release()
	}
	s.untilAnswered(ctx, hands, replica, ended, &seen)
	seen.Took = time.Since(began)
	s.read(hands.Target(), replica, &seen)
	return seen, nil
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
	seen.Log = tail(sought.Hide(text), 2000)
}

// rounds is how often a replica without its secrets is called.
const rounds = 5

// whileHeld calls the replica from its first moment until it has asked for its
// secrets, and a few rounds more.
func (s Start) whileHeld(ctx context.Context, hands harness.Hands, replica harness.Replica, seen *harness.Startup) error {
	asked := make(chan error, 1)
	go func() { asked <- replica.Asked(ctx) }()
	for left := rounds; left > 0; {
		answers, refused, err := s.round(ctx, hands, replica)
		if err != nil {
			return err
		}
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
		if !pause(ctx, 20*time.Millisecond) {
			return errors.New("waiting until the replica asks for its secrets: it did not within the bound")
		}
	}
	return nil
}

// untilAnswered calls the replica until it has ended or answered a whole round.
func (s Start) untilAnswered(ctx context.Context, hands harness.Hands, replica harness.Replica, ended <-chan int, seen *harness.Startup) {
	var listening time.Time
	for {
		select {
		case code := <-ended:
			seen.Exited, seen.Code = true, code
			return
		default:
		}
		answers, refused, err := s.round(ctx, hands, replica)
		if err == nil && len(answers) > 0 && refused == 0 && !unready(answers) {
			seen.After = answers
			if listening.IsZero() {
				listening = time.Now()
			}
			p := hands.Target().Profile
			if !s.serving || accepted(p, answers) || time.Since(listening) > newKeyBound(p) {
				return
			}
		}
		if !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// accepted reports that every call with a valid credential was.
func accepted(p harness.Profile, answers []harness.Exchange) bool {
	return !slices.ContainsFunc(answers, func(x harness.Exchange) bool {
		return x.Request.Variant == validCredential && !p.Accepts(x.Observation.Status)
	})
}

// unready reports that every call was answered 503: it listens, and says that
// it does not serve yet.
func unready(answers []harness.Exchange) bool {
	return !slices.ContainsFunc(answers, func(x harness.Exchange) bool { return x.Observation.Status != 503 })
}

// round calls every critical endpoint of the replica once with a valid
// credential and once with none; a call that found nobody is only counted.
func (s Start) round(ctx context.Context, hands harness.Hands, replica harness.Replica) (answers []harness.Exchange, refused int, err error) {
	face := replica.URL()
	requests, err := direct(hands.Target(), s.mode, face)
	if err != nil {
		return nil, 0, err
	}
	if s.outsider {
		for _, endpoint := range hands.Target().Endpoints {
			r := plain(hands.Target(), s.mode, endpoint)
			r.Variant, r.Face, r.Credential = Outsider, &face, "identity header of a client on no list"
			forwarded(hands.Target(), &r, "client-"+token.Random(4))
			r.Set("Host", Authority(face))
			requests = append(requests, r)
		}
	}
	for _, x := range hands.SendAll(ctx, requests) {
		if x.Observation.Transport == harness.Answered {
			answers = append(answers, x)
		} else {
			refused++
		}
	}
	return answers, refused, nil
}

// validCredential is the variant of a call with a valid credential.
const validCredential = "valid credential" //nolint:gosec // it holds none

// direct are the calls that reach a service behind the ingress: with a valid
// credential (in mtls mode the identity header, as the ingress would set it),
// and with none.
func direct(t *harness.Target, mode harness.Mode, face harness.Face) ([]harness.Request, error) {
	var requests []harness.Request
	for _, endpoint := range t.Endpoints {
		none := plain(t, mode, endpoint)
		none.Variant, none.Face = "no credential", &face
		shown := plain(t, mode, endpoint)
		shown.Variant, shown.Face = validCredential, &face
		if mode == harness.OIDC {
			sound, err := Sound(t, mode, endpoint)
			if err != nil {
				return nil, err
			}
			shown.Set("Authorization", sound.Get("Authorization"))
			shown.Credential = sound.Credential
		} else {
			forwarded(t, &shown, t.Certs.EnrolledCN)
			shown.Credential = "identity header of an enrolled client"
		}
		for _, r := range []harness.Request{none, shown} {
			r.Set("Host", Authority(face))
			requests = append(requests, r)
		}
	}
	return requests, nil
}

// forwarded makes a request what the ingress would hand on for a client whose
// certificate it has verified.
func forwarded(t *harness.Target, r *harness.Request, cn string) {
	r.Set(t.Profile.Header(), cn)
	if t.ProxySecret != "" {
		r.Set(harness.ProxyHeader, t.ProxySecret.Reveal())
	}
}

// pause waits for the next poll; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func bound(declared, standard time.Duration) time.Duration {
	if declared > 0 {
		return declared
	}
	return standard
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}
