package probe

import (
	"crypto/x509"
	"errors"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// TestAuthoritiesNamed tells a public authority from one of ours, and what was not said
// from what was not seen.
func TestAuthoritiesNamed(t *testing.T) {
	own, err := certs.NewAuthority("ours")
	if err != nil {
		t.Fatal(err)
	}
	var public *x509.Certificate
	for root := range bundle.Roots() {
		if public, err = x509.ParseCertificate(root.Certificate); err != nil {
			t.Fatal(err)
		}
		break
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(own.RootPEM())
	pool.AddCert(public)
	facts, err := authoritiesNamed(harness.Observation{Status: 401, TLSVersion: 0x0304, Authorities: pool.Subjects()}) //nolint:staticcheck // what a server says
	named := harness.AuthorityNamed.In(harness.Trace{Facts: facts})
	if err != nil || len(named) != 2 || len(named[0].Is) != 0 || len(named[1].Is) != 1 {
		t.Errorf("got %v, %v, want ours, and a public one", named, err)
	}
	if _, err := authoritiesNamed(harness.Observation{Status: 401, TLSVersion: 0x0304}); !errors.Is(err, harness.ErrNotOffered) {
		t.Errorf("none is named: got %v", err)
	}
	if _, err := authoritiesNamed(harness.Observation{Transport: harness.Refused}); !errors.Is(err, harness.ErrUnseen) {
		t.Errorf("nobody answered: got %v", err)
	}
}
