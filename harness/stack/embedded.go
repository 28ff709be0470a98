package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/quic-go/quic-go/http3"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/aegis"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// inProcess is the origin of a component that this process serves.
const inProcess = "in process"

// embedded is a stack on loopback listeners of this process, with a Vault
// beside it when there is one on PATH.
type embedded struct {
	blueprint *blueprint
	log       io.Writer // components' output, one line at a time
	vault     seededVault
	binary    string // of Vault; "" where a stand-in takes its place
	// authorizer is asked by the ingress of mode mtls.
	authorizer authorizer

	mu      sync.Mutex
	stops   []func(context.Context) error
	over    bool
	outputs map[string]*tail // by component
}

// startEmbedded starts a target in this process. After an error nothing of it
// is left.
func startEmbedded(ctx context.Context, spec Spec) (*Stack, error) {
	spec.Run = cmp.Or(spec.Run, localhost.Nonce())
	e := &embedded{log: &lines{to: spec.Log}, outputs: map[string]*tail{"ingress": {}}}
	ctx, cancel := context.WithTimeoutCause(ctx, readyBound, fmt.Errorf("not every component has answered within %s", readyBound))
	defer cancel()
	target, err := e.start(ctx, spec)
	if err != nil {
		return nil, errors.Join(err, e.stop(ctx))
	}
	return &Stack{Target: target, stop: e.stop}, nil
}

// onStop adds what is to be done when the stack ends: at once, when it has.
func (e *embedded) onStop(stop func(context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		go func() { _ = stop(context.Background()) }()
		return
	}
	e.stops = append(e.stops, stop)
}

// stop ends all components side by side, whether or not ctx is done already.
func (e *embedded) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localhost.StopBound)
	defer cancel()
	e.mu.Lock()
	stops := e.stops
	e.stops, e.over = nil, true
	e.mu.Unlock()
	return sideBySide(ctx, stops)
}

// way is a mode's way in: the service, and the ingress before it.
type way struct {
	service          *instance
	front            string // host:port
	proxy            *ingress.Proxy
	component, shown harness.Component
}

// start starts the components side by side, as far as one does not need what
// another holds.
func (e *embedded) start(ctx context.Context, spec Spec) (*harness.Target, error) {
	idpAt, err := localhost.Listen()
	if err != nil {
		return nil, err
	}
	if e.blueprint, err = newBlueprint(spec, "https://"+idpAt.Addr().String()); err != nil {
		_ = idpAt.Close()
		return nil, err
	}
	var secrets, issuer harness.Component
	faces := e.faces()
	ways := make([]way, len(faces))
	var steps []func(context.Context) error
	for i, mode := range faces {
		steps = append(steps, func(ctx context.Context) (err error) { ways[i], err = e.startWay(ctx, mode); return })
	}
	for _, stage := range [][]func(context.Context) error{
		{
			func(ctx context.Context) (err error) { secrets, err = e.startVault(ctx); return },
			func(ctx context.Context) (err error) { issuer, err = e.startIDP(ctx, idpAt); return },
		},
		steps,
	} {
		if err := sideBySide(ctx, stage); err != nil {
			return nil, err
		}
	}
	return e.target(ways, secrets, issuer)
}

// faces are the modes to start: both, but for a fault that is of one.
func (e *embedded) faces() []harness.Mode {
	if face := e.blueprint.spec.Fault.Face; face != "" {
		return []harness.Mode{face}
	}
	return localhost.Modes
}

