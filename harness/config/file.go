package config

import (
	"cmp"
	"time"
)

// File is staging.yaml: what a target is, what it declares and what it grants.
// Its tags are the format: "yaml" names a key, "says" describes it, "enum" lists
// the values it may have, "single" lets one item stand in the place of a list, "default" is what it has when it is left out, and
// "required" marks what must be there. The schema, the reader and the
// environment's names are all made from them.
type File struct {
	Mode      string     `yaml:"mode" enum:"oidc,mtls,both" default:"both" says:"how callers authenticate: the runbook's AUTH_MODE, or both where each has a face"`
	Claim     string     `yaml:"claim" enum:"core,full" says:"what the sign-off claims to have seen: core (what the runbook says in so many words, and any staging can show) or full; left out, core for a live target and full for an image"`
	Target    Target     `yaml:"target" required:"yes" says:"where the deployment is"`
	Endpoints []Endpoint `yaml:"endpoints" required:"yes" says:"the critical endpoints; name them inference, enrollment, review and review item where they are those of the runbook"`
	Profile   Profile    `yaml:"profile" says:"what the operator declares where sound deployments differ; left out, the runbook's own words hold"`
	Grants    Grants     `yaml:"grants" says:"what the harness is given; what is left out makes what needs it not-exercised, never passed"`
	Rails     Rails      `yaml:"rails" says:"how carefully requests are sent"`
	Service   Service    `yaml:"service" says:"the team's own image, to be run in a stack of the harness's; target is then not needed"`
}

// Target is where a deployment is.
type Target struct {
	Name        string    `yaml:"name" says:"for people: payments, eu-west staging"`
	Environment string    `yaml:"environment" required:"yes" enum:"staging,test" says:"nothing but staging or test is ever called"`
	URL         string    `yaml:"url" required:"yes" form:"url" says:"scheme, host and port of the face; no path"`
	MTLSURL     string    `yaml:"mtls_url" form:"url" says:"the face of mode mtls, where it is another one"`
	CABundle    Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign the servers; left out, the system's"`
	SNI         string    `yaml:"sni" says:"server name in TLS and in Host; left out, the URL's host"`
	MTLSSNI     string    `yaml:"mtls_sni" says:"the same for the face of mode mtls; left out, sni where mtls_url is left out"`
	ConnectTo   string    `yaml:"connect_to" form:"hostport" says:"host:port to connect to in place of the URL's own"`
	MTLSConnect string    `yaml:"mtls_connect_to" form:"hostport" says:"the same for the face of mode mtls"`
	Siblings    []string  `yaml:"siblings" says:"further addresses, host:port, that are the ingress's and nobody else's: nothing critical may be served there"`
	PlainURL    string    `yaml:"plain_url" form:"url" says:"the ingress's port of plain HTTP"`
	Version     Version   `yaml:"version" says:"where the deployment says which build it is; asked at the start and at the end"`
}

// Called is how people call it: its name, or else its URL.
func (t Target) Called() string { return cmp.Or(t.Name, t.URL) }

// Version is where a deployment says which build it is.
type Version struct {
	Path   string `yaml:"path" says:"path of a GET that needs no credential"`
	Header string `yaml:"header" says:"header field of the answer that names the build; left out, the whole body does"`
}

// Endpoint is one critical endpoint.
type Endpoint struct {
	Name         string  `yaml:"name" required:"yes" says:"inference, enrollment, review, review item, or another name"`
	Method       string  `yaml:"method" default:"POST" says:"of a sound call"`
	Path         string  `yaml:"path" required:"yes" says:"of a sound call"`
	ContentType  string  `yaml:"content_type" default:"application/json" says:"of the body"`
	Body         string  `yaml:"body" says:"harmless; {{unique}} in it becomes a new identifier"`
	PositiveCall string  `yaml:"positive_call" required:"yes" enum:"harmless,writes,never" says:"what a sound call does; one that writes is made where rails.allow lets it, and else only calls that must be refused, without a body; with never, the endpoint is not called at all"`
	CleanUp      CleanUp `yaml:"clean_up" says:"the call that removes what a sound call created"`
}

