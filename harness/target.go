package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Target is the system under test: where it is, what it declares and what it
// grants. All but Control is data, so that a target can be handed to another
// process (encoding/gob); secrets in it print as dots.
type Target struct {
	Kind      Kind
	Name      string // for people: "nginx and Vault in containers"
	Run       string // identifier of the run, in every probe ID
	Faces     map[Mode]Face
	Endpoints []Endpoint // critical, called by every expectation that names none
	Others    []Endpoint // critical as well, called only by those that name them
	// Withheld are the critical endpoints that are not called, by name, with the
	// reason: no accepted call may be made there, so that no refusal would count.
	Withheld map[string]string
	// Limit is the strongest effect that is allowed; empty allows every one.
	Limit Effect
	// Build is where the deployment says which build it is.
	Build   Build
	Profile Profile
	Tokens  TokenGrant
	Certs   CertGrant
	// Backends are the services' own addresses, behind the ingress.
	Backends map[Mode]Face
	// Metrics are the URLs of the services' metrics pages, Signed who signs their
	// servers.
	Metrics map[Mode]string
	Signed  Trust
	// Oracles are the URLs at which a service's request log answers what
	// became of a probe: GET {oracle}/{probe ID}, a Reached in JSON.
	Oracles map[Mode]string
	// Components says what the target is made of, for the sign-off.
	Components []Component
	// ProxySecret is what the ingress proves itself with to a service behind it,
	// in ProxyHeader; empty where the target uses no such proof. It is shown to
	// replicas of our own only, in the place of the ingress.
	ProxySecret Secret
	// Held is what the service holds and must never show.
	Held Sought
	// Beyond lists the capabilities a rehearsal cannot show, and a run in containers can.
	Beyond []Capability
	// Unreachable lists those that no configuration of this kind of run can grant.
	Unreachable []Capability
	// Denied lists those that are not granted although their means are there.
	Denied []Capability
	// Open is a virtual host at the mtls face's address that asks for no client
	// certificate, Foreign one that trusts another authority, whose client is
	// Certs.Foreign; nil where there is none.
	Open, Foreign *Face
	// Plain is the URL of the ingress's plain-HTTP port; empty where there is
	// none.
	Plain string
	// Addresses are further addresses, host:port, at which the ingress serves a
	// mode's face.
	Addresses map[Mode][]string
	// Siblings are addresses, host:port, of the ingress and nobody else, at some
	// of which it may listen.
	Siblings []string
	// Previous says what the release before the target's is, that a rollout can go
	// back to; empty where there is none.
	Previous string
	// Lives are what the harness was given for a time, and that no request shows.
	Lives []Life
	// Control is what the harness may change; nil when nothing.
	Control *Control
}

// ProxyHeader is the header field of Target.ProxySecret.
const ProxyHeader = "X-Ingress-Auth"

// Kind says what kind of run a sign-off came from.
type Kind string

// Kinds of run.
const (
	Rehearsal Kind = "rehearsal" // embedded stack: no release evidence
	SelfTest  Kind = "self-test" // containers, reference service
	Image     Kind = "image"     // containers, the team's own image
	Live      Kind = "live"      // an address that was given
	Release   Kind = "release"   // an image's record and those of live targets, made one
)

// Component is one part of a target, as the sign-off records it.
type Component struct {
	Name   string `json:"name"`   // vault, idp, ingress, service
	Is     string `json:"is"`     // what it is: "nginx 1.22.1", "stand-in for KV v2 reads"
	Image  string `json:"image"`  // reference, or empty when not in a container
	Digest string `json:"digest"` // image ID, sha256:…
	// Labels are the image's own, as far as they are short.
	Labels   map[string]string `json:"labels,omitempty"`
	Origin   string            `json:"origin"`   // present, pulled, built, in process, process
	StandIn  bool              `json:"stand_in"` // true when it is not the real thing
	ReadyMS  int64             `json:"ready_ms"` // from start to the first answer, milliseconds
	Endpoint string            `json:"endpoint"` // host:port on this host
}

