package live

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"aegis.test/conformance/harness"
)

// theirSet is what an IdP serves: the key that the harness is granted, and another.
const theirSet = `{"keys": [{"kty":"EC","kid":"granted","x":"1"}, {"kid":"others","kty":"EC","x":"2"}], "note": "theirs"}`

// publisher is an IdP whose key set is a file; where there is none, it answers 503.
func publisher(t *testing.T) (url, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(theirSet), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodGet && r.Header.Get("Authorization") != "Bearer admin" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.Method {
		case http.MethodPut:
			text, _ := io.ReadAll(r.Body)
			_ = os.WriteFile(file, text, 0o600)
		case http.MethodDelete:
			_ = os.Remove(file)
		default:
			text, err := os.ReadFile(file)
			if err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write(text)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, file
}

// keySets are the two ways to change one, made of its URL and the file.
var keySets = map[string]func(url, file string) string{
	"by commands": func(url, file string) string {
		return fmt.Sprintf(`{url: %q, publish: [sh, -c, 'cat >"$0"', %q], stop: [mv, %q, %q], start: [mv, %q, %q]}`,
			url, file, file, file+".away", file+".away", file)
	},
	"by HTTP": func(url, _ string) string {
		return fmt.Sprintf(`{url: %q, put: %q, authorization: env:ADMIN}`, url, url)
	},
}

func keySetAt(t *testing.T, how string) (c *changing, file string) {
	t.Helper()
	url, file := publisher(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	c = changingAt(t, "profile: {issuer: me, audience: you}\ngrants: {tokens: {signing_key: {key: env:KEY, id: granted, algorithm: ES256}}, hooks: {jwks: "+
		keySets[how](url, file)+"}}\n", "KEY="+text, "ADMIN=Bearer admin")
	c.now = func() string { return servedIn(t, file) }
	c.run(t)
	return c, file
}

// servedIn are the kids of the set in a file, in order.
func servedIn(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keysOf(text)
	if err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, key := range keys {
		kids = append(kids, kidOf(key))
	}
	return strings.Join(kids, " ")
}

func setOf(kids ...string) []byte {
	var keys []map[string]string
	for _, kid := range kids {
		keys = append(keys, map[string]string{"kty": "EC", "kid": kid, "x": "9"})
	}
	text, _ := json.Marshal(map[string]any{"keys": keys})
	return text
}

// keySetChanges are the ways in which a run changes a key set, and what is served then.
var keySetChanges = map[string]struct {
	answers []harness.JWKSAnswer
	served  string
}{
	"a new key":           {[]harness.JWKSAnswer{{Body: setOf("granted", "new")}}, "granted new others"},
	"one withdrawn":       {[]harness.JWKSAnswer{{Body: setOf("new")}}, "new others"},
	"another in its kid":  {[]harness.JWKSAnswer{{Body: setOf("others")}}, "others"},
	"taken away":          {[]harness.JWKSAnswer{{Down: true}}, "absent"},
	"away, and a new key": {[]harness.JWKSAnswer{{Down: true}, {Body: setOf("granted", "new")}}, "granted new others"},
	"a new key, and away": {[]harness.JWKSAnswer{{Body: setOf("granted", "new")}, {Down: true}}, "absent"},
}

// TestKeySetComesBack: whatever was made of it, the key set is what it was: by the run, at
// its end, and by a sweep, twice; the others' keys stay in it all the while.
func TestKeySetComesBack(t *testing.T) {
	for how := range keySets {
		for what, row := range keySetChanges {
			for _, by := range []string{"by the run", "at its end", "by a sweep"} {
				t.Run(how+", "+what+", "+by, func(t *testing.T) {
					c, file := keySetAt(t, how)
					jwks := c.target.Control.JWKS
					for _, answer := range row.answers {
						if err := jwks.Serve(within(t), answer); err != nil {
							t.Fatal(err)
						}
					}
					if got := c.now(); got != row.served {
						t.Errorf("it is %q, want %q", got, row.served)
					}
					switch by {
					case "by the run":
						if err := jwks.Serve(within(t), harness.JWKSAnswer{}); err != nil {
							t.Error(err)
						}
					case "at its end":
						if err := c.stop(); err != nil {
							t.Error(err)
						}
					default:
						a := c.killed(t)
						for range 2 {
							if _, left := BringBack(within(t), c.loaded, a); len(left) > 0 {
								t.Error(left)
							}
						}
						if err := a.Close(true); err != nil {
							t.Error(err)
						}
					}
					if now := read(t, file); !strings.HasSuffix(now, theirSet) {
						t.Errorf("it is %s", now)
					}
				})
			}
		}
	}
}

// TestOthersKeySetStays: a set that somebody else has changed since stays, and where the
// copy is is told; and a hook that does nothing, or fails, shows nothing of the target.
func TestOthersKeySetStays(t *testing.T) {
	c, file := keySetAt(t, "by HTTP")
	if err := c.target.Control.JWKS.Serve(within(t), harness.JWKSAnswer{Body: setOf("new")}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, setOf("rotated by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, left := BringBack(within(t), c.loaded, c.killed(t))
	if len(left) != 1 || !strings.Contains(left[0], "somebody has changed it") || !strings.Contains(left[0], ".copy") || c.now() != "rotated by hand" {
		t.Errorf("left %v, it is %s", left, c.now())
	}

	c, _ = keySetAt(t, "by HTTP")
	jwks, ok := c.target.Control.JWKS.(*liveJWKS)
	if !ok {
		t.Fatal("it is another")
	}
	jwks.hook.Put, jwks.bound = "", 1
	for _, command := range [][]string{{"true"}, {"false"}} {
		jwks.hook.Publish = command
		if err := jwks.Serve(within(t), harness.JWKSAnswer{Body: setOf("new")}); !errors.Is(err, harness.ErrUnseen) {
			t.Errorf("%v: %v", command, err)
		}
	}
	if err := c.stop(); err != nil || c.now() != "granted others" {
		t.Errorf("%v, it is %s", err, c.now())
	}
}

// TestKeySetOnly: what hooks cannot do is not offered, and no row that wants it is within
// what they grant.
func TestKeySetOnly(t *testing.T) {
	for how, stops := range map[string]bool{"by HTTP": true, "by a command that publishes": false} {
		c, _ := keySetAt(t, "by HTTP")
		jwks, ok := c.target.Control.JWKS.(*liveJWKS)
		if !ok {
			t.Fatal("it is another")
		}
		if !stops {
			jwks.hook.Put, jwks.hook.Publish = "", []string{"true"}
		}
		answers := []harness.JWKSAnswer{{Status: 500}, {Location: "https://x.test"}, {Delay: 1}, {ContentType: "text/html"}, {Body: []byte("{}")}}
		if !stops {
			answers = append(answers, harness.JWKSAnswer{Down: true})
		}
		for _, answer := range answers {
			if err := jwks.Serve(within(t), answer); !errors.Is(err, harness.ErrNotOffered) {
				t.Errorf("%s: %+v: %v", how, answer, err)
			}
		}
		if _, err := jwks.Fetches(t.Context()); !errors.Is(err, harness.ErrNotOffered) {
			t.Errorf("%s: fetches: %v", how, err)
		}
		if kids, err := jwks.Kids(within(t)); err != nil || !slices.Equal(kids, []string{"granted", "others"}) {
			t.Errorf("%s: %v (%v)", how, kids, err)
		}
		for granted, want := range map[harness.Capability]bool{harness.ControlJWKS: true, harness.StopJWKS: stops, harness.JWKSEndpoint: false} {
			if c.target.Grants(granted) != want {
				t.Errorf("%s: it grants %s: %v", how, granted, !want)
			}
		}
	}
}
