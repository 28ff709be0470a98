package harness

import (
	"context"
	"crypto/x509"
	"io"
	"io/fs"
	"time"
)

// JWKSControl is the key set that the target trusts, in the harness's hands.
type JWKSControl interface {
	// Serve makes the endpoint answer so from now on; the zero value makes it
	// sound again. Answers that are delayed end.
	Serve(ctx context.Context, answer JWKSAnswer) error
	// Fetches counts the requests that the endpoint has had, whatever became of
	// them.
	Fetches(ctx context.Context) (int, error)
	// Held waits until a request is being delayed.
	Held(ctx context.Context) error
	// Elsewhere are the URLs of the sound key set behind certificates that
	// nobody should believe.
	Elsewhere() Elsewhere
	// Attempts tells what a URL of Elsewhere has had.
	Attempts(ctx context.Context, url string) (Attempts, error)
}

// KeySetOnly is a JWKSControl by which the key set can be changed, and the endpoint neither
// made to answer anything else nor asked what it has had: it takes a JWKSAnswer with a
// Body that is a key set, and the zero value; with Down too where it CanStop. Whatever else
// it is asked for is harness.ErrNotOffered.
type KeySetOnly interface{ CanStop() bool }

// Published is what the IdP shows to everybody.
type Published interface {
	// Issuer is the URL by which it is known, that its discovery document stands below.
	Issuer() string
	// Get reads a document, the first MaxBody bytes of it. The error of an IdP that does
	// not answer is ErrUnseen.
	Get(ctx context.Context, url string) (status int, body []byte, err error)
}

// JWKSAnswer is how a JWKS endpoint answers. The zero value is sound: the keys
// of the target's grant.
type JWKSAnswer struct {
	Status      int           `json:"status,omitempty"`       // default 200
	ContentType string        `json:"content_type,omitempty"` // default application/jwk-set+json
	Location    string        `json:"location,omitempty"`     // of a redirect
	Body        []byte        `json:"body,omitempty"`         // in place of the key set; nil is the key set
	Repeat      int           `json:"repeat,omitempty"`       // how often Body is sent
	Delay       time.Duration `json:"delay,omitempty"`        // before the answer; the next Serve ends it
	Down        bool          `json:"down,omitempty"`         // the connection is closed without an answer
}

// Elsewhere is the sound key set behind certificates that nobody should
// believe; an empty URL is not there.
type Elsewhere struct {
	SelfSigned string // a certificate signed by itself
	WrongName  string // for another name
	Expired    string
}

// Attempts is what became of connections to a URL.
type Attempts struct {
	Broken int `json:"broken"` // ended before they asked for anything
	Served int `json:"served"` // requests that were answered
}

// Outside is a listener of ours that the service could call, though it must
// not: for what only shows out of band.
type Outside interface {
	// Listen counts calls under mark, and answers them with body, if any, as a
	// key set.
	Listen(ctx context.Context, mark string, body []byte) (Spot, error)
	// Hits counts the calls that bore the mark.
	Hits(ctx context.Context, mark string) (int, error)
}

// Spot is where calls under one mark are counted. A path or a query may be
// appended to each URL but Through.
type Spot struct {
	URL     string `json:"url"`     // https, its certificate one that the service trusts
	Plain   string `json:"plain"`   // the same over plain HTTP
	Through string `json:"through"` // an open redirect to URL, on the host of the key set the target trusts
}

// Outage takes a component away, and brings it back.
type Outage interface {
	Stop(ctx context.Context) error
	Start(ctx context.Context) error
}

// Failover is a Vault of several nodes, of which one is active.
type Failover interface {
	// StopActive ends the active node at once; TakenOver waits until another is
	// active.
	StopActive(ctx context.Context) error
	TakenOver(ctx context.Context) error
	// Rejoin starts the node that was ended, and waits until it stands by.
	Rejoin(ctx context.Context) error
}

// IngressControl is the ingress, in the harness's hands.
type IngressControl interface {
	// Reload makes the ingress take its configuration anew.
	Reload(ctx context.Context) error
	// TrustOnly makes client authorities the ones of a PEM bundle, and reloads;
	// an empty bundle is no file at all. The error says that the ingress refused
	// the configuration.
	TrustOnly(ctx context.Context, bundle []byte) error
	// Restore puts the sound configuration back.
	Restore(ctx context.Context) error
}

// Renewer is an ingress whose own certificates can be renewed.
type Renewer interface {
	// Renew gives it new ones, of the same authority and names, and reloads.
	Renew(ctx context.Context) error
}

// Alerts is what watches the target, by its APIs: a Prometheus with the rules
// that operators are woken by, and the Alertmanager it tells.
type Alerts interface {
	// Rules are the alerting rules that are loaded.
	Rules(ctx context.Context) ([]AlertRule, error)
	// Targets are the addresses that are scraped.
	Targets(ctx context.Context) ([]Scraped, error)
	// Series counts the series that a metric has now, by the job they are of.
	Series(ctx context.Context, metric string) (map[string]int, error)
	// Managers are the URLs of the Alertmanagers that are told, Receivers those whom
	// these tell.
	Managers(ctx context.Context) ([]string, error)
	Receivers(ctx context.Context) ([]Receiver, error)
	// Firing are the alerts that have come to Alertmanager and have not ended.
	Firing(ctx context.Context) ([]Notice, error)
	// Told counts how often Alertmanager has told its receivers, since it started. An
	// Alertmanager that does not show it is ErrNotOffered.
	Told(ctx context.Context) (Told, error)
}

