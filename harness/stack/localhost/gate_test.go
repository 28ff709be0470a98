package localhost

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// TestImpostorsDifferInOneThing: each certificate is refused by who verifies, for one
// reason, and two are of the authority that the replica trusts.
func TestImpostorsDifferInOneThing(t *testing.T) {
	trusted, err := certs.NewAuthority("Trusted")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted.RootPEM())
	for kind, is := range map[harness.Impostor]func(error) bool{
		harness.UntrustedImpostor: func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok },
		harness.MisnamedImpostor:  func(err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok },
		harness.ExpiredImpostor: func(err error) bool {
			invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
			return ok && invalid.Reason == x509.Expired
		},
	} {
		pair, err := ImpostorPair(kind, "127.0.0.1", trusted)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Certificate.Verify(x509.VerifyOptions{Roots: pool, DNSName: "127.0.0.1", CurrentTime: time.Now()}); !is(err) {
			t.Errorf("%s: refused for %v", kind, err)
		}
		if _, err := ImpostorPair(kind, "127.0.0.1", nil); (kind != harness.UntrustedImpostor) != errors.Is(err, harness.ErrNotOffered) {
			t.Errorf("%s, with nobody who signs: %v", kind, err)
		}
	}
}
