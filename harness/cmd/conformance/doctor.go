package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/monitor"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/stack/live"
	"aegis.test/conformance/harness/wire"
)

// Marks of what a doctor finds.
const (
	markOK   = "ok"
	markWarn = "warn"
	markFail = "fail"
)

// ailment is one line of what a doctor finds.
type ailment struct{ mark, what, found, fix string }

func (a ailment) String() string {
	line := fmt.Sprintf("%-5s %-24s %s", a.mark, a.what, a.found)
	if a.fix != "" && a.mark != markOK {
		line += ": " + a.fix
	}
	return line
}

// soon is how near an expiry is worth a warning.
const soon = 72 * time.Hour

func doctorCommand() *cobra.Command {
	var from sources
	c := &cobra.Command{
		Use: "doctor", Short: "check that everything a run needs is there, and say how to mend what is not", Args: none,
		Long: `doctor checks the engine and its images, and of each target of the configuration
names, connections, TLS, HTTP versions, how calls without a good client certificate
are refused, the clock, the lifetimes of tokens and certificates, what Vault allows
and whether metrics can be read. It sends a few requests to each face: with a
credential one at most, to an endpoint whose call is harmless. Each line is ok, warn or fail, with the fix; the exit status is 4
where one is fail.`,
		Example: "  conformance doctor\n  conformance doctor --config staging.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			failed := false
			show := func(a ailment) {
				failed = failed || a.mark == markFail
				_ = tell(c, a.String())
			}
			within(c.Context(), func(ctx context.Context) { examineEngine(ctx, show) })
			all, err := from.load()
			if err != nil && from.path == "" && errors.Is(err, errNoConfig) {
				show(ailment{markWarn, "configuration", "there is none", "conformance init writes one, where a live target is meant"})
			} else if err != nil {
				return err
			}
			for _, l := range all {
				show(ailment{markOK, "configuration", l.Source + ", target " + l.Target.Name, ""})
				within(c.Context(), func(ctx context.Context) { examine(ctx, l, show) })
			}
			if failed {
				return status(exitEnvironment)
			}
			return nil
		},
	}
	from.flags(c)
	return c
}

// within gives a look a minute of its own: a slow engine takes none of a target's.
func within(ctx context.Context, look func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	look(ctx)
}

// examineEngine looks for an engine and its images: a live target needs neither.
func examineEngine(ctx context.Context, show func(ailment)) {
	engine, err := images.Engine(ctx)
	if err != nil {
		show(ailment{markWarn, "engine", "none answers", "start one for conformance run in containers; embedded and live runs need none"})
		return
	}
	_ = engine.Close()
	show(ailment{markOK, "engine", "it answers", ""})
	var missing []string
	for _, name := range imageNames() {
		if _, err := images.Ensure(ctx, []string{name}, images.Options{}); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		show(ailment{markWarn, "images", "there is none of " + strings.Join(missing, ", "), "conformance images --pull --build"})
		return
	}
	show(ailment{markOK, "images", "all are there", ""})
}

// examine looks at one target.
func examine(ctx context.Context, l config.Loaded, show func(ailment)) {
	if l.Service.Image != "" {
		return
	}
	paper, err := stack.Paper(l, "doctor")
	if err != nil {
		show(ailment{markFail, "configuration", err.Error(), "mend it"})
		return
	}
	reached := true
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		if face, ok := paper.Faces[mode]; ok {
			reached = examineFace(ctx, string(mode), face, show) && reached
		}
	}
	if !reached {
		return
	}
	paper.Run = run.NewID()
	examineClock(ctx, paper, show)
	examineRefusals(ctx, paper, show)
	examineVault(ctx, l, show)
	examineGrants(ctx, l, show)
	for mode, at := range paper.Metrics {
		examineMetrics(ctx, mode, at, paper.Signed, show)
	}
}

