package faults

import (
	"os"
	"slices"
	"testing"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
)

// estates are sound ways to say who a client is, beside the CN by its name.
var estates = []struct {
	name, header string
	form         certs.Form
}{
	{"Istio and Envoy Gateway", "x-forwarded-client-cert", certs.FormURI},
	{"Envoy, of DNS names", "x-forwarded-client-cert", certs.FormDNS},
	{"Envoy, of subjects", "x-forwarded-client-cert", certs.FormDN},
	{"RFC 9440, of SPIFFE IDs", "client-cert", certs.FormURI},
	{"RFC 9440, of addresses of mail", "client-cert", certs.FormEmail},
	{"ingress-nginx", "ssl-client-cert", certs.FormCN},
	{"Linkerd", "l5d-client-id", certs.FormDNS},
	{"AWS ALB", "x-amzn-mtls-clientcert-subject", certs.FormDN},
}

// declaring has a target declare how a client is known, and by which header.
func declaring(form certs.Form, header string) func(*harness.Profile) {
	return func(p *harness.Profile) { p.Identity, p.IdentityHeader = form, header }
}

// TestSoundIdentitiesAreNotAccused: the reference with each of them is accused of
// nothing, and what its form and header can show is shown.
func TestSoundIdentitiesAreNotAccused(t *testing.T) {
	plan := Plan{Runtime: stack.Embedded, Areas: []string{"HDR", "ENR", "MTLS", "CHN", "ING"}}
	var names []string
	for _, e := range estates {
		names = append(names, e.name)
	}
	names = Sample{Seed: config.Read(os.Getenv, "").Sample}.Of(names, 2)
	for _, e := range estates {
		if !slices.Contains(names, e.name) {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			sound := plan.one(t.Context(), faults.Fault{ID: e.name, Component: reference, Face: harness.MTLS, Profile: declaring(e.form, e.header)})
			if sound.Error != "" {
				t.Fatal(sound.Error)
			}
			for _, id := range append(sound.CaughtBy, sound.Masked...) {
				t.Errorf("%s: %s: %s", e.name, id, sound.Reasons[id])
			}
			if sound.Judged < 60 {
				t.Errorf("%d expectations were judged, want 60 and more", sound.Judged)
			}
		})
	}
}