func (e *embedded) target(ways []way, secrets, issuer harness.Component) (*harness.Target, error) {
	at := addresses{
		ingress: map[harness.Mode]string{}, service: map[harness.Mode]string{}, oracle: map[harness.Mode]string{},
	}
	components := []harness.Component{secrets, issuer}
	var fronts proxies
	for i, mode := range e.faces() {
		fronts = append(fronts, ways[i].proxy)
		at.ingress[mode], at.service[mode], at.oracle[mode] = ways[i].front, ways[i].service.at.Addr, ways[i].service.oracle.Addr
		components = append(components, ways[i].component)
	}
	if err := e.serveBeside(ways, &at); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("reference service, %s and %s on this host", ways[0].shown.Is, secrets.Is)
	at.token = e.vault.token
	t, err := e.blueprint.target(harness.Rehearsal, name, at)
	if err != nil {
		return nil, err
	}
	t.Components = append(components, ways[0].shown)
	t.Beyond = beyondProcess(secrets.StandIn)
	t.Control = &harness.Control{
		Launcher:   e,
		Secrets:    vault.NewStore(e.vault.root, e.vault.service),
		Vault:      vault.NewOperator(e.vault.root, e.vault.key),
		JWKS:       e.blueprint.door,
		Outside:    e.blueprint.door,
		IdP:        e.blueprint.published(""),
		Ingress:    front{fronts, e.blueprint.ingressPair},
		Authorizer: &e.authorizer,
		Logs:       e,
	}
	t.Control.Rollout = &rollout{launch: e.Launch, forward: e.forward(ways), health: "/readyz"}
	if e.binary != "" {
		t.Control.Agent = besides{e}
	}
	t.Profile.Authorizer = true
	if e.vault.issuer != nil {
		t.Control.Issuer, t.Control.OwnIssuer = e.vault.issuer, e.vault.issuer
	}
	return t, nil
}

// startVault starts the vault on PATH, or else the stand-in for one.
func (e *embedded) startVault(ctx context.Context) (harness.Component, error) {
	pair, err := e.blueprint.servers.Server("127.0.0.1")
	if err != nil {
		return harness.Component{}, err
	}
	binary, err := exec.LookPath("vault")
	if err != nil {
		return e.startStandIn(ctx, pair)
	}
	e.binary = binary
	key, err := pair.KeyPEM()
	if err != nil {
		return harness.Component{}, err
	}
	began, output := time.Now(), &tail{}
	p, err := vault.StartProcess(binary, pair.ChainPEM(), key, e.output("vault", output, ""))
	if err != nil {
		return harness.Component{}, err
	}
	e.onStop(func(context.Context) error { return p.Stop() })
	ctx, cancel := p.While(ctx)
	defer cancel()
	version, err := e.seed(ctx, p.Address())
	if err != nil {
		return harness.Component{}, fmt.Errorf("%w; the end of its output:\n%s", err, indent(output.last(20)))
	}
	if err := p.Forget(); err != nil {
		return harness.Component{}, err
	}
	return harness.Component{
		Name: "vault", Is: "Vault " + version, Origin: "process",
		Endpoint: hostPort(p.Address()), ReadyMS: time.Since(began).Milliseconds(),
	}, nil
}

// seed makes a Vault that is starting ready to be read, and gives its version.
func (e *embedded) seed(ctx context.Context, address string) (version string, err error) {
	if e.vault.root, err = e.vaultClient(address); err != nil {
		return "", err
	}
	keys, err := vault.Init(ctx, e.vault.root)
	if err != nil {
		return "", err
	}
	e.vault.key = keys.Unseal
	if e.vault.token, err = e.blueprint.seed(ctx, e.vault.root); err != nil {
		return "", err
	}
	e.blueprint.spec.meet(e.vault)
	if e.vault.issuer, err = e.blueprint.seedPKI(ctx, e.vault.root); err != nil {
		return "", err
	}
	if e.vault.service, err = vault.WithToken(e.vault.root, e.vault.token); err != nil {
		return "", err
	}
	health, err := e.vault.root.Sys().HealthWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("asking Vault's version: %w", err)
	}
	return health.Version, nil
}

func (e *embedded) startStandIn(ctx context.Context, pair certs.Pair) (harness.Component, error) {
	began := time.Now()
	l, err := localhost.Listen()
	if err != nil {
		return harness.Component{}, err
	}
	root := harness.Secret(rand.Text())
	e.vault.token = harness.Secret(rand.Text())
	standIn := vault.NewStandIn(root, e.vault.token)
	e.vault.key = standIn.Key()
	e.serve(l, secured(standIn, pair))
	client, err := e.vaultClient("https://" + l.Addr().String())
	if err != nil {
		return harness.Component{}, err
	}
	if e.vault.root, err = vault.WithToken(client, root); err != nil {
		return harness.Component{}, err
	}
	e.blueprint.spec.meet(e.vault)
	if e.vault.service, err = vault.WithToken(client, e.vault.token); err != nil {
		return harness.Component{}, err
	}
	if err := vault.NewStore(e.vault.root, e.vault.service).Write(ctx, e.blueprint.secrets); err != nil {
		return harness.Component{}, err
	}
	return harness.Component{
		Name: "vault", Is: "stand-in for KV v2 reads and writes", Origin: inProcess, StandIn: true,
		Endpoint: l.Addr().String(), ReadyMS: time.Since(began).Milliseconds(),
	}, nil
}