// examineFace looks at the way to one face.
func examineFace(ctx context.Context, mode string, face harness.Face, show func(ailment)) bool {
	u, err := url.Parse(face.URL)
	if err != nil {
		show(ailment{markFail, mode + " URL", err.Error(), "mend target.url"})
		return false
	}
	at := cmp.Or(face.Connect, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])))
	if face.Proxy != "" {
		show(ailment{markOK, mode + " way", "through " + face.Proxy + ", which resolves names and connects", ""})
		return true
	}
	host, _, _ := net.SplitHostPort(at)
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		show(ailment{markFail, mode + " DNS", err.Error(), "mend target.url, or give target.connect_to"})
		return false
	}
	show(ailment{markOK, mode + " DNS", host + " is " + strings.Join(addresses, ", "), ""})
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", at)
	if err != nil {
		show(ailment{markFail, mode + " TCP", err.Error(), "is it up, and may this host reach it?"})
		return false
	}
	defer func() { _ = conn.Close() }()
	show(ailment{markOK, mode + " TCP", at, ""})
	if u.Scheme != "https" && speaksTLS(ctx, conn) {
		show(ailment{markFail, mode + " TLS", "the URL is plain HTTP, and TLS is spoken at " + at, "write the URL with https://"})
		return false
	}
	if u.Scheme != "https" {
		show(ailment{markWarn, mode + " TLS", "the URL is plain HTTP", "call the ingress, by https"})
		return true
	}
	return examineTLS(ctx, mode, cmp.Or(face.Host, u.Hostname()), face.RootCAs, conn, show)
}

func examineTLS(ctx context.Context, mode, name string, roots []byte, conn net.Conn, show func(ailment)) bool {
	trusted := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if len(roots) > 0 {
		trusted.RootCAs = x509.NewCertPool()
		trusted.RootCAs.AppendCertsFromPEM(roots)
	}
	secure := tls.Client(conn, trusted)
	if err := secure.HandshakeContext(ctx); err != nil {
		var untrusted *tls.CertificateVerificationError
		if errors.As(err, &untrusted) {
			show(ailment{markFail, mode + " TLS chain", err.Error(), trustRemedy(name, err)})
			return false
		}
		if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && bytes.HasPrefix(plain.RecordHeader[:], []byte("HTTP")) {
			show(ailment{markFail, mode + " TLS", "the URL is https, and plain HTTP is spoken there", "give the port on which TLS is spoken, or write the URL with http://"})
			return false
		}
		show(ailment{markWarn, mode + " TLS", err.Error(), "a face that wants a client's certificate may answer so (TLS 1.2)"})
		return true
	}
	state := secure.ConnectionState()
	leaf := state.PeerCertificates[0]
	show(expiring(mode+" TLS chain", "verifies", leaf.NotAfter, "renew the server's certificate"))
	show(ailment{markOK, mode + " TLS", tls.VersionName(state.Version), ""})
	show(ailment{markOK, mode + " HTTP", cmp.Or(state.NegotiatedProtocol, "http/1.1, without ALPN"), ""})
	return true
}

// trustRemedy is what mends a server's certificate that does not verify.
func trustRemedy(name string, err error) string {
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		c := wrong.Certificate
		if len(c.DNSNames)+len(c.IPAddresses) == 0 {
			return fmt.Sprintf("issue the server a certificate with %s as a subject alternative name: a common name is not read (RFC 9525 section 6.3)", name)
		}
		return "call the server by one of its names, or give the one that is meant as target.sni"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "give target.ca_bundle: the PEM of the authority that signs the server"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "renew the server's certificate, or set this host's clock"
	}
	return "mend the server's certificate, or give the authority that signs it as target.ca_bundle"
}

// speaksTLS reports whether TLS is spoken on a connection: a handshake ends well, or
// by an alert.
func speaksTLS(ctx context.Context, conn net.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx) //nolint:gosec // it is asked whether, not who
	_, alert := errors.AsType[tls.AlertError](err)
	return err == nil || alert
}

// misspoken finds a face whose URL is of plain HTTP where TLS is spoken: whatever is
// sent there ends without an answer, and no answer says why.
func misspoken(ctx context.Context, t *harness.Target) error {
	for _, mode := range slices.Sorted(maps.Keys(t.Faces)) {
		face := t.Faces[mode]
		u, err := url.Parse(face.URL)
		if err != nil || u.Scheme != "http" || face.Proxy != "" {
			continue
		}
		conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", cmp.Or(face.Connect, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))))
		if err != nil {
			continue
		}
		tlsSpoken := speaksTLS(ctx, conn)
		_ = conn.Close()
		if tlsSpoken {
			return fmt.Errorf("calling %s: the URL is plain HTTP, and TLS is spoken there: write it with https://", face.URL)
		}
	}
	return nil
}

