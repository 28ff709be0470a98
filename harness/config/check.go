package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/strict"
)

// checker gathers what contradicts itself in a configuration that reads well.
type checker struct {
	*Loaded
	now      time.Time
	problems strict.Problems
}

// check finds contradictions. References into Vault are not read: no byte is
// sent.
func (l *Loaded) check() strict.Problems {
	c := &checker{Loaded: l, now: time.Now()}
	for _, check := range []func(){
		c.required, c.references, c.target, c.endpoints, c.successes, c.rails, c.modes,
		c.tokens, c.signing, c.certificates, c.authorities, c.vault, c.aws, c.others,
	} {
		check()
	}
	return c.problems
}

// wrong tells of a value, at the nearest place that is known.
func (c *checker) wrong(path, what, do string) {
	at := c.Source
	for p := path; p != ""; {
		if origin := c.Origins[p]; origin != "" && origin != byDefault {
			at = origin
			break
		}
		p = p[:max(strings.LastIndexAny(p, ".["), 0)]
	}
	c.problems = append(c.problems, strict.Problem{At: at, Path: path, What: what, Do: do})
}

// unless tells of a path when it is not ok.
func (c *checker) unless(ok bool, path, what, do string) {
	if !ok {
		c.wrong(path, what, do)
	}
}

func (c *checker) required() {
	c.unless(c.Service.PreviousImage == "" || c.Service.Image != "", "service.previous_image", "there is no image beside it",
		"give service.image")
	if c.Service.Image == "" {
		c.need(reflect.ValueOf(c.File), "")
	}
}

func (c *checker) need(v reflect.Value, path string) {
	for _, k := range strict.Keys(v.Type()) {
		at, field := strict.Join(path, k.Name), v.Field(k.Index)
		switch {
		case k.Field.Tag.Get("required") != "" && field.IsZero():
			c.wrong(at, "it is missing", k.Field.Tag.Get("says"))
		case field.Kind() == reflect.Struct:
			c.need(field, at)
		case structs(field):
			for i := range field.Len() {
				c.need(field.Index(i), fmt.Sprintf("%s[%d]", at, i))
			}
		}
	}
}

// references reads every reference that was given, but for those into Vault.
func (c *checker) references() {
	c.each(reflect.ValueOf(c.File), "", func(path string, r Reference) {
		if r == "" || c.Origins[path] == byDefault {
			return
		}
		if _, _, vaulted := r.InVault(); vaulted {
			c.unless(c.Grants.Vault.Address != "", path, "it is in Vault, and grants.vault gives no address",
				"give grants.vault.address and a login")
			return
		}
		if _, err := c.Lookup.Value(r); err != nil {
			c.wrong(path, err.Error(), "")
		}
	})
}

func (c *checker) each(v reflect.Value, path string, do func(string, Reference)) {
	for _, k := range strict.Keys(v.Type()) {
		at, field := strict.Join(path, k.Name), v.Field(k.Index)
		if r, ok := field.Interface().(Reference); ok {
			do(at, r)
		} else if field.Kind() == reflect.Struct {
			c.each(field, at, do)
		} else if structs(field) {
			for i := range field.Len() {
				c.each(field.Index(i), fmt.Sprintf("%s[%d]", at, i), do)
			}
		}
	}
}

// structs reports a list of structures.
func structs(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct
}

// value is what a reference names, where that can be told now.
func (c *checker) value(r Reference) (string, bool) {
	if r == "" {
		return "", false
	}
	value, err := c.Lookup.Value(r)
	return value.Reveal(), err == nil
}

