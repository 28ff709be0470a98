package clientcert

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// publicRoots are the subjects of the authorities of Mozilla's programme, in DER.
var publicRoots = sync.OnceValue(func() map[string]bool {
	subjects := map[string]bool{}
	for root := range bundle.Roots() {
		if c, err := x509.ParseCertificate(root.Certificate); err == nil {
			subjects[string(c.RawSubject)] = true
		}
	}
	return subjects
})

// PublicRoot reports whether a name, in DER, is that of an authority which the public
// trusts for servers.
func PublicRoot(subject []byte) bool { return publicRoots()[string(subject)] }
