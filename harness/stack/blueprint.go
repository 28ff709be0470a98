package stack

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// What a started target declares of itself.
const (
	audience    = "aegis"
	scope       = "aegis:call"
	propagation = 3 * time.Second
	startBound  = 30 * time.Second
	alertBound  = 20 * time.Second
	// refresh is how often the service re-reads aegis/runtime: well within
	// propagation.
	refresh = "100ms"
	// newKey and removedKey are how long a change of the JWKS may take; it is
	// re-read every keyRefresh.
	newKey     = 2 * time.Second
	removedKey = 2 * time.Second
	keyRefresh = 25 * time.Millisecond
	// connectionAge is how long a connection may outlive its certificate: some more
	// than nginx's keepalive_time.
	connectionAge = 6 * time.Second
	leeway        = 100 * time.Millisecond
)

// blueprint is everything a stack is made of, before it has an address: both
// placements build from it. Its keys are minted, and die with it.
type blueprint struct {
	spec    Spec
	flavour flavour
	issuer  string // the IdP's URL, as the service reaches it

	servers *certs.Authority // signs what Vault, IdP and ingress show
	clients *certs.Authority // the CA the ingress trusts for client certificates
	pki     *certs.Authority // below it: Vault's own, to issue clients' certificates
	idp     *idp.IDP
	door    *idp.Remote // of the IdP, once it is open

	enrolledCN, unenrolledCN string
	enrolled, unenrolled     certs.Pair

	foreigners *certs.Authority // the CA that the virtual host foreign trusts
	foreign    certs.Pair       // its client, who bears the enrolled one's name

	neighbours neighbours

	// proxySecret is what the ingress proves itself with to the service; empty
	// where that knows no such proof.
	proxySecret harness.Secret

	// secrets are the fields of aegis/runtime (runbook section 1).
	secrets map[string]string
}

// newBlueprint mints a stack's keys and identities. The issuer is the IdP's
// URL as the service reaches it, without a slash at its end.
func newBlueprint(spec Spec, issuer string) (*blueprint, error) {
	f, ok := flavourOf(spec.Ingress)
	if !ok {
		return nil, KnownIngress(spec.Runtime, spec.Ingress)
	}
	b := &blueprint{spec: spec, flavour: f, issuer: issuer}
	if spec.Service.provesIngress() {
		b.proxySecret = harness.Secret(rand.Text())
	}
	for _, mint := range []func() error{b.mintAuthorities, b.mintPersonas, b.mintNeighbours, b.mintIDP, b.mintSecrets} {
		if err := mint(); err != nil {
			return nil, fmt.Errorf("minting the stack's keys: %w", err)
		}
	}
	return b, nil
}

func (b *blueprint) mintAuthorities() (err error) {
	if b.servers, err = certs.NewAuthority("Aegis Conformance Servers"); err != nil {
		return err
	}
	if b.clients, err = certs.NewAuthority("Aegis Conformance Clients"); err != nil {
		return err
	}
	b.pki, err = b.clients.Intermediate("Aegis Conformance Vault PKI")
	return err
}

func (b *blueprint) mintPersonas() (err error) {
	b.enrolledCN, b.unenrolledCN = b.named("enrolled-"+localhost.Nonce()), b.named("unenrolled-"+localhost.Nonce())
	if b.enrolled, err = b.client(b.enrolledCN); err != nil {
		return err
	}
	if b.unenrolled, err = b.client(b.unenrolledCN); err != nil {
		return err
	}
	if b.foreigners, err = certs.NewAuthority("Aegis Conformance Neighbours"); err != nil {
		return err
	}
	b.foreign, err = b.foreigners.Issue(b.profile().Form().Name(certs.Leaf{CommonName: b.enrolledCN}))
	return err
}

// named is a client's name in the form that the profile declares.
func (b *blueprint) named(word string) string {
	switch b.profile().Form() {
	case certs.FormDN:
		return "CN=" + word + ",OU=Clients,O=Aegis"
	case certs.FormURI:
		return "spiffe://" + domain + "/ns/aegis/sa/" + word
	case certs.FormDNS:
		return word + ".clients." + domain
	case certs.FormEmail:
		return word + "@" + domain
	}
	return word
}

