// Package harness is the vocabulary of the conformance harness: what is
// required of an Aegis deployment (Expectation), what it is required of
// (Target), what was seen (Trace, Observation) and what was concluded
// (Finding). It names things and does nothing: the rooms below it read, start,
// draft, act, judge, drive, conclude and tell.
package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Mode is the way a deployment authenticates callers: the runbook's AUTH_MODE.
type Mode string

// The two modes that enforce (runbook section 2).
const (
	OIDC Mode = "oidc"
	MTLS Mode = "mtls"
)

// Level is the requirement level of an expectation (RFC 2119).
type Level string

// Requirement levels.
const (
	MUST   Level = "MUST"
	SHOULD Level = "SHOULD"
	MAY    Level = "MAY"
)

// Tier says which claim an expectation belongs to.
type Tier string

// Tiers. Core is what the runbook says in so many words and any staging can show:
// with one mode's two credentials, and by reading only. The zero value is Extended.
const (
	Core     Tier = "core"
	Extended Tier = "extended"
)

// Tiers lists every tier, the narrow one first.
var Tiers = []Tier{Core, Extended}

// Effect is what a stimulus does to the target, mildest first.
type Effect string

// Effects. AuthFailures reads only, and raises the count of auth failures.
const (
	ReadOnly     Effect = "read-only"
	AuthFailures Effect = "auth-failures"
	Writes       Effect = "writes"
	Disruptive   Effect = "disruptive"
)

// Effects lists every effect, mildest first.
var Effects = []Effect{ReadOnly, AuthFailures, Writes, Disruptive}

// Within reports whether e is no stronger than limit.
func (e Effect) Within(limit Effect) bool {
	return slices.Index(Effects, e) <= slices.Index(Effects, limit)
}

// ErrUnseen marks what a target did not show: no verdict on it, and no defect
// of the harness.
var ErrUnseen = errors.New("not seen")

// ErrMissing marks what was granted and is not there, which is the target's to
// answer for.
var ErrMissing = errors.New("granted, and not there")

// ErrUnsent marks a request that was not sent: nothing of it is the target's.
var ErrUnsent = errors.New("not sent")

// ErrNotOffered marks what was asked of a granted server that does not offer it: what
// needs it was not exercised.
var ErrNotOffered = errors.New("not offered")

// Rule is the sentence an expectation asserts; it knows the line it stands on.
type Rule struct {
	Text string `json:"text"`
	File string `json:"file"` // slash-separated, from the module's root
	Line int    `json:"line"`
}

// Says makes the Rule that stands at the caller's line.
func Says(text string) Rule {
	_, file, line, _ := runtime.Caller(1)
	file = filepath.ToSlash(file)
	if i := strings.LastIndex(file, "/suites/"); i >= 0 {
		file = file[i+1:]
	}
	return Rule{Text: text, File: file, Line: line}
}

// Expectation is one literal: everything that is required, in one place.
type Expectation struct {
	ID      string   // area and number, as in the catalogue: OIDC-005
	Title   string   // a few words
	Clauses []string // runbook clauses it holds to, as listed in suites.Runbook: "4.3"
	Source  string   // RFC section, CVE, or other origin
	Level   Level
	Tier    Tier
	Rule    Rule
	// Stimulus makes what is done, which says what it needs and what it effects.
	Stimulus Builder
	// Outcome is what must come of it.
	Outcome Outcome
	// Declared is what the profile must declare before it can be held; empty: nothing.
	Declared Capability
	// Unless gives the reason the expectation is not applicable to a profile;
	// nil, or an empty reason, means that it is applicable.
	Unless func(Profile) string
}

// Tiered is the tier, written out.
func (e Expectation) Tiered() Tier { return cmp.Or(e.Tier, Extended) }

// Needs lists what the target must grant or declare.
func (e Expectation) Needs() []Capability { return e.declaring(e.Stimulus.Build().Needs) }

// declaring is what is needed, with what must be declared.
func (e Expectation) declaring(needs []Capability) []Capability {
	if e.Declared == "" {
		return needs
	}
	return append(slices.Clip(needs), e.Declared)
}

// Area is the part of the ID before the number: OIDC.
func (e Expectation) Area() string {
	area, _, _ := strings.Cut(e.ID, "-")
	return area
}

// Chapter is the suite package the expectation stands in: oidc.
func (e Expectation) Chapter() string {
	parts := strings.Split(e.Rule.File, "/")
	if len(parts) < 3 || parts[0] != "suites" {
		return "other"
	}
	return parts[1]
}

// Client is what a Stimulus acts with.
type Client interface {
	// Target is the system under test.
	Target() *Target
	// Send sends one request, paced, and reports what was seen.
	Send(ctx context.Context, request Request) Exchange
	// SendAll sends requests concurrently, paced; exchanges come in order.
	SendAll(ctx context.Context, requests []Request) []Exchange
	// SendAtOnce sends requests all at once, however many they are, paced.
	SendAtOnce(ctx context.Context, requests []Request) []Exchange
	// SendTogether sends requests one after the other on one connection.
	SendTogether(ctx context.Context, requests []Request) []Exchange
	// Hold is a connection for requests like one, which stays open between them.
	Hold(like Request) Conn
	// Patience begins to wait for something that may take as long as a bound, and gives
	// what reports that the wait is over: where the harness itself was late, it is longer.
	Patience(bound time.Duration) (over func() bool)
	// Scrape reads a metrics page.
	Scrape(ctx context.Context, url string) (map[string]Family, error)
}

