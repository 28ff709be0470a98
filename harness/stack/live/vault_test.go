package live

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestMountsOfLiveVault: a mount that is none of KV v2, and a Vault that is not there,
// are told before anything is judged.
func TestMountsOfLiveVault(t *testing.T) {
	kinds := map[string]string{
		"v2":     `{"data":{"type":"kv","options":{"version":"2"}}}`,
		"v1":     `{"data":{"type":"kv","options":{"version":"1"}}}`,
		"first":  `{"data":{"type":"kv","options":null}}`,
		"pki":    `{"data":{"type":"pki"}}`,
		"hidden": "",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := kinds[strings.TrimPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/")]
		if kind == "" {
			w.WriteHeader(http.StatusForbidden)
			kind = `{"errors":["preflight capability check returned 403"]}`
		}
		_, _ = io.WriteString(w, kind)
	}))
	address := server.URL
	for mount, want := range map[string]string{"v2": "", "hidden": "", "v1": "want KV v2", "first": "version 1", "pki": "type pki"} {
		wantLive(t, address, mount, want)
	}
	server.Close()
	wantLive(t, address, "v2", "grants.vault.address")
}

// wantLive wants a live run to begin, or the error to say something.
func wantLive(t *testing.T, address, mount, want string) {
	t.Helper()
	l := loaded(t, bothModesFile+fmt.Sprintf("grants: {vault: {address: %q, mount: %s, login: {token: env:TOKEN}}}\n", address, mount), "TOKEN=x")
	live, err := Connect(t.Context(), l, "run", func(string, string) {})
	if live != nil {
		_ = live.Stop(t.Context())
	}
	switch {
	case want == "" && err != nil:
		t.Errorf("mount %s: %v", mount, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("mount %s: got %v, want an error with %q", mount, err, want)
	}
}