func (b *blueprint) mintIDP() (err error) {
	if b.idp, err = idp.New(b.issuer); err == nil && b.spec.Fault.IdP != nil {
		b.idp.Spoil(b.spec.Fault.IdP)
	}
	if err != nil {
		return err
	}
	b.idp.SetAudience(audience)
	if b.spec.Runtime == Embedded && !b.spec.Fault.RSA { // containers show RS256; signing with it takes a quarter of a fault's time
		b.idp.SignWith(jose.ES256)
	}
	return nil
}

func (b *blueprint) mintSecrets() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	allowed, err := json.Marshal([]string{b.enrolledCN})
	if err != nil {
		return err
	}
	b.secrets = map[string]string{
		"oidc_jwks_uri":        b.issuer + idp.JWKSPath,
		"model_signing_pubkey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"clients/allowed":      string(allowed),
		"canary":               "canary-" + rand.Text(), // nobody needs it: wherever it shows, it has leaked
	}
	return nil
}

// env is the environment contract of the service in one mode. Where it listens
// is the placement's to add; where the JWKS is, Vault's to say.
func (b *blueprint) env(mode harness.Mode, vaultAddr string, token harness.Secret) map[string]string {
	trusted, declared := string(b.servers.RootPEM()), b.profile()
	env := map[string]string{
		"AUTH_MODE":          string(mode),
		"OIDC_ISSUER":        b.issuer,
		"OIDC_AUDIENCE":      audience,
		"OIDC_SCOPE":         declared.Scope,
		"OIDC_LEEWAY":        declared.Leeway.String(),
		"OIDC_CACERT_BYTES":  trusted,
		"MTLS_ID_HEADER":     declared.Header(),
		"MTLS_IDENTITY":      string(declared.Identity),
		"MTLS_PROXY_SECRET":  b.proxySecret.Reveal(),
		"VAULT_ADDR":         vaultAddr,
		"VAULT_TOKEN":        token.Reveal(),
		"VAULT_CACERT_BYTES": trusted,
		"SECRETS_REFRESH":    refresh,
		"JWKS_MAX_AGE":       declared.KeyRefresh.String(),
	}
	maps.DeleteFunc(env, func(_, value string) bool { return value == "" })
	if b.spec.Fault.Env != nil {
		b.spec.Fault.Env(env)
	}
	return env
}

// face is the DNS name by which a mode is asked for; it stands in the server
// certificate of that mode's ingress.
func face(mode harness.Mode) string { return string(mode) + ".aegis.test" }

// domain is where all names of the ingress are.
const domain = "aegis.test"

// The virtual hosts beside the one of mode mtls.
const openHost, foreignHost = "open." + domain, "foreign." + domain

// ingressPair is the server certificate of a mode's ingress: good for every
// name in its domain, so that other virtual hosts and unknown names can be
// asked for.
func (b *blueprint) ingressPair(mode harness.Mode) (certs.Pair, error) {
	names := []string{face(mode), "*." + domain, "localhost", "127.0.0.1"}
	if b.shape(mode).Suites == ingress.SuitesSound {
		return b.servers.Server(names...)
	}
	key, err := certs.RSAKey(2048)
	if err != nil {
		return certs.Pair{}, err
	}
	return b.servers.Issue(certs.Leaf{CommonName: face(mode), Names: names, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Key: key})
}

// server is the ingress's server of a mode, but for its addresses and files.
func (b *blueprint) server(mode harness.Mode) ingress.Server {
	s := ingress.Server{
		Name: string(mode), Mode: mode, Shape: b.shape(mode), Host: face(mode),
		Form: b.profile().Form(), IdentityHeader: b.profile().Header(), ProxySecret: b.proxySecret,
	}
	if mode == harness.MTLS {
		s.Open, s.Foreign, s.Revoked = openHost, foreignHost, b.revoked()
	}
	return s
}