// RuleTests is promtool, with the rules that are loaded.
type RuleTests interface {
	// Rehearse runs unit tests of rules by promtool, in its own format but for
	// rule_files, which are those that are loaded. It gives whether they pass, and
	// what promtool says.
	Rehearse(ctx context.Context, tests []byte) (pass bool, said string, err error)
}

// AlertRule is an alerting rule.
type AlertRule struct {
	Name    string
	Query   string // PromQL
	Trouble string // of its last evaluation; empty is none
}

// Scraped is an address that a Prometheus scrapes.
type Scraped struct {
	Job     string
	URL     string
	Up      bool
	Trouble string // of its last scrape; empty is none
}

// Receiver is whom an Alertmanager tells of alerts.
type Receiver struct {
	Name string
	// By is how he is told: webhook, email …; empty is nobody. Unread says that the
	// Alertmanager does not show it.
	By     []string
	Unread bool
}

// Told counts calls of receivers' integrations, and those that failed.
type Told struct{ Calls, Failed float64 }

// Notice is an alert that has come to an Alertmanager.
type Notice struct {
	Name      string
	Labels    map[string]string
	Receivers []string
}

// Rollout deploys the service anew, behind the address it has.
type Rollout interface {
	// Deploy starts a replica of launch and puts it in the place of those that serve
	// its mode, once it is ready. One that ends, or is not ready within the bound of a
	// start, is taken away, and nothing has changed: ready is false.
	Deploy(ctx context.Context, launch Launch) (ready bool, err error)
	// Restore puts those that served before in their place again.
	Restore(ctx context.Context) error
}

// Issuer is a role of Vault's PKI, by which clients' certificates are issued.
type Issuer interface {
	// MaxTTL is the longest life that it gives a certificate.
	MaxTTL(ctx context.Context) (time.Duration, error)
	// Sign asks for a certificate. Refused is why Vault gave none, in its words.
	Sign(ctx context.Context, ask SigningRequest) (signed *x509.Certificate, refused string, err error)
}

// SigningRequest asks for a certificate.
type SigningRequest struct {
	CommonName string
	Request    []byte // PKCS #10, PEM
	TTL        time.Duration
	// Verbatim asks for what the request says, past what the role would make of it.
	Verbatim bool
}

// ServiceLogin is the role of Vault's Kubernetes auth by which the service logs in.
type ServiceLogin interface {
	// Role reads it.
	Role(ctx context.Context) (LoginRole, error)
	// Logins tells what came of logins by it, as far as tokens for them can be had:
	// by the service's account, and by others.
	Logins(ctx context.Context) ([]Login, error)
}

// LoginRole is whom a role of Kubernetes auth lets in, and as what.
type LoginRole struct {
	Accounts, Namespaces []string
	Selector             string // of namespaces, beside those
	Audience             string // of the tokens
	// TTL, MaxTTL and Period are of the token that is given; 0 leaves it to Vault.
	TTL, MaxTTL, Period time.Duration
	Policies            map[string]string // their text, by name
}

// Login is what came of a login.
type Login struct {
	With     string // what was shown
	Control  bool   // it is the service's own, and must be let in
	Refused  string // why, in Vault's words; empty when it was let in
	Policies []string
	For      time.Duration
}

// Agent is Vault Agent beside a replica (runbook section 1, option A).
type Agent interface {
	// Launch starts it, and once it has rendered aegis/runtime a replica of launch
	// that has those files and no Vault.
	Launch(ctx context.Context, launch Launch) (Rendered, error)
}

// Rendered is a replica whose secrets are files that an agent renders.
type Rendered interface {
	Replica
	// Files are those files as they are now, by path.
	Files(ctx context.Context) ([]File, error)
	// User is the number of the user whom the replica runs as.
	User() int
}

// File is a file that holds a secret.
type File struct {
	Path     string // below the directory that the replica reads
	Perm     fs.FileMode
	Owner    int  // number of the user
	InMemory bool // on a file system that has no disk
}

// Deployment is what the services of a target were deployed as.
type Deployment interface {
	// Each visits each part: an image's layers, or what a container is started
	// with and has been given. The error of a visit ends it.
	Each(ctx context.Context, visit func(part string, content io.Reader) error) error
}

// ComponentLog is what the components of a target write.
type ComponentLog interface {
	// Read gives what a component, by the name it has in Target.Components, has
	// written lately: its last 64 KiB at least, or all.
	Read(ctx context.Context, component string) (string, error)
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
	Impostor  Impostor          // another stands between it and its secrets, with a certificate nobody should believe
	Previous  bool              // the release before is started
	Watched   bool              // what watches the services watches it too, until Replica.Stop
	Crashes   bool              // it will be made to crash, if it is a Crasher
}

// Impostor is the certificate of another who stands between a replica and its backend of
// secrets; the zero value is nobody.
type Impostor string

// Certificates of impostors (RFC 9525 section 6; RFC 5280 section 6.1.3). The last two are
// of the authority that the replica trusts, which only a stack of ours can have sign them.
const (
	UntrustedImpostor Impostor = "of an authority that nobody trusts"
	MisnamedImpostor  Impostor = "of the authority that it trusts, for another name"
	ExpiredImpostor   Impostor = "of the authority that it trusts, and expired"
)

// Impostors lists every one.
var Impostors = []Impostor{UntrustedImpostor, MisnamedImpostor, ExpiredImpostor}

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
