package stack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/exec"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// serveBeside serves the embedded ingress's ports beside its listeners: that of
// plain HTTP, and that of a fault.
func (e *embedded) serveBeside(ways []way, at *addresses) (err error) {
	var all proxies
	for _, w := range ways {
		all = append(all, w.proxy)
		at.siblings = append(at.siblings, w.front)
	}
	if at.plain, err = e.serveInClear(ingress.Plain(all...)); err != nil {
		return err
	}
	for _, p := range all {
		if p.Shape.SidePort == ingress.SideNone {
			continue
		}
		side, err := e.serveInClear(p.Side())
		if err != nil {
			return err
		}
		at.siblings = append(at.siblings, side)
	}
	return nil
}

func (e *embedded) serveInClear(server *http.Server) (address string, err error) {
	l, err := localhost.Listen()
	if err != nil {
		return "", err
	}
	e.serveBy(l, server, func() error { return server.Serve(l) })
	return l.Addr().String(), nil
}

// proxies are the embedded ingress, in the harness's hands.
type proxies []*ingress.Proxy

// Reload makes every server take its configuration anew.
func (p proxies) Reload(context.Context) error {
	for _, one := range p {
		one.Reload()
	}
	return nil
}

// TrustOnly makes client authorities the ones of a PEM bundle.
func (p proxies) TrustOnly(_ context.Context, bundle []byte) error {
	for _, one := range p {
		if err := one.TrustOnly(bundle); err != nil {
			return err
		}
	}
	return nil
}

// Restore puts the sound configuration back.
func (p proxies) Restore(context.Context) error {
	for _, one := range p {
		one.Restore()
	}
	return nil
}

// front are the proxies with what their certificates are had from.
type front struct {
	proxies
	pair func(harness.Mode) (certs.Pair, error)
}

// Renew gives every server a new certificate.
func (f front) Renew(context.Context) error {
	for _, one := range f.proxies {
		pair, err := f.pair(one.Mode)
		if err != nil {
			return err
		}
		one.Show(pair.TLS())
	}
	return nil
}

// nginx is the ingress's container, in the harness's hands.
type nginx struct{ *containers }

// Reload makes nginx take its configuration anew, and waits until the workers
// with the old one take no more connections.
func (n nginx) Reload(ctx context.Context) error { return n.reload(ctx) }

// TrustOnly makes client authorities the ones of a PEM bundle.
func (n nginx) TrustOnly(ctx context.Context, bundle []byte) error {
	changed, err := n.ingressFiles()
	if err != nil {
		return err
	}
	changed[files+"clients.pem"] = bundle
	if len(bundle) == 0 { // the name of no file
		config := changed[files+"nginx.conf"]
		changed[files+"nginx.conf"] = bytes.ReplaceAll(config, []byte("clients.pem"), []byte("no-clients.pem"))
	}
	return n.apply(ctx, changed)
}

// Restore puts the sound configuration back.
func (n nginx) Restore(ctx context.Context) error {
	sound, err := n.ingressFiles()
	if err != nil {
		return err
	}
	return n.apply(ctx, sound)
}

// Renew gives nginx new certificates, and reloads.
func (n nginx) Renew(ctx context.Context) error {
	renewed, err := n.ingressFiles()
	if err != nil {
		return err
	}
	pairs := map[string][]byte{}
	for _, mode := range localhost.Modes {
		for _, name := range []string{files + string(mode) + ".pem", files + string(mode) + "-key.pem"} {
			pairs[name] = renewed[name]
		}
	}
	if err := n.engine.copy(ctx, n.ingress.id, pairs); err != nil {
		return fmt.Errorf("copying certificates to nginx: %w", err)
	}
	return n.reload(ctx)
}

const nginxProgram = "/usr/sbin/nginx"

// workerEnds is what a worker says that takes no more connections, because
// another one with a new configuration does.
const workerEnds = "gracefully shutting down"

// apply puts files in the place of those nginx was started with, and reloads,
// unless nginx refuses the configuration.
func (n nginx) apply(ctx context.Context, changed map[string][]byte) error {
	some := map[string][]byte{} // the others stay as they are
	for _, name := range []string{files + "clients.pem", files + "nginx.conf"} {
		some[name] = changed[name]
	}
	if err := n.engine.copy(ctx, n.ingress.id, some); err != nil {
		return fmt.Errorf("copying its configuration to nginx: %w", err)
	}
	status, said, err := n.ingress.handle.Exec(ctx, append(slices.Clone(nginxCommand), "-t"), exec.Multiplexed())
	if err != nil {
		return fmt.Errorf("asking nginx to test its configuration: %w", err)
	}
	if status != 0 {
		text, _ := io.ReadAll(io.LimitReader(said, 4<<10))
		return fmt.Errorf("nginx refuses its configuration: %s", bytes.TrimSpace(text))
	}
	return n.reload(ctx)
}

func (n nginx) reload(ctx context.Context) error {
	ended := n.ingress.cues.next()
	if _, err := n.engine.client.ContainerKill(ctx, n.ingress.id, client.ContainerKillOptions{Signal: "HUP"}); err != nil {
		return fmt.Errorf("sending nginx SIGHUP: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for nginx to take its configuration: %w", context.Cause(ctx))
	}
}

