package stack

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/localhost"
)

// TestVariablesAreTheContract: what can be named is what is set, and no more.
func TestVariablesAreTheContract(t *testing.T) {
	b, err := newBlueprint(Spec{}, idpURL)
	if err != nil {
		t.Fatal(err)
	}
	set := slices.Sorted(maps.Keys(b.env(harness.MTLS, vaultURL, "token")))
	set = append(set, "LISTEN_ADDR", "REQUEST_LOG_ADDR", "MTLS_PROXY_SECRET_FILE", "VAULT_TOKEN_FILE") // a container's
	slices.Sort(set)
	if !slices.Equal(set, Variables) {
		t.Errorf("got %q, want %q", set, Variables)
	}
}

func TestKnownService(t *testing.T) {
	for _, c := range []struct {
		name    string
		runtime Runtime
		service Service
		want    string // in the error; "" is none
	}{
		{"no image", Embedded, Service{}, ""},
		{"an image", Auto, Service{Image: "aegis"}, ""},
		{"an image in this process", Embedded, Service{Image: "aegis"}, "--runtime containers"},
		{"a port beyond", Auto, Service{Image: "aegis", Port: 65536}, "65536 is no port"},
		{"one port for two", Auto, Service{Image: "aegis", RequestLog: 8080}, "8080"},
		{"a health path without a slash", Auto, Service{Image: "aegis", Health: "ready"}, `"ready"`},
		{"a name for nothing", Auto, Service{Image: "aegis", Env: map[string]string{"SECRETS_URL": "${VAULT_ADR}"}}, `SECRETS_URL names "${VAULT_ADR}"`},
		{"a name of ours", Auto, Service{Image: "aegis", Env: map[string]string{"SECRETS_URL": "${VAULT_ADDR}/v1"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := KnownService(c.runtime, c.service)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestNamed: the team's names stand for ours, as a launch has changed them, and
// for nothing where it took them away.
func TestNamed(t *testing.T) {
	s := Service{Env: map[string]string{"SECRETS_URL": "${VAULT_ADDR}/v1", "MODE": "${AUTH_MODE}", "WORKERS": "1", "VAULT_TOKEN": "d"}}
	got := s.named(localhost.LaunchEnv(map[string]string{"VAULT_ADDR": "a", "VAULT_TOKEN": "c", "AUTH_MODE": "oidc"},
		harness.Launch{Env: map[string]string{"VAULT_ADDR": "gate"}, Unset: []string{"AUTH_MODE"}}))
	want := map[string]string{"VAULT_ADDR": "gate", "SECRETS_URL": "gate/v1", "VAULT_TOKEN": "d", "WORKERS": "1"}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTargetOfImage: an image under test grants what it declares, and what the
// stack decides stays the stack's.
func TestTargetOfImage(t *testing.T) {
	at := addresses{ingress: map[harness.Mode]string{harness.OIDC: "a:1", harness.MTLS: "a:2"}, service: map[harness.Mode]string{}, oracle: map[harness.Mode]string{}}
	for _, c := range []struct {
		name        string
		service     Service
		behind, log bool
		refresh     time.Duration
	}{
		{"the reference", Service{}, true, true, keyRefresh},
		{"nothing declared", Service{Image: "aegis"}, false, false, time.Second},
		{"all declared", Service{Image: "aegis", PreviousImage: "aegis:before", IngressProof: true, RequestLog: 8081,
			Profile: harness.Profile{Issuer: "other", KeyRefresh: time.Minute, NoCertificate: harness.TLSAlert}}, true, true, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := newBlueprint(Spec{Service: c.service}, idpURL)
			if err != nil {
				t.Fatal(err)
			}
			target, err := b.target(harness.Image, "x", at)
			if err != nil {
				t.Fatal(err)
			}
			if got := target.Grants(harness.BackendPath); got != c.behind || got != (target.ProxySecret != "") {
				t.Errorf("backend path granted: %v, want %v, and a secret of the ingress with it", got, c.behind)
			}
			if got := target.Grants(harness.Logs); got != c.log {
				t.Errorf("request log granted: %v, want %v", got, c.log)
			}
			if got := target.Grants(harness.PreviousRelease); got != (c.service.Image == "" || c.service.PreviousImage != "") {
				t.Errorf("the release before is granted: %v", got)
			}
			p := target.Profile
			if p.KeyRefresh != c.refresh || p.Issuer != idpURL || p.NoCertificate != harness.HTTP401 || !p.Intermediates {
				t.Errorf("got %+v, want a refresh of %s, and the stack's issuer and answers", p, c.refresh)
			}
			if got := b.env(harness.OIDC, vaultURL, "token")["JWKS_MAX_AGE"]; got != c.refresh.String() {
				t.Errorf("JWKS_MAX_AGE: got %q, want %s", got, c.refresh)
			}
		})
	}
}

// TestImageThatIsNowhere: an image that cannot be had is an error of the
// environment that says what to do, and no stack of another service.
func TestImageThatIsNowhere(t *testing.T) {
	had(t)
	_, err := images.Given(t.Context(), "aegis-conformance/nobody:0", images.Options{})
	var u *images.Unavailable
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "load it at the engine") {
		t.Errorf("got %v, want an Unavailable that says what to do", err)
	}
}

// TestServiceOfExample reads the example of a team's own image.
func TestServiceOfExample(t *testing.T) {
	all, err := config.Load(config.Sources{Path: "../../suites/examples/service-image.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	s := ServiceOf(all[0])
	if err := KnownService(Containers, s); err != nil {
		t.Error(err)
	}
	if s.Image == "" || !s.IngressProof || s.Health != "/readyz" || s.Profile.KeyRefresh != 5*time.Second || s.Env["JWKS_ISSUER"] != "${OIDC_ISSUER}" {
		t.Errorf("got %+v, want what the file says", s)
	}
	if len(s.Endpoints) != 3 || s.Endpoints[1].Effect != harness.Writes {
		t.Errorf("got endpoints %+v, want the file's three", s.Endpoints)
	}
	if got := ServiceOf(config.Loaded{}); got.given() {
		t.Errorf("got %+v of a file without a service, want none", got)
	}
}
