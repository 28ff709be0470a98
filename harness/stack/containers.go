package stack

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/errgroup"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// The ports that components listen on, each in its own container.
const (
	vaultPort   = 8200
	idpPort     = 8443
	servicePort = 8080
	oraclePort  = 8081
)

// ingressPorts are the ports of the ingress's two listeners.
var ingressPorts = map[harness.Mode]int{harness.OIDC: 9443, harness.MTLS: 9444}

// plainPort is the ingress's port of plain HTTP.
const plainPort = 9080

// URLs on the run's network: a component's name is its alias there.
const (
	vaultURL = "https://vault:8200"
	idpURL   = "https://idp:8443"
)

// files is the directory, in a container, of what is copied into it.
const files = "/etc/aegis/"

// gates is the domain of the gates before Vault: Vault's certificate is good
// for every name in it.
const gates = "gate.aegis.test"

// imageNames are the images that containers are made from.
var imageNames = []string{images.Vault, images.Nginx, images.Fixture}

// containers is a stack in containers.
type containers struct {
	blueprint *blueprint
	engine    *engine
	have      map[string]images.Have
	vault     seededVault
	vaultAt   *placed
	idpAt     *placed
	handover  handover
	nodes     []*node // of a Vault that is more than one
	services  map[harness.Mode]*placed
	watch     watch
	replaced  map[harness.Mode]string // by rollout: names of replicas in the place of services
	ingress   *placed
	speak     sync.Mutex // Progress is called one line at a time
}

// seededVault is a Vault that holds the secrets, as two may use it.
type seededVault struct {
	root, service *api.Client
	token         harness.Secret // the service's
	key           harness.Secret // unseals it
	issuer        *vault.Issuer  // nil for a stand-in
}

// startContainers starts a target in containers, from images that are at the
// engine. After an error nothing of it is left. Without an engine the error is
// NoEngine.
func startContainers(ctx context.Context, spec Spec, have map[string]images.Have) (*Stack, error) {
	spec.Run = cmp.Or(spec.Run, localhost.Nonce())
	engine, err := openEngine(ctx, spec)
	if err != nil {
		return nil, err
	}
	c := &containers{engine: engine, have: have, replaced: map[harness.Mode]string{}}
	target, err := c.start(ctx, spec)
	if err != nil {
		closeErr := engine.close(ctx) // first of all, whatever the error is
		return nil, errors.Join(err, closeErr)
	}
	return &Stack{Target: target, stop: engine.close}, nil
}

// start starts the components side by side, as far as one does not need what
// another holds: the service reads its secrets before it listens, and nginx
// resolves the services' names before it does.
func (c *containers) start(ctx context.Context, spec Spec) (*harness.Target, error) {
	var err error
	if c.blueprint, err = newBlueprint(spec, idpURL); err != nil {
		return nil, err
	}
	components := make([]harness.Component, 5, 7)
	if c.watchable() {
		components = components[:7]
	}
	place := func(i int, start func(context.Context) (harness.Component, error)) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			if components[i], err = start(ctx); err == nil {
				c.tell(components[i])
			}
			return err
		}
	}
	stages := [][]func(context.Context) error{
		{place(0, c.startSecrets), place(1, c.startIDP)},
		{c.startServices},
		{place(2, c.serving(harness.OIDC)), place(3, c.serving(harness.MTLS)), place(4, c.startIngress)},
	}
	steps := []func(context.Context) error{func(ctx context.Context) error { return inTurn(ctx, stages) }}
	if c.watchable() { // beside all else: neither needs what it watches
		steps = append(steps, place(5, c.startPrometheus), place(6, c.startAlertmanager))
	}
	if err := sideBySide(ctx, steps); err != nil {
		return nil, err
	}
	return c.target(ctx, components)
}