// Face is one way in: a mode's address.
type Face struct {
	URL     string // scheme, host and port; no path
	Host    string // Host header and SNI; empty means the URL's own host
	RootCAs []byte // PEM; empty means the system's
	Connect string // host:port to connect to; empty means the URL's own
	Proxy   string // URL of an HTTP proxy to connect through; empty means none
}

// Authority is the Host field of a request to it: its declared host, with its port
// where that is not the scheme's own.
func (f Face) Authority() string {
	u, err := url.Parse(f.URL)
	if err != nil || f.Host == "" {
		return strings.TrimPrefix(strings.TrimPrefix(f.URL, "https://"), "http://")
	}
	if u.Port() == "" {
		return f.Host
	}
	return net.JoinHostPort(f.Host, u.Port())
}

// Trust is the authorities that sign a server: PEM, and the system's beside them
// unless they stand alone. The zero value is the system's.
type Trust struct {
	PEM   []byte
	Alone bool
	Key   string // what in the configuration says so, for whoever must mend it
}

// Build is where a deployment says which build it is: a path that answers
// without a credential, and the header field that names the build. Without a
// field the body does; the zero value says nothing.
type Build struct{ Path, Header string }

// Endpoint is one critical endpoint (runbook, goal).
type Endpoint struct {
	Name        string // inference, enrollment, review
	Method      string
	Path        string
	ContentType string
	Body        []byte // harmless; "{{unique}}" in it becomes a new identifier
	Effect      Effect // of a positive call
	// CleanUp is the call that removes what a positive call created, its method
	// and path; "{{unique}}" in the path is the identifier of what was created.
	CleanUp CleanUp
}

// CleanUp is a call that removes something; the zero value is none.
type CleanUp struct{ Method, Path string }

// Profile is what the operator declares where sound stacks differ (rulings,
// section 3). The zero value is the runbook's own words.
type Profile struct {
	Issuer   string `json:"issuer,omitempty"`
	Audience string `json:"audience,omitempty"`
	// NoAudience and NoIssuer are declarations too: tokens of any are accepted.
	NoAudience bool `json:"no_audience,omitempty"`
	NoIssuer   bool `json:"no_issuer,omitempty"`
	// Scope is what an access token must carry; RFC9068 says that access tokens
	// are of that profile, BoundTokens that the IdP binds tokens to certificates
	// (RFC 8705).
	Scope          string        `json:"scope,omitempty"`
	RFC9068        bool          `json:"rfc9068,omitempty"`
	BoundTokens    bool          `json:"bound_tokens,omitempty"`
	NoCertificate  Refusal       `json:"no_certificate,omitempty"`  // answer to no client certificate
	BadCertificate Refusal       `json:"bad_certificate,omitempty"` // answer to one that does not verify
	IdentityHeader string        `json:"identity_header,omitempty"` // default x-ssl-client-cn
	Success        []int         `json:"success,omitempty"`         // accepted statuses; default 200
	StartBound     time.Duration `json:"start_bound,omitempty"`
	Propagation    time.Duration `json:"propagation,omitempty"`
	// Intermediates says that clients' certificates come of intermediate
	// authorities, Revocation that revoked ones are refused.
	// ShortLived is how long a certificate may live where they are not.
	Intermediates bool          `json:"intermediates,omitempty"`
	Revocation    bool          `json:"revocation,omitempty"`
	ShortLived    time.Duration `json:"short_lived,omitempty"`
	// ConnectionAge is how long a connection may outlive the certificate it was
	// opened with, Leeway how long a token is accepted after exp; zero
	// declares nothing.
	ConnectionAge time.Duration `json:"connection_max_age,omitempty"`
	Leeway        time.Duration `json:"leeway,omitempty"`
	// APIKeys says that callers hold API keys, SignedModels that models are loaded
	// whose signature model_signing_pubkey verifies.
	APIKeys      bool `json:"api_keys,omitempty"`
	SignedModels bool `json:"signed_models,omitempty"`

	// HandledMetric counts what came to a handler, EnrollmentMetric what is enrolled,
	// and ModeMetric has a label mode and is 1 for the mode in force; nobody is bound
	// to have one.
	HandledMetric    string `json:"handled_metric,omitempty"`
	EnrollmentMetric string `json:"enrollment_metric,omitempty"`
	ModeMetric       string `json:"mode_metric,omitempty"`

	// Replicas is how many replicas of a mode stand behind one address, at most.
	Replicas int `json:"replicas,omitempty"`
	// AlertBound is how long an alert may take to come, and to end.
	AlertBound time.Duration `json:"alert_bound,omitempty"`

	// Mesh says that a service mesh is what verifies, Authorizer that the ingress
	// asks an external authorizer about each call.
	Mesh       bool `json:"mesh,omitempty"`
	Authorizer bool `json:"authorizer,omitempty"`

	NewKeyBound     time.Duration `json:"jwks_new_key_max,omitempty"`
	RemovedKeyBound time.Duration `json:"jwks_removed_key_max,omitempty"`
	// KeyFetches is how many fetches of the JWKS unknown kids may cause in a
	// minute (JWKS-007); KeyRefresh is how often the JWKS is read anyway.
	KeyFetches int           `json:"jwks_fetches_max,omitempty"`
	KeyRefresh time.Duration `json:"jwks_refresh,omitempty"`
}