// vaultClient is a client whose connections end with the stack.
func (e *embedded) vaultClient(address string) (*api.Client, error) {
	client, err := vault.NewClient(address, e.blueprint.servers.RootPEM())
	if err != nil {
		return nil, err
	}
	e.onStop(func(context.Context) error {
		client.CloneConfig().HttpClient.CloseIdleConnections()
		return nil
	})
	return client, nil
}

func (e *embedded) startIDP(ctx context.Context, l net.Listener) (harness.Component, error) {
	began := time.Now()
	pair, err := e.blueprint.servers.Server("127.0.0.1")
	if err != nil {
		_ = l.Close()
		return harness.Component{}, err
	}
	door, err := e.openDoor(pair)
	if err != nil {
		_ = l.Close()
		return harness.Component{}, err
	}
	e.serve(l, secured(door.Handler(), pair))
	if err := e.answered(ctx, e.blueprint.issuer+idp.DiscoveryPath, ""); err != nil {
		return harness.Component{}, err
	}
	return harness.Component{
		Name: "idp", Is: "mock IdP", Origin: inProcess,
		Endpoint: l.Addr().String(), ReadyMS: time.Since(began).Milliseconds(),
	}, nil
}

// startWay starts a mode's service, and then the ingress before it.
func (e *embedded) startWay(ctx context.Context, mode harness.Mode) (w way, err error) {
	began := time.Now()
	name := "service-" + string(mode)
	if w.service, err = e.newInstance(name); err != nil {
		return w, err
	}
	if err := w.service.keepLog(); err != nil {
		return w, errors.Join(err, w.service.Stop(ctx))
	}
	e.run(w.service, e.env(mode), e.plant(harness.Launch{}))
	if err := w.service.listens(ctx); err != nil {
		return w, err
	}
	if err := e.answered(ctx, w.service.URL().URL+"/readyz", ""); err != nil {
		return w, err
	}
	w.component = harness.Component{
		Name: name, Is: "reference service, AUTH_MODE=" + string(mode), Origin: inProcess,
		Endpoint: w.service.at.Addr, ReadyMS: time.Since(began).Milliseconds(),
	}
	return w, e.startIngress(ctx, mode, &w)
}

func (e *embedded) env(mode harness.Mode) map[string]string {
	return e.blueprint.env(mode, e.vault.root.Address(), e.vault.token)
}

func (e *embedded) startIngress(ctx context.Context, mode harness.Mode, w *way) error {
	began := time.Now()
	pair, err := e.blueprint.ingressPair(mode)
	if err != nil {
		return err
	}
	l, err := localhost.Listen()
	if err != nil {
		return err
	}
	w.front = l.Addr().String()
	declared := e.blueprint.server(mode)
	declared.Listen, declared.Backend = w.front, w.service.URL().URL
	if declared.Further, err = e.beside(ctx, mode); err != nil {
		_ = l.Close()
		return err
	}
	declared.Log = &lines{to: io.MultiWriter(e.outputs["ingress"], &prefixed{"ingress | ", e.log})}
	if mode == harness.MTLS {
		if declared.Authorizer, err = e.serveAuthorizer(); err != nil {
			_ = l.Close()
			return err
		}
	}
	w.proxy, err = ingress.Embedded(declared, pair.TLS(), pool(e.blueprint.bundle()), roots(e.blueprint.foreigners))
	if err != nil {
		_ = l.Close()
		return err
	}
	e.serve(w.proxy.Listener(l), w.proxy.HTTPS())
	if server := w.proxy.HTTP3(); server != nil {
		if err := e.serveHTTP3(w.front, server); err != nil {
			return err
		}
	}
	if err := e.answered(ctx, "https://"+w.front+"/healthz", face(mode)); err != nil {
		return err
	}
	w.shown = harness.Component{
		Name: "ingress", Is: "Go reverse proxy, stand-in for nginx", Origin: inProcess, StandIn: true,
		Endpoint: w.front, ReadyMS: time.Since(began).Milliseconds(),
	}
	return nil
}

