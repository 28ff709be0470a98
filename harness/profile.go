package harness

import (
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/certs"
)

// Profile is what the operator declares where sound stacks differ (rulings A-01
// and those behind it). The zero value is the runbook's own words; an answer that an
// ingress gives and no field can declare (rulings A-06) is held to those.
type Profile struct {
	Issuer   string `json:"issuer,omitempty"`
	Audience string `json:"audience,omitempty"`
	// NoAudience and NoIssuer are declarations too: tokens of any are accepted.
	NoAudience bool `json:"no_audience,omitempty"`
	NoIssuer   bool `json:"no_issuer,omitempty"`
	// Scope is what an access token must carry; RFC9068 says that access tokens
	// are of that profile, BoundTokens that the IdP binds tokens to certificates
	// (RFC 8705).
	Scope          string  `json:"scope,omitempty"`
	RFC9068        bool    `json:"rfc9068,omitempty"`
	BoundTokens    bool    `json:"bound_tokens,omitempty"`
	NoCertificate  Refusal `json:"no_certificate,omitempty"`  // answer to no client certificate
	BadCertificate Refusal `json:"bad_certificate,omitempty"` // answer to one that does not verify
	// Identity is which of a certificate's names the client is known by, and
	// IdentityHeader the header that says it, default x-ssl-client-cn: CarriageOf, how.
	Identity       certs.Form    `json:"identity,omitempty"`
	IdentityHeader string        `json:"identity_header,omitempty"`
	Success        []int         `json:"success,omitempty"`     // accepted statuses; default 200
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

// DefaultLeeway is how long after its exp a token may be taken, where the profile
// declares nothing (rulings A-09).
const DefaultLeeway = 10 * time.Minute
