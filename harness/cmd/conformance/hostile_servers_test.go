package main

import (
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// hostileAnswers are those that should break whoever reads them: each without an end or of
// some 100 MB, or no HTTP.
var hostileAnswers = map[string]http.HandlerFunc{
	"a body without an end": func(w http.ResponseWriter, r *http.Request) { endless(w, r, strings.Repeat("y", 1<<16)) },
	"a JSON string of 100 MB": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data": {"data": {"x": "`)
		for range 100 {
			if _, err := io.WriteString(w, strings.Repeat("y", 1<<20)); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"}}}`)
	},
	"JSON of a depth without an end": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		endless(w, r, strings.Repeat(`{"data":[`, 1<<12))
	},
	"lines without an end": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		for i := 0; r.Context().Err() == nil; i++ {
			if _, err := fmt.Fprintf(w, "aegis_auth_failures_total{reason=\"r%d\"} %d\n", i, i); err != nil {
				return
			}
		}
	},
	"a flood of header fields": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 20_000 {
			w.Header().Set(fmt.Sprintf("X-Flood-%d", i), strings.Repeat("y", 100))
		}
	},
	"a header field without an end": hijacked(func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Long: ")
		pour(c, strings.Repeat("y", 1<<16))
	}),
	"interim answers without an end": hijacked(func(c net.Conn) { pour(c, "HTTP/1.1 103 Early Hints\r\nLink: </y>\r\n\r\n") }),
	"a byte at a time": func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	},
	"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"a decompression bomb": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 512 {
			_, _ = z.Write(make([]byte, 1<<20))
		}
		_ = z.Close()
	},
	"a chunk of 2^63 bytes": hijacked(func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n")
		pour(c, strings.Repeat("y", 1<<16))
	}),
	"redirects that grow": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"/again?"+strings.Repeat("y", 1<<10)+r.URL.RawQuery, http.StatusTemporaryRedirect)
	},
	"no HTTP": hijacked(func(c net.Conn) {
		noise := rand.NewChaCha8([32]byte{1})
		_, _ = io.Copy(c, io.LimitReader(noise, 1<<20))
	}),
}

// endless writes a text again and again.
func endless(w http.ResponseWriter, r *http.Request, text string) {
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

// pour writes a text into a connection again and again.
func pour(c net.Conn, text string) {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

// hijacked answers by bytes of its own.
func hijacked(answer func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			answer(c)
			_ = c.Close()
		}
	}
}

// servers are whom a live run asks, each with the rows that ask it, and the grant that
// names it: {{hostile}} is its URL.
var servers = map[string]struct{ only, grants string }{
	"the target":  {"OIDC-001,OIDC-004,OIDC-006,BRR-002,EPT-002", "{tokens: {valid: env:HOSTILE_TOKEN}}"},
	"the service": {"MET-001,MET-002,MET-009", `{tokens: {valid: env:HOSTILE_TOKEN}, metrics: {oidc: "{{hostile}}/metrics"}}`},
	"the IdP":     {"OIDC-001,OIDC-004", `{tokens: {client_credentials: {token_url: "{{hostile}}/token", client_id: us, client_secret: env:HOSTILE_TOKEN}}}`},
	"Vault":       {"ENR-013,SEC-003,SEC-005,ROT-010", `{tokens: {valid: env:HOSTILE_TOKEN}, vault: {address: "{{hostile}}", login: {token: env:HOSTILE_TOKEN}, service_token: env:HOSTILE_TOKEN, write: true}}`},
	"Prometheus":  {"MET-011,MET-012,MET-013", `{tokens: {valid: env:HOSTILE_TOKEN}, prometheus: "{{hostile}}", alertmanager: "{{hostile}}"}`},
	"Loki":        {"OIDC-004,OIDC-006,MET-010", `{tokens: {valid: env:HOSTILE_TOKEN}, logs: {handled: "handler ran", loki: {url: "{{hostile}}", query: '{app="aegis"}'}}}`},
}

// aToken is one that the configuration does not contradict; nobody verifies it.
var aToken = strings.Join([]string{
	base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"k"}`)),
	base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://idp.test","aud":"aegis","sub":"us","exp":4102444800}`)),
	strings.Repeat("A", 86),
}, ".")