// expiring is ok, warn or fail by how far away an expiry is.
func expiring(what, found string, at time.Time, fix string) ailment {
	left := time.Until(at)
	a := ailment{markOK, what, fmt.Sprintf("%s, until %s", found, at.UTC().Format(time.RFC3339)), fix}
	if left < soon {
		a.mark = markWarn
	}
	if left < 0 {
		a.mark = markFail
	}
	return a
}

func examineClock(ctx context.Context, t *harness.Target, show func(ailment)) {
	seen, err := probe.Identify(ctx, t)
	switch {
	case err != nil:
		show(ailment{markFail, "answer", err.Error(), "is the service up behind the ingress?"})
	case !seen.Timed:
		show(ailment{markWarn, "clock", "no answer has a Date", "compare the target's clock by hand"})
	case max(seen.Offset, -seen.Offset) > signoff.MaxClockOffset:
		show(ailment{markFail, "clock", fmt.Sprintf("%v off", seen.Offset.Round(time.Second)), "set this host's clock, or the target's"})
	default:
		show(ailment{markOK, "clock", fmt.Sprintf("within %v of ours", (max(seen.Offset, -seen.Offset) + time.Second).Round(time.Second)), ""})
	}
	if err == nil && t.Build.Path != "" && seen.Version == "" {
		show(ailment{markWarn, "version", t.Build.Path + " tells none", "mend target.version"})
	}
}

// examineRefusals looks at how the face of mode mtls refuses, which sound ingresses
// do in different ways, and whether that is what is declared.
func examineRefusals(ctx context.Context, t *harness.Target, show func(ailment)) {
	i := slices.IndexFunc(t.Endpoints, func(e harness.Endpoint) bool { return e.Effect == harness.ReadOnly })
	if i < 0 || !t.Shows(harness.MTLS) {
		return
	}
	for _, call := range []struct {
		what, key string
		declared  harness.Refusal
		change    func(*harness.Request) error
	}{
		{"mtls, no certificate", "no_certificate", t.Profile.NoCertificate, func(*harness.Request) error { return nil }},
		{"mtls, bad certificate", "bad_certificate", t.Profile.BadCertificate, func(r *harness.Request) error {
			certificate, err := clientcert.SelfSigned().Make(t)
			r.Certificate = &certificate
			return err
		}},
	} {
		request := probe.With(t, harness.MTLS, t.Endpoints[i], func(*harness.Request) {})
		if err := call.change(&request); err != nil {
			show(ailment{markFail, call.what, err.Error(), "run doctor again"})
			continue
		}
		show(refusal(call.what, call.key, call.declared, wire.Send(ctx, t, request)))
	}
}

// refusal holds the answer to a call that must be refused against the declared one.
func refusal(what, key string, declared harness.Refusal, seen harness.Observation) ailment {
	var is harness.Refusal
	found := fmt.Sprintf("%s: %s", seen.Transport, seen.Detail)
	switch {
	case seen.Transport == harness.Answered && seen.Status < 400:
		return ailment{markFail, what, fmt.Sprintf("it is answered %d, and must be refused", seen.Status), "let the ingress demand a certificate of each client (runbook section 3)"}
	case seen.Transport == harness.Answered:
		found = fmt.Sprintf("it is answered %d", seen.Status)
		is = map[int]harness.Refusal{401: harness.HTTP401, 400: harness.HTTP400, 495: harness.HTTP400, 496: harness.HTTP400}[seen.Status]
	case slices.Contains([]harness.Transport{harness.Alert, harness.Reset, harness.EOF}, seen.Transport):
		found, is = "it is refused in TLS", harness.TLSAlert
	}
	if is == harness.TLSAlert || declared.Has(is) { // a refusal in TLS satisfies any
		return ailment{markOK, what, found, ""}
	}
	a := ailment{markWarn, what, found + ", and profile." + key + " is " + string(cmp.Or(declared, harness.HTTP401)), "set it to " + string(is) + " where that is what is meant, or to a list of all that it answers"}
	if is == "" {
		a.fix = "it may be http401, http400 and tls, or a list of these"
	}
	return a
}

