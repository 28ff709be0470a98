package live

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
)

// TestASourceKnowsWhenItsTokensEnd: those that it gave, whatever they say of themselves.
func TestASourceKnowsWhenItsTokensEnd(t *testing.T) {
	end := time.Now().Add(time.Hour)
	s := &source{met: func(string, string) {}, fetch: func(context.Context) (harness.Secret, time.Time, error) { return "opaque", end, nil }}
	if err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at, known := s.Ends(s.Token()); !known || !at.Equal(end) {
		t.Errorf("%s, %v: want %s", at, known, end)
	}
	if _, known := s.Ends("another"); known {
		t.Error("it knows the end of another's token")
	}
}

// TestHowLongATokenOfVaultLives is asked of Vault; what has no end, or may not be asked,
// has none that is known.
func TestHowLongATokenOfVaultLives(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		answer string
		known  bool
	}{
		"an hour":        {200, `{"data":{"ttl":3600}}`, true},
		"without an end": {200, `{"data":{"ttl":0}}`, false},
		"denied":         {403, `{"errors":["permission denied"]}`, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.answer)
		}))
		defer server.Close()
		client, err := vault.NewClient(server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := &builder{ctx: t.Context(), vault: client}
		if left, known := b.life(); known != row.known || known && left != time.Hour {
			t.Errorf("%s: %s, %v", name, left, known)
		}
	}
}
