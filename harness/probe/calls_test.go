package probe

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire/wiretest"
)

func TestSameOrigin(t *testing.T) {
	r := wiretest.Post("/predict/")
	r.Set("Host", "aegis.test:8443")
	for location, want := range map[string]bool{
		"/predict": true, "predict": true, "?x=1": true, "/a%2fb": true,
		"https://aegis.test:8443/predict": true, "HTTPS://AEGIS.test:8443/": true, "//aegis.test:8443/predict": true,
		"": false, "//evil.test/predict": false, "///evil.test": true, `/\evil.test`: false, `https:\\evil.test`: false,
		"https://aegis.test/predict": true, "https://aegis.test:443/": true, "https://aegis.test:9443/predict": true,
		"http://aegis.test:8443/predict": false, "http://aegis.test/predict": false, "//evil.test:8443/predict": false,
		"https://aegis.test:8443@evil.test/": false, "https://evil.test@aegis.test:8443/": false, "https://u:p@aegis.test:8443/": false,
		"https://aegis.test.evil.test:8443/": false, "https://evil.test/?aegis.test:8443": false,
		"javascript:alert(1)": false, "https:predict": false, "https:/predict": false, "https:///predict": false, "\x00": false, "%zz": false,
	} {
		if got := SameOrigin(r, location); got != want {
			t.Errorf("%q: %v, want %v", location, got, want)
		}
	}
	r.Set("Host", "aegis.test")
	if !SameOrigin(r, "https://aegis.test:443/predict") {
		t.Error("the scheme's own port is another origin")
	}
	if !SameOrigin(r, "https://aegis.test:8443/predict") {
		t.Error("behind a mapping of ports, the port that the server listens on is another origin")
	}
	r.Origin = "http://aegis.test"
	for location, want := range map[string]bool{"/predict": true, "http://aegis.test/predict": true, "http://aegis.test:80/": true,
		"http://evil.test/": false, "https://evil.test/": false} {
		if got := SameOrigin(r, location); got != want {
			t.Errorf("of a face in plain HTTP, %q: %v, want %v", location, got, want)
		}
	}
}

// redirecting answers 307 to /predict/ and 401 otherwise; requests are kept.
func redirecting(t *testing.T, location string) (*harness.Target, func() []*http.Request) {
	var mu sync.Mutex
	var seen []*http.Request
	target := wiretest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r)
		mu.Unlock()
		if r.URL.Path == "/predict/" {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", ContentType: "application/json",
		Body: []byte(`{"id":"{{unique}}"}`)}}
	return target, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// redirected calls /predict/ with a token and a certificate.
func redirected(t *testing.T) Calls {
	pair := wiretest.Leaf(t, wiretest.Authority(t), "caller").TLS()
	return In(harness.OIDC, "a credential", Alter("credential", func(_ *harness.Target, r *harness.Request) {
		r.Path += "/"
		SetToken(r, "token", "credential-of-the-caller")
		r.Certificate = &pair
	}))
}

func TestRedirects(t *testing.T) {
	var strangers sync.Map
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { strangers.Store(r.RequestURI, true) }))
	t.Cleanup(stranger.Close)
	for name, row := range map[string]struct {
		location string
		follow   bool
		paths    []string
	}{
		"not asked for":  {"/elsewhere", false, []string{"/predict/"}},
		"absolute path":  {"/elsewhere?x=1", true, []string{"/predict/", "/elsewhere?x=1"}},
		"relative path":  {"../elsewhere", true, []string{"/predict/", "/elsewhere"}},
		"query only":     {"?x=1", true, []string{"/predict/", "/predict/?x=1"}},
		"another origin": {stranger.URL + "/stolen", true, []string{"/predict/"}},
		"no scheme":      {"//elsewhere.test/stolen", true, []string{"/predict/"}},
		// of the face, and not of who is there
		"another port": {strings.TrimPrefix(stranger.URL, "http:") + "/moved", true, []string{"/predict/", "/moved"}},
		"none":         {"", true, []string{"/predict/"}},
	} {
		t.Run(name, func(t *testing.T) {
			target, seen := redirecting(t, row.location)
			calls := redirected(t)
			if row.follow {
				calls = calls.Following()
			}
			trace, err := calls.Build().Act(wiretest.Within(t, 20*time.Second), probetest.On(target))
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for i, r := range seen() {
				paths = append(paths, r.RequestURI)
				if i > 0 && r.Header.Get("Authorization") != "" {
					t.Error("the credential was forwarded")
				}
				if i > 0 && r.Header.Get(harness.ProbeHeader) == seen()[0].Header.Get(harness.ProbeHeader) {
					t.Error("two requests carry one probe ID")
				}
			}
			if !slices.Equal(paths, row.paths) || len(trace.Exchanges) != len(row.paths) {
				t.Errorf("called %q with %d exchanges, want %q", paths, len(trace.Exchanges), row.paths)
			}
			for _, x := range trace.Exchanges[1:] {
				if x.Request.Certificate != nil || x.Request.Credential != "no credential" {
					t.Errorf("followed with %s", x.Request.Credential)
				}
			}
		})
	}
	strangers.Range(func(uri, _ any) bool {
		t.Errorf("another origin was asked for %v", uri)
		return true
	})
}