// shape is how the ingress of a mode is shaped: soundly, but for a fault, which
// is always in the one that demands client certificates.
func (b *blueprint) shape(mode harness.Mode) ingress.Shape {
	shape := b.flavour.shape
	if b.spec.Fault.Ingress != nil {
		b.spec.Fault.Ingress(&shape)
	}
	if mode != harness.MTLS { // they share the port of plain HTTP
		shape = ingress.Shape{PlainProxies: shape.PlainProxies}
	}
	return shape
}

// seedPKI makes a Vault issue clients' certificates, soundly but for a fault, and
// gives the role as the enrolled client may use it.
func (b *blueprint) seedPKI(ctx context.Context, root *api.Client) (*vault.Issuer, error) {
	key, err := b.pki.Pair().KeyPEM()
	if err != nil {
		return nil, err
	}
	issuance := vault.SoundPKI()
	if b.spec.Fault.Issuance != nil {
		b.spec.Fault.Issuance(&issuance)
	}
	bundle := slices.Concat(key, b.pki.Pair().ChainPEM(), b.clients.RootPEM())
	token, err := vault.SeedPKI(ctx, root, bundle, b.enrolledCN, issuance)
	if err != nil {
		return nil, err
	}
	if b.spec.Met != nil {
		b.spec.Met("client's Vault token", token.Reveal())
	}
	client, err := vault.WithToken(root, token)
	if err != nil {
		return nil, err
	}
	return vault.NewIssuer(root, client, vault.PKIMount, vault.PKIRole), nil
}

// policy is the service's policy in Vault: soundly so, but for a fault.
func (b *blueprint) policy() string { return cmp.Or(b.spec.Fault.Policy, vault.Policy) }

// seed makes a Vault ready to be read, and gives the token of the service: the
// one of its login, but for a fault.
func (b *blueprint) seed(ctx context.Context, root *api.Client) (harness.Secret, error) {
	token, err := vault.Seed(ctx, root, b.secrets, b.policy())
	if login := b.spec.Fault.Login; err == nil && login != nil {
		return login(ctx, root)
	}
	return token, err
}

// addresses are where a placement has put what the harness reaches: host:port
// on this host, by mode.
type addresses struct {
	ingress, service, oracle map[harness.Mode]string
	// plain is the ingress's port of plain HTTP; further are other addresses of
	// its listeners, and siblings addresses of nobody but the ingress.
	plain    string
	token    harness.Secret // the service's, of Vault
	further  map[harness.Mode][]string
	siblings []string
}

// target is the target at these addresses, but for Components and Control.
func (b *blueprint) target(kind harness.Kind, name string, at addresses) (*harness.Target, error) {
	granted, err := b.certs()
	if err != nil {
		return nil, err
	}
	subject, _ := b.idp.Client()
	t := &harness.Target{
		Kind: kind, Name: name, Run: b.spec.Run,
		Faces: map[harness.Mode]harness.Face{}, Backends: map[harness.Mode]harness.Face{},
		Metrics: map[harness.Mode]string{}, Oracles: map[harness.Mode]string{},
		Endpoints: b.endpoints(),
		Profile:   b.profile(),

		Held:        b.held(at.token),
		Unreachable: unreachable,
		Tokens:      harness.TokenGrant{Signing: b.idp.Keys(), Subject: subject},
		Certs:       granted, ProxySecret: b.proxySecret,
	}
	for mode := range at.ingress {
		backend := "http://" + at.service[mode]
		t.Faces[mode] = harness.Face{
			URL: "https://" + at.ingress[mode], Host: face(mode), RootCAs: b.servers.RootPEM(),
		}
		t.Metrics[mode] = backend + "/metrics"
		if b.spec.Service.provesIngress() {
			t.Backends[mode] = harness.Face{URL: backend}
		}
		if b.spec.Service.logsRequests() {
			t.Oracles[mode] = "http://" + at.oracle[mode]
		}
	}
	if b.flavour.nginx() && t.Shows(harness.MTLS) { // the others have no virtual host beside it, and no plain port
		open, foreign := t.Faces[harness.MTLS], t.Faces[harness.MTLS]
		open.Host, foreign.Host = openHost, foreignHost
		t.Open, t.Foreign = &open, &foreign
	}
	if b.flavour.nginx() {
		t.Plain = "http://" + at.plain
	}
	if t.Previous = "the reference service before it knew of scopes"; b.spec.Service.given() {
		t.Previous = b.spec.Service.PreviousImage
	}
	t.Addresses, t.Siblings = at.further, at.siblings
	return t, nil
}