// Refusal is a class of denial, or a set of them with commas between: an ingress may
// refuse some callers in one way and some in another.
type Refusal string

// Classes of denial (rulings 0.2). The zero value of a profile means HTTP401.
const (
	HTTP401  Refusal = "http401"
	HTTP403  Refusal = "http403"
	HTTP400  Refusal = "http400" // by the ingress: 400, 495, 496
	TLSAlert Refusal = "tls"     // alert, or a close before any byte of HTTP
	HTTP421  Refusal = "http421"
)

// Classes are those of the set; none declared is HTTP401.
func (r Refusal) Classes() []Refusal {
	if r == "" {
		return []Refusal{HTTP401}
	}
	var classes []Refusal
	for class := range strings.SplitSeq(string(r), ",") {
		classes = append(classes, Refusal(class))
	}
	return classes
}

// Has reports whether a class is in the set.
func (r Refusal) Has(class Refusal) bool { return slices.Contains(r.Classes(), class) }

// Header is the name of the identity header.
func (p Profile) Header() string {
	if p.IdentityHeader == "" {
		return "x-ssl-client-cn"
	}
	return p.IdentityHeader
}

// Succeeds reports whether a status may be declared for a success: no refusal may.
func Succeeds(status int) bool { return status >= 200 && status < 300 }

// Successes are the documented successes: 200, or those of 2xx that are declared.
func (p Profile) Successes() []int {
	declared := slices.DeleteFunc(slices.Clone(p.Success), func(status int) bool { return !Succeeds(status) })
	if len(declared) == 0 {
		return []int{200}
	}
	return declared
}

// Accepts reports whether status is a documented success.
func (p Profile) Accepts(status int) bool { return slices.Contains(p.Successes(), status) }

// Secret is text that never prints: fmt and encoding/json show dots, only
// Reveal and encoding/gob give the value.
type Secret string

const dots = "••••"

// Reveal is the value.
func (s Secret) Reveal() string { return string(s) }

// String shows dots.
func (s Secret) String() string { return dots }

// Format shows dots, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, dots) }

// MarshalText shows dots.
func (s Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }

// TokenGrant is what the harness may present as a bearer.
type TokenGrant struct {
	Valid      Secret // accepted by the target
	Expired    Secret
	OtherRealm Secret
	// Signing are keys the target trusts, the first the one to use.
	Signing []SigningKey
	// Subject is the subject of minted tokens.
	Subject string
}

// SigningKey is a private key whose public half the target's JWKS holds.
type SigningKey struct {
	ID        string // kid
	Algorithm string // JWA name: RS256, ES256
	PEM       Secret // PKCS #8
}

