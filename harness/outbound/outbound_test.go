package outbound_test

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness/outbound"
)

// others make clients of their own, and why they may.
var others = map[string]string{
	"harness/outbound":    "it is what makes them",
	"fixtures/aegis":      "the service under test",
	"fixtures/idp":        "asks a stack of ours",
	"fixtures/kubernetes": "asks a stack of ours",
	"harness/stack":       "asks a stack of ours; a live target's client is of harness/stack/live",
}

// TestNobodyElseMakesClients: a client that is made past this package follows where it
// is led.
func TestNobodyElseMakesClients(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		room, err := filepath.Rel("../..", filepath.Dir(path))
		if err != nil || others[filepath.ToSlash(room)] != "" {
			return err
		}
		code, err := os.ReadFile(path)
		if strings.Contains(string(code), "http.Client{") {
			t.Errorf("%s makes a client: let outbound.Client make it", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSameOrigin: a redirect within an origin is followed, whatever its spelling, and a
// way out of it is none.
func TestSameOrigin(t *testing.T) {
	var to string
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if r.URL.Path == "/" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for location, follows := range map[string]bool{
		"/there": true, "there": true, server.URL + "/there": true, "//" + host + "/there": true,
		"https://" + host + "/there": false, "http://127.0.0.1:1/there": false, "//elsewhere.test/there": false,
		"http://" + host + "@elsewhere.test/there": false, "http://" + host + ".elsewhere.test/there": false,
	} {
		to, asked = location, nil
		answer, err := outbound.Client(outbound.Options{}).Post(server.URL+"/", "text/plain", strings.NewReader("secret"))
		if err == nil {
			_ = answer.Body.Close()
		}
		if (err == nil) != follows || slices.Contains(asked, "/there") != follows {
			t.Errorf("to %q: got %v, asked %v; want it followed: %v", location, err, asked, follows)
		}
	}
}

// TestBound: an answer of as much as is read is read, one more byte is an error.
func TestBound(t *testing.T) {
	const most = 1000
	for size, fits := range map[int]bool{0: true, most: true, most + 1: false, 10 * most: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", size))
		}))
		answer, err := outbound.Client(outbound.Options{Most: most}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		server.Close()
		if errors.Is(err, outbound.ErrTooLong) == fits || fits && len(body) != size || len(body) > most {
			t.Errorf("%d bytes of %d: read %d, %v", size, most, len(body), err)
		}
	}
}
