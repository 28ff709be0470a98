package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// TestMain lets a test run this very program as another process: a run that is
// to be killed.
func TestMain(m *testing.M) {
	if run := os.Getenv("STACK_TEST_RUN"); run != "" {
		os.Exit(startAndHang(run))
	}
	os.Exit(m.Run())
}

// had are the images. Where no engine answers the test is skipped, but for CI, which
// must have one.
func had(t *testing.T) map[string]images.Have {
	t.Helper()
	have, err := images.Ensure(t.Context(), imageNames, images.Options{
		Build: true, Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if _, none := errors.AsType[*NoEngine](err); none && os.Getenv("CI") != "true" {
		t.Skip("no container engine answers")
	}
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// TestContainersWithoutAnEngineSaySo starts a stack where nothing answers.
func TestContainersWithoutAnEngineSaySo(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent.sock")
	_, err := startContainers(t.Context(), Spec{Run: localhost.Nonce()}, nil)
	if _, none := errors.AsType[*NoEngine](err); !none || !strings.Contains(err.Error(), "no container engine answers") {
		t.Fatalf("got %v without an engine, want NoEngine", err)
	}
}

// stacked is a stack in containers, ended with the test.
func stacked(t *testing.T, spec Spec) *Stack {
	t.Helper()
	have := had(t)
	s, err := startContainers(t.Context(), spec, have)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func engineClient(t *testing.T) *client.Client {
	t.Helper()
	engine, err := images.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// left lists what the engine holds of a run.
func left(t *testing.T, run string) []string {
	t.Helper()
	containers, networks, err := inventory(t.Context(), engineClient(t), runFilter(run))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, it := range append(containers, networks...) {
		all = append(all, it.labels[componentLabel])
	}
	return all
}

func TestContainersAnswer(t *testing.T) {
	t.Parallel()
	run := "test-" + localhost.Nonce()
	var told []string
	s := stacked(t, Spec{Run: run, Log: testLog{t}, Progress: func(line string) { told = append(told, line) }})
	if len(told) != 5 {
		t.Errorf("got %q told, want a line per component", told)
	}
	target, none := s.Target, http.Header{}
	for _, c := range []struct {
		what   string
		mode   harness.Mode
		header http.Header
		pair   *harness.CertPair
		want   int
	}{
		{"bearer", harness.OIDC, bearer(t, target), nil, 200},
		{"no bearer", harness.OIDC, none, nil, 401},
		{"enrolled certificate", harness.MTLS, none, &target.Certs.Enrolled, 200},
		{"no certificate", harness.MTLS, none, nil, 401},
		{"unenrolled certificate", harness.MTLS, none, &target.Certs.Unenrolled, 403},
		{"forged identity header", harness.MTLS, http.Header{"X-Ssl-Client-Cn": {target.Certs.EnrolledCN}}, &target.Certs.Unenrolled, 403},
	} {
		if got := callByHand(t, target, c.mode, c.header, c.pair); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
	assertLoopback(t, run)
	assertComplete(t, target)
	if target.Grants(harness.VaultKubernetes) || !slices.Contains(target.Beyond, harness.VaultKubernetes) {
		t.Errorf("without the image of a cluster: grants %s %v, beyond it %v", harness.VaultKubernetes, target.Grants(harness.VaultKubernetes), target.Beyond)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rest := left(t, run); len(rest) > 0 {
		t.Errorf("got %q left after Stop, want nothing", rest)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("got %v from a second Stop, want nothing", err)
	}
}

// assertLoopback holds every published port of a run to 127.0.0.1.
func assertLoopback(t *testing.T, run string) {
	t.Helper()
	engine := engineClient(t)
	containers, _, err := inventory(t.Context(), engine, runFilter(run))
	if err != nil {
		t.Fatal(err)
	}
	published := 0
	for _, c := range containers {
		seen, err := engine.ContainerInspect(t.Context(), c.id, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for port, bindings := range seen.Container.NetworkSettings.Ports {
			for _, b := range bindings {
				published++
				if b.HostIP != loopback {
					t.Errorf("%s %s: got it published on %s, want %s", c.labels[componentLabel], port, b.HostIP, loopback)
				}
			}
		}
		if user := seen.Container.Config.User; user != images.User {
			t.Errorf("%s: got user %q, want %q", c.labels[componentLabel], user, images.User)
		}
	}
	if published < 8 {
		t.Errorf("got %d published ports, want those of every component", published)
	}
}

// assertComplete holds a target to what its users rely on.
func assertComplete(t *testing.T, target *harness.Target) {
	t.Helper()
	for _, c := range []harness.Capability{
		harness.MintTokens, harness.GivenClientCerts, harness.ClientCAKey, harness.RestartService, harness.VaultRead,
		harness.VaultWrite, harness.RealVault, harness.Metrics, harness.Logs, harness.BackendPath,
	} {
		if !target.Grants(c) {
			t.Errorf("the target does not grant %s", c)
		}
	}
	for _, c := range target.Components {
		if c.Name == "" || c.Image == "" || c.Digest == "" || c.Origin == "" || c.ReadyMS <= 0 || c.Endpoint == "" || c.StandIn {
			t.Errorf("got component %+v, want all of it said", c)
		}
	}
	for _, mode := range localhost.Modes {
		for _, url := range []string{target.Metrics[mode], target.Backends[mode].URL + "/healthz"} {
			answer, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != 200 {
				t.Errorf("%s: got %s, want 200", url, answer.Status)
			}
		}
		var reached harness.Reached
		answer, err := http.Get(target.Oracles[mode] + "/nobody")
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(answer.Body).Decode(&reached)
		_ = answer.Body.Close()
		if err != nil || reached.Seen != 0 {
			t.Errorf("oracle of %s: got %+v and %v for a probe never sent", mode, reached, err)
		}
	}
}

func TestContainersReplicas(t *testing.T) {
	t.Parallel()
	s := stacked(t, Spec{Run: "test-" + localhost.Nonce(), Log: testLog{t}})
	t.Run("without AUTH_MODE it ends", func(t *testing.T) {
		r := launched(t, s.Target, harness.Launch{Mode: harness.OIDC, Unset: []string{"AUTH_MODE"}})
		status, err := r.Wait(t.Context())
		if err != nil || status == 0 || !strings.Contains(r.Log(), "AUTH_MODE") {
			t.Errorf("got status %d, error %v, log %q; want a failed start that names AUTH_MODE", status, err, r.Log())
		}
	})
	t.Run("with its Vault held it waits, then answers", func(t *testing.T) {
		r := launched(t, s.Target, harness.Launch{Mode: harness.MTLS, HoldVault: true})
		if err := r.Asked(t.Context()); err != nil {
			t.Fatal(err)
		}
		if answer, err := http.Get(r.URL().URL + "/healthz"); err == nil {
			_ = answer.Body.Close()
			t.Errorf("got %s while Vault is held, want no answer", answer.Status)
		}
		r.Release()
		p := r.(*replica).placed
		c := s.Target.Control.Launcher.(*containers)
		if _, err := p.ready(t.Context(), c.answers(r.URL().URL+"/healthz", "")); err != nil {
			t.Error(err)
		}
	})
	t.Run("a secret that changes is read", func(t *testing.T) {
		store := s.Target.Control.Secrets
		fields, err := store.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := idpURL + idp.JWKSPath; fields["oidc_jwks_uri"] != want {
			t.Errorf("got oidc_jwks_uri %q, want %q", fields["oidc_jwks_uri"], want)
		}
		if err := store.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := launched(t, s.Target, harness.Launch{Mode: harness.OIDC})
		if status, err := r.Wait(t.Context()); err != nil || status == 0 {
			t.Errorf("got status %d and %v without a secret, want a failed start", status, err)
		}
		if err := store.Write(t.Context(), fields); err != nil {
			t.Fatal(err)
		}
	})
}

// TestContainersPlantFaults plants one fault in the service (403 without a
// token) and one in the ingress (the caller's identity header is kept).
func TestContainersPlantFaults(t *testing.T) {
	t.Parallel()
	inService, ok := faults.ByID("M-038")
	inIngress, found := faults.ByID("M-086")
	if !ok || !found {
		t.Fatal("the catalogue of faults has no M-038 or no M-086")
	}
	s := stacked(t, Spec{Run: "test-" + localhost.Nonce(), Log: testLog{t}, Fault: faults.Fault{
		ID: inService.ID, Service: inService.Service, Ingress: inIngress.Ingress,
	}})
	if got := callByHand(t, s.Target, harness.OIDC, http.Header{}, nil); got != 403 {
		t.Errorf("no bearer: got %d, want the fault's 403", got)
	}
	forged := http.Header{"X-Ssl-Client-Cn": {s.Target.Certs.EnrolledCN}}
	if got := callByHand(t, s.Target, harness.MTLS, forged, &s.Target.Certs.Unenrolled); got != 200 {
		t.Errorf("forged identity header: got %d, want the fault's 200", got)
	}
}

// TestContainersFailedStart starts a component that ends at once.
func TestContainersFailedStart(t *testing.T) {
	have := had(t)
	run := "test-" + localhost.Nonce()
	have[images.Nginx] = have[images.Fixture] // has no nginx in it
	_, err := startContainers(t.Context(), Spec{Run: run}, have)
	if err == nil || !strings.Contains(err.Error(), "ingress") {
		t.Errorf("got %v, want an error that names the ingress", err)
	}
	if rest := left(t, run); len(rest) > 0 {
		t.Errorf("got %q left after a failed start, want nothing", rest)
	}
}

// TestContainersDyingComponent has a service that does not start.
func TestContainersDyingComponent(t *testing.T) {
	have := had(t)
	engine, err := openEngine(t.Context(), Spec{Run: "test-" + localhost.Nonce()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.close(t.Context()) }()
	p, err := engine.start(t.Context(), part{
		name: "service", image: have[images.Fixture], command: []string{"/bin/fixture", "nothing"}, hidden: []string{"usage"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.ready(t.Context(), func(context.Context) error { return errors.New("nobody there") })
	for _, want := range []string{"service has ended with status 2", "nobody there", "••••: fixture aegis"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestContainersInterruptedStart(t *testing.T) {
	have := had(t)
	run := "test-" + localhost.Nonce()
	ctx, cancel := context.WithCancel(t.Context())
	spec := Spec{Run: run, Log: writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })}
	if _, err := startContainers(ctx, spec, have); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if rest := left(t, run); len(rest) > 0 {
		t.Errorf("got %q left after an interrupted start, want nothing", rest)
	}
}

// TestContainersKilledRunIsSwept kills a process that has a stack, while
// another live run goes on.
func TestContainersKilledRunIsSwept(t *testing.T) {
	live := stacked(t, Spec{Run: "live-" + localhost.Nonce()})
	run := "killed-" + localhost.Nonce()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "STACK_TEST_RUN="+run)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("started\n"))
	if _, err := io.ReadFull(out, line); err != nil {
		t.Fatalf("waiting for the child's stack: %v", err)
	}
	if swept, err := Sweep(t.Context()); err != nil || len(swept) > 0 {
		t.Errorf("got %q swept and %v, want nothing: both runs live", swept, err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if len(left(t, run)) == 0 {
		t.Fatal("the killed run has left nothing: there is nothing to sweep")
	}
	swept, err := Sweep(t.Context())
	if err != nil || !slices.Contains(swept, "container vault of run "+run) || !slices.Contains(swept, "network network of run "+run) {
		t.Errorf("got %q swept and %v, want all of run %s", swept, err, run)
	}
	if rest := left(t, run); len(rest) > 0 {
		t.Errorf("got %q left of the killed run, want nothing", rest)
	}
	if len(left(t, live.Target.Run)) == 0 {
		t.Error("the live run was swept")
	}
}

// startAndHang is the process to be killed: it starts a stack and stays.
func startAndHang(run string) int {
	have, err := images.Ensure(context.Background(), imageNames, images.Options{Build: true})
	if err == nil {
		_, err = startContainers(context.Background(), Spec{Run: run}, have)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	select {}
}

func TestOwnershipIsOneProcesss(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	first, err := own("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own("a"); err == nil || !strings.Contains(err.Error(), "another process has it") {
		t.Errorf("got %v, want the run refused a second time", err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	again, err := own("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "../a", "a/b"} {
		if _, err := own(bad); err == nil {
			t.Errorf("got run %q, want it refused", bad)
		}
	}
}

func TestLinesAreWholeAndHideText(t *testing.T) {
	var got []string
	l := &lines{hidden: []string{"hvs.secret"}, to: writerFunc(func(p []byte) (int, error) {
		got = append(got, string(p))
		return len(p), nil
	})}
	for _, p := range []string{"a", "b hvs.sec", "ret\nc\nd"} {
		_, _ = io.WriteString(l, p)
	}
	l.flush()
	if want := []string{"ab ••••\n", "c\n", "d\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// testLog shows components' output with a failed test.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimRight(p, "\n"))
	return len(p), nil
}

// TestContainersDeploymentIsSeen wants what is searched to be there: an
// environment, and whole layers.
func TestContainersDeploymentIsSeen(t *testing.T) {
	t.Parallel()
	s := stacked(t, Spec{Run: "test-" + localhost.Nonce(), Log: testLog{t}})
	holds := map[string]string{"the environment and configuration of service-oidc": "AUTH_MODE=oidc", "the layers of image ": "aegis_auth_failures_total"}
	err := s.Target.Control.Deployment.Each(t.Context(), func(part string, content io.Reader) error {
		data, err := io.ReadAll(content)
		for begins, text := range holds {
			if strings.HasPrefix(part, begins) && bytes.Contains(data, []byte(text)) {
				delete(holds, begins)
			}
		}
		return err
	})
	if err != nil || len(holds) > 0 {
		t.Errorf("got %v, and did not see %q", err, holds)
	}
}

// TestContainersAgentLeavesNothing wants the files of an agent to be gone with it.
func TestContainersAgentLeavesNothing(t *testing.T) {
	t.Parallel()
	run := "test-" + localhost.Nonce()
	s := stacked(t, Spec{Run: run, Log: testLog{t}})
	r, err := s.Target.Control.Agent.Launch(t.Context(), harness.Launch{Mode: harness.MTLS})
	if err != nil {
		t.Fatal(err)
	}
	agent := r.(*sidecar).agent
	seen, err := agent.engine.client.ContainerInspect(t.Context(), agent.id, client.ContainerInspectOptions{})
	if err != nil || len(seen.Container.Mounts) != 1 {
		t.Fatalf("got %+v, %v, want one volume", seen.Container.Mounts, err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.engine.client.VolumeInspect(t.Context(), seen.Container.Mounts[0].Name, client.VolumeInspectOptions{}); err == nil {
		t.Error("the volume is still there")
	}
	if all := left(t, run); slices.ContainsFunc(all, func(name string) bool {
		return strings.HasPrefix(name, "agent-") || strings.HasPrefix(name, "replica-")
	}) {
		t.Errorf("left: %q", all)
	}
}
