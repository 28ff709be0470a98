package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/testcontainers/testcontainers-go/exec"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/monitoring"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// The ports of what watches the services.
const (
	prometheusPort   = 9090
	alertmanagerPort = 9093
	operatorsPort    = 8080
)

// Files of Prometheus: its rules as they are, for promtool, and hastened, for
// itself; and further targets.
const (
	rulesFile    = files + "rules.yml"
	hastenedFile = files + "rules-hastened.yml"
	watchedFile  = files + "watched.json"
	testsFile    = "/tmp/conformance-tests.yml"
)

// watch is the Prometheus and the Alertmanager of a stack, in the harness's hands.
type watch struct {
	*monitoring.Remote
	prometheus, alertmanager *placed

	mu      sync.Mutex
	targets []string // beside the services
}

// watchable reports whether there are images of what watches.
func (c *containers) watchable() bool {
	_, prometheus := c.have[images.Prometheus]
	_, alertmanager := c.have[images.Alertmanager]
	return prometheus && alertmanager
}

// setup is what Prometheus is set up with: soundly, but for a fault.
func (c *containers) setup() monitoring.Setup {
	s := monitoring.Setup{Rules: c.blueprint.spec.Rules, Alertmanager: fmt.Sprintf("alertmanager:%d", alertmanagerPort),
		Webhook: fmt.Sprintf("http://operators:%d/", operatorsPort)}
	if s.Rules == nil {
		s.Rules = monitoring.Rules
	}
	for _, mode := range localhost.Modes {
		s.Targets = append(s.Targets, fmt.Sprintf("service-%s:%d", mode, c.blueprint.spec.Service.port()))
	}
	if c.blueprint.spec.Fault.Monitoring != nil {
		c.blueprint.spec.Fault.Monitoring(&s)
	}
	return s
}

func (c *containers) startPrometheus(ctx context.Context) (harness.Component, error) {
	setup := c.setup()
	config, err := setup.Config(hastenedFile, watchedFile)
	if err != nil {
		return harness.Component{}, fmt.Errorf("writing Prometheus's configuration: %w", err)
	}
	p, err := c.engine.start(ctx, part{
		name: "prometheus", image: c.have[images.Prometheus], ports: []int{prometheusPort},
		files: map[string][]byte{
			files + "prometheus.json": config, rulesFile: setup.Rules,
			hastenedFile: monitoring.Hasten(setup.Rules), watchedFile: monitoring.Watched(nil),
		},
		command: []string{
			"/bin/prometheus", "--config.file=" + files + "prometheus.json", "--storage.tsdb.path=/tmp/prometheus",
			"--web.listen-address=:" + strconv.Itoa(prometheusPort), "--scrape.discovery-reload-interval=" + monitoring.Interval.String(),
		},
	})
	if err != nil {
		return harness.Component{}, err
	}
	c.watch.prometheus = p
	ready, err := p.ready(ctx, c.answers("http://"+p.at[prometheusPort]+"/-/ready", ""))
	if err != nil {
		return harness.Component{}, fmt.Errorf(
			"having Prometheus load its rules and configuration (promtool check rules tests a rule file): %w", err,
		)
	}
	return p.component("Prometheus "+p.image.Version, prometheusPort, ready), nil
}

func (c *containers) startAlertmanager(ctx context.Context) (harness.Component, error) {
	config, err := c.setup().AlertmanagerConfig()
	if err != nil {
		return harness.Component{}, fmt.Errorf("writing Alertmanager's configuration: %w", err)
	}
	if err := c.startOperators(ctx); err != nil {
		return harness.Component{}, err
	}
	p, err := c.engine.start(ctx, part{
		name: "alertmanager", image: c.have[images.Alertmanager], ports: []int{alertmanagerPort},
		files: map[string][]byte{files + "alertmanager.yml": config},
		command: []string{
			"/bin/alertmanager", "--config.file=" + files + "alertmanager.yml", "--storage.path=/tmp/alertmanager",
			"--web.listen-address=:" + strconv.Itoa(alertmanagerPort), "--cluster.listen-address=",
		},
	})
	if err != nil {
		return harness.Component{}, err
	}
	c.watch.alertmanager = p
	ready, err := p.ready(ctx, c.answers("http://"+p.at[alertmanagerPort]+"/-/ready", ""))
	if err != nil {
		return harness.Component{}, err
	}
	return p.component("Alertmanager "+p.image.Version, alertmanagerPort, ready), nil
}

// startOperators starts whom Alertmanager tells.
func (c *containers) startOperators(ctx context.Context) error {
	_, err := c.engine.start(ctx, part{
		name: "operators", image: c.have[images.Fixture], command: []string{"/bin/fixture", "operators"},
		env: map[string]string{"LISTEN_ADDR": ":" + strconv.Itoa(operatorsPort)},
	})
	return err
}

// remote makes what asks the two, once both are placed.
func (c *containers) remote() *monitoring.Remote {
	w := &c.watch
	return monitoring.NewRemote("http://"+w.prometheus.at[prometheusPort], "http://"+w.alertmanager.at[alertmanagerPort])
}

// add has an address watched.
func (w *watch) add(ctx context.Context, address string) error {
	return w.change(ctx, func() { w.targets = append(w.targets, address) })
}

// remove has it watched no more.
func (w *watch) remove(ctx context.Context, address string) error {
	return w.change(ctx, func() {
		w.targets = slices.DeleteFunc(w.targets, func(a string) bool { return a == address })
	})
}

func (w *watch) change(ctx context.Context, change func()) error {
	if w.prometheus == nil {
		return nil // nothing watches
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	if err := w.prometheus.handle.CopyToContainer(ctx, monitoring.Watched(w.targets), watchedFile, 0o444); err != nil {
		return fmt.Errorf("telling Prometheus whom to watch: %w", err)
	}
	return nil
}

// Rehearse runs unit tests of the rules by the promtool beside Prometheus.
func (w *watch) Rehearse(ctx context.Context, tests []byte) (pass bool, said string, err error) {
	w.mu.Lock() // there is one file of tests
	defer w.mu.Unlock()
	text := append([]byte("rule_files: ["+rulesFile+"]\n"), tests...)
	if err := w.prometheus.handle.CopyToContainer(ctx, text, testsFile, 0o444); err != nil {
		return false, "", fmt.Errorf("copying tests of the rules to promtool: %w", err)
	}
	status, out, err := w.prometheus.handle.Exec(ctx, []string{"/bin/promtool", "test", "rules", testsFile}, exec.Multiplexed())
	if err != nil {
		return false, "", fmt.Errorf("running promtool: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(out, 64<<10))
	return status == 0, string(bytes.TrimSpace(answer)), err
}