func (c *checker) target() {
	t := c.Target
	for path, at := range map[string]string{"target.url": t.URL, "target.mtls_url": t.MTLSURL} {
		host := at[min(len(at), strings.Index(at, "://")+3):]
		c.unless(!strings.Contains(host, "/"), path, "it has a path", "give scheme, host and port; paths stand in endpoints")
	}
	mtlsURL := t.MTLSURL
	if mtlsURL == "" {
		mtlsURL = t.URL
	}
	c.unless(
		c.Mode == "oidc" || c.Service.Image != "" || strings.HasPrefix(mtlsURL, "https://"),
		"target.url",
		"mode mtls needs TLS, and the face of mtls is plain HTTP",
		"give an https URL, or mode: oidc",
	)
	c.unless(c.Mode != "oidc" || t.MTLSURL == "", "target.mtls_url", "mode is oidc: it would never be called",
		"set mode: both, or leave it out")
	c.unless(t.Version.Header == "" || t.Version.Path != "", "target.version.header", "it needs a path beside it", "give target.version.path")
	c.bundle("target.ca_bundle", t.CABundle, t.URL)
}

// bundle checks the authorities of an https server.
func (c *checker) bundle(path string, r Reference, url string) {
	c.unless(
		r == "" || strings.HasPrefix(url, "https://"),
		path,
		"it is for an https server, and the URL is plain HTTP",
		"leave it out, or give an https URL",
	)
	text, ok := c.value(r)
	if !ok {
		return
	}
	all, err := certs.ParseBundle([]byte(text))
	if err != nil {
		c.wrong(path, err.Error(), "")
		return
	}
	var sound int
	var why string
	for _, certificate := range all {
		switch {
		case !certificate.IsCA && !bytes.Equal(certificate.RawIssuer, certificate.RawSubject):
			why = "the certificate in it is no authority's: nothing verifies by it"
		case c.now.After(certificate.NotAfter):
			why = "the authority's certificate has expired on " + certificate.NotAfter.UTC().Format(time.DateOnly)
		default:
			sound++
		}
	}
	c.unless(sound > 0, path, why, "give the PEM of the authority that signs the server")
}

func (c *checker) endpoints() {
	seen := map[string]bool{}
	for i, e := range c.Endpoints {
		at := fmt.Sprintf("endpoints[%d]", i)
		c.unless(!seen[e.Name], at+".name", "two endpoints bear it", "give each a name of its own")
		c.mistyped(at+".name", e.Name)
		c.unless(e.Path == "" || strings.HasPrefix(e.Path, "/"), at+".path", "it does not begin with a slash", "write it as /predict")
		c.unless(e.Method == strings.ToUpper(e.Method), at+".method", "methods are case-sensitive", "write it as POST")
		sample := strings.ReplaceAll(e.Body, "{{unique}}", "x")
		c.unless(e.Body == "" || !strings.Contains(e.ContentType, "json") || json.Valid([]byte(sample)), at+".body",
			"it is no JSON, and content_type says it is", "an ill-formed body is refused before any credential is looked at")
		c.unless(e.CleanUp.Path == "" || e.PositiveCall == "writes", at+".clean_up", "positive_call does not say that it writes",
			"set positive_call: writes")
		seen[e.Name] = true
	}
}

// ofRunbook are the names that expectations know endpoints by.
var ofRunbook = []string{"inference", "enrollment", "review", "review item"}

// mistyped finds a name that is nearly one of the runbook's, which no endpoint bears:
// what is about that one would not be asked, and nobody would notice.
func (c *checker) mistyped(path, name string) {
	near := harness.Nearest(name, ofRunbook)
	if near != "" && name != "" && !strings.EqualFold(near[:1], name[:1]) {
		return // another word: preview
	}
	borne := slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool { return e.Name == near })
	c.unless(near == "" || near == name || borne, path,
		fmt.Sprintf("%s is nearly %q, by which expectations know an endpoint of the runbook", strict.Told(name), near),
		"write it so, or choose a name that is not like it")
}

func (c *checker) rails() {
	r := c.Rails
	c.unless(r.Burst > 0, "rails.burst", "nothing could be sent", "give 1 or more")
	c.unless(r.Concurrency > 0, "rails.concurrency", "nothing could be sent", "give 1 or more")
	c.unless(r.TimeOut > 0, "rails.time_out", "nothing could be answered in time", "give 1s or more")
	c.unless(r.StopAfter > 0, "rails.stop_after", "the run would stop before it began", "give 1 or more")
}