// CleanUp is the call that removes what a sound call created.
type CleanUp struct {
	Method string `yaml:"method" default:"DELETE" says:"of the call"`
	Path   string `yaml:"path" says:"{{unique}} in it is the identifier of what was created"`
}

// None is the declaration of an issuer or audience that any is accepted.
const None = "none"

// Profile is what the operator declares where sound deployments differ.
type Profile struct {
	Issuer            string        `yaml:"issuer" says:"iss of the tokens the target accepts; none, where it accepts any"`
	Audience          string        `yaml:"audience" says:"aud of the tokens the target accepts; none, where it accepts any"`
	Scope             string        `yaml:"scope" says:"what an access token must carry"`
	RFC9068           bool          `yaml:"rfc9068" says:"access tokens are of RFC 9068's profile"`
	BoundTokens       bool          `yaml:"bound_tokens" says:"the IdP binds tokens to certificates (RFC 8705)"`
	NoCertificate     []string      `yaml:"no_certificate" single:"yes" enum:"http401,http400,tls" says:"the answer to no client certificate, or a list of those it may be; a refusal in TLS is always taken"`
	BadCertificate    []string      `yaml:"bad_certificate" single:"yes" enum:"http401,http400,tls" says:"the answer to one that does not verify, or a list of those it may be; a refusal in TLS is always taken"`
	Identity          string        `yaml:"identity" enum:"cn,dn,uri,dns,email" default:"cn" says:"which of a certificate's names the client is known by: the common name, the whole subject (RFC 4514), or the one alternative name that is a URI (SPIFFE), a DNS name or an address of mail"`
	IdentityHeader    string        `yaml:"identity_header" default:"x-ssl-client-cn" says:"the header in which the ingress forwards the client's name"`
	Success           []int         `yaml:"success" says:"accepted statuses; left out, 200"`
	StartBound        time.Duration `yaml:"start_bound" says:"how long a start without its secrets may take to end"`
	Propagation       time.Duration `yaml:"propagation" says:"how long a change of a secret may take to bite"`
	Intermediates     bool          `yaml:"intermediates" says:"clients' certificates come of intermediate authorities"`
	Revocation        bool          `yaml:"revocation" says:"revoked certificates are refused"`
	ShortLived        time.Duration `yaml:"short_lived" says:"how long a certificate may live where none is revoked"`
	ConnectionMaxAge  time.Duration `yaml:"connection_max_age" says:"how long a connection may outlive the certificate it was opened with"`
	Leeway            time.Duration `yaml:"leeway" says:"how long a token is accepted after it has expired, for clocks that differ"`
	APIKeys           bool          `yaml:"api_keys" says:"callers hold API keys"`
	SignedModels      bool          `yaml:"signed_models" says:"models are loaded whose signature model_signing_pubkey verifies"`
	Mesh              bool          `yaml:"mesh" says:"a service mesh verifies"`
	Authorizer        bool          `yaml:"authorizer" says:"the ingress asks an external authorizer about each call"`
	JWKSNewKeyMax     time.Duration `yaml:"jwks_new_key_max" says:"how long a new key of the JWKS may take to be known"`
	JWKSRemovedKeyMax time.Duration `yaml:"jwks_removed_key_max" says:"how long a key taken from the JWKS may still be trusted"`
	JWKSFetchesMax    int           `yaml:"jwks_fetches_max" says:"how many fetches of the JWKS unknown kids may cause in a minute"`
	JWKSRefresh       time.Duration `yaml:"jwks_refresh" says:"how often the JWKS is read anyway"`
	HandledMetric     string        `yaml:"handled_metric" says:"the service's counter of requests that came to a handler, where it has one: aegis_requests_handled_total"`
	EnrollmentMetric  string        `yaml:"enrollment_metric" says:"the service's metric of what is enrolled, where it has one"`
	ModeMetric        string        `yaml:"mode_metric" says:"the service's metric that is 1 for the mode in force, named by a label mode, where it has one: aegis_auth_mode_info"`
}

