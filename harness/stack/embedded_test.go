package stack

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"aegis.test/conformance/fixtures/aegis"
	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/harness"
)

// backends runs a test with the stand-in for Vault, and with the vault on PATH
// if there is one.
func backends(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if binary, err := exec.LookPath("vault"); err == nil {
		t.Run("with "+binary, test)
	} else {
		t.Log("no vault on PATH: the stand-in alone is used")
	}
	t.Run("with the stand-in", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		test(t)
	})
}

func startHere(t *testing.T, spec Spec) *Stack {
	t.Helper()
	spec.Runtime = Embedded
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := Start(ctx, spec)
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

// ask sends one request to a face by hand, over a connection of its own, and
// gives the status.
func ask(t *testing.T, target *harness.Target, mode harness.Mode, certificate *harness.CertPair, header http.Header) int {
	t.Helper()
	face, endpoint := target.Faces[mode], target.Endpoints[0]
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(face.RootCAs)
	config := &tls.Config{RootCAs: pool, ServerName: face.Host}
	if certificate != nil {
		pair, err := tls.X509KeyPair(certificate.Chain, []byte(certificate.Key.Reveal()))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), endpoint.Method, face.URL+endpoint.Path, bytes.NewReader(endpoint.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = face.Host
	maps.Copy(request.Header, header)
	request.Header.Set("Content-Type", endpoint.ContentType)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// bearer is an Authorization header with a sound token of the target's IdP.
func bearer(t *testing.T, target *harness.Target) http.Header {
	t.Helper()
	key := target.Tokens.Signing[0]
	block, _ := pem.Decode([]byte(key.PEM.Reveal()))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: jose.JSONWebKey{Key: private, KeyID: key.ID},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: target.Profile.Issuer, Audience: jwt.Audience{target.Profile.Audience}, Subject: target.Tokens.Subject,
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-time.Minute)), Expiry: jwt.NewNumericDate(now.Add(10 * time.Minute)),
	}).Claims(map[string]any{"scope": target.Profile.Scope}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

func TestEmbeddedStackAnswersAsTheRunbookSays(t *testing.T) {
	backends(t, func(t *testing.T) {
		s := startHere(t, Spec{})
		target, none := s.Target, http.Header{}
		for _, c := range []struct {
			name        string
			mode        harness.Mode
			certificate *harness.CertPair
			header      http.Header
			want        int
		}{
			{"valid token", harness.OIDC, nil, bearer(t, target), 200},
			{"no token", harness.OIDC, nil, none, 401},
			{"no token, but a certificate", harness.OIDC, &target.Certs.Enrolled, none, 401},
			{"enrolled", harness.MTLS, &target.Certs.Enrolled, none, 200},
			{"no certificate", harness.MTLS, nil, none, 401},
			{"no certificate, but a header", harness.MTLS, nil, http.Header{"X-Ssl-Client-Cn": {target.Certs.EnrolledCN}}, 401},
			{"unenrolled", harness.MTLS, &target.Certs.Unenrolled, none, 403},
			{"unenrolled, with a header", harness.MTLS, &target.Certs.Unenrolled, http.Header{"X-Ssl-Client-Cn": {target.Certs.EnrolledCN}}, 403},
		} {
			if got := ask(t, target, c.mode, c.certificate, c.header); got != c.want {
				t.Errorf("%s: got %d, want %d", c.name, got, c.want)
			}
		}
		if fields, err := target.Control.Secrets.Read(t.Context()); err != nil || fields["oidc_jwks_uri"] == "" {
			t.Errorf("reading the secrets: got %v", err)
		}
	})
}

func TestEmbeddedStackSaysWhatItIs(t *testing.T) {
	backends(t, func(t *testing.T) {
		_, err := exec.LookPath("vault")
		real := err == nil
		target := startHere(t, Spec{Run: "r1"}).Target
		if target.Kind != harness.Rehearsal || target.Run != "r1" || target.Name == "" {
			t.Errorf("got kind %q, run %q, name %q", target.Kind, target.Run, target.Name)
		}
		if got := target.Grants(harness.RealVault); got != real {
			t.Errorf("grants %s: got %v, want %v", harness.RealVault, got, real)
		}
		standIns := map[string]bool{}
		for _, c := range target.Components {
			standIns[c.Name] = c.StandIn
			if c.Is == "" || c.Origin == "" || c.Endpoint == "" {
				t.Errorf("component %+v lacks a word", c)
			}
		}
		for name, want := range map[string]bool{"vault": !real, "idp": false, "service-oidc": false, "service-mtls": false, "ingress": true} {
			if got, ok := standIns[name]; !ok || got != want {
				t.Errorf("%s: got present %v, stand-in %v; want stand-in %v", name, ok, got, want)
			}
		}
	})
}

func TestOracleKnowsWhatCameToTheHandler(t *testing.T) {
	target := startHere(t, Spec{}).Target
	probe := http.Header{"X-Conformance-Probe": {"p-1"}}
	ask(t, target, harness.MTLS, &target.Certs.Enrolled, probe)
	response, err := http.Get(target.Oracles[harness.MTLS] + "/p-1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var reached harness.Reached
	if err := json.NewDecoder(response.Body).Decode(&reached); err != nil {
		t.Fatal(err)
	}
	if reached.Seen != 1 || reached.Handled != 1 || !slices.Equal(reached.Identity, []string{target.Certs.EnrolledCN}) {
		t.Errorf("got %+v", reached)
	}
}

func TestReplicaWithoutAuthModeExits(t *testing.T) {
	target := startHere(t, Spec{}).Target
	r := launch(t, target, harness.Launch{Mode: harness.OIDC, Unset: []string{"AUTH_MODE"}})
	status, err := r.Wait(t.Context())
	if err != nil || status == 0 {
		t.Errorf("got status %d, %v; want another than 0", status, err)
	}
	if !strings.Contains(r.Log(), "AUTH_MODE") {
		t.Errorf("its log does not name AUTH_MODE: %s", r.Log())
	}
	if listens(r) {
		t.Errorf("it listens on %s", r.URL().URL)
	}
	if err := r.Asked(t.Context()); err == nil {
		t.Error("a Vault that is not held was asked")
	}
}

func launch(t *testing.T, target *harness.Target, l harness.Launch) harness.Replica {
	t.Helper()
	r, err := target.Control.Launcher.Launch(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := r.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

func listens(r harness.Replica) bool {
	u, _ := url.Parse(r.URL().URL)
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func TestReplicaWaitsForAVaultThatIsHeld(t *testing.T) {
	backends(t, func(t *testing.T) {
		target := startHere(t, Spec{}).Target
		r := launch(t, target, harness.Launch{Mode: harness.MTLS, HoldVault: true})
		if err := r.Asked(t.Context()); err != nil {
			t.Fatal(err)
		}
		if listens(r) {
			t.Error("it listens before Vault has answered")
		}
		r.Release()
		for deadline := time.Now().Add(20 * time.Second); !listens(r); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not listen after Vault has answered: %s", r.Log())
			}
		}
		response, err := http.Post(r.URL().URL+"/predict", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %d, want 401", response.StatusCode)
		}
	})
}

func TestFaultsArePlanted(t *testing.T) {
	planted := make(chan struct{}, 4)
	target := startHere(t, Spec{Fault: faults.Fault{
		Service: func(*aegis.Service) { planted <- struct{}{} },
		Ingress: func(s *ingress.Shape) { s.Header = ingress.HeaderKeep },
	}}).Target
	if len(planted) != 2 {
		t.Errorf("planted in %d services, want 2", len(planted))
	}
	spoofed := http.Header{"X-Ssl-Client-Cn": {target.Certs.EnrolledCN}}
	if got := ask(t, target, harness.MTLS, &target.Certs.Unenrolled, spoofed); got != 200 {
		t.Errorf("a spoofed header through a faulty ingress: got %d, want 200", got)
	}
	r := launch(t, target, harness.Launch{Mode: harness.OIDC, Unset: []string{"AUTH_MODE"}})
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(planted) != 3 {
		t.Errorf("not planted in the replica")
	}
}

// TestStopLeavesNothing: no port, no goroutine, and with a real Vault no child,
// whose ending closes its port.
func TestStopLeavesNothing(t *testing.T) {
	backends(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		s := startHere(t, Spec{})
		held := launch(t, s.Target, harness.Launch{Mode: harness.MTLS, HoldVault: true})
		ask(t, s.Target, harness.MTLS, &s.Target.Certs.Enrolled, http.Header{})
		ports := []string{strings.TrimPrefix(held.URL().URL, "http://")}
		for _, c := range s.Target.Components {
			ports = append(ports, c.Endpoint)
		}
		for range 2 {
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
		for _, port := range ports {
			if c, err := net.Dial("tcp", port); err == nil {
				_ = c.Close()
				t.Errorf("%s is still answered", port)
			}
		}
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

func TestStopAfterTheContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Spec{Runtime: Embedded})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if got := ask(t, s.Target, harness.OIDC, nil, http.Header{}); got != 401 {
		t.Errorf("a stack's life hangs on the context it was started with: got %d, want 401", got)
	}
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestStartThatIsInterruptedLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Spec{Runtime: Embedded}); err == nil {
		t.Fatal("got no error")
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func BenchmarkEmbeddedStart(b *testing.B) {
	for b.Loop() {
		s, err := Start(b.Context(), Spec{Runtime: Embedded})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
