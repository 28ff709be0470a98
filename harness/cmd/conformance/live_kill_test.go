package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

var (
	kills    = flag.Int("kills", 5, "how many live runs TestKilledRunsAreUndone kills")
	killSeed = flag.Uint64("kill-seed", 0, "of the moments at which it does; 0 is a new one, which is told")
)

// victim is a live deployment in this process: two faces that believe a token, and
// clients of the authorities in a file whose names are in Vault. What a sound call
// enrols stays until it is removed.
type victim struct {
	dir     string
	vault   *httptest.Server
	store   *vault.Store
	faces   map[harness.Mode]*httptest.Server
	bearer  string
	trusted string // path of the file

	mu      sync.Mutex
	things  map[string]bool
	changes int // requests that may have changed something
	fell    func(change int, secret bool)
}

const rootToken = "root-token-of-the-victim"

// stand starts it, until the test ends.
func stand(t *testing.T) *victim {
	t.Helper()
	v := &victim{dir: t.TempDir(), things: map[string]bool{}, faces: map[harness.Mode]*httptest.Server{}}
	servers, clients := try(certs.NewAuthority("Victim Servers")), try(certs.NewAuthority("Victim Clients"))
	v.vault = httptest.NewServer(v.counting(vault.NewStandIn(rootToken, "service")))
	client := try(vault.NewClient(v.vault.URL, nil))
	client.SetToken(rootToken)
	v.store = vault.NewStore(client, nil)
	secret := map[string]any{"clients/allowed": []any{enrolledClient}, "oidc_jwks_uri": "https://idp.test/jwks", "model_signing_pubkey": "none", "serial": json.Number("12345678901234567890")}
	try(v.store.Replace(t.Context(), 0, secret))
	v.trusted = v.file("trusted/clients.pem", clients.RootPEM(), 0o640)
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		face := httptest.NewUnstartedServer(v.counting(v.serving(mode)))
		face.TLS = &tls.Config{Certificates: []tls.Certificate{try(servers.Server("127.0.0.1")).TLS()}}
		if mode == harness.MTLS {
			face.TLS.ClientAuth = tls.RequestClientCert
		}
		face.Config.ErrorLog = log.New(io.Discard, "", 0)
		face.StartTLS()
		v.faces[mode] = face
		t.Cleanup(face.Close)
	}
	t.Cleanup(v.vault.Close)
	issuer := try(idp.New("https://idp.test"))
	issuer.SetAudience("aegis")
	minter := &harness.Target{Profile: harness.Profile{Issuer: "https://idp.test", Audience: "aegis"}, Tokens: harness.TokenGrant{Signing: issuer.Keys()}}
	v.bearer = try(token.Sound().Make(token.From(minter)))
	v.file("valid.jwt", []byte(v.bearer+"\n"), 0o600)
	v.file("root.token", []byte(rootToken+"\n"), 0o600)
	v.file("servers.pem", servers.RootPEM(), 0o600)
	v.file("ca.crt", clients.RootPEM(), 0o600)
	v.file("ca.key", try(clients.Pair().KeyPEM()), 0o600)
	v.file("staging.yaml", fmt.Appendf(nil, `mode: both
target: {name: victim, environment: test, url: %q, mtls_url: %q, ca_bundle: file:servers.pem}
endpoints:
  - {name: inference, path: /predict, body: '{"inputs": [1]}', positive_call: harmless}
  - {name: enrollment, path: /enroll, body: '{"client": "{{unique}}"}', positive_call: writes, clean_up: {path: '/enroll/{{unique}}'}}
profile: {issuer: "https://idp.test", audience: aegis, propagation: 500ms, start_bound: 300ms, jwks_new_key_max: 1s, jwks_removed_key_max: 1s}
rails: {rate: 0, concurrency: 8, journal: journal, time_out: 2s, allow: disruptive}
grants:
  tokens: {valid: file:valid.jwt}
  certificates: {authority: {certificate: file:ca.crt, key: file:ca.key}, enrolled_cn: %s, unenrolled_cn: %s}
  vault: {address: %q, login: {token: file:root.token}, write: true}
  hooks:
    replica: {command: [sh, -c, 'sleep 300 & wait'], url: "http://127.0.0.1:{{port}}", env: {VICTIM: %q}}
    trust_file: trusted/clients.pem
    reload: ["true"]
`, v.faces[harness.OIDC].URL, v.faces[harness.MTLS].URL, enrolledClient, unenrolledClient, v.vault.URL, v.dir), 0o600)
	return v
}