// TestVariantsDifferInOneProperty: each call is the sound one but for what its
// variant says.
func TestVariantsDifferInOneProperty(t *testing.T) {
	target, _ := redirecting(t, "")
	target.Tokens.Valid = "header.payload.signature"
	sound, err := Sound(target, harness.OIDC, target.Endpoints[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		calls   Calls
		differs []string
	}{
		"no credential": {NoCredential(harness.OIDC), []string{"Authorization"}},
		"bearer":        {Bearer(token.Literal("abc", "abc")), []string{"Authorization"}},
		"scheme":        {Schemes("Token"), []string{"Authorization"}},
		"valid":         {ValidToken(), nil},
		"with a field":  {ValidToken().With("X-Original-URL", "/healthz"), []string{"X-Original-URL"}},
		"method":        {Methods(harness.OIDC, "PUT"), []string{"Authorization", "method"}},
		"bodiless":      {Methods(harness.OIDC, "GET"), []string{"Authorization", "Content-Type", "body", "method"}},
		"path": {Paths(harness.OIDC, map[string]func(string) string{"slash": func(p string) string { return p + "/" }}),
			[]string{"Authorization", "path"}},
	} {
		requests, _, err := row.calls.requests(target, target.Endpoints)
		if err != nil || len(requests) != 1 {
			t.Fatalf("%s: %d requests, %v", name, len(requests), err)
		}
		if got := differing(sound, requests[0]); !slices.Equal(got, row.differs) {
			t.Errorf("%s: differs in %q, want %q", name, got, row.differs)
		}
	}
}

// differing names what two requests differ in; every probe has its own ID and
// a body of its own.
func differing(a, b harness.Request) []string {
	fields := func(r harness.Request) map[string]string {
		r.Remove(harness.ProbeHeader)
		all := map[string]string{}
		for _, f := range r.Fields {
			all[f.Name] += "\n" + f.Value
		}
		return all
	}
	x, y := fields(a), fields(b)
	var names []string
	for name := range maps.All(x) {
		if x[name] != y[name] {
			names = append(names, name)
		}
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			names = append(names, name)
		}
	}
	for name, differs := range map[string]bool{
		"method": a.Method != b.Method, "path": a.Path != b.Path, "body": len(a.Body) != len(b.Body), "mode": a.Mode != b.Mode,
	} {
		if differs {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestCallsCoverEveryEndpointAndMode(t *testing.T) {
	target := &harness.Target{
		Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: "https://oidc.test"}, harness.MTLS: {URL: "https://mtls.test"}},
		Endpoints: []harness.Endpoint{{Name: "inference", Path: "/predict"}, {Name: "enrollment", Path: "/enroll"}, {Name: "review",
			Path: "/review"}},
	}
	calls := NoCredential(harness.OIDC, harness.MTLS).Each(Transports()[:2]...)
	requests, _, err := calls.requests(target, calls.pick(target))
	if err != nil || len(requests) != 2*2*3 {
		t.Fatalf("%d requests, %v; want 12", len(requests), err)
	}
	seen := map[string]bool{}
	for _, r := range requests {
		if r.MinTLS != r.MaxTLS || r.MinTLS == 0 {
			t.Errorf("%s goes from %x to %x", r.Variant, r.MinTLS, r.MaxTLS)
		}
		seen[string(r.Mode)+r.Variant+r.Path] = true
	}
	if len(seen) != 12 {
		t.Errorf("%d different requests, want 12", len(seen))
	}
	delete(target.Faces, harness.MTLS)
	if requests, _, _ = calls.requests(target, calls.pick(target)); len(requests) != 6 {
		t.Errorf("%d requests to a target of one mode, want 6", len(requests))
	}
	only := calls.On("review")
	if requests, _, _ = only.requests(target, only.pick(target)); len(requests) != 2 {
		t.Errorf("%d requests to one endpoint, want 2", len(requests))
	}
}

// TestWhatAGivenTokenIsUnfitFor is left out and told; where nothing else is left,
// nothing was seen.
func TestWhatAGivenTokenIsUnfitFor(t *testing.T) {
	target := wiretest.Serve(t, func(http.ResponseWriter, *http.Request) {})
	target.Endpoints = []harness.Endpoint{{Method: "GET", Path: "/"}}
	unfit := token.Recipe{Name: "unfit", Make: func(token.Source) (string, error) { return "", token.ErrUnfit }}
	trace, err := Bearer(token.Literal("fit", "a.b.c"), unfit).Build().Act(t.Context(), probetest.On(target))
	if err != nil || len(trace.Exchanges) != 1 || len(trace.Notes) != 1 || !strings.Contains(trace.Notes[0], `"unfit" was not sent`) {
		t.Errorf("%d exchanges, notes %q, %v", len(trace.Exchanges), trace.Notes, err)
	}
	if _, err := Bearer(unfit).Build().Act(t.Context(), probetest.On(target)); !errors.Is(err, harness.ErrUnseen) ||
		!strings.Contains(err.Error(), "unfit") {
		t.Errorf("got %v, want that nothing was seen", err)
	}
}

// TestCallsWaitForTheEnd: calls with an expired token wait until the one that stands
// for it has ended, and no longer than their context.
func TestCallsWaitForTheEnd(t *testing.T) {
	var shown []string
	target := wiretest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { shown = append(shown, r.Header.Get("Authorization")) })
	target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}}
	end := time.Now().Add(300 * time.Millisecond)
	target.Control = &harness.Control{Ended: harness.EndedToken{Token: "over", At: end}}
	trace, err := Bearer(token.Expired(10*time.Minute)).Build().Act(wiretest.Within(t, 20*time.Second), probetest.On(target))
	if err != nil || len(trace.Exchanges) != 1 || time.Now().Before(end) || len(shown) != 1 || shown[0] != "Bearer over" {
		t.Errorf("%d exchanges, %v, shown %q: want one call with the token, after its end", len(trace.Exchanges), err, shown)
	}
	target.Control.Ended.At = time.Now().Add(time.Hour)
	if _, err := Bearer(token.Expired(10*time.Minute)).Build().Act(wiretest.Within(t, 100*time.Millisecond),
		probetest.On(target)); !errors.Is(err, harness.ErrUnseen) {
		t.Errorf("got %v, want that nothing was seen", err)
	}
}