// published is what the IdP shows, by the name it has for the services. At is where it
// is reached from here, host:port; empty is where that name leads.
func (b *blueprint) published(at string) *idp.Published {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots(b.servers), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}
	if at != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		}
	}
	return idp.NewPublished(b.issuer, &http.Client{Transport: transport, Timeout: 10 * time.Second})
}

// held is what the service holds and must never show.
func (b *blueprint) held(token harness.Secret) harness.Sought {
	held := harness.Sought{"its token of Vault": token, "the ingress's secret": b.proxySecret}
	for name, value := range b.secrets {
		held[name+" of aegis/runtime"] = harness.Secret(value)
	}
	return held
}

func (b *blueprint) profile() harness.Profile {
	p := harness.Profile{
		Issuer: b.issuer, Audience: audience, Scope: scope, RFC9068: true, BoundTokens: true,
		NoCertificate: b.flavour.none, BadCertificate: b.flavour.bad,
		IdentityHeader: harness.Profile{}.Header(),
		Replicas:       1, AlertBound: alertBound,
		ConnectionAge: b.flavour.age, Leeway: leeway,
		StartBound: startBound, Propagation: propagation, Intermediates: true,
		NewKeyBound: newKey, RemovedKeyBound: removedKey, KeyRefresh: keyRefresh,
		HandledMetric: "aegis_requests_handled_total", EnrollmentMetric: "aegis_enrollments", ModeMetric: "aegis_auth_mode_info",
	}
	if b.spec.Service.given() {
		p = b.spec.Service.declared(p)
	}
	if b.spec.Fault.Profile != nil {
		b.spec.Fault.Profile(&p)
	}
	return p
}

func (b *blueprint) certs() (granted harness.CertGrant, err error) {
	granted.EnrolledCN, granted.UnenrolledCN = b.enrolledCN, b.unenrolledCN
	for _, c := range []struct {
		pair certs.Pair
		into *harness.CertPair
	}{
		{b.enrolled, &granted.Enrolled},
		{b.unenrolled, &granted.Unenrolled},
		{b.clients.Pair(), &granted.Authority},
		{b.foreign, &granted.Foreign},
		{b.neighbours.sibling, &granted.Sibling},
		{b.neighbours.public, &granted.Public},
		{b.neighbours.revoked, &granted.Revoked},
	} {
		if c.pair.Certificate == nil { // of what the profile does not declare
			continue
		}
		key, err := c.pair.KeyPEM()
		if err != nil {
			return granted, fmt.Errorf("encoding a persona's key: %w", err)
		}
		*c.into = harness.CertPair{Chain: c.pair.ChainPEM(), Key: harness.Secret(key)}
	}
	return granted, nil
}

// endpoints are the critical endpoints (runbook, goal), and the one below
// /review, but for a service that has others.
func (b *blueprint) endpoints() []harness.Endpoint {
	if others := b.spec.Service.Endpoints; len(others) > 0 {
		return others
	}
	const jsonType = "application/json"
	return []harness.Endpoint{
		{Name: "inference", Method: "POST", Path: "/predict", ContentType: jsonType,
			Body: []byte(`{"inputs":[1,2,3]}`), Effect: harness.ReadOnly},
		{Name: "enrollment", Method: "POST", Path: "/enroll", ContentType: jsonType,
			Body: []byte(`{"client":"conformance-{{unique}}"}`), Effect: harness.Writes},
		{Name: "review", Method: "POST", Path: "/review", ContentType: jsonType,
			Body: []byte(`{"subject":"conformance-{{unique}}"}`), Effect: harness.Writes},
		{Name: "review item", Method: "GET", Path: "/review/conformance", Effect: harness.ReadOnly},
	}
}