func (v *victim) file(name string, content []byte, perm os.FileMode) string {
	path := filepath.Join(v.dir, name)
	try(0, os.MkdirAll(filepath.Dir(path), 0o700))
	try(0, os.WriteFile(path, content, perm))
	return path
}

// counting tells of each request that may change something, before it is served.
func (v *victim) counting(serve http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.URL.Path != "/predict" {
			v.mu.Lock()
			v.changes++
			change, fell := v.changes, v.fell
			v.mu.Unlock()
			if fell != nil {
				fell(change, strings.HasPrefix(r.URL.Path, "/v1/"))
			}
		}
		serve.ServeHTTP(w, r)
	})
}

// serving is a service in a mode.
func (v *victim) serving(mode harness.Mode) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if status := v.admits(mode, r); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		var asked struct{ Client string }
		id := strings.TrimPrefix(r.URL.Path, "/enroll/")
		switch {
		case r.Method == http.MethodDelete && v.things[id]:
			delete(v.things, id)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/enroll" && json.Unmarshal(body, &asked) == nil && asked.Client != "":
			v.things[asked.Client] = true
		}
	})
}

func (v *victim) admits(mode harness.Mode, r *http.Request) int {
	if mode == harness.OIDC {
		if r.Header.Get("Authorization") == "Bearer "+v.bearer {
			return http.StatusOK
		}
		return http.StatusUnauthorized
	}
	roots := x509.NewCertPool()
	text, _ := os.ReadFile(v.trusted)
	roots.AppendCertsFromPEM(text)
	if len(r.TLS.PeerCertificates) == 0 {
		return http.StatusUnauthorized
	}
	leaf := r.TLS.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return http.StatusUnauthorized
	}
	var allowed []string
	if fields, err := v.store.Read(r.Context()); err != nil || json.Unmarshal([]byte(fields["clients/allowed"]), &allowed) != nil || !slices.Contains(allowed, leaf.Subject.CommonName) {
		return http.StatusForbidden
	}
	return http.StatusOK
}

// state is all that a run may have changed, byte by byte.
func (v *victim) state(t *testing.T) string {
	t.Helper()
	newest := try(v.store.Newest(t.Context()))
	secret := try(json.Marshal(newest.Data))
	content, err := os.ReadFile(v.trusted)
	mode := "no file"
	if info, err := os.Stat(v.trusted); err == nil {
		mode = info.Mode().String()
	}
	around := try(os.ReadDir(filepath.Dir(v.trusted)))
	journals, _ := os.ReadDir(filepath.Join(v.dir, "journal"))
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprintf("secret %s\ntrusted %v %s %x\naround it %v\nthings %v\njournals %v\nreplicas %s", secret, err, mode, content, around, v.things, journals, v.replicas(t))
}