// modes finds what is granted or declared for a mode that is not shown.
func (c *checker) modes() {
	none := map[string][]string{
		"oidc": {"grants.certificates", "profile.no_certificate", "profile.bad_certificate", "grants.metrics.mtls", "grants.backend.mtls"},
		"mtls": {"grants.tokens", "profile.audience", "profile.issuer", "profile.scope", "grants.metrics.oidc", "grants.backend.oidc"},
	}
	for _, path := range none[c.Mode] {
		c.unless(!c.Given(path), path, fmt.Sprintf("mode is %s: it would never be used", c.Mode), "set mode: both, or leave it out")
	}
}

// leeway is what a verifier may allow for clocks (rulings A-09).
const leeway = 10 * time.Minute

// claims are those of a token that a check reads.
type claims struct {
	Issuer   string          `json:"iss"`
	Audience json.RawMessage `json:"aud"`
	Expiry   *float64        `json:"exp"`
}

func (c *checker) claims(path string, r Reference) (claims, bool) {
	var found claims
	text, ok := c.value(r)
	if !ok {
		return found, false
	}
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 3 {
		c.wrong(path, "what it names is no JWS in compact form", "name a token of three segments: hostile ones are forged from it")
		return found, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &found) != nil {
		c.wrong(path, "the token's payload is no JSON object", "name a JWT")
		return found, false
	}
	return found, true
}

func (f claims) expired(now time.Time) bool { return f.Expiry != nil && int64(*f.Expiry) <= now.Unix() }

func (f claims) audience() []string {
	var one string
	var many []string
	if json.Unmarshal(f.Audience, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(f.Audience, &many)
	return many
}

func (c *checker) tokens() {
	const at = "grants.tokens."
	t, p := c.Grants.Tokens, c.Profile
	if valid, ok := c.claims(at+"valid", t.Valid); ok {
		c.unless(!valid.expired(c.now), at+"valid", "the token has expired", "get a new one")
		c.unless(p.Issuer == "" || p.Issuer == None || p.Issuer == valid.Issuer, "profile.issuer", "the valid token has another iss",
			"declare the issuer that the target trusts, or give another token")
		c.unless(p.Audience == "" || p.Audience == None || slices.Contains(valid.audience(), p.Audience), "profile.audience",
			"the valid token has another aud", "declare the audience that the target accepts, or give another token")
	}
	if expired, ok := c.claims(at+"expired", t.Expired); ok {
		c.unless(expired.expired(c.now), at+"expired", "the token has not expired", "give one whose exp is past")
		c.unless(!expired.expired(c.now) || expired.expired(c.now.Add(-leeway)), at+"expired", "the token expired less than ten minutes ago",
			"a sound verifier may still take it (RFC 7519 section 4.1.4): give an older one")
	}
	if other, ok := c.claims(at+"other_realm", t.OtherRealm); ok {
		c.unless(!other.expired(c.now), at+"other_realm", "the token has expired: it would be refused for that", "get a new one")
	}
	ways := 0
	for _, given := range []bool{t.Valid != "", t.ClientCredentials.TokenURL != "", t.VaultRole != ""} {
		if given {
			ways++
		}
	}
	c.unless(ways < 2, "grants.tokens", "valid tokens are had in more than one way", "give one of valid, client_credentials and vault_role")
	if cc := t.ClientCredentials; c.Given(at + "client_credentials") {
		c.unless(cc.TokenURL != "" && cc.ClientID != "" && cc.ClientSecret != "", at+"client_credentials", "it is not whole",
			"give token_url, client_id and client_secret")
		c.bundle(at+"client_credentials.ca_bundle", cc.CABundle, cc.TokenURL)
	}
	c.unless(t.VaultRole == "" || c.Grants.Vault.Address != "", at+"vault_role", "grants.vault gives no address",
		"give grants.vault.address and a login")
}

func (c *checker) signing() {
	if c.Given("grants.tokens.signing_key") {
		c.signingKey("grants.tokens.signing_key", c.Grants.Tokens.SigningKey)
	}
	for i, k := range c.Grants.Tokens.SigningKeys {
		c.signingKey(fmt.Sprintf("grants.tokens.signing_keys[%d]", i), k)
	}
}

// signingKey checks one key that the target trusts.
func (c *checker) signingKey(at string, k SigningKey) {
	c.unless(k.Key != "" && k.ID != "" && k.Algorithm != "", at, "it is not whole", "give key, id and algorithm")
	text, ok := c.value(k.Key)
	if !ok {
		return
	}
	key, err := certs.ParseKey([]byte(text))
	if err != nil {
		c.wrong(at+".key", err.Error(), "")
		return
	}
	is, algorithms := family(key)
	c.unless(slices.Contains(algorithms, k.Algorithm), at+".algorithm", is+" does not sign by it",
		"set it to "+strings.Join(algorithms, " or "))
	told := c.Profile.Issuer != "" && c.Profile.Audience != "" || !slices.Contains(algorithms, k.Algorithm)
	c.unless(told, at, "what iss and aud its tokens must have is not told",
		"give profile.issuer and profile.audience, as the service has them")
}

// family says what a key is, and which algorithms it signs by (RFC 7518 section 3.1,
// RFC 8037).
func family(key any) (is string, algorithms []string) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return "an RSA key", []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PrivateKey:
		curve := key.Curve.Params().Name
		return "an EC key on " + curve, map[string][]string{"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}}[curve]
	case ed25519.PrivateKey:
		return "an Ed25519 key", []string{"EdDSA"}
	default:
		return "this key", nil
	}
}

