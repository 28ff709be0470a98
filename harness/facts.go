package harness

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key names what a stimulus reads beside its exchanges, in the words of a report: a count,
// a time, a place or a state. A stimulus says which ones it tells, an outcome which it
// reads.
type Key interface{ text() string }

// CountOf is the key of a number.
type CountOf string

// What is counted.
const (
	CallsOutOfBand    CountOf = "calls out of band" // to a listener of ours
	ServedUnverified  CountOf = "requests served behind a certificate nobody should believe"
	KeySetFetches     CountOf = "fetches of the JWKS"
	RefusedHandshakes CountOf = "lines of the ingress's log on handshakes that it refused"
	TicketsGiven      CountOf = "session tickets of TLS 1.3 that were given"
	EarlyDataAllowed  CountOf = "bytes of early data that they allow" // the most of any
)

// TimeOf is the key of a duration.
type TimeOf string

// What is timed.
const (
	FloodLasted           TimeOf = "the flood lasted"
	NewKeyAccepted        TimeOf = "a new key was accepted after"
	WithdrawnKeyRefused   TimeOf = "a withdrawn key was refused after"
	ReusedKidRefused      TimeOf = "a key whose kid was given to another was refused after"
	RecoveredByNewKey     TimeOf = "after the outage a token of the new key was accepted after"
	RecoveredByValidToken TimeOf = "after the outage a valid token was accepted after"
	CertificateLife       TimeOf = "life of a certificate"
)

// PlaceOf is the key of a place, and of what is there: by name, never as it is.
type PlaceOf string

// What a search tells.
const (
	Searched   PlaceOf = "searched"
	Leaked     PlaceOf = "shows what must not show"
	Unheard    PlaceOf = "does not tell of the calls"
	SearchNote PlaceOf = "worth telling of the search"
)

// StateOf is the key of what something is, in words.
type StateOf string

// States that are read.
const (
	ReplicaEnded      StateOf = "a replica ended"                            // with a status, before it answered
	CredentialsLogged StateOf = "credentials that the log shows"             // by name
	ValuesLogged      StateOf = "values of aegis/runtime that the log shows" // by field
	PageTells         StateOf = "what a page tells"                          // kinds of secrets
	MarkerFound       StateOf = "the list holds a name whose enrolment was denied"
	AuthoritiesTaken  StateOf = "what the ingress made of its authorities"
	VaultAllows       StateOf = "what the service's token may do on a path"
	DebugServes       StateOf = "a debug replica with AUTH_MODE=none"
	DebugMode         StateOf = "the mode of a debug replica, by its metrics and its log"
	ModeTold          StateOf = "answers to clients that tell the mode"
	BrokenRollout     StateOf = "a rollout whose replica cannot read its secrets"
	SoundRollout      StateOf = "a rollout of a sound replica"
	IdPNames          StateOf = "what the IdP names"
	AuthorityNamed    StateOf = "an authority of clients that the ingress names" // with what is wrong of it
	KeyPublished      StateOf = "a key that the IdP publishes"                   // with what is wrong of it
)

// What IdPNames are of.
const (
	IssuerGranted = "the issuer that was asked"
	IssuerNamed   = "the issuer of the discovery document"
	KeySetNamed   = "its jwks_uri"
)

// ServiceMode is the key of a service's mode, as its metrics show it at a mode's face.
func ServiceMode(at Mode) StateOf {
	return StateOf("the mode of the service, by its metrics, at the face of " + string(at))
}

func (k CountOf) text() string { return string(k) }
func (k TimeOf) text() string  { return string(k) }
func (k PlaceOf) text() string { return string(k) }
func (k StateOf) text() string { return string(k) }

// Fact is something read rather than provoked.
type Fact struct {
	key  Key
	of   string // which one of several, in words; "" of the only one
	n    int
	took time.Duration
	at   string
	is   []string
}

// Key is what it is of.
func (f Fact) Key() Key { return f.key }

// Of is the same of one of several.
func (f Fact) Of(which string) Fact {
	f.of = which
	return f
}

// Name is what it is of, in words.
func (f Fact) Name() string {
	if f.of != "" {
		return f.of
	}
	return f.key.text()
}

// Value is what was read, in words.
func (f Fact) Value() string {
	switch f.key.(type) {
	case CountOf:
		return strconv.Itoa(f.n)
	case TimeOf:
		return f.took.String()
	case PlaceOf:
		return strings.Join(append([]string{f.at}, f.is...), ": ")
	default:
		return strings.Join(f.is, ", ")
	}
}

// Was is the fact of a number.
func (k CountOf) Was(n int) Fact { return Fact{key: k, n: n} }

// In are the numbers that a trace tells.
func (k CountOf) In(t Trace) []int { return told(t, k, func(f Fact) int { return f.n }) }

// Was is the fact of a duration.
func (k TimeOf) Was(d time.Duration) Fact { return Fact{key: k, took: d} }

// Took is one duration, and what it is of.
type Took struct {
	Of string
	time.Duration
}

// In are the durations that a trace tells.
func (k TimeOf) In(t Trace) []Took {
	return told(t, k, func(f Fact) Took { return Took{f.Name(), f.took} })
}

// At is the fact of a place, and of what is there, if anything.
func (k PlaceOf) At(place string, what ...string) Fact { return Fact{key: k, at: place, is: what} }

// In are the places that a trace tells, with what is there.
func (k PlaceOf) In(t Trace) []string { return told(t, k, Fact.Value) }

// Was is the fact of a state, of one thing or more.
func (k StateOf) Was(is ...string) Fact { return Fact{key: k, is: is} }

// State is what one thing is.
type State struct {
	Of string
	Is []string
}

// In are the states that a trace tells.
func (k StateOf) In(t Trace) []State {
	return told(t, k, func(f Fact) State { return State{f.Name(), f.is} })
}

// told are the values of a key.
func told[T any](t Trace, k Key, value func(Fact) T) []T {
	var all []T
	for _, f := range t.Facts {
		if f.key == k {
			all = append(all, value(f))
		}
	}
	return all
}

// Undeclared names what a trace tells that is not among some keys.
func (t Trace) Undeclared(keys []Key) []string {
	var names []string
	for _, f := range t.Facts {
		if !slices.Contains(keys, f.key) {
			names = append(names, f.key.text())
		}
	}
	return names
}