// Conn is a connection that is kept open: to the face, with the certificate and
// by the protocol of the request it was made for. The first request opens it. One
// that is sent after its end was not sent.
type Conn interface {
	// Send sends one request over it, paced, and reports what was seen.
	Send(ctx context.Context, request Request) Exchange
	Close()
}

// Outcome is what must come of a stimulus: it judges and never acts.
type Outcome interface {
	// Want says in words what is wanted under a profile.
	Want(Profile) string
	// Judge weighs all that a stimulus brought to light.
	Judge(Profile, Trace) Judgement
}

// Judgement is an outcome's answer. No problem means pass.
type Judgement struct {
	Problems []Problem
	Notes    []string // worth telling, and no reason to fail
	// Inapplicable is why nothing of the target can be held to what is wanted, where no
	// problem was seen either: it has nothing of the kind. "" is that something can.
	Inapplicable string
	// Timeline is the trace's, with what was right in it; nil where it has none.
	Timeline *Timeline
}

// Problem is one reason why an expectation does not pass.
type Problem struct {
	Verdict  Verdict // Fail or Inconclusive
	Bucket   Bucket  // of a Fail
	Exchange int     // index into Trace.Exchanges, or -1
	Got      string
	Want     string
	// Overdue is the bound of time that was broken, where the problem is that; nil where
	// it is not, or the trace alone knows.
	Overdue *Overdue
}

// Verdict is what a finding concludes of one expectation. Only Pass is green.
type Verdict string

// Verdicts.
const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	Inconclusive  Verdict = "inconclusive"   // not seen well enough to tell
	NotExercised  Verdict = "not-exercised"  // a capability is missing, or it was not run
	NotApplicable Verdict = "not-applicable" // the declared profile says so, or there is nothing of the kind
	Error         Verdict = "error"          // the harness broke
)

// Verdicts lists every verdict, in the order reports show them.
var Verdicts = []Verdict{Pass, Fail, Inconclusive, Error, NotExercised, NotApplicable}

// Bucket says what kind of failure a Fail is.
type Bucket string

// Buckets, worst first (rulings 0.2).
const (
	Security Bucket = "security" // an unauthorised request was served
	Contract Bucket = "contract" // denied, but not as documented
	Protocol Bucket = "protocol" // a detail of an RFC
)

// Buckets lists every bucket, worst first.
var Buckets = []Bucket{Security, Contract, Protocol}

// Finding is the conclusion about one expectation on one target.
type Finding struct {
	ID       string       `json:"id"`
	Verdict  Verdict      `json:"verdict"`
	Bucket   Bucket       `json:"bucket,omitempty"`
	Reason   string       `json:"reason,omitempty"` // empty only for a pass
	Missing  []Capability `json:"missing,omitempty"`
	Got      string       `json:"got,omitempty"`
	Want     string       `json:"want,omitempty"`
	Control  string       `json:"control,omitempty"` // what surrounded the stimulus
	Notes    []string     `json:"notes,omitempty"`
	Evidence []Evidence   `json:"evidence,omitempty"`
	// FailedIn are the modes of all exchanges that show the failure; nil where none does.
	FailedIn []Mode `json:"failed_in,omitempty"`
	Requests int    `json:"requests"`  // sent by its stimulus
	Millis   int64  `json:"millis"`    // wall time, milliseconds
	Exchange int    `json:"exchanges"` // judged exchanges
	// Echo says in which writing an answer showed the credential that it was sent;
	// empty where none was seen to.
	Echo string `json:"echo,omitempty"`
	// Timeline is of the change that was made under steady traffic; nil where
	// none was.
	Timeline *Timeline `json:"timeline,omitempty"`
}

// Evidence is one exchange as a report shows it: no credential in it.
type Evidence struct {
	ProbeID string `json:"probe"`
	Control bool   `json:"control,omitempty"`
	Variant string `json:"variant,omitempty"`
	Mode    Mode   `json:"mode,omitempty"`
	Request string `json:"request"` // method, path, credential in words
	// Credential is that credential, by the name that its probe gives it.
	Credential string `json:"credential,omitempty"`
	Response   string `json:"response"` // status, transport outcome, challenge
	TLS        string `json:"tls,omitempty"`
	Body       string `json:"body,omitempty"`    // an excerpt, made safe
	Reached    string `json:"reached,omitempty"` // NotReached, or what the service made of it
	Millis     int64  `json:"millis"`
}

// NotReached is the Evidence.Reached of a request that somebody else answered,
// in front of the service (rulings 0.4).
const NotReached = "not the service"

// Alone reports whether nothing else may act on the target meanwhile: the
// stimulus disrupts it, or counts what others would add to.
func (e Expectation) Alone() bool {
	s := e.Stimulus.Build()
	return s.Effect == Disruptive || s.Alone
}