// Grants is what the harness is given.
type Grants struct {
	Tokens       Tokens       `yaml:"tokens" says:"how bearer tokens are had"`
	Certificates Certificates `yaml:"certificates" says:"how client certificates are had"`
	Vault        Vault        `yaml:"vault" says:"the secret backend"`
	AWS          AWS          `yaml:"aws" says:"AWS Secrets Manager, where it is the secret backend in the place of Vault"`
	Metrics      PerMode      `yaml:"metrics" says:"URL of the service's metrics page, by mode"`
	Backend      PerMode      `yaml:"backend" says:"the service's own address behind the ingress, by mode"`
	ProxySecret  Reference    `yaml:"proxy_secret" says:"what the ingress proves itself with to the service, in X-Ingress-Auth: shown to the service behind it only, in the ingress's place"`
	Logs         Logs         `yaml:"logs" says:"where the service's request log is; give one of file, command and loki"`
	Components   Components   `yaml:"component_logs" says:"commands that print what a component has written lately, 64 KiB of it or more: it is searched for credentials"`
	Hooks        Hooks        `yaml:"hooks" says:"commands by which the harness starts the service, reloads the ingress and changes the key set"`
	IdP          string       `yaml:"idp" form:"url" says:"URL of the issuer: its discovery document, and the key set that this names, are read"`
	IdPCA        Reference    `yaml:"idp_ca_bundle" says:"PEM of the authorities that sign it; left out, target.ca_bundle's beside the system's"`
	Prometheus   string       `yaml:"prometheus" form:"url" says:"URL of the Prometheus that watches the target; with alertmanager, its alerts are judged"`
	PrometheusCA Reference    `yaml:"prometheus_ca_bundle" says:"PEM of the authorities that sign it; left out, target.ca_bundle's beside the system's"`
	Alertmanager string       `yaml:"alertmanager" form:"url" says:"URL of the Alertmanager that it tells"`
	ManagerCA    Reference    `yaml:"alertmanager_ca_bundle" says:"PEM of the authorities that sign it; left out, target.ca_bundle's beside the system's"`
}

// PerMode is a URL for each mode.
type PerMode struct {
	OIDC     string    `yaml:"oidc" form:"url" says:"of the replica in mode oidc"`
	MTLS     string    `yaml:"mtls" form:"url" says:"of the replica in mode mtls"`
	CABundle Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign it; left out, target.ca_bundle's beside the system's"`
}

// Tokens is how bearer tokens are had.
type Tokens struct {
	Valid             Reference         `yaml:"valid" says:"a token that the target accepts, for as long as the run lasts"`
	Expired           Reference         `yaml:"expired" says:"the same, expired"`
	OtherRealm        Reference         `yaml:"other_realm" says:"a token of another realm or tenant of the same IdP"`
	ClientCredentials ClientCredentials `yaml:"client_credentials" says:"a token endpoint to get valid tokens from (RFC 6749 section 4.4)"`
	SigningKey        SigningKey        `yaml:"signing_key" says:"a key whose public half the target's JWKS holds"`
	SigningKeys       []SigningKey      `yaml:"signing_keys" says:"further such keys, of other kinds: ES256 beside RS256"`
	VaultRole         string            `yaml:"vault_role" says:"role of Vault's own OIDC provider (identity/oidc/token/ROLE) to get valid tokens from"`
	Subject           string            `yaml:"subject" says:"sub of minted tokens"`
}