// TestChangesAreCrossed: each of some changes is made after each of others, is named and
// needed beside it, and fails as either does.
func TestChangesAreCrossed(t *testing.T) {
	target := &harness.Target{
		Faces:     map[harness.Mode]harness.Face{harness.OIDC: {URL: "https://oidc.test"}},
		Endpoints: []harness.Endpoint{{Name: "inference", Path: "/predict"}, {Name: "review", Path: "/review"}},
	}
	mark := func(name string) Change {
		return Alter(name, func(_ *harness.Target, r *harness.Request) { r.Set("X-Marks", r.Get("X-Marks")+name) })
	}
	calls := In(harness.OIDC, "marks", mark("a").needing(harness.Metrics), mark("b").once()).Each(mark("x"),
		mark("y").needing(harness.Logs)).At(mark("z"))
	requests, err := calls.Made(target)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, r := range requests {
		made = append(made, r.Endpoint.Name+": "+r.Variant+" = "+r.Get("X-Marks"))
	}
	want := []string{"inference: a x at z = axz", "review: a x at z = axz", "inference: b x at z = bxz", "inference: a y at z = ayz",
		"review: a y at z = ayz", "inference: b y at z = byz"}
	if !slices.Equal(made, want) {
		t.Errorf("made %q, want %q", made, want)
	}
	built := calls.Build()
	if !slices.Equal(built.Needs, []harness.Capability{harness.Metrics, harness.Logs}) || built.Words != "call every critical endpoint "+
		"with marks, x, y, at z" {
		t.Errorf("needs %v, words %q", built.Needs, built.Words)
	}
	broken := Change{Name: "broken", Prepare: func(*harness.Target) (Edit, error) { return nil, errors.New("no such thing") }}
	for name, c := range map[string]Change{"first": broken.then(mark("x"), " "), "second": mark("x").then(broken, " ")} {
		if _, err := In(harness.OIDC, "", c).Made(target); err == nil || !strings.Contains(err.Error(), "no such thing") {
			t.Errorf("%s: %v, want why it cannot be made", name, err)
		}
	}
}