// pair reads a certificate and its key; nil when that cannot be told now.
func (c *checker) pair(name string, p Pair) *certs.Pair {
	at := "grants.certificates." + name
	if p == (Pair{}) {
		return nil
	}
	c.unless(p.Certificate != "" && p.Key != "", at, "it is not whole", "give certificate and key")
	chain, first := c.value(p.Certificate)
	key, second := c.value(p.Key)
	if !first || !second {
		return nil
	}
	pair, err := certs.ParsePair([]byte(chain), []byte(key))
	if err != nil {
		c.wrong(at, err.Error(), "")
		return nil
	}
	c.unless(c.now.Before(pair.Certificate.NotAfter), at+".certificate",
		"it has expired on "+pair.Certificate.NotAfter.UTC().Format(time.DateOnly), "issue a new one")
	return &pair
}

func (c *checker) certificates() {
	const at = "grants.certificates."
	g := c.Grants.Certificates
	enrolled, unenrolled := c.pair("enrolled", g.Enrolled), c.pair("unenrolled", g.Unenrolled)
	c.pair("sibling", g.Sibling)
	c.pair("public", g.Public)
	c.pair("revoked", g.Revoked)
	c.named("enrolled", enrolled, g.EnrolledCN)
	c.named("unenrolled", unenrolled, g.UnenrolledCN)
	form := certs.Form(c.Profile.Identity)
	c.unless(form != certs.FormEmail || harness.CarriageOf(c.Profile.IdentityHeader) != harness.CarriesXFCC, "profile.identity",
		"X-Forwarded-Client-Cert says no address of mail", "declare the name that the service takes from it")
	same := g.EnrolledCN != "" && g.EnrolledCN == g.UnenrolledCN ||
		enrolled != nil && unenrolled != nil && form.Client(enrolled.Certificate) == form.Client(unenrolled.Certificate)
	c.unless(!same, at+"unenrolled", "it has the enrolled client's name", "give a client that is not on the list")
	if g.Authority == (Pair{}) && g.VaultPKI.Role == "" {
		const why, do = "it is missing beside the other", "give both, or authority: nothing can be held against one alone"
		c.unless(enrolled == nil || g.Unenrolled != Pair{}, at+"unenrolled", why, do)
		c.unless(unenrolled == nil || g.Enrolled != Pair{}, at+"enrolled", why, do)
	}
}

// signed is the URL of the two whose server somebody signs.
func (p PerMode) signed() string {
	if strings.HasPrefix(p.OIDC, "https://") {
		return p.OIDC
	}
	return p.MTLS
}