// ClientCredentials is a token endpoint, and who asks there.
type ClientCredentials struct {
	TokenURL     string    `yaml:"token_url" form:"url" says:"the endpoint"`
	ClientID     string    `yaml:"client_id" says:"who asks"`
	ClientSecret Reference `yaml:"client_secret" says:"what proves it"`
	Scope        string    `yaml:"scope" says:"what is asked for"`
	Audience     string    `yaml:"audience" says:"audience parameter, where the IdP wants one"`
	CABundle     Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign the IdP; left out, target.ca_bundle's beside the system's"`
	// Wait is a bound.
	Wait time.Duration `yaml:"wait_max" default:"20m" says:"how long expectations on an expired token may wait until one that was got has ended; a token that lives longer is not waited for"`
}

// SigningKey is a private key that the target trusts.
type SigningKey struct {
	Key       Reference `yaml:"key" says:"PKCS #8 in PEM"`
	ID        string    `yaml:"id" says:"its kid"`
	Algorithm string    `yaml:"algorithm" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" says:"its JWA name"`
}

// Certificates is how client certificates are had.
type Certificates struct {
	Enrolled     Pair     `yaml:"enrolled" says:"of a client on the enrolment list"`
	Unenrolled   Pair     `yaml:"unenrolled" says:"of a client that verifies and is not on the list"`
	Authority    Pair     `yaml:"authority" says:"the CA that the ingress trusts, with its key"`
	VaultPKI     VaultPKI `yaml:"vault_pki" says:"a role that issues short-lived certificates, revoked after the run"`
	EnrolledCN   string   `yaml:"enrolled_cn" says:"the enrolled client's name; read from its certificate where that is given"`
	UnenrolledCN string   `yaml:"unenrolled_cn" says:"the name of the client that is not enrolled"`
	Sibling      Pair     `yaml:"sibling" says:"of the enrolled name, and another authority of the estate"`
	Revoked      Pair     `yaml:"revoked" says:"of the enrolled name and the trusted authority, revoked: it is on the list that the ingress has; without it profile.revocation is not exercised"`
	Public       Pair     `yaml:"public" says:"of the enrolled name, and an authority that the ingress's system trusts"`
}

// Pair is a certificate chain and its key.
type Pair struct {
	Certificate Reference `yaml:"certificate" says:"PEM, leaf first"`
	Key         Reference `yaml:"key" says:"PEM"`
}

// VaultPKI is a role of Vault's PKI.
type VaultPKI struct {
	Mount string        `yaml:"mount" default:"pki" says:"where the secrets engine is"`
	Role  string        `yaml:"role" says:"the role that issues for the harness: for the two names"`
	TTL   time.Duration `yaml:"ttl" default:"1h" says:"how long the certificates live"`
	// ClientRole and ClientToken are what the clients themselves use.
	ClientRole  string    `yaml:"client_role" says:"the role that issues for clients, each by its own identity in Vault; left out, role"`
	ClientToken Reference `yaml:"client_token" says:"a token of Vault's that is the enrolled client's own: only to ask for certificates that it must not get"`
}

// Vault is the secret backend.
type Vault struct {
	Address      string    `yaml:"address" form:"url" says:"URL of Vault"`
	CABundle     Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign Vault; left out, the system's"`
	Namespace    string    `yaml:"namespace" says:"of Vault Enterprise"`
	Mount        string    `yaml:"mount" default:"secret" says:"the KV v2 mount"`
	Path         string    `yaml:"path" default:"aegis/runtime" says:"of the runtime secrets on it"`
	Write        bool      `yaml:"write" says:"the harness may change the runtime secrets, and put them back"`
	Login        Login     `yaml:"login" says:"how the harness logs in: give one"`
	ServiceRole  Role      `yaml:"service_role" says:"the role of Kubernetes auth by which the service logs in: to be read, with the policies that it gives"`
	ServiceToken Reference `yaml:"service_token" says:"the service's own token, or one of the same policies: only to ask what it may do"`
}