// examineVault asks what the harness may do there.
func examineVault(ctx context.Context, l config.Loaded, show func(ailment)) {
	v := l.Grants.Vault
	if v.Address == "" {
		return
	}
	data := v.Mount + "/data/" + v.Path
	needed := map[string]string{data: "read"}
	if p := l.Grants.Certificates.VaultPKI; p.Role != "" {
		needed[p.Mount+"/issue/"+p.Role], needed[p.Mount+"/revoke"], needed[p.Mount+"/roles/"+cmp.Or(p.ClientRole, p.Role)] = "update", "update", "read"
	}
	if l.Grants.Tokens.VaultRole != "" {
		needed["identity/oidc/token/"+l.Grants.Tokens.VaultRole] = "read"
	}
	if r := v.ServiceRole; r.Role != "" {
		needed["auth/"+r.Mount+"/role/"+r.Role] = "read"
	}
	if v.ServiceToken != "" {
		needed["sys/capabilities"] = "update"
	}
	var paths []string
	for path := range needed {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	able, err := live.Abilities(ctx, l, paths)
	if err != nil {
		show(ailment{markFail, "Vault", err.Error(), "mend grants.vault"})
		return
	}
	for _, path := range paths {
		show(permitted(path, needed[path], able[path]))
	}
	if v.Write {
		show(permitted(data, "update", able[data]))
	}
}

func permitted(path, need string, can []string) ailment {
	a := ailment{markOK, "Vault " + need, path, ""}
	if !slices.Contains(can, need) && !slices.Contains(can, "root") {
		a.mark, a.found, a.fix = markFail, fmt.Sprintf("%s allows %s", path, strings.Join(can, ", ")), "give the harness's policy "+need+" there"
	}
	return a
}

// examineAWS reads the secret there; whether it may be written shows only when it is.
func examineAWS(ctx context.Context, l config.Loaded, t *harness.Target, show func(ailment)) {
	a := l.Grants.AWS
	if a.Region == "" {
		return
	}
	if _, err := t.Control.Secrets.Read(ctx); err != nil {
		show(ailment{markFail, "AWS read", err.Error(), "mend grants.aws, or allow secretsmanager:GetSecretValue on " + a.SecretID})
		return
	}
	show(ailment{markOK, "AWS read", a.SecretID, ""})
}

// examineGrants looks at what is granted: whether it can be used, and how long.
func examineGrants(ctx context.Context, l config.Loaded, show func(ailment)) {
	live, err := stack.Live(ctx, l, run.NewID(), func(string, string) {})
	if err != nil {
		show(ailment{markFail, "grants", err.Error(), "mend them"})
		return
	}
	defer func() { _ = live.Stop(ctx) }()
	t := live.Target
	examineAWS(ctx, l, t, show)
	examineKeySet(ctx, l, t, show)
	examineControls(ctx, t, show)
	if at, ok := probe.Expiry(t.Tokens.Valid.Reveal()); ok {
		a := expiring("valid token", "it is valid", at, "give one that outlasts the run, or grants.tokens.client_credentials")
		if a.mark == markWarn && time.Until(at) > 30*time.Minute || t.Control.Bearer != nil {
			a.mark = markOK
		}
		show(a)
	}
	for _, c := range []struct {
		name string
		pair harness.CertPair
	}{{"enrolled", t.Certs.Enrolled}, {"unenrolled", t.Certs.Unenrolled}, {"authority", t.Certs.Authority}} {
		if len(c.pair.Chain) == 0 {
			continue
		}
		pair, err := certs.ParsePair(c.pair.Chain, []byte(c.pair.Key.Reveal()))
		if err != nil {
			show(ailment{markFail, c.name, err.Error(), "give another"})
			continue
		}
		a := expiring(c.name+" certificate", "it is valid", pair.Certificate.NotAfter, "issue a new one")
		if a.mark == markWarn && time.Until(pair.Certificate.NotAfter) > 30*time.Minute {
			a.mark = markOK // short-lived ones are what the runbook prefers
		}
		show(a)
	}
}

// examineKeySet reads the key set that hooks may change; whether they can shows only when
// they do.
func examineKeySet(ctx context.Context, l config.Loaded, t *harness.Target, show func(ailment)) {
	set, ok := t.Control.JWKS.(interface {
		Kids(ctx context.Context) ([]string, error)
	})
	if !ok {
		return
	}
	const what = "key set"
	url := l.Grants.Hooks.JWKS.URL
	kids, err := set.Kids(ctx)
	if err != nil {
		show(ailment{markFail, what, err.Error(), "mend grants.hooks.jwks.url, or its ca_bundle"})
		return
	}
	for _, key := range t.Tokens.Signing {
		if !slices.Contains(kids, key.ID) {
			show(ailment{markFail, what, fmt.Sprintf("%s has no key %q, which grants.tokens names", url, key.ID),
				"name the URL that the target reads, or publish the key there"})
			return
		}
	}
	show(ailment{markOK, what, fmt.Sprintf("%s has %s, those granted among them", url, plural(len(kids), "key")), ""})
}

// examineControls makes the call of each mode that a run needs accepted.
func examineControls(ctx context.Context, t *harness.Target, show func(ailment)) {
	i := slices.IndexFunc(t.Endpoints, func(e harness.Endpoint) bool { return e.Effect == harness.ReadOnly })
	for mode, granted := range map[harness.Mode]harness.Capability{harness.OIDC: harness.GivenTokens, harness.MTLS: harness.GivenClientCerts} {
		if i < 0 || !t.Shows(mode) || !t.Grants(granted) {
			continue
		}
		what := string(mode) + " accepted call"
		request, err := probe.Sound(t, mode, t.Endpoints[i])
		if err != nil {
			show(ailment{markFail, what, err.Error(), "mend grants"})
			continue
		}
		show(acceptance(t, what, request, wire.Send(ctx, t, request)))
	}
}

// acceptance holds the answer to a call that must be accepted against the profile.
func acceptance(t *harness.Target, what string, sent harness.Request, seen harness.Observation) ailment {
	got := fmt.Sprintf("%s %s with %s: %s", sent.Method, sent.Path, sent.Credential, seen.Transport)
	if seen.Transport == harness.Answered {
		got = fmt.Sprintf("%s %s with %s is answered %d", sent.Method, sent.Path, sent.Credential, seen.Status)
	}
	a := ailment{markFail, what, got, "no refusal counts without an accepted call: "}
	switch {
	case seen.Transport == harness.Answered && t.Profile.Accepts(seen.Status):
		a.mark = markOK
	case seen.Status == http.StatusUnauthorized && sent.Mode == harness.OIDC:
		a.fix += "compare iss, aud, kid and lifetime of the token with what the service trusts"
	case seen.Status == http.StatusForbidden:
		a.fix += "enrol the client, or give the scope that is wanted"
	case seen.Status == http.StatusNotFound || seen.Status == http.StatusMethodNotAllowed:
		a.fix += "mend method and path in endpoints"
	case seen.Status >= 400 && seen.Status < 500 && sent.Mode == harness.OIDC:
		a.fix += "mend the body in endpoints"
	default:
		a.fix += "compare the credential with what is trusted, and the body in endpoints"
	}
	return a
}

func examineMetrics(ctx context.Context, mode harness.Mode, at string, by harness.Trust, show func(ailment)) {
	page, err := wire.Scrape(ctx, outbound.Client(outbound.Options{}.By(by)), at)
	switch {
	case err != nil:
		show(ailment{markFail, string(mode) + " metrics", err.Error(), "mend grants.metrics"})
	case len(page[monitor.AuthFailures].Series) == 0:
		show(ailment{markWarn, string(mode) + " metrics", "there is no " + monitor.AuthFailures, "the service must expose it (runbook section 5)"})
	default:
		show(ailment{markOK, string(mode) + " metrics", at, ""})
	}
}
