// Package live connects to a target that somebody else started, as a configuration describes
// it, notes what a run changes there, and brings it back.
package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/monitoring"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/stack/localhost"
)

// Connection is a target that a configuration describes and somebody else started:
// secrets are read, tokens and certificates fetched.
type Connection struct {
	Target *harness.Target
	b      *builder
}

// Stop takes back what was issued for the run.
func (c *Connection) Stop(ctx context.Context) error { return c.b.stop(ctx) }

// Connect connects to a target. Met receives each secret that is met.
func Connect(ctx context.Context, l config.Loaded, run string, met func(kind, value string)) (*Connection, error) {
	return Noted(ctx, l, run, met, nil)
}

// Noted is Connect, with what is issued and changed noted in a journal; without one
// nothing is changed.
func Noted(ctx context.Context, l config.Loaded, run string, met func(kind, value string), j *Journal) (*Connection, error) {
	b := &builder{Loaded: l, ctx: ctx, met: met, journal: j}
	t, err := b.target(run)
	if err != nil {
		return nil, errors.Join(err, b.stop(ctx))
	}
	return &Connection{t, b}, nil
}

// Paper is the same target as far as it can be told without sending a byte: what
// it grants is there, and no credential in it is worth anything where it would
// have had to be fetched.
func Paper(l config.Loaded, run string) (*harness.Target, error) {
	b := &builder{Loaded: l, paper: true, ctx: context.Background(), met: func(string, string) {}}
	return b.target(run)
}

// Declared is what a configuration says of its target: the profile, and the endpoints
// that may be called at all.
func Declared(l config.Loaded) (harness.Profile, []harness.Endpoint) {
	b := builder{Loaded: l}
	t := harness.Target{Limit: harness.Disruptive, Withheld: map[string]string{}}
	_ = b.endpoints(&t) // reads the configuration, and nothing that could fail
	return b.profile(), t.Endpoints
}

// builder makes a target of a configuration.
type builder struct {
	config.Loaded
	ctx   context.Context
	paper bool
	met   func(kind, value string)
	vault *api.Client
	// journal is where the run notes; nil where it does not.
	journal *Journal
	mu      sync.Mutex
	stops   []func(context.Context) error
}

func (b *builder) onStop(stop func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stops = append(b.stops, stop)
}

// stop takes back what was issued, the last first.
func (b *builder) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localhost.StopBound)
	defer cancel()
	var errs []error
	b.mu.Lock()
	stops := b.stops
	b.stops = nil
	b.mu.Unlock()
	for _, stop := range slices.Backward(stops) {
		errs = append(errs, stop(ctx))
	}
	return errors.Join(errs...)
}