func (c *checker) named(who string, pair *certs.Pair, declared string) {
	if pair == nil {
		return
	}
	form := certs.Form(c.Profile.Identity)
	names := form.Of(pair.Certificate)
	if form == "" || form == certs.FormCN {
		names = certs.Identities(pair.Certificate)
	}
	c.unless(declared == "" || slices.Contains(names, declared),
		"grants.certificates."+who+"_cn", "the certificate has another name", "leave it out, or give the other certificate")
	c.unless(declared != "" || len(names) > 0, "grants.certificates."+who, "the certificate names nobody",
		"give a client with a common name, or an alternative one")
}

// authorities checks what issues certificates: the CA's key, or Vault's PKI.
func (c *checker) authorities() {
	const at = "grants.certificates."
	g := c.Grants.Certificates
	names := (g.EnrolledCN != "" || g.Enrolled != Pair{}) && (g.UnenrolledCN != "" || g.Unenrolled != Pair{})
	if pair := c.pair("authority", g.Authority); pair != nil {
		_, err := certs.ParseAuthority(pair.ChainPEM(), must(pair.KeyPEM()))
		c.unless(err == nil, at+"authority", fmt.Sprint(err), "")
	}
	c.unless(g.Authority == Pair{} || names, at+"authority", "whom to issue for is not told", "give enrolled_cn and unenrolled_cn")
	if c.Given(at + "vault_pki") {
		c.unless(g.VaultPKI.Role != "", at+"vault_pki.role", "it is missing", "name the role")
		c.unless(g.EnrolledCN != "" && g.UnenrolledCN != "", at+"vault_pki", "whom to issue for is not told",
			"give enrolled_cn and unenrolled_cn")
		c.unless(c.Profile.Identity == "" || c.Profile.Identity == string(certs.FormCN), at+"vault_pki",
			"it issues common names, and profile.identity is another", "give certificates, or the authority")
		c.unless(c.Grants.Vault.Address != "", at+"vault_pki", "grants.vault gives no address", "give grants.vault.address and a login")
		c.unless(g.Enrolled == Pair{} && g.Unenrolled == Pair{}, at+"vault_pki", "certificates are given beside it", "give one of the two")
	}
}

func must(text []byte, _ error) []byte { return text } // of a key that was just parsed

func (c *checker) vault() {
	v := c.Grants.Vault
	if !c.Given("grants.vault") {
		return
	}
	c.unless(v.Address != "", "grants.vault.address", "it is missing", "give the URL of Vault")
	c.bundle("grants.vault.ca_bundle", v.CABundle, v.Address)
	c.unless(v.ServiceRole.Role != "" || !c.Given("grants.vault.service_role"), "grants.vault.service_role.role", "it is missing",
		"name the role")
	ways := 0
	for _, given := range []bool{v.Login.Token != "", v.Login.Kubernetes.Role != "", v.Login.AppRole.RoleID != "", v.Login.JWT.Role != ""} {
		if given {
			ways++
		}
	}
	c.unless(ways == 1, "grants.vault.login", fmt.Sprintf("%d ways to log in are given", ways),
		"give one of token, kubernetes, approle and jwt")
	c.unless((v.Login.AppRole.RoleID == "") == (v.Login.AppRole.SecretID == ""), "grants.vault.login.approle", "it is not whole",
		"give role_id and secret_id")
	c.unless((v.Login.JWT.Role == "") == (v.Login.JWT.Token == ""), "grants.vault.login.jwt", "it is not whole", "give role and token")
	c.each(reflect.ValueOf(v.Login), "grants.vault.login", func(path string, r Reference) {
		_, _, vaulted := r.InVault()
		c.unless(!vaulted, path, "it is in the Vault that it opens", "give it as env:NAME or file:PATH")
	})
}