func inTurn(ctx context.Context, stages [][]func(context.Context) error) error {
	for _, stage := range stages {
		if err := sideBySide(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

func sideBySide(ctx context.Context, steps []func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range steps {
		group.Go(func() error { return step(ctx) })
	}
	return group.Wait()
}

func (c *containers) tell(ready harness.Component) {
	progress := c.blueprint.spec.Progress
	if progress == nil {
		return
	}
	c.speak.Lock()
	defer c.speak.Unlock()
	progress(fmt.Sprintf("%s ready after %.1f s: %s", ready.Name, float64(ready.ReadyMS)/1000, ready.Is))
}

func (c *containers) target(ctx context.Context, components []harness.Component) (*harness.Target, error) {
	is := c.blueprint.spec.Service
	at := addresses{
		ingress: map[harness.Mode]string{}, service: map[harness.Mode]string{}, oracle: map[harness.Mode]string{},
	}
	for mode, service := range c.services {
		at.ingress[mode] = c.ingress.at[ingressPorts[mode]]
		at.service[mode] = service.at[is.port()]
		at.oracle[mode] = service.at[cmp.Or(is.RequestLog, oraclePort)]
	}
	at.plain = c.ingress.at[plainPort]
	at.further, at.siblings = c.ingressAddresses(ctx)
	at.token = c.vault.token
	kind := harness.SelfTest
	if is.given() {
		kind = harness.Image
	}
	t, err := c.blueprint.target(kind, is.words()+", "+c.blueprint.flavour.name+" and Vault in containers", at)
	if err != nil {
		return nil, err
	}
	t.Components = components
	t.Control = &harness.Control{Launcher: c, Secrets: vault.NewStore(c.vault.root, c.vault.service), Vault: c.operator(),
		JWKS: c.blueprint.door, Outside: c.blueprint.door, IdP: c.blueprint.published(c.idpAt.at[idpPort]), Logs: c.engine, Issuer: c.vault.issuer, OwnIssuer: c.vault.issuer}
	t.Control.Deployment = deployment{c}
	if !is.given() {
		t.Control.Agent = sidecars{c}
	}
	if c.blueprint.flavour.nginx() {
		t.Control.Ingress = nginx{c}
		t.Control.Rollout = &rollout{launch: c.Launch, forward: nginx{c}.forward, health: c.blueprint.spec.Service.health()}
	}
	if !c.clustered() {
		t.Beyond = []harness.Capability{harness.VaultKubernetes}
	} else {
		k := &cluster{c: c}
		t.Control.Login, t.Components = k, append(t.Components, k.component())
	}
	if c.watchable() {
		c.watch.Remote = c.remote()
		t.Control.Alerts, t.Control.RuleTests, t.Control.Watches = &c.watch, &c.watch, true
	}
	return t, nil
}

// startSecrets starts Vault: one node, or three.
func (c *containers) startSecrets(ctx context.Context) (harness.Component, error) {
	if c.blueprint.spec.HA {
		return c.startVaults(ctx)
	}
	return c.startVault(ctx)
}

func (c *containers) startVault(ctx context.Context) (harness.Component, error) {
	shown, err := c.shown("vault", "vault", "*."+gates, "127.0.0.1")
	if err != nil {
		return harness.Component{}, err
	}
	options := vault.Options{APIAddr: vaultURL, CertFile: files + "vault.pem", KeyFile: files + "vault-key.pem"}
	if c.clustered() {
		options.Plugins = strings.TrimSuffix(files, "/") // the cluster brings one
	}
	shown[files+"vault.json"] = []byte(vault.Config(options))
	p, err := c.engine.start(ctx, part{
		name: "vault", image: c.have[images.Vault], ports: []int{vaultPort}, files: shown,
		command: []string{"/bin/vault", "server", "-config=" + files + "vault.json"},
	})
	if err != nil {
		return harness.Component{}, err
	}
	c.vaultAt = p
	ready, err := c.begin(ctx, p)
	if err != nil {
		return harness.Component{}, err
	}
	return p.component("Vault "+p.image.Version, vaultPort, ready), c.seed(ctx, p)
}

// clustered reports whether there is an image of a cluster.
func (c *containers) clustered() bool {
	_, ok := c.have[images.Kubernetes]
	return ok && !c.blueprint.spec.HA // every node would need the plugin
}

// begin initialises and unseals a Vault, and gives the time from its start to its
// first answer as an unsealed one.
func (c *containers) begin(ctx context.Context, p *placed) (ready time.Duration, err error) {
	ctx, cancel := p.while(ctx)
	defer cancel()
	c.vault.root, err = vault.NewClient("https://"+p.at[vaultPort], c.blueprint.servers.RootPEM())
	if err != nil {
		return 0, err
	}
	keys, err := vault.Init(ctx, c.vault.root)
	if err != nil {
		return 0, p.failed(err)
	}
	c.vault.key = keys.Unseal
	return time.Since(p.started), nil
}

// seed makes a Vault that has begun ready to be read.
func (c *containers) seed(ctx context.Context, p *placed) (err error) {
	ctx, cancel := p.while(ctx)
	defer cancel()
	if c.vault.token, err = c.blueprint.seed(ctx, c.vault.root); err != nil {
		return p.failed(err)
	}
	c.blueprint.spec.meet(c.vault)
	if c.vault.issuer, err = c.blueprint.seedPKI(ctx, c.vault.root); err != nil {
		return p.failed(err)
	}
	c.vault.service, err = vault.WithToken(c.vault.root, c.vault.token)
	return err
}

func (c *containers) startIDP(ctx context.Context) (harness.Component, error) {
	state, err := c.blueprint.idp.Export()
	if err != nil {
		return harness.Component{}, fmt.Errorf("exporting the IdP's keys: %w", err)
	}
	pair, err := c.blueprint.servers.Server("idp", "127.0.0.1")
	if err != nil {
		return harness.Component{}, err
	}
	key, err := pair.KeyPEM()
	if err != nil {
		return harness.Component{}, err
	}
	door, open, err := c.blueprint.doorEnv()
	if err != nil {
		return harness.Component{}, err
	}
	p, err := c.engine.start(ctx, part{
		name: "idp", image: c.have[images.Fixture], command: []string{"/bin/fixture", "idp"}, ports: []int{idpPort, doorPorts[0]},
		volume: memory(handedDir, "0755"),
		env: map[string]string{
			"IDP_ISSUER": c.blueprint.issuer, "IDP_STATE": string(state),
			"TLS_CERT": string(pair.ChainPEM()), "TLS_KEY": string(key),
			"LISTEN_ADDR": ":" + strconv.Itoa(idpPort), "DOOR": door,
		},
	})
	if err != nil {
		return harness.Component{}, err
	}
	c.idpAt = p
	open(p.at[doorPorts[0]])
	ready, err := p.ready(ctx, c.answers("https://"+p.at[idpPort]+idp.DiscoveryPath, ""))
	return p.component("mock IdP", idpPort, ready), err
}

// startServices starts a service per mode, and does not wait for an answer.
func (c *containers) startServices(ctx context.Context) error {
	started := make([]*placed, len(localhost.Modes))
	beside := c.blueprint.spec.Fault.Beside
	var steps []func(context.Context) error
	for i, mode := range localhost.Modes {
		steps = append(steps, func(ctx context.Context) error {
			p, err := c.service(ctx, "service-"+string(mode), harness.Launch{Mode: mode})
			if err != nil {
				return err
			}
			started[i], err = c.engine.start(ctx, p)
			return err
		})
		if beside != nil {
			steps = append(steps, func(ctx context.Context) error { return c.startBeside(ctx, mode, beside) })
		}
	}
	err := sideBySide(ctx, steps)
	c.services = map[harness.Mode]*placed{}
	for i, mode := range localhost.Modes {
		c.services[mode] = started[i]
	}
	return err
}

// startBeside starts the further replica of a fault, and waits until it is ready.
func (c *containers) startBeside(ctx context.Context, mode harness.Mode, env map[string]string) error {
	p, err := c.service(ctx, "beside-"+string(mode), harness.Launch{Mode: mode, Env: env})
	if err != nil {
		return err
	}
	further, err := c.engine.start(ctx, p)
	if err != nil {
		return err
	}
	_, err = further.ready(ctx, c.answers("http://"+further.at[servicePort]+"/readyz", ""))
	return err
}

// serving waits for the first answer of a mode's service.
func (c *containers) serving(mode harness.Mode) func(context.Context) (harness.Component, error) {
	return func(ctx context.Context) (harness.Component, error) {
		p, is := c.services[mode], c.blueprint.spec.Service
		ready, err := p.ready(ctx, c.answers("http://"+p.at[is.port()]+is.health(), ""))
		return p.component(is.words()+", AUTH_MODE="+string(mode), is.port(), ready), err
	}
}

func (c *containers) startIngress(ctx context.Context) (harness.Component, error) {
	copied, err := c.ingressFiles()
	if err != nil {
		return harness.Component{}, err
	}
	is := c.blueprint.flavour
	made := part{
		name: "ingress", image: c.have[is.image], files: copied,
		ports:   []int{ingressPorts[harness.OIDC], ingressPorts[harness.MTLS], plainPort},
		command: is.command, cue: workerEnds,
	}
	if is.quic {
		made.quic = slices.Sorted(maps.Values(ingressPorts))
	}
	p, err := c.engine.start(ctx, made)
	if err != nil {
		return harness.Component{}, err
	}
	c.ingress = p
	var ready time.Duration
	for _, mode := range localhost.Modes {
		url := "https://" + p.at[ingressPorts[mode]] + "/healthz"
		if ready, err = p.ready(ctx, c.fronted(url, mode)); err != nil {
			return harness.Component{}, err
		}
	}
	return p.component(is.is+" "+p.image.Version, ingressPorts[harness.OIDC], ready), nil
}

// shown are the files of a new server certificate for hosts.
func (c *containers) shown(name string, hosts ...string) (map[string][]byte, error) {
	pair, err := c.blueprint.servers.Server(hosts...)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	return all, add(all, name, pair)
}

func add(all map[string][]byte, name string, pair certs.Pair) error {
	key, err := pair.KeyPEM()
	all[files+name+".pem"], all[files+name+"-key.pem"] = pair.ChainPEM(), key
	return err
}

// answers asks a URL over a new connection for an answer that is no server
// error. The server must show a certificate for name, or for the URL's host.
func (c *containers) answers(url, name string, shown ...tls.Certificate) func(context.Context) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.blueprint.servers.RootPEM())
	asker := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12, Certificates: shown},
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := asker.RoundTrip(request)
		if err != nil {
			return err
		}
		_ = answer.Body.Close()
		if answer.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("GET %s: got %s, want an answer", url, answer.Status)
		}
		return nil
	}
}
