package live

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/wire"
)

// estate is a server of everything that stands beside a target, by an authority's
// certificate.
func estate(t *testing.T, by *certs.Authority) string {
	t.Helper()
	pair, err := by.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{
		"/metrics": "# TYPE aegis_auth_failures_total counter\naegis_auth_failures_total 1\n", "/token": `{"access_token": "a.b.c", "expires_in": 60}`,
		"/api/v1/rules": `{"status": "success", "data": {"groups": []}}`, "/api/v2/receivers": "[]", "/loki/api/v1/query_range": `{"data": {"result": []}}`,
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, answers[r.URL.Path])
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// TestWhoSignsWhatStandsBeside: the target's bundle is believed of all that stands
// beside it, a bundle of its own alone where that is given, and who is not believed is
// told by the key that would name it.
func TestWhoSignsWhatStandsBeside(t *testing.T) {
	dir := t.TempDir()
	theirs, other := must1(certs.NewAuthority("Estate")), must1(certs.NewAuthority("Other"))
	for name, content := range map[string][]byte{"estate.pem": theirs.RootPEM(), "other.pem": other.RootPEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := estate(t, theirs)
	asks := map[string]func(*harness.Target, *builder) error{
		"metrics.ca_bundle": func(target *harness.Target, _ *builder) error {
			_, err := wire.Scrape(t.Context(), outbound.Client(outbound.Options{}.By(target.Signed)), target.Metrics[harness.OIDC])
			return err
		},
		"prometheus_ca_bundle": func(target *harness.Target, _ *builder) error {
			_, err := target.Control.Alerts.Rules(t.Context())
			return err
		},
		"alertmanager_ca_bundle": func(target *harness.Target, _ *builder) error {
			_, err := target.Control.Alerts.Receivers(t.Context())
			return err
		},
		"logs.loki.ca_bundle": func(_ *harness.Target, b *builder) error {
			_, err := b.lines(time.Now())(t.Context(), "a")
			return err
		},
		"tokens.client_credentials.ca_bundle": func(_ *harness.Target, b *builder) error {
			client, err := b.client()
			if err == nil {
				_, err = client.Get(url + "/token") //nolint:bodyclose // of a server that closes
			}
			return err
		},
	}
	for key, ask := range asks {
		for name, row := range map[string]struct {
			set  []string
			fine bool
		}{
			"the target's bundle":        {[]string{"target.ca_bundle=file:estate.pem"}, true},
			"its own":                    {[]string{"grants." + key + "=file:estate.pem"}, true},
			"its own over the target's":  {[]string{"target.ca_bundle=file:other.pem", "grants." + key + "=file:estate.pem"}, true},
			"another over the target's":  {[]string{"target.ca_bundle=file:estate.pem", "grants." + key + "=file:other.pem"}, false},
			"nobody's, the system's own": {nil, false},
		} {
			target, b := withBeside(t, dir, url, row.set)
			err := ask(target, b)
			if row.fine && err != nil || !row.fine && (err == nil || !strings.Contains(err.Error(), "grants."+key)) {
				t.Errorf("%s, by %s: %v", key, name, err)
			}
		}
	}
}

// withBeside is a target whose metrics, monitoring, logs and IdP are at a URL.
func withBeside(t *testing.T, dir, url string, set []string) (*harness.Target, *builder) {
	t.Helper()
	path := filepath.Join(dir, "staging.yaml")
	text := fmt.Sprintf(`mode: oidc
target: {name: a, environment: test, url: "https://127.0.0.1:1"}
endpoints: [{name: inference, path: /predict, positive_call: harmless}]
grants:
  metrics: {oidc: "%[1]s/metrics"}
  prometheus: %[1]q
  alertmanager: %[1]q
  logs: {handled: x, loki: {url: %[1]q, query: "{}"}}
`, url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, s := range set {
		if strings.Contains(s, "client_credentials") { // which is given whole
			set = append(set[:i:i], append(set[i:], "grants.tokens.client_credentials.token_url="+url+"/token",
				"grants.tokens.client_credentials.client_id=a", "grants.tokens.client_credentials.client_secret=file:estate.pem")...)
			break
		}
	}
	all, err := config.Load(config.Sources{Path: path, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	all[0].Grants.Tokens.ClientCredentials.TokenURL = "" // asked by the test itself
	b := &builder{Loaded: all[0], ctx: t.Context(), met: func(string, string) {}}
	target, err := b.target("run")
	if err != nil {
		t.Fatal(err)
	}
	return target, b
}

func must1[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