// Mints reports whether a key gives a capability that depends on the kind of key.
func (k SigningKey) Mints(c Capability) bool {
	family := strings.TrimRight(k.Algorithm, "0123456789")
	switch c {
	case MintEC:
		return family == "ES"
	case MintRSA:
		return family == "RS" || family == "PS"
	case EncryptTokens:
		return k.Mints(MintEC) || k.Mints(MintRSA)
	default:
		return c == MintTokens
	}
}

// CertGrant is what the harness may present as a client certificate.
type CertGrant struct {
	Enrolled   CertPair
	Unenrolled CertPair
	// Authority is the CA that the ingress trusts, with its key.
	Authority CertPair
	// Foreign is a client of the authority that Target.Foreign trusts, with the
	// enrolled client's name.
	Foreign CertPair
	// Sibling is a client of another authority of the estate (the one of the
	// servers, say), Public one of an authority that the ingress's system
	// trusts; both bear the enrolled client's name. Neither is trusted as a
	// client.
	Sibling, Public CertPair
	// EnrolledCN and UnenrolledCN are the identities of the two.
	EnrolledCN, UnenrolledCN string
}

// CertPair is a certificate chain and its key.
type CertPair struct {
	Chain []byte // PEM, leaf first
	Key   Secret // PEM, PKCS #8
}

// Control is what a target lets the harness change. A nil field is not granted.
type Control struct {
	// Bearer gives valid tokens, new ones as they are needed.
	Bearer Bearer
	// Ended is a token that was valid, and the moment from which it is not.
	Ended    EndedToken
	Launcher Launcher
	Secrets  SecretStore
	Vault    VaultControl
	JWKS     JWKSControl
	Outside  Outside
	Ingress  IngressControl
	// Authorizer is the external authorizer that the ingress asks.
	Authorizer Outage
	// Rollout deploys the service anew.
	Rollout Rollout
	// Issuer issues clients' certificates; OwnIssuer is the same role, asked as the
	// enrolled client, by its own identity in Vault.
	Issuer, OwnIssuer Issuer
	// Login is how the service logs in to Vault.
	Login ServiceLogin
	// Logs is what components write.
	Logs ComponentLog
	// Alerts is what watches the services, RuleTests what tests its rules. Watches
	// says that it comes to watch a replica that is launched to be.
	Alerts    Alerts
	RuleTests RuleTests
	Watches   bool
	// Agent is Vault Agent, beside replicas.
	Agent Agent
	// Deployment is what the services were deployed as.
	Deployment Deployment
}

// EndedToken is a token that ends; the zero value is none.
type EndedToken struct {
	Token Secret
	At    time.Time // from then on no sound verifier takes it
}

// DefaultLeeway is how long after its exp a token may be taken, where the profile
// declares nothing (rulings A-09).
const DefaultLeeway = 10 * time.Minute

// ComponentLog is what the components of a target write.
type ComponentLog interface {
	// Read gives what a component, by the name it has in Target.Components, has
	// written lately: its last 64 KiB at least, or all.
	Read(ctx context.Context, component string) (string, error)
}

// Life is something that was granted for a time.
type Life struct {
	What string // "the token of Vault"
	Ends time.Time
}

// Bearer is a source of valid tokens. When there is no new one to be had it
// gives the last.
type Bearer interface{ Token() Secret }

// Ending is a source that knows when a token that it gave ends, which may be none that
// says so itself.
type Ending interface {
	Ends(token Secret) (at time.Time, known bool)
}

// Launcher starts further replicas of the service, beside those that serve.
type Launcher interface {
	Launch(ctx context.Context, launch Launch) (Replica, error)
}

// Launch says how a replica's start differs from a sound one.
type Launch struct {
	Mode      Mode              // whose environment it starts from
	Env       map[string]string // set over it
	Unset     []string          // taken from it
	HoldVault bool              // Vault's answers are held until Replica.Release
	Impostor  bool              // another stands between it and Vault, with a certificate nobody should believe
	Previous  bool              // the release before is started
	Watched   bool              // what watches the services watches it too, until Replica.Stop
	Crashes   bool              // it will be made to crash, if it is a Crasher
}