// AWS is AWS Secrets Manager.
type AWS struct {
	Region          string    `yaml:"region" says:"of AWS"`
	SecretID        string    `yaml:"secret_id" default:"aegis/runtime" says:"name or ARN of the runtime secrets: a JSON object"`
	Endpoint        string    `yaml:"endpoint" form:"url" says:"URL of Secrets Manager; left out, AWS's own for the region"`
	CABundle        Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign the endpoint; left out, the system's"`
	AccessKeyID     Reference `yaml:"access_key_id" says:"the access key by which the harness asks"`
	SecretAccessKey Reference `yaml:"secret_access_key" says:"its secret"`
	SessionToken    Reference `yaml:"session_token" says:"of an access key that is temporary"`
	Write           bool      `yaml:"write" says:"the harness may change the runtime secrets, and put them back"`
}

// Role is a role of an auth method of Vault's.
type Role struct {
	Mount string `yaml:"mount" default:"kubernetes" says:"where the auth method is"`
	Role  string `yaml:"role" says:"the role"`
}

// Login is how the harness logs in to Vault.
type Login struct {
	Token      Reference  `yaml:"token" says:"a token"`
	Kubernetes Kubernetes `yaml:"kubernetes" says:"a service account's token"`
	AppRole    AppRole    `yaml:"approle" says:"a role ID and a secret ID"`
	JWT        JWTLogin   `yaml:"jwt" says:"a token of an IdP that Vault trusts"`
}

// Kubernetes is Vault's Kubernetes login.
type Kubernetes struct {
	Mount string    `yaml:"mount" default:"kubernetes" says:"where the auth method is"`
	Role  string    `yaml:"role" says:"the role"`
	Token Reference `yaml:"token" default:"file:/var/run/secrets/kubernetes.io/serviceaccount/token" says:"the service account's token"`
}

// AppRole is Vault's AppRole login.
type AppRole struct {
	Mount    string    `yaml:"mount" default:"approle" says:"where the auth method is"`
	RoleID   Reference `yaml:"role_id" says:"the role ID"`
	SecretID Reference `yaml:"secret_id" says:"the secret ID"`
}

// JWTLogin is Vault's JWT login.
type JWTLogin struct {
	Mount string    `yaml:"mount" default:"jwt" says:"where the auth method is"`
	Role  string    `yaml:"role" says:"the role"`
	Token Reference `yaml:"token" says:"the token"`
}

// Logs is where the service's request log is.
type Logs struct {
	File    string   `yaml:"file" says:"path of a file that it is appended to"`
	Command []string `yaml:"command" says:"a program and its arguments that prints it; {{probe}} in one becomes the probe's ID"`
	Loki    Loki     `yaml:"loki" says:"a Loki that has it"`
	Handled string   `yaml:"handled" form:"regexp" says:"what a line of the probe matches when it says that the handler ran; a group named identity in it is whom it served"`
}

// Components are the logs of components, each as a program and its arguments that
// prints it.
type Components struct {
	Ingress []string `yaml:"ingress" says:"prints the ingress's"`
	OIDC    []string `yaml:"oidc" says:"prints that of the service in mode oidc"`
	MTLS    []string `yaml:"mtls" says:"prints that of the service in mode mtls"`
}

// Loki is a log store.
type Loki struct {
	URL      string    `yaml:"url" form:"url" says:"of Loki"`
	Query    string    `yaml:"query" says:"a LogQL stream selector: {app=\"aegis\"}"`
	CABundle Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign it; left out, target.ca_bundle's beside the system's"`
}

// Hooks are commands of the operator's: a program and its arguments, run
// without a shell.
type Hooks struct {
	Replica Replica  `yaml:"replica" says:"starts a further replica of the service, beside those that serve"`
	Reload  []string `yaml:"reload" says:"makes the ingress take its configuration anew"`
	TrustTo string   `yaml:"trust_file" says:"the file of authorities that the ingress trusts for clients: written before reload, and put back"`
	JWKS    JWKS     `yaml:"jwks" says:"changes the key set that the target trusts, and puts back what was there; with grants.tokens.signing_key. Give publish or put"`
}