// TestHostileServersAreBounded runs the command against each server that a live run
// asks, with each answer: a run ends by itself, says so in an exit status of its own,
// and holds less than 128 MiB.
func TestHostileServersAreBounded(t *testing.T) {
	var pairs []string
	for server := range servers {
		for answer := range hostileAnswers {
			pairs = append(pairs, server+" answers with "+answer)
		}
	}
	slices.Sort(pairs)
	chosen := sample().Of(pairs, 8)
	t.Logf("planted %d of %d hostile servers", len(chosen), len(pairs))
	for _, pair := range chosen {
		t.Run(pair, func(t *testing.T) {
			t.Parallel()
			server, answer, _ := strings.Cut(pair, " answers with ")
			boundedBy(t, server, hostileAnswers[answer])
		})
	}
}

// boundedBy runs the rows that ask a server whose answers are hostile.
func boundedBy(t *testing.T, name string, answer http.HandlerFunc) {
	var asked atomic.Int64
	hostile := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // from then on the end of the connection is seen
		answer(w, r)
	}))
	sound := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+aToken {
			w.Header().Set("Www-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	authority := try(certs.NewAuthority("Hostile Servers"))
	started(t, authority, hostile)
	started(t, authority, sound)
	target := sound.URL
	if name == "the target" {
		target = hostile.URL
	}
	dir := t.TempDir()
	path, bundle := filepath.Join(dir, "staging.yaml"), filepath.Join(dir, "servers.pem")
	try(0, os.WriteFile(bundle, authority.RootPEM(), 0o600))
	text := fmt.Sprintf(`mode: oidc
target: {name: hostile, environment: test, url: %q, ca_bundle: file:servers.pem}
endpoints:
  - {name: inference, path: /predict, body: '{}', positive_call: harmless}
profile: {issuer: "https://idp.test", audience: aegis, propagation: 1s}
rails: {rate: 0, concurrency: 4, journal: journal, time_out: 1s, allow: disruptive}
grants: %s
`, target, strings.ReplaceAll(servers[name].grants, "{{hostile}}", hostile.URL))
	try(0, os.WriteFile(path, []byte(text), 0o600))
	c := command(t, "run", "--config", path, "--out", filepath.Join(dir, "out"), "--only", servers[name].only)
	c.Env = append(c.Env, "HOSTILE_TOKEN="+aToken, "SSL_CERT_FILE="+bundle)
	ended := time.AfterFunc(3*time.Minute, func() { _ = c.Process.Kill() })
	defer ended.Stop()
	began := time.Now()
	said, errs, code, held := watch(t, c)
	if asked.Load() == 0 {
		t.Errorf("%s was not asked: nothing is shown\n%s%s", name, said, errs)
	}
	told := []int{exitFail, exitIncomplete, exitEnvironment}
	if name == "Loki" { // refusals hold without its log; that it cannot be read stands beside them
		told = append(told, exitPass)
	}
	if !slices.Contains(told, code) {
		t.Errorf("exit status %d\n%s%s", code, said, errs)
	}
	if held > 128<<10 {
		t.Errorf("the run held %d KiB, want 128 MiB at most", held)
	}
	if code == exitPass {
		for _, f := range record(t, filepath.Join(dir, "out")).Findings {
			told := strings.Contains(strings.Join(f.Notes, " "), "its request log could not be read")
			if f.Verdict == harness.Pass && !told && strings.HasPrefix(f.ID, "OIDC") {
				t.Errorf("%s passes, and nothing says that the log was not read: %v", f.ID, f.Notes)
			}
		}
	}
	t.Logf("exit status %d, %d requests of it, %d MiB, %s", code, asked.Load(), held>>10, time.Since(began).Round(time.Second))
}

// started starts a server with a certificate of an authority.
func started(t *testing.T, authority *certs.Authority, s *httptest.Server) {
	s.TLS = &tls.Config{Certificates: []tls.Certificate{try(authority.Server("127.0.0.1")).TLS()}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
}