// Replica is a started replica.
type Replica interface {
	// URL is where it listens, or would.
	URL() Face
	// Wait waits for its end and gives the exit status; ctx bounds the wait.
	Wait(ctx context.Context) (int, error)
	// Asked waits until it has asked a Vault that is held.
	Asked(ctx context.Context) error
	// Release lets Vault answer.
	Release()
	// Cut takes a Vault away that was held, for good; TurnedAway waits until the
	// replica has asked for it n times since.
	Cut(ctx context.Context) error
	TurnedAway(ctx context.Context, n int) error
	// Log is what it has written so far.
	Log() string
	// Stop ends it and frees what it holds.
	Stop(ctx context.Context) error
}

// Metered is a replica that says where its metrics page is; one that does not, or
// says "", has it beside what it serves, at /metrics.
type Metered interface{ Metrics() string }

// Crasher is a replica that can be made to crash, if it was launched to be.
type Crasher interface {
	// Crash ends it as a fault of its own would, by SIGABRT, and visits each file that
	// it has left, its core file among them.
	Crash(ctx context.Context, visit func(file string, content io.Reader) error) (Crash, error)
}

// Crash is what is known of a replica's end.
type Crash struct {
	Ended bool // it did end
	Code  int  // exit status
	// CoreLimit is the soft limit on its core file, as the system tells it: "0",
	// "unlimited", or bytes; empty where nobody knows.
	CoreLimit string
	// Piped says that the kernel hands core files to a program at the host, which no
	// limit keeps it from (core(5)).
	Piped bool
}

// SecretStore is the secret backend, with the right to change aegis/runtime.
type SecretStore interface {
	// Read gives the fields of aegis/runtime.
	Read(ctx context.Context) (map[string]string, error)
	// Write makes fields the newest version.
	Write(ctx context.Context, fields map[string]string) error
	// Remove removes the secret with all its versions.
	Remove(ctx context.Context) error
	// Delete deletes the newest version, Destroy destroys it.
	Delete(ctx context.Context) error
	Destroy(ctx context.Context) error
	// ServiceCan gives, by path, the capabilities that the service's own token
	// holds there, in Vault's terms; {"deny"} for none.
	ServiceCan(ctx context.Context, paths []string) (map[string][]string, error)
	// ServiceToken says what that token is.
	ServiceToken(ctx context.Context) (VaultToken, error)
}

// VaultToken is what Vault says of a token (auth/token/lookup-self).
type VaultToken struct {
	Policies []string
	Path     string        // by which it was had: auth/kubernetes/login
	Made     time.Duration // its life as it was made; 0 has no end
	Most     time.Duration // bound on all its renewals; 0 is none of its own
	Period   time.Duration // for which it can be renewed again and again; 0 is none
}

// VaultControl is Vault in the hands of who runs it.
type VaultControl interface {
	// Token makes a token with which aegis/runtime cannot be read.
	Token(ctx context.Context, kind TokenKind) (Secret, error)
	// Renew gives a LeasedVaultToken its life anew.
	Renew(ctx context.Context, token Secret) error
	// Seal seals it; Unseal unseals it, and returns when it answers again.
	Seal(ctx context.Context) error
	Unseal(ctx context.Context) error
}

// TokenKind says what a token of Vault's is, or what is wrong with it.
type TokenKind string

// Kinds of token.
const (
	UnentitledVaultToken TokenKind = "of a policy without aegis/runtime"
	RevokedVaultToken    TokenKind = "revoked"
	ExpiredVaultToken    TokenKind = "expired"
	// LeasedVaultToken is sound, for VaultLease; it can be renewed.
	LeasedVaultToken TokenKind = "leased"
)

// VaultLease is how long a LeasedVaultToken lives, unless it is renewed.
const VaultLease = 2 * time.Second

// Shows reports whether the target has a face for mode.
func (t *Target) Shows(mode Mode) bool {
	_, ok := t.Faces[mode]
	return ok
}