func (c *checker) aws() {
	const at = "grants.aws"
	if !c.Given(at) {
		return
	}
	a := c.Grants.AWS
	c.unless(a.Region != "", at+".region", "it is missing", "give the region of AWS")
	c.unless(a.AccessKeyID != "" && a.SecretAccessKey != "", at, "it is not whole", "give access_key_id and secret_access_key")
	c.unless(c.Grants.Vault.Address == "", at, "grants.vault gives an address too", "give the one that the service reads")
	c.unless(len(c.Grants.Hooks.Replica.Command) == 0, at, "what a replica does at its start is held to Vault only",
		"leave out grants.hooks.replica")
	c.bundle(at+".ca_bundle", a.CABundle, a.Endpoint)
}

// successes refuses a refusal that is declared a success: a wall would pass then.
func (c *checker) successes() {
	for i, status := range c.Profile.Success {
		c.unless(harness.Succeeds(status), fmt.Sprintf("profile.success[%d]", i), fmt.Sprintf("%d is no success", status),
			"write statuses of 2xx: 200, or 201 and 202 beside it")
	}
}

func (c *checker) others() {
	g := c.Grants
	ways := 0
	for _, given := range []bool{g.Logs.File != "", len(g.Logs.Command) > 0, g.Logs.Loki != (Loki{})} {
		if given {
			ways++
		}
	}
	c.unless(ways == 1 || !c.Given("grants.logs"), "grants.logs", fmt.Sprintf("%d sources are given", ways),
		"give one of file, command and loki")
	for _, signed := range []struct {
		path string
		by   Reference
		url  string
	}{
		{"grants.metrics.ca_bundle", g.Metrics.CABundle, g.Metrics.signed()},
		{"grants.backend.ca_bundle", g.Backend.CABundle, g.Backend.signed()},
		{"grants.idp_ca_bundle", g.IdPCA, g.IdP},
		{"grants.prometheus_ca_bundle", g.PrometheusCA, g.Prometheus}, {"grants.alertmanager_ca_bundle", g.ManagerCA, g.Alertmanager},
		{"grants.logs.loki.ca_bundle", g.Logs.Loki.CABundle, g.Logs.Loki.URL},
	} {
		c.bundle(signed.path, signed.by, signed.url)
	}
	c.unless((g.Logs.Loki.URL == "") == (g.Logs.Loki.Query == ""), "grants.logs.loki", "it is not whole", "give url and query")
	if c.Given("grants.component_logs") {
		whole := len(g.Components.Ingress) > 0 && (c.Mode == "mtls" || len(g.Components.OIDC) > 0) &&
			(c.Mode == "oidc" || len(g.Components.MTLS) > 0)
		c.unless(whole, "grants.component_logs", "it is not whole", "give ingress, and the service of each mode")
	}
	replica := g.Hooks.Replica
	c.unless((len(replica.Command) == 0) == (replica.URL == ""), "grants.hooks.replica", "it is not whole", "give command and url")
	c.unless((g.Hooks.TrustTo == "") == (len(g.Hooks.Reload) == 0), "grants.hooks", "the ingress's two are not whole",
		"give reload and trust_file")
	c.unless(
		replica.URL == "" || strings.HasPrefix(replica.URL, "http://"),
		"grants.hooks.replica.url",
		"it is no URL of http",
		"write it as http://127.0.0.1:{{port}}",
	)
	c.jwks()
	c.unless(g.Logs.Handled != "" || !c.Given("grants.logs"), "grants.logs.handled", "it is missing",
		"say what a line looks like when the handler ran")
}

// jwks checks how the key set is changed.
func (c *checker) jwks() {
	const at = "grants.hooks.jwks"
	h := c.Grants.Hooks.JWKS
	if !c.Given(at) {
		return
	}
	c.unless(h.URL != "", at+".url", "it is missing", "say where the target reads its key set")
	c.unless((len(h.Publish) > 0) != (h.Put != ""), at, "it is not one way", "give publish, a command, or put, a URL")
	c.unless((len(h.Stop) > 0) == (len(h.Start) > 0), at, "its stop and start are not whole", "give both, or neither")
	c.unless(h.Authorization == "" || h.Put != "", at+".authorization", "nothing is PUT", "give put")
	c.bundle(at+".ca_bundle", h.CABundle, h.URL)
}
