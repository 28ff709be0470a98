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
	// Managers are the URLs of the Alertmanagers that are told, Receivers the
	// names of those whom these tell.
	Managers(ctx context.Context) ([]string, error)
	Receivers(ctx context.Context) ([]string, error)
	// Firing are the alerts that have come to Alertmanager and have not ended.
	Firing(ctx context.Context) ([]Notice, error)
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