// replicas are processes that its hook has started.
func (v *victim) replicas(t *testing.T) string {
	t.Helper()
	found, err := exec.CommandContext(t.Context(), "sh", "-c", `grep -lF "VICTIM=$0" /proc/[0-9]*/environ 2>/dev/null; true`, v.dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(found)
}

// writing are rows that change something: what is enrolled, the secret, the authorities,
// and what runs on this host.
var writing = []string{
	"MTLS-002", "EPT-017", "ROT-007", "ROT-008", "ROT-010", "ROT-012", "MTLS-011", "CHN-028",
	"FFS-001", "FFS-003", "FFS-005", "FFS-006", "FFS-011", "FFS-014", "FFS-016", "FFS-018",
}

// moment is when a run of some rows is killed: some time after a change comes in, before
// it is served, or after its beginning, or after the file of authorities has changed.
type moment struct {
	only  []string
	after int // changes; 0 is the beginning, trusts the file, secret the first change of that
	later time.Duration
}

const trusts, secret = -1, -2

func (m moment) String() string {
	return fmt.Sprintf("of %s, %s after change %d", strings.Join(m.only, ","), m.later, m.after)
}

// moments are those at which something surely is changed, and others by chance.
func moments(n int, random *rand.Rand) []moment {
	all := []moment{{[]string{"ROT-010"}, secret, 100 * time.Millisecond}, {[]string{"ROT-008"}, trusts, 10 * time.Millisecond}, {[]string{"FFS-001"}, 1, 100 * time.Millisecond}}
	for len(all) < n {
		m := moment{only: []string{writing[random.IntN(len(writing))], writing[random.IntN(len(writing))]}}
		if m.after = random.IntN(11) - 2; m.after == 0 {
			m.later = time.Duration(random.Int64N(int64(4 * time.Second)))
		} else {
			m.later = time.Duration(random.Int64N(int64(100 * time.Millisecond)))
		}
		all = append(all, m)
	}
	return all[:n]
}

// TestKilledRunsAreUndone kills live runs that write, each at a random moment: after a
// sweep the target, its Vault, its file of authorities and this host are as before.
func TestKilledRunsAreUndone(t *testing.T) {
	t.Parallel()
	v := stand(t)
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./harness/cmd/conformance -run TestKilledRunsAreUndone -kills %d -kill-seed %d", *kills, seed)
	before, undone := v.state(t), 0
	said, errs, code := finish(t, v.run(t, []string{"ROT-007", "ROT-010", "EPT-017"}))
	if now := v.state(t); code != exitPass && code != exitIncomplete || now != before {
		t.Fatalf("a run to its end: status %d, %s%s, it leaves\n%s\nwas\n%s", code, said, errs, now, before)
	}
	for n, m := range moments(*kills, rand.New(rand.NewPCG(seed, 0))) {
		v.kill(t, m)
		left := v.state(t)
		if n == 0 {
			v.refused(t)
		}
		said, errs, code := conformance(t, "sweep", "--config", filepath.Join(v.dir, "staging.yaml"))
		if now := v.state(t); code != exitPass || now != before {
			t.Fatalf("kill %d %s: sweep ends %d, %s%s\nit is\n%s\nthe kill left\n%s\nbefore it was\n%s", n, m, code, said, errs, now, left, before)
		}
		if left != before {
			undone++
		} else if n < 3 {
			t.Errorf("kill %d %s left nothing: it shows nothing", n, m)
		}
	}
	t.Logf("%d kills, %d left something, all is as before", *kills, undone)
}

// refused wants a run to touch nothing while a killed one is not swept.
func (v *victim) refused(t *testing.T) {
	t.Helper()
	before := v.state(t)
	said, errs, code := finish(t, v.run(t, []string{"ROT-010"}))
	if code != exitEnvironment || !strings.Contains(errs, "conformance sweep") || v.state(t) != before {
		t.Errorf("a run before the sweep: status %d, %s%s", code, said, errs)
	}
}

// run is a run of some rows.
func (v *victim) run(t *testing.T, only []string) *exec.Cmd {
	return command(t, "run", "--config", filepath.Join(v.dir, "staging.yaml"), "--out", filepath.Join(v.dir, "out"), "--only", strings.Join(only, ","))
}

// kill begins a run, and kills it at its moment, if that comes.
func (v *victim) kill(t *testing.T, m moment) {
	t.Helper()
	c := v.run(t, m.only)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	fell := make(chan struct{})
	waiting, stop := context.WithCancel(t.Context())
	defer stop()
	var once sync.Once
	fall := func() { once.Do(func() { close(fell) }) }
	v.tell(func(change int, secretly bool) {
		if change == m.after || secretly && m.after == secret {
			fall()
			time.Sleep(m.later / 2)
		}
	})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	switch m.after {
	case 0:
		fall()
	case trusts:
		go v.retrusted(waiting, fall)
	}
	select {
	case <-fell:
		select {
		case <-time.After(m.later):
			_ = c.Process.Kill()
			<-ended
		case <-ended:
		}
	case <-ended: // it did less
	}
	v.tell(nil)
	time.Sleep(min(m.later, 100*time.Millisecond)) // what was on its way has come
}

// retrusted waits until the file of authorities is another.
func (v *victim) retrusted(ctx context.Context, then func()) {
	was, _ := os.ReadFile(v.trusted)
	for ctx.Err() == nil {
		if now, _ := os.ReadFile(v.trusted); !bytes.Equal(now, was) {
			then()
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// tell has changes told from now on, counted anew.
func (v *victim) tell(fell func(change int, secret bool)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes, v.fell = 0, fell
}
