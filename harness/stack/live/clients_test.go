package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/fixtures/awssecrets"
	"aegis.test/conformance/fixtures/monitoring"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// credentialed are all clients by which a live run shows a credential, or asks what a
// configuration names: each asks a URL once, as the run would.
var credentialed = map[string]func(t *testing.T, url string) error{
	"Vault's login": func(t *testing.T, url string) error {
		return askedOf(t, fmt.Sprintf("grants: {vault: {address: %q, login: {approle: {role_id: env:A, secret_id: env:A}}}}\n", url))
	},
	"Vault, by a token": func(t *testing.T, url string) error {
		return askedOf(t, fmt.Sprintf("grants: {vault: {address: %q, login: {token: env:A}}}\n", url))
	},
	"Vault, writing": func(t *testing.T, url string) error {
		return vault.NewStore(vaultAt(t, url), nil).Write(t.Context(), map[string]string{"a": "b"})
	},
	"the IdP's token endpoint": func(t *testing.T, url string) error {
		return askedOf(t, fmt.Sprintf("grants: {tokens: {client_credentials: {token_url: %q, client_id: a, client_secret: env:A}}}\n", url+"/token"))
	},
	"Vault's transit engine": func(t *testing.T, url string) error {
		t.Setenv("VAULT_ADDR", url)
		t.Setenv("VAULT_TOKEN", "the-credential")
		_, err := signoff.TransitKey(t.Context(), "transit/release")
		return err
	},
	"AWS, reading": func(t *testing.T, url string) error {
		_, err := awsAt(url).Read(t.Context())
		return err
	},
	"AWS, writing": func(t *testing.T, url string) error {
		return awsAt(url).Write(t.Context(), map[string]string{"a": "b"})
	},
	"Loki": func(t *testing.T, url string) error {
		_, err := fromLoki(t.Context(), config.Loki{URL: url, Query: "{}"}, harness.Trust{}, "a", time.Now())
		return err
	},
	"Prometheus": func(t *testing.T, url string) error {
		_, err := monitoring.NewRemote(url, url).Rules(t.Context())
		return err
	},
	"Alertmanager": func(t *testing.T, url string) error {
		_, err := monitoring.NewRemote(url, url).Receivers(t.Context())
		return err
	},
	"a metrics page": func(t *testing.T, url string) error {
		return scraped(t, url+"/metrics")
	},
}

func vaultAt(t *testing.T, url string) *api.Client {
	t.Helper()
	client, err := vault.NewClient(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken("the-credential")
	return client
}

func awsAt(url string) *awssecrets.Store {
	return awssecrets.NewStore(awssecrets.NewClient(awssecrets.Options{
		Region: "eu-west-1", Endpoint: url, Keys: awssecrets.Keys{ID: "AKIA", Secret: "the-credential"},
	}), awssecrets.SecretID)
}

// askedOf is what a live run says that begins by a configuration.
func askedOf(t *testing.T, grants string) error {
	t.Helper()
	live, err := Connect(t.Context(), loaded(t, bothModesFile+grants, "A=the-credential"), "run", func(string, string) {})
	if err == nil {
		err = live.Stop(t.Context())
	}
	return err
}

// scraped reads a page as a judgement does.
func scraped(t *testing.T, url string) error {
	t.Helper()
	var err error
	engine := run.New(&harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {}}, Control: &harness.Control{}}, run.Options{})
	defer engine.Close()
	x, _ := suites.Find("OIDC-001")
	x.Stimulus = harness.Stimulus{
		Words: "read a page", Effect: harness.ReadOnly, Modes: []harness.Mode{harness.OIDC}, OwnControl: true,
		Act: func(ctx context.Context, h harness.Client) (harness.Trace, error) {
			_, err = h.Scrape(ctx, url)
			return harness.Trace{}, harness.ErrUnseen
		},
	}
	engine.Judge(t.Context(), x)
	return err
}

// TestNoCredentialGoesElsewhere: whoever answers with a redirect to an address that the
// configuration does not name gets an error that names it, and the address gets nothing.
func TestNoCredentialGoesElsewhere(t *testing.T) {
	var came atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		named := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), status)
		}))
		t.Cleanup(named.Close)
		for who, ask := range credentialed {
			err := ask(t, named.URL)
			if _, said := errors.AsType[outbound.Elsewhere](err); !said || !strings.Contains(err.Error(), elsewhere.URL) {
				t.Errorf("%s, redirected by %d: got %v, want the other address named", who, status, err)
			}
			if n := came.Swap(0); n > 0 {
				t.Errorf("%s, redirected by %d: %d requests came to an address that is not configured", who, status, n)
			}
		}
	}
}

// TestAnswersAreBounded: an answer without end is an error, and is not read to its end.
func TestAnswersAreBounded(t *testing.T) {
	var sent atomic.Int64
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data":{"a":"`)
		for chunk := strings.Repeat("x", 64<<10); sent.Load() < 1<<30; sent.Add(int64(len(chunk))) {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	for who, ask := range credentialed {
		if err := ask(t, endless.URL); err == nil {
			t.Errorf("%s: an endless answer was taken", who)
		}
		const most = maxLog + 16<<20 // what buffers of the two hosts hold beside it
		if n := sent.Swap(0); n > most {
			t.Errorf("%s: %d bytes of an endless answer were taken, want %d at most", who, n, most)
		}
	}
}