// counter waits for a text in lines that are written to it. It is safe for
// concurrent use.
type counter struct {
	cue  []byte
	mu   sync.Mutex
	wait []chan struct{}
}

// next is closed when the cue comes the next time.
func (c *counter) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	comes := make(chan struct{})
	c.wait = append(c.wait, comes)
	return comes
}

func (c *counter) Write(line []byte) (int, error) {
	if len(c.cue) == 0 || !bytes.Contains(line, c.cue) {
		return len(line), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, comes := range c.wait {
		close(comes)
	}
	c.wait = nil
	return len(line), nil
}

// ingressFiles are the ingress's configuration and what that refers to.
func (c *containers) ingressFiles() (map[string][]byte, error) {
	all := map[string][]byte{
		files + "clients.pem": c.blueprint.bundle(), files + "foreign.pem": c.blueprint.foreigners.RootPEM(),
	}
	var servers []ingress.Server
	for _, mode := range localhost.Modes {
		name := string(mode)
		pair, err := c.blueprint.ingressPair(mode)
		if err != nil {
			return nil, err
		}
		if err := add(all, name, pair); err != nil {
			return nil, err
		}
		s := c.blueprint.server(mode)
		s.Listen = "0.0.0.0:" + strconv.Itoa(ingressPorts[mode])
		s.Plain, s.Side = "0.0.0.0:"+strconv.Itoa(plainPort), "0.0.0.0:"+strconv.Itoa(sidePort)
		s.Backend = fmt.Sprintf("http://%s:%d", cmp.Or(c.replaced[mode], "service-"+name), c.blueprint.spec.Service.port())
		if c.blueprint.spec.Fault.Beside != nil {
			s.Further = []string{fmt.Sprintf("http://beside-%s:%d", name, servicePort)}
		}
		s.CertFile, s.KeyFile = files+name+".pem", files+name+"-key.pem"
		s.ClientCAFile, s.ForeignCAFile = files+"clients.pem", files+"foreign.pem"
		servers = append(servers, s)
	}
	is := c.blueprint.flavour
	if is.paired {
		for _, mode := range localhost.Modes {
			name := files + string(mode)
			all[name+".pem"] = append(all[name+".pem"], all[name+"-key.pem"]...)
		}
	}
	config, err := is.config(servers)
	all[files+is.file] = []byte(config)
	return all, err
}

// sidePort is where nginx has a Shape's SidePort; it is not published.
const sidePort = 9901

// siblingPorts are where what stands beside an ingress is found: its other
// listeners, proxies' administration, a backend's own port (expectation
// ING-002).
func siblingPorts() []int {
	ports := []int{80, 443, 8000, 8080, 8081, 8443, 9000, sidePort, 19000}
	for port := 15000; port <= 15090; port++ {
		ports = append(ports, port)
	}
	return append(ports, slices.Sorted(maps.Values(ingressPorts))...)
}

// ingressAddresses are the ingress's own addresses on the run's network, where
// this host reaches them: nobody else listens there.
func (c *containers) ingressAddresses(ctx context.Context) (further map[harness.Mode][]string, siblings []string) {
	seen, err := c.engine.client.ContainerInspect(ctx, c.ingress.id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, nil
	}
	further = map[harness.Mode][]string{}
	for _, joined := range seen.Container.NetworkSettings.Networks {
		host := joined.IPAddress.String()
		if !reachable(ctx, net.JoinHostPort(host, strconv.Itoa(ingressPorts[harness.MTLS]))) {
			continue
		}
		for mode, port := range ingressPorts {
			further[mode] = append(further[mode], net.JoinHostPort(host, strconv.Itoa(port)))
		}
		for _, port := range siblingPorts() {
			siblings = append(siblings, net.JoinHostPort(host, strconv.Itoa(port)))
		}
	}
	return further, siblings
}

// reachable reports whether somebody listens at an address, within a second:
// an engine in a virtual machine routes no addresses of its networks.
func reachable(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// fronted asks a URL of the ingress for an answer, with the enrolled client's
// certificate where that may be demanded in TLS.
func (c *containers) fronted(url string, mode harness.Mode) func(context.Context) error {
	if mode != harness.MTLS || c.blueprint.flavour.none != harness.TLSAlert {
		return c.answers(url, face(mode))
	}
	return c.answers(url, face(mode), c.blueprint.enrolled.TLS())
}

// authorizer is the embedded ingress's external authorizer, in the harness's
// hands.
type authorizer struct{ ingress.Authorizer }

// Stop takes it away.
func (a *authorizer) Stop(context.Context) error { a.Down(true); return nil }

// Start brings it back.
func (a *authorizer) Start(context.Context) error { a.Down(false); return nil }

// serveAuthorizer serves the authorizer, and gives its URL.
func (e *embedded) serveAuthorizer() (string, error) {
	address, err := e.serveInClear(&http.Server{
		Handler: &e.authorizer, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: readyBound,
	})
	return "http://" + address, err
}