// Launch starts a further replica, and does not wait for its answer.
func (e *embedded) Launch(ctx context.Context, launch harness.Launch) (harness.Replica, error) {
	r, err := e.newInstance("replica-" + localhost.Nonce())
	if err != nil {
		return nil, err
	}
	env := e.env(launch.Mode)
	if launch.HoldVault || launch.Impostor != "" {
		held, err := r.Between(hostPort(e.vault.root.Address()), launch.Impostor, e.blueprint.servers)
		if err != nil {
			return nil, errors.Join(err, r.Stop(ctx))
		}
		env["VAULT_ADDR"] = "https://" + held
	}
	e.run(r, localhost.LaunchEnv(env, launch), e.plant(launch))
	return r, nil
}

// newInstance is a service that has an address and does not run yet.
func (e *embedded) newInstance(name string) (*instance, error) {
	at, err := localhost.Bind()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	output := &tail{hidden: []string{e.vault.token.Reveal()}}
	return newInstance(name, at, output, e.output(name, output, e.vault.token)), nil
}

// run runs an instance, which ends with the stack if not before.
func (e *embedded) run(i *instance, env map[string]string, plant func(*aegis.Service)) {
	i.run(env, plant)
	e.onStop(i.Stop)
}

// output is where a component writes: to its tail, and on to the log, without
// the secret it knows.
func (e *embedded) output(name string, end *tail, secret harness.Secret) *lines {
	e.mu.Lock()
	e.outputs[name] = end
	e.mu.Unlock()
	out := &lines{raw: end, to: &prefixed{name + " | ", e.log}}
	if secret != "" {
		out.hidden = []string{secret.Reveal()}
	}
	return out
}

// Read gives what a component has written lately.
func (e *embedded) Read(_ context.Context, component string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	output := e.outputs[component]
	if output == nil {
		return "", fmt.Errorf("reading the log of %q: there is no such component", component)
	}
	return output.String(), nil
}

// serve serves l until the stack ends.
func (e *embedded) serve(l net.Listener, server *http.Server) {
	e.serveBy(l, server, func() error { return server.ServeTLS(l, "", "") })
}

// serveBy is serve, by a way of one's own.
func (e *embedded) serveBy(l net.Listener, server *http.Server, serve func() error) {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	e.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // for answers under way
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("serving %s: %w", l.Addr(), err)
		}
		return nil
	})
}

// serveHTTP3 serves by HTTP/3 at an address's port of UDP, until the stack stops.
func (e *embedded) serveHTTP3(at string, server *http3.Server) error {
	address, err := net.ResolveUDPAddr("udp", at)
	if err != nil {
		return fmt.Errorf("serving HTTP/3 at %s: %w", at, err)
	}
	socket, err := net.ListenUDP("udp", address)
	if err != nil {
		return fmt.Errorf("serving HTTP/3: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(socket) }()
	e.onStop(func(context.Context) error {
		err := errors.Join(server.Close(), socket.Close())
		<-ended
		return err
	})
	return nil
}

// secured is a server that shows pair.
func secured(h http.Handler, pair certs.Pair) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, MinVersion: tls.VersionTLS12},
	}
}

// answered asks a URL once, over a connection of its own: what is asked listens
// already. The server must show a certificate for name, or for the URL's host.
func (e *embedded) answered(ctx context.Context, url, name string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots(e.blueprint.servers), ServerName: name, MinVersion: tls.VersionTLS12},
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("asking for a first answer: %w", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("asking for a first answer: GET %s: got %s", url, answer.Status)
	}
	return nil
}

func roots(a *certs.Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.RootPEM())
	return pool
}

// hostPort is the host:port of an https URL without a path.
func hostPort(url string) string { return strings.TrimPrefix(url, "https://") }