// Moot reports whether a capability is a credential of a mode that the target does
// not show and does not grant: it can have none, and none is asked of it.
func (t *Target) Moot(c Capability) bool {
	mode, ok := credentials[c]
	return ok && len(t.Faces) > 0 && !t.Shows(mode) && !t.Grants(c)
}

// OfControl lists the capabilities that are in the hands of whoever holds the target's
// Control: another process that is told of the target does not have them.
var OfControl = []Capability{
	RollOut, AlertsAPI, WatchedReplica, RulesTested, ComponentLogs, VaultAgent, DeploymentRead, RestartService,
	VaultRead, VaultWrite, RealVault, VaultControlled, ControlJWKS, OutOfBand, IngressControlled, AuthorizerControlled,
	VaultKubernetes, VaultPKI, VaultPKIClient,
}

// Grants reports whether the target grants a capability.
func (t *Target) Grants(c Capability) bool {
	if slices.Contains(t.Denied, c) {
		return false
	}
	switch c {
	case URL:
		return true
	case DeclaredAudience:
		return t.Profile.Audience != ""
	case DeclaredIssuer:
		return t.Profile.Issuer != ""
	case GivenTokens:
		return t.Tokens.Valid != "" || len(t.Tokens.Signing) > 0
	case ExpiredToken:
		return t.Tokens.Expired != "" || len(t.Tokens.Signing) > 0 || t.Control != nil && t.Control.Ended.Token != ""
	case MintTokens:
		return len(t.Tokens.Signing) > 0
	case MintEC, MintRSA, EncryptTokens:
		return slices.ContainsFunc(t.Tokens.Signing, func(k SigningKey) bool { return k.Mints(c) })
	case GivenClientCerts:
		return len(t.Certs.Enrolled.Chain) > 0 && len(t.Certs.Unenrolled.Chain) > 0
	case ClientCAKey:
		return t.Certs.Authority.Key != ""
	case Metrics:
		return len(t.Metrics) > 0
	case Logs:
		return len(t.Oracles) > 0
	case PreviousRelease:
		return t.Previous != ""
	case RollOut:
		return t.Control != nil && t.Control.Rollout != nil
	case AlertsAPI:
		return t.Control != nil && t.Control.Alerts != nil
	case WatchedReplica:
		return t.Control != nil && t.Control.Watches
	case RulesTested:
		return t.Control != nil && t.Control.RuleTests != nil
	case ComponentLogs:
		return t.Control != nil && t.Control.Logs != nil
	case VaultAgent:
		return t.Control != nil && t.Control.Agent != nil
	case DeploymentRead:
		return t.Control != nil && t.Control.Deployment != nil
	case BackendPath:
		return len(t.Backends) > 0
	case RestartService:
		return t.Control != nil && t.Control.Launcher != nil
	case VaultRead, VaultWrite:
		return t.Control != nil && t.Control.Secrets != nil
	case VaultControlled:
		return t.Control != nil && t.Control.Vault != nil
	case ControlJWKS:
		return t.Control != nil && t.Control.JWKS != nil
	case OutOfBand:
		return t.Control != nil && t.Control.Outside != nil
	case IngressControlled:
		return t.Control != nil && t.Control.Ingress != nil
	case AuthorizerControlled:
		return t.Control != nil && t.Control.Authorizer != nil
	case SecondHost:
		return t.Open != nil
	case ForeignHost:
		return t.Foreign != nil
	case IngressAddresses:
		return len(t.Siblings) > 0
	case PlainPort:
		return t.Plain != ""
	case SiblingClient:
		return len(t.Certs.Sibling.Chain) > 0
	case PublicClient:
		return len(t.Certs.Public.Chain) > 0
	case VaultKubernetes:
		return t.Control != nil && t.Control.Login != nil
	case VaultPKI:
		return t.Control != nil && t.Control.Issuer != nil
	case VaultPKIClient:
		return t.Control != nil && t.Control.OwnIssuer != nil
	case RealVault:
		return t.Grants(VaultRead) && !slices.Contains(t.Beyond, RealVault)
	default:
		return false
	}
}