// What of a capability says that it is one to call an endpoint, or to have an effect.
const (
	toCall  = "endpoint"
	toAllow = "allow "
)

// CallsEndpoint is the capability of calling an endpoint of that name; an empty
// name is any at all.
func CallsEndpoint(name string) Capability { return Capability(strings.TrimSpace(toCall + " " + name)) }

// Endpoint is the name of the endpoint, of a capability that CallsEndpoint gave.
func (c Capability) Endpoint() (name string, ok bool) {
	name, ok = strings.CutPrefix(string(c), toCall)
	return strings.TrimSpace(name), ok
}

// Allows is the capability of having an effect on the target.
func Allows(effect Effect) Capability { return Capability(toAllow + string(effect)) }

// Effect is the effect, of a capability that Allows gave.
func (c Capability) Effect() (Effect, bool) {
	effect, ok := strings.CutPrefix(string(c), toAllow)
	return Effect(effect), ok
}

// Missing lists what the target lacks for the expectation, in order.
func (e Expectation) Missing(t *Target) []Capability {
	missing := e.uncalled(t)
	if effect := e.Stimulus.Build().Effect; t.Limit != "" && !effect.Within(t.Limit) {
		missing = append(missing, Allows(effect))
	}
	for _, c := range slices.Concat(e.needs(t), e.controls(t)) {
		if !t.Grants(c) && !t.Moot(c) && !slices.Contains(missing, c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// needs is what the expectation needs of this target.
func (e Expectation) needs(t *Target) []Capability { return e.declaring(e.Stimulus.Build().needsOn(t)) }

// OneSided reports whether the target lacks only the accepted calls that must
// surround the stimulus. Sent without them it can fail, where what must be refused
// is served (rulings 0.2), and it cannot pass (rulings 0.3).
func (e Expectation) OneSided(t *Target) bool {
	missing, controls, needs := e.Missing(t), e.controls(t), e.needs(t)
	return len(missing) > 0 && !slices.ContainsFunc(missing, func(c Capability) bool {
		return !slices.Contains(controls, c) || slices.Contains(needs, c)
	})
}

// controls are the credentials that accepted requests around the stimulus need,
// in every mode that it addresses: no refusal counts without them.
func (e Expectation) controls(t *Target) []Capability {
	var needs []Capability
	s := e.Stimulus.Build()
	for _, mode := range s.Modes {
		if !s.OwnControl && t.Shows(mode) {
			needs = append(needs, map[Mode]Capability{OIDC: GivenTokens, MTLS: GivenClientCerts}[mode])
		}
	}
	return needs
}

// uncalled lists the endpoint that the stimulus is about, if the target has
// none of those it names, or none at all.
func (e Expectation) uncalled(t *Target) []Capability {
	if len(t.Endpoints) == 0 && len(t.Withheld) > 0 {
		return []Capability{CallsEndpoint("")}
	}
	named := e.Stimulus.Build().Endpoints
	if len(named) == 0 {
		return nil
	}
	for _, endpoint := range slices.Concat(t.Endpoints, t.Others) {
		if slices.Contains(named, endpoint.Name) {
			return nil
		}
	}
	return []Capability{CallsEndpoint(named[0])}
}

// NotApplicable gives the reason the expectation does not apply to the target,
// or "".
func (e Expectation) NotApplicable(t *Target) string {
	if e.Unless != nil {
		if reason := e.Unless(t.Profile); reason != "" {
			return reason
		}
	}
	s := e.Stimulus.Build()
	if len(s.Modes) > 0 && !slices.ContainsFunc(s.Modes, t.Shows) {
		return fmt.Sprintf("the target does not show mode %s", s.Modes[0])
	}
	if s.Unsuited != nil {
		return s.Unsuited(t)
	}
	return ""
}

// Duration bounds used where a profile declares none.
const (
	// DefaultStartBound is how long a start without its secrets may take to
	// end in an exit (rulings A-29).
	DefaultStartBound = 60 * time.Second
	// DefaultPropagation is how long a change of a secret may take to bite
	// (expectation ENR-001).
	DefaultPropagation = 60 * time.Second
	// DefaultShortLived is how long a certificate may live that is not revoked
	// (rulings A-37).
	DefaultShortLived = 72 * time.Hour
	// DefaultNewKey and DefaultRemovedKey are how long a change of the JWKS may
	// take to bite (rulings A-16).
	DefaultNewKey     = 60 * time.Second
	DefaultRemovedKey = time.Hour
	// DefaultAlertBound is how long an alert on a spike may take, and its end: a
	// window of five minutes and a wait of five more (expectation MET-012).
	DefaultAlertBound = 15 * time.Minute
	// DefaultTokenLife is how long a token of Vault's may live that the service
	// logs in with (expectation SEC-005).
	DefaultTokenLife = 24 * time.Hour
	// DefaultKeyFetches is how many fetches of the JWKS unknown kids may cause
	// in a minute (expectation JWKS-007).
	DefaultKeyFetches = 5
)
