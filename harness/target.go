package harness

import (
	"net"
	"net/url"
	"slices"
	"strings"
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
	// Withheld are the critical endpoints at which no accepted call may be made, by name,
	// with the reason: no refusal there would count.
	Withheld map[string]string
	// Refusing are those of Withheld at which calls that must be refused are sent all the
	// same, without their body: a target that lets one through has nothing to write.
	Refusing []Endpoint
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

// ProbeHeader is the field that carries a probe's ID; the reference service logs it.
const ProbeHeader = "X-Conformance-Probe"

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

// ServerName is the name that its server is asked for by.
func (f Face) ServerName() string {
	if f.Host != "" {
		return f.Host
	}
	u, err := url.Parse(f.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
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
	// IdP is what the identity provider publishes, to be read.
	IdP     Published
	Outside Outside
	Ingress IngressControl
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

// Shows reports whether the target has a face for mode.
func (t *Target) Shows(mode Mode) bool {
	_, ok := t.Faces[mode]
	return ok
}

// Capability is something a target grants to the harness.
type Capability string

// Capabilities, in the terms of the catalogue.
const (
	URL              Capability = "url"
	GivenTokens      Capability = "given-tokens"
	ExpiredToken     Capability = "expired-token"
	MintTokens       Capability = "mint-tokens"
	ControlJWKS      Capability = "control-jwks"  // to change the key set that the target trusts
	StopJWKS         Capability = "jwks-outage"   // to take its endpoint away, and bring it back
	JWKSEndpoint     Capability = "jwks-endpoint" // to make that answer anything, and count what it is asked
	GivenClientCerts Capability = "given-client-certs"
	ClientCAKey      Capability = "client-ca-key"
	IdPRead          Capability = "idp-read" // what the IdP publishes
	RestartService   Capability = "restart-service"
	VaultRead        Capability = "vault-read"
	VaultWrite       Capability = "vault-write"
	RealVault        Capability = "real-vault"
	VaultControlled  Capability = "vault-control" // to seal it, and to make tokens
	VaultPKI         Capability = "vault-pki"     // the role that issues clients' certificates
	VaultPKIClient   Capability = "vault-pki-client"
	VaultKubernetes  Capability = "vault-kubernetes" // the role by which the service logs in
	Metrics          Capability = "metrics"
	Logs             Capability = "logs"
	RollOut          Capability = "rollout"
	PreviousRelease  Capability = "previous-release" // the one before the target's
	ComponentLogs    Capability = "component-logs"   // what the ingress and the services write
	AlertsAPI        Capability = "alerts-api"
	RulesTested      Capability = "promtool"        // beside the rules that are loaded
	WatchedReplica   Capability = "watched-replica" // one that is started, and that Prometheus scrapes
	VaultAgent       Capability = "vault-agent"     // Vault Agent, to render secrets for a replica
	DeploymentRead   Capability = "deployment-read" // images of the services, and what they are started with
	BackendPath      Capability = "backend-path"
	KubernetesRead   Capability = "kubernetes-read"
	// IngressControlled is the catalogue's ingress-control.
	IngressControlled Capability = "ingress-control"
	// The rest are parts of what the catalogue takes for granted with "url".
	OutOfBand   Capability = "out-of-band" // a listener of ours that the service could call
	SecondHost  Capability = "second-host" // a virtual host without client certificates
	ForeignHost Capability = "foreign-host"
	PlainPort   Capability = "plain-port"
	// IngressAddresses are addresses that are the ingress's and nobody else's.
	IngressAddresses Capability = "ingress-addresses"
	// AuthorizerControlled is control of the ingress's external authorizer.
	AuthorizerControlled Capability = "authorizer-control"
	// SiblingClient and PublicClient are certificates that are sound and must
	// not be trusted.
	SiblingClient Capability = "sibling-client"
	PublicClient  Capability = "public-client"
	// RevokedClient is a certificate that stands on the ingress's list of revoked ones.
	RevokedClient Capability = "revoked-client"
	// KeyedCaller is a client with an API key, SignedModel a model to have loaded;
	// there is none here.
	KeyedCaller Capability = "api-key"
	SignedModel Capability = "signed-model"
	// MintEC and MintRSA are mint-tokens with a key of an ES algorithm, and of an RS or
	// PS one; EncryptTokens is with a key of either, to which a token can be encrypted.
	MintEC        Capability = "mint-ec-tokens"
	MintRSA       Capability = "mint-rsa-tokens"
	EncryptTokens Capability = "encrypt-tokens"
	// DeclaredAudience and DeclaredIssuer are what the profile must say before tokens for
	// others can be told apart.
	DeclaredAudience Capability = "profile.audience"
	DeclaredIssuer   Capability = "profile.issuer"
)

// Layer is a part of a deployment that somebody owns.
type Layer string

// Layers of a deployment.
const (
	IdPLayer        Layer = "idp"
	IngressLayer    Layer = "ingress"
	ServiceLayer    Layer = "service"
	VaultLayer      Layer = "vault"
	MonitoringLayer Layer = "monitoring"
)

// Placement says which stacks of the harness's own grant a capability; the zero value
// leaves it to what the target is made of.
type Placement string

// Placements.
const (
	InContainers  Placement = "containers" // one in process has nobody who watches it, and nothing deployed
	WithRealVault Placement = "vault"      // a stand-in for Vault does not grant it
	InNoStack     Placement = "none"
)

// Setting is a value of the configuration, by its path.
type Setting struct{ Path, Value string }

// CapabilityRow is all that is known of a capability (rulings 0.5).
type CapabilityRow struct {
	Name Capability
	// Config says what in the configuration of a live target gives it; empty: nothing does.
	Config string
	// Example is a configuration that gives it: every reference in it is the reader's own
	// to name, and MODE in a path is each mode.
	Example []Setting
	// Mode is the mode whose credential it is, or of which it makes some; empty: of none.
	Mode Mode
	// Owner is who must mend what fails in a row that needs it; empty: that turns on who
	// answered. Of several needs, the first in the table tells.
	Owner Layer
	// Control marks what only the process that holds Target.Control has.
	Control bool
	// Ingress marks what belongs to whoever holds what stands before the service.
	Ingress bool
	// Stack says which stacks of the harness's own grant it.
	Stack Placement
	// Granted reports whether a target grants it; nil: none does.
	Granted func(*Target) bool
}

// CapabilityTable has a row for each capability.
var CapabilityTable = []CapabilityRow{
	{Name: URL, Config: "the target's address", Granted: func(*Target) bool { return true }},
	{Name: GivenTokens, Config: "grants.tokens (valid, client_credentials, vault_role or signing_key)", Mode: OIDC,
		Example: []Setting{{"grants.tokens.valid", "env:STAGING_TOKEN"}},
		Granted: func(t *Target) bool { return t.Tokens.Valid != "" || len(t.Tokens.Signing) > 0 }},
	{Name: ExpiredToken, Mode: OIDC,
		Config:  "grants.tokens (expired, signing_key, or client_credentials whose tokens end within wait_max)",
		Example: []Setting{{"grants.tokens.expired", "env:STAGING_EXPIRED_TOKEN"}},
		Granted: func(t *Target) bool {
			return t.Tokens.Expired != "" || len(t.Tokens.Signing) > 0 || t.Control != nil && t.Control.Ended.Token != ""
		}},
	{Name: MintTokens, Config: "grants.tokens.signing_key", Mode: OIDC,
		Example: []Setting{{"grants.tokens.signing_key", "{key: file:idp.key, id: KID, algorithm: ES256}"}},
		Granted: mints(MintTokens)},
	{Name: MintEC, Config: "grants.tokens.signing_key, of an ES algorithm", Mode: OIDC,
		Example: []Setting{{"grants.tokens.signing_key", "{key: file:idp.key, id: KID, algorithm: ES256}"}},
		Granted: mints(MintEC)},
	{Name: MintRSA, Config: "grants.tokens.signing_key, of an RS or PS algorithm", Mode: OIDC,
		Example: []Setting{{"grants.tokens.signing_keys", "[{key: file:idp-rsa.key, id: KID-RSA, algorithm: RS256}]"}},
		Granted: mints(MintRSA)},
	{Name: EncryptTokens, Config: "grants.tokens.signing_key, of an RS, PS or ES algorithm", Mode: OIDC,
		Example: []Setting{{"grants.tokens.signing_key", "{key: file:idp.key, id: KID, algorithm: ES256}"}},
		Granted: mints(EncryptTokens)},
	{Name: DeclaredAudience, Config: "profile.audience (none, where tokens of any are accepted)",
		Example: []Setting{{"profile.audience", "AUDIENCE"}},
		Granted: func(t *Target) bool { return t.Profile.Audience != "" }},
	{Name: DeclaredIssuer, Config: "profile.issuer (none, where those of any are accepted)",
		Example: []Setting{{"profile.issuer", "https://idp.staging.example"}},
		Granted: func(t *Target) bool { return t.Profile.Issuer != "" }},
	{Name: GivenClientCerts, Config: "grants.certificates (enrolled and unenrolled, authority, or vault_pki)", Mode: MTLS,
		Example: []Setting{
			{"grants.certificates.enrolled", "{certificate: file:enrolled.crt, key: file:enrolled.key}"},
			{"grants.certificates.unenrolled", "{certificate: file:unenrolled.crt, key: file:unenrolled.key}"},
		},
		Granted: func(t *Target) bool { return len(t.Certs.Enrolled.Chain) > 0 && len(t.Certs.Unenrolled.Chain) > 0 }},
	{Name: ClientCAKey, Config: "grants.certificates.authority", Mode: MTLS,
		Example: []Setting{
			{"grants.certificates.authority", "{certificate: file:clients-ca.crt, key: file:clients-ca.key}"},
			{"grants.certificates.enrolled_cn", "CLIENT-ON-THE-LIST"},
			{"grants.certificates.unenrolled_cn", "CLIENT-OFF-THE-LIST"},
		},
		Granted: func(t *Target) bool { return t.Certs.Authority.Key != "" }},
	{Name: SiblingClient, Config: "grants.certificates.sibling", Mode: MTLS,
		Example: []Setting{{"grants.certificates.sibling", "{certificate: file:sibling.crt, key: file:sibling.key}"}},
		Granted: func(t *Target) bool { return len(t.Certs.Sibling.Chain) > 0 }},
	{Name: PublicClient, Config: "grants.certificates.public", Mode: MTLS,
		Example: []Setting{{"grants.certificates.public", "{certificate: file:public.crt, key: file:public.key}"}},
		Granted: func(t *Target) bool { return len(t.Certs.Public.Chain) > 0 }},
	{Name: RevokedClient, Config: "grants.certificates.revoked", Mode: MTLS,
		Example: []Setting{{"grants.certificates.revoked", "{certificate: file:revoked.crt, key: file:revoked.key}"}},
		Granted: func(t *Target) bool { return len(t.Certs.Revoked.Chain) > 0 }},

	{Name: AlertsAPI, Config: "grants.prometheus and grants.alertmanager", Owner: MonitoringLayer, Control: true, Stack: InContainers,
		Example: []Setting{
			{"grants.prometheus", "https://prometheus.staging.example"},
			{"grants.alertmanager", "https://alertmanager.staging.example"},
		},
		Granted: controls(func(c *Control) bool { return c.Alerts != nil })},
	{Name: ControlJWKS, Config: "grants.hooks.jwks", Control: true,
		Example: []Setting{{"grants.hooks.jwks", `{url: "https://idp.staging.example/jwks", publish: [/opt/idp/bin/publish]}`}},
		Granted: controls(func(c *Control) bool { return c.JWKS != nil })},
	{Name: StopJWKS, Config: "grants.hooks.jwks (put, or publish with stop and start)", Control: true,
		Example: []Setting{{"grants.hooks.jwks", `{url: "https://idp.staging.example/jwks", put: "https://idp.staging.example/admin/jwks"}`}},
		Granted: controls(func(c *Control) bool {
			only, limited := c.JWKS.(KeySetOnly)
			return c.JWKS != nil && (!limited || only.CanStop())
		})},
	{Name: JWKSEndpoint, Control: true, Granted: controls(func(c *Control) bool {
		_, limited := c.JWKS.(KeySetOnly)
		return c.JWKS != nil && !limited
	})},
	{Name: IdPRead, Config: "grants.idp", Owner: IdPLayer, Control: true,
		Example: []Setting{{"grants.idp", "https://idp.staging.example"}},
		Granted: controls(func(c *Control) bool { return c.IdP != nil })},
	{Name: RestartService, Config: "grants.hooks.replica", Owner: ServiceLayer, Control: true, // it started as it must not, or did not start
		Example: []Setting{{"grants.hooks.replica", `{command: [/opt/aegis/bin/serve], url: "http://127.0.0.1:{{port}}"}`}},
		Granted: controls(func(c *Control) bool { return c.Launcher != nil })},
	{Name: VaultControlled, Control: true, Granted: controls(func(c *Control) bool { return c.Vault != nil })},
	{Name: RollOut, Control: true, Granted: controls(func(c *Control) bool { return c.Rollout != nil })},
	{Name: PreviousRelease, Granted: func(t *Target) bool { return t.Previous != "" }},
	{Name: RulesTested, Control: true, Stack: InContainers, Granted: controls(func(c *Control) bool { return c.RuleTests != nil })},
	{Name: WatchedReplica, Control: true, Stack: InContainers, Granted: controls(func(c *Control) bool { return c.Watches })},
	{Name: VaultAgent, Control: true, Stack: WithRealVault, Granted: controls(func(c *Control) bool { return c.Agent != nil })},
	{Name: DeploymentRead, Owner: ServiceLayer, Control: true, Stack: InContainers, // it was deployed as it must not
		Granted: controls(func(c *Control) bool { return c.Deployment != nil })},
	{Name: VaultRead, Config: "grants.vault or grants.aws", Owner: VaultLayer, Control: true,
		Example: []Setting{
			{"grants.vault.address", "https://vault.staging.example:8200"},
			{"grants.vault.login", "{token: env:VAULT_TOKEN}"},
		},
		Granted: controls(func(c *Control) bool { return c.Secrets != nil })},
	{Name: VaultWrite, Config: "grants.vault.write or grants.aws.write", Owner: VaultLayer, Control: true,
		Example: []Setting{
			{"grants.vault.address", "https://vault.staging.example:8200"},
			{"grants.vault.login", "{token: env:VAULT_TOKEN}"},
			{"grants.vault.write", "true"},
		},
		Granted: controls(func(c *Control) bool { return c.Secrets != nil })},
	{Name: RealVault, Config: "grants.vault.service_token", Control: true, Stack: WithRealVault,
		Example: []Setting{{"grants.vault.service_token", "env:STAGING_SERVICE_TOKEN"}},
		Granted: func(t *Target) bool {
			return t.Control != nil && t.Control.Secrets != nil && !slices.Contains(t.Denied, VaultRead) && !slices.Contains(t.Beyond, RealVault)
		}},
	{Name: VaultPKI, Config: "grants.certificates.vault_pki", Mode: MTLS, Control: true, Stack: WithRealVault,
		Example: []Setting{
			{"grants.certificates.vault_pki", "{mount: pki, role: conformance}"},
			{"grants.certificates.enrolled_cn", "CLIENT-ON-THE-LIST"},
			{"grants.certificates.unenrolled_cn", "CLIENT-OFF-THE-LIST"},
		},
		Granted: controls(func(c *Control) bool { return c.Issuer != nil })},
	{Name: VaultPKIClient, Config: "grants.certificates.vault_pki.client_token", Mode: MTLS, Control: true, Stack: WithRealVault,
		Example: []Setting{
			{"grants.certificates.vault_pki", "{mount: pki, role: conformance, client_token: env:STAGING_CLIENT_TOKEN}"},
		},
		Granted: controls(func(c *Control) bool { return c.OwnIssuer != nil })},
	{Name: VaultKubernetes, Config: "grants.vault.service_role", Control: true, Stack: WithRealVault,
		Example: []Setting{{"grants.vault.service_role", "{mount: kubernetes, role: aegis}"}},
		Granted: controls(func(c *Control) bool { return c.Login != nil })},
	{Name: BackendPath, Config: "grants.backend", Owner: ServiceLayer, Ingress: true, // called behind the ingress (rulings A-40)
		Example: []Setting{{"grants.backend.MODE", "http://aegis.staging.example:8080"}},
		Granted: func(t *Target) bool { return len(t.Backends) > 0 }},
	{Name: Metrics, Config: "grants.metrics",
		Example: []Setting{{"grants.metrics.MODE", "http://aegis.staging.example:8080/metrics"}},
		Granted: func(t *Target) bool { return len(t.Metrics) > 0 }},
	{Name: Logs, Config: "grants.logs",
		Example: []Setting{
			{"grants.logs.handled", `'handled (?P<identity>\S+)'`},
			{"grants.logs.file", "/var/log/aegis/requests.log"},
		},
		Granted: func(t *Target) bool { return len(t.Oracles) > 0 }},
	{Name: ComponentLogs, Config: "grants.component_logs", Control: true,
		Example: []Setting{
			{"grants.component_logs.ingress", `[tail, -c, "1000000", /var/log/nginx/access.log]`},
			{"grants.component_logs.MODE", `[journalctl, -u, aegis, -n, "5000", --no-pager]`},
		},
		Granted: controls(func(c *Control) bool { return c.Logs != nil })},
	{Name: KubernetesRead},
	{Name: IngressControlled, Config: "grants.hooks.reload and trust_file", Control: true, Ingress: true,
		Example: []Setting{
			{"grants.hooks.reload", "[systemctl, reload, nginx]"},
			{"grants.hooks.trust_file", "/etc/nginx/clients-ca.pem"},
		},
		Granted: controls(func(c *Control) bool { return c.Ingress != nil })},
	{Name: PlainPort, Config: "target.plain_url", Ingress: true,
		Example: []Setting{{"target.plain_url", "http://aegis.staging.example"}},
		Granted: func(t *Target) bool { return t.Plain != "" }},
	{Name: IngressAddresses, Config: "target.siblings", Ingress: true,
		Example: []Setting{{"target.siblings", "[aegis.staging.example:8443]"}},
		Granted: func(t *Target) bool { return len(t.Siblings) > 0 }},
	{Name: OutOfBand, Control: true, Granted: controls(func(c *Control) bool { return c.Outside != nil })},
	{Name: SecondHost, Ingress: true, Granted: func(t *Target) bool { return t.Open != nil }},
	{Name: ForeignHost, Ingress: true, Granted: func(t *Target) bool { return t.Foreign != nil }},
	{Name: AuthorizerControlled, Control: true, Granted: controls(func(c *Control) bool { return c.Authorizer != nil })},
	{Name: KeyedCaller, Stack: InNoStack},
	{Name: SignedModel, Stack: InNoStack},
}

// controls is what a part of Control grants.
func controls(has func(*Control) bool) func(*Target) bool {
	return func(t *Target) bool { return t.Control != nil && has(t.Control) }
}

// mints is what a signing key of the right kind grants.
func mints(c Capability) func(*Target) bool {
	return func(t *Target) bool {
		return slices.ContainsFunc(t.Tokens.Signing, func(k SigningKey) bool { return k.Mints(c) })
	}
}

// Row is the capability's row; one that is in no table has a row of its name alone.
func (c Capability) Row() CapabilityRow {
	if i := slices.IndexFunc(CapabilityTable, func(r CapabilityRow) bool { return r.Name == c }); i >= 0 {
		return CapabilityTable[i]
	}
	return CapabilityRow{Name: c}
}

// CapabilitiesWhere lists the capabilities of the rows that has holds of, in the table's order.
func CapabilitiesWhere(has func(CapabilityRow) bool) []Capability {
	var some []Capability
	for _, row := range CapabilityTable {
		if has(row) {
			some = append(some, row.Name)
		}
	}
	return some
}

// Capabilities lists every capability.
func Capabilities() []Capability { return CapabilitiesWhere(func(CapabilityRow) bool { return true }) }

// Moot reports whether a capability is a credential of a mode that the target does
// not show and does not grant: it can have none, and none is asked of it.
func (t *Target) Moot(c Capability) bool {
	mode := c.Row().Mode
	return mode != "" && len(t.Faces) > 0 && !t.Shows(mode) && !t.Grants(c)
}

// Grants reports whether the target grants a capability.
func (t *Target) Grants(c Capability) bool {
	granted := c.Row().Granted
	return granted != nil && !slices.Contains(t.Denied, c) && granted(t)
}