func (b *builder) target(run string) (*harness.Target, error) {
	t := &harness.Target{
		Kind: harness.Live, Name: b.Target.Name, Run: run, Profile: b.profile(), Limit: harness.Effect(b.Rails.Allow),
		Faces: map[harness.Mode]harness.Face{}, Withheld: map[string]string{}, Unreachable: config.OutOfReach(),
		Build: harness.Build(b.Target.Version), Control: &harness.Control{},
		Siblings: b.Target.Siblings, Plain: b.Target.PlainURL,
	}
	if t.Name == "" {
		t.Name = b.Target.URL
	}
	for _, step := range []func(*harness.Target) error{
		b.login, b.faces, b.endpoints, b.secrets, b.tokens, b.certificates, b.issuers, b.pages, b.logs, b.components, b.alerts,
		b.published, b.hooks,
	} {
		if err := step(t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// refusals is a declared set of denials.
func refusals(classes []string) harness.Refusal { return harness.Refusal(strings.Join(classes, ",")) }

func (b *builder) profile() harness.Profile {
	p := b.Profile
	declared := func(value string) (string, bool) {
		if value == config.None {
			return "", true
		}
		return value, false
	}
	issuer, noIssuer := declared(p.Issuer)
	audience, noAudience := declared(p.Audience)
	return harness.Profile{
		Issuer:           issuer,
		Audience:         audience,
		NoIssuer:         noIssuer,
		NoAudience:       noAudience,
		Scope:            p.Scope,
		RFC9068:          p.RFC9068,
		BoundTokens:      p.BoundTokens,
		NoCertificate:    refusals(p.NoCertificate),
		BadCertificate:   refusals(p.BadCertificate),
		Identity:         certs.Form(p.Identity),
		IdentityHeader:   p.IdentityHeader,
		Success:          p.Success,
		StartBound:       p.StartBound,
		Propagation:      p.Propagation,
		Intermediates:    p.Intermediates,
		Revocation:       p.Revocation,
		ShortLived:       p.ShortLived,
		ConnectionAge:    p.ConnectionMaxAge,
		Leeway:           p.Leeway,
		APIKeys:          p.APIKeys,
		SignedModels:     p.SignedModels,
		Mesh:             p.Mesh,
		Authorizer:       p.Authorizer,
		NewKeyBound:      p.JWKSNewKeyMax,
		RemovedKeyBound:  p.JWKSRemovedKeyMax,
		KeyFetches:       p.JWKSFetchesMax,
		KeyRefresh:       p.JWKSRefresh,
		HandledMetric:    p.HandledMetric,
		EnrollmentMetric: p.EnrollmentMetric,
		ModeMetric:       p.ModeMetric,
	}
}

// modesOf are the modes that a configuration says are shown.
func modesOf(f config.File) []harness.Mode {
	if f.Mode == "both" {
		return localhost.Modes
	}
	return []harness.Mode{harness.Mode(f.Mode)}
}

// alerts is what watches the target: both of its halves, or nothing is told of it.
func (b *builder) alerts(t *harness.Target) error {
	if b.Grants.Prometheus != "" && b.Grants.Alertmanager != "" {
		prometheus, err := b.signedBy(b.Grants.PrometheusCA, "grants.prometheus_ca_bundle")
		if err != nil {
			return err
		}
		manager, err := b.signedBy(b.Grants.ManagerCA, "grants.alertmanager_ca_bundle")
		if err != nil {
			return err
		}
		t.Control.Alerts = monitoring.NewSigned(b.Grants.Prometheus, b.Grants.Alertmanager, prometheus, manager)
	}
	return nil
}

// published is what the IdP shows, where it is granted.
func (b *builder) published(t *harness.Target) error {
	if b.Grants.IdP == "" {
		return nil
	}
	signed, err := b.signedBy(b.Grants.IdPCA, "grants.idp_ca_bundle")
	if err != nil {
		return err
	}
	t.Control.IdP = idp.NewPublished(b.Grants.IdP, outbound.Client(outbound.Options{TimeOut: fetchBound, Most: harness.MaxBody}.By(signed)))
	return nil
}

// signedBy is who signs a server beside the target: its own bundle alone, or the
// target's beside the system's.
func (b *builder) signedBy(own config.Reference, key string) (harness.Trust, error) {
	r := own
	if own == "" {
		r = b.Target.CABundle
	}
	roots, err := b.secret("CA bundle", r, b.paperBundle)
	return harness.Trust{PEM: []byte(roots.Reveal()), Alone: own != "", Key: key}, err
}

func (b *builder) faces(t *harness.Target) error {
	roots, err := b.secret("CA bundle", b.Target.CABundle, b.paperBundle)
	if err != nil {
		return err
	}
	c := b.Target
	for _, mode := range modesOf(b.File) {
		face := harness.Face{URL: c.URL, Host: c.SNI, Connect: c.ConnectTo, RootCAs: []byte(roots.Reveal()), Proxy: b.Rails.Proxy}
		if mode == harness.MTLS && c.MTLSURL != "" {
			face.URL, face.Host, face.Connect = c.MTLSURL, c.MTLSSNI, c.MTLSConnect
		}
		t.Faces[mode] = face
	}
	return nil
}

// endpoints are those at which a sound call may be made; the others are withheld.
func (b *builder) endpoints(t *harness.Target) error {
	effects := map[string]harness.Effect{"harmless": harness.ReadOnly, "writes": harness.Writes}
	for _, e := range b.Endpoints {
		effect, called := effects[e.PositiveCall]
		switch {
		case !called:
			t.Withheld[e.Name] = b.Source + " says that no accepted call may be made"
		case !effect.Within(t.Limit):
			t.Withheld[e.Name] = "an accepted call writes, and the run allows " + string(t.Limit) + " only"
			if body := strings.TrimSpace(e.Body); !slices.Contains([]string{"", "{}", "[]", "null"}, body) { // else nothing is lacking without it
				t.Refusing = append(t.Refusing, endpoint(e, effect))
			}
		default:
			t.Endpoints = append(t.Endpoints, endpoint(e, effect))
		}
	}
	return nil
}

func endpoint(e config.Endpoint, effect harness.Effect) harness.Endpoint {
	return harness.Endpoint{
		Name: e.Name, Method: e.Method, Path: e.Path, ContentType: e.ContentType, Body: []byte(e.Body), Effect: effect,
		CleanUp: harness.CleanUp(e.CleanUp),
	}
}

// secret is what a reference names; standIn makes what stands for it on paper.
func (b *builder) secret(kind string, r config.Reference, standIn func() (string, error)) (harness.Secret, error) {
	value, err := b.Lookup.Value(r)
	if b.paper && errors.Is(err, config.ErrOffline) {
		text, err := standIn()
		return harness.Secret(text), err
	}
	if err == nil && kind != "CA bundle" && kind != "certificate" {
		b.met(kind, value.Reveal())
	}
	return value, err
}

func anything() (string, error) { return "on paper", nil }

func (b *builder) paperBundle() (string, error) {
	a, err := certs.NewAuthority("On paper")
	if err != nil {
		return "", err
	}
	return string(a.RootPEM()), nil
}

// pages are the metrics pages and the services' own addresses.
func (b *builder) pages(t *harness.Target) error {
	t.Metrics, t.Backends = map[harness.Mode]string{}, map[harness.Mode]harness.Face{}
	secret, err := b.secret("ingress's secret", b.Grants.ProxySecret, anything)
	if err != nil {
		return err
	}
	t.ProxySecret = harness.Secret(strings.TrimSpace(secret.Reveal()))
	if t.Signed, err = b.signedBy(b.Grants.Metrics.CABundle, "grants.metrics.ca_bundle"); err != nil {
		return err
	}
	backend, err := b.signedBy(b.Grants.Backend.CABundle, "grants.backend.ca_bundle")
	if err != nil {
		return err
	}
	for mode, url := range perMode(b.Grants.Metrics) {
		t.Metrics[mode] = url
	}
	for mode, url := range perMode(b.Grants.Backend) {
		t.Backends[mode] = harness.Face{URL: url, RootCAs: backend.PEM}
	}
	return nil
}

func perMode(p config.PerMode) map[harness.Mode]string {
	given := map[harness.Mode]string{}
	for mode, url := range map[harness.Mode]string{harness.OIDC: p.OIDC, harness.MTLS: p.MTLS} {
		if url != "" {
			given[mode] = url
		}
	}
	return given
}

// certificates are given, issued by the CA's key, or by Vault.
func (b *builder) certificates(t *harness.Target) error {
	g := b.Grants.Certificates
	t.Certs.EnrolledCN, t.Certs.UnenrolledCN = g.EnrolledCN, g.UnenrolledCN
	for _, p := range []struct {
		given config.Pair
		into  *harness.CertPair
		cn    *string
	}{
		{g.Enrolled, &t.Certs.Enrolled, &t.Certs.EnrolledCN}, {g.Unenrolled, &t.Certs.Unenrolled, &t.Certs.UnenrolledCN},
		{g.Authority, &t.Certs.Authority, nil}, {g.Sibling, &t.Certs.Sibling, nil}, {g.Public, &t.Certs.Public, nil},
		{g.Revoked, &t.Certs.Revoked, nil},
	} {
		if err := b.pair(p.given, p.into, p.cn); err != nil {
			return err
		}
	}
	issue := b.byPKI
	switch {
	case g.VaultPKI.Role != "":
	case t.Certs.Authority.Key != "":
		issue = func(cn string) (harness.CertPair, error) { return byAuthority(t.Certs.Authority, t.Profile.Form(), cn) }
	default:
		return nil
	}
	for _, p := range []struct {
		into *harness.CertPair
		cn   string
	}{{&t.Certs.Enrolled, t.Certs.EnrolledCN}, {&t.Certs.Unenrolled, t.Certs.UnenrolledCN}} {
		if len(p.into.Chain) > 0 {
			continue
		}
		pair, err := issue(p.cn)
		if err != nil {
			return fmt.Errorf("issuing a certificate for %q: %w", p.cn, err)
		}
		*p.into = pair
	}
	return nil
}

// pair reads a given pair, and the common name where none is declared.
func (b *builder) pair(given config.Pair, into *harness.CertPair, cn *string) error {
	if given == (config.Pair{}) {
		return nil
	}
	_, _, chainInVault := given.Certificate.InVault()
	_, _, keyInVault := given.Key.InVault()
	if b.paper && (chainInVault || keyInVault) {
		pair, err := paperPair("on paper")
		if cn == nil { // it may have to issue
			pair, err = paperAuthority()
		}
		*into = pair
		return err
	}
	chain, err := b.secret("certificate", given.Certificate, anything)
	if err != nil {
		return err
	}
	key, err := b.secret("client's key", given.Key, anything)
	if err != nil {
		return err
	}
	parsed, err := certs.ParsePair([]byte(chain.Reveal()), []byte(key.Reveal()))
	if err != nil {
		return err
	}
	*into = harness.CertPair{Chain: []byte(chain.Reveal()), Key: key}
	if cn != nil && *cn == "" {
		*cn = certs.Form(b.Profile.Identity).Client(parsed.Certificate)
	}
	return nil
}

func byAuthority(authority harness.CertPair, form certs.Form, cn string) (harness.CertPair, error) {
	a, err := certs.ParseAuthority(authority.Chain, []byte(authority.Key.Reveal()))
	if err != nil {
		return harness.CertPair{}, err
	}
	return issued(a, form, cn)
}

func issued(a *certs.Authority, form certs.Form, cn string) (harness.CertPair, error) {
	pair, err := a.Issue(form.Name(certs.Leaf{CommonName: cn}))
	if err != nil {
		return harness.CertPair{}, err
	}
	key, err := pair.KeyPEM()
	return harness.CertPair{Chain: pair.ChainPEM(), Key: harness.Secret(key)}, err
}

// paperPair is a pair that nobody trusts, paperAuthority one that issues.
func paperPair(cn string) (harness.CertPair, error) {
	a, err := certs.NewAuthority("On paper")
	if err != nil {
		return harness.CertPair{}, err
	}
	return issued(a, certs.FormCN, cn)
}

func paperAuthority() (harness.CertPair, error) {
	a, err := certs.NewAuthority("On paper")
	if err != nil {
		return harness.CertPair{}, err
	}
	key, err := a.Pair().KeyPEM()
	return harness.CertPair{Chain: a.Pair().ChainPEM(), Key: harness.Secret(key)}, err
}
