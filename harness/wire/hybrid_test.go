package wire_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire"
)

// TestServerOfHybridsAlone: a server that takes no other key exchange is called by one,
// and what was negotiated is seen.
func TestServerOfHybridsAlone(t *testing.T) {
	for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.TLS = &tls.Config{CurvePreferences: []tls.CurveID{group}, MinVersion: tls.VersionTLS13}
		server.StartTLS()
		t.Cleanup(server.Close)
		target := &harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: server.URL, Host: "example.com",
			RootCAs: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}}}
		for range 2 { // the second time it is known
			seen := wire.Send(t.Context(), target, harness.Request{Mode: harness.OIDC, Method: http.MethodGet, Path: "/",
				Fields: []harness.Field{{Name: "Host", Value: "example.com"}}})
			if seen.Status != http.StatusOK || seen.Group != group {
				t.Errorf("saw %d %s %q by %s, want 200 by %s", seen.Status, seen.Transport, seen.Detail, seen.Group, group)
			}
		}
	}
}