// JWKS changes a key set, by commands or by HTTP. Keys of the set that the harness was not
// given stay in it.
type JWKS struct {
	URL           string    `yaml:"url" form:"url" says:"where the target reads the key set: it is read there before a change, and after, until it is what was made of it"`
	CABundle      Reference `yaml:"ca_bundle" says:"PEM of the authorities that sign url and put; left out, target.ca_bundle's beside the system's"`
	Publish       []string  `yaml:"publish" says:"a program and its arguments that makes url serve the key set on its standard input, and no other"`
	Put           string    `yaml:"put" form:"url" says:"in its place, a URL to which the key set is PUT; a DELETE there takes it away"`
	Authorization Reference `yaml:"authorization" says:"the Authorization field of requests to put: Bearer and a token"`
	Stop          []string  `yaml:"stop" says:"takes the endpoint away: it then answers no key set"`
	Start         []string  `yaml:"start" says:"brings it back"`
}

// Replica starts a further replica of the service.
type Replica struct {
	Command []string          `yaml:"command" says:"runs it in the foreground, and ends with its own exit status; it is killed by its process group"`
	Env     map[string]string `yaml:"env" says:"the environment of a sound start, but for AUTH_MODE; a value that is a reference is read, and {{port}} in one becomes a free port"`
	Metrics string            `yaml:"metrics" says:"URL of its metrics page, {{port}} as in url; left out, /metrics beside url"`
	URL     string            `yaml:"url" says:"where it then listens: http://127.0.0.1:{{port}}; with a port of its own in place of {{port}}, one replica runs at a time"`
}

// Rails say how carefully requests are sent.
type Rails struct {
	Rate         float64       `yaml:"rate" default:"5" says:"requests a second; 0 is unpaced"`
	Burst        int           `yaml:"burst" default:"10" says:"requests that may come at once"`
	Concurrency  int           `yaml:"concurrency" default:"4" says:"requests under way at once"`
	TimeOut      time.Duration `yaml:"time_out" default:"10s" says:"of one request"`
	StopAfter    int           `yaml:"stop_after" default:"5" says:"consecutive requests without any answer after which the run stops, INCOMPLETE"`
	Proxy        string        `yaml:"proxy" form:"url" says:"an HTTP proxy to connect through (CONNECT)"`
	Allow        string        `yaml:"allow" enum:"auth-failures,writes,disruptive" default:"auth-failures" says:"the strongest effect that an expectation may have on the target"`
	RetryAfter   time.Duration `yaml:"retry_after_max" default:"60s" says:"how long a Retry-After of the target is obeyed at most"`
	RetryTotal   time.Duration `yaml:"retry_after_total" default:"10m" says:"how long all Retry-After of a run are obeyed in all: what is not answered then is not judged"`
	JournalFiles string        `yaml:"journal" default:"build/journal" says:"directory in which a run notes what it creates, for conformance sweep"`
}

// Service is the team's own image.
type Service struct {
	Image         string            `yaml:"image" says:"reference of the image"`
	Env           map[string]string `yaml:"env" says:"further environment; a value may name what the stack knows, as ${AUTH_MODE}; VAULT_TOKEN and MTLS_PROXY_SECRET are files, named by VAULT_TOKEN_FILE and MTLS_PROXY_SECRET_FILE, unless they are asked for here"`
	Port          int               `yaml:"port" default:"8080" says:"where it listens"`
	Command       []string          `yaml:"command" says:"in place of the image's own"`
	Health        string            `yaml:"health" default:"/healthz" says:"path that answers once it serves"`
	IngressProof  bool              `yaml:"ingress_proof" says:"it believes an identity header only beside MTLS_PROXY_SECRET's value in X-Ingress-Auth"`
	PreviousImage string            `yaml:"previous_image" says:"reference of the image of the release before, which a way back would lead to"`
	RequestLog    int               `yaml:"request_log" says:"port at which it answers GET /{probe ID} with what became of a probe; left out, nothing is claimed of side effects"`
}
