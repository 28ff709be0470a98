package stack

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/harness"
)

// neighbours are authorities that the ingress could trust by mistake, each with
// a client in the enrolled one's name: the one that stands in for the roots of
// the ingress's system, and the estate's own for servers.
type neighbours struct {
	system          *certs.Authority
	public, sibling certs.Pair
	revoked         certs.Pair // of the trusted authority, and on its list
}

func (b *blueprint) mintNeighbours() (err error) {
	if b.neighbours.system, err = certs.NewAuthority("Aegis Conformance Public"); err != nil {
		return err
	}
	if b.neighbours.public, err = b.neighbours.system.Issue(b.profile().Form().Name(certs.Leaf{CommonName: b.enrolledCN})); err != nil {
		return err
	}
	if b.profile().Revocation {
		if b.neighbours.revoked, err = b.clients.Issue(b.profile().Form().Name(certs.Leaf{CommonName: b.enrolledCN})); err != nil {
			return err
		}
	}
	b.neighbours.sibling, err = b.servers.Issue(b.profile().Form().Name(certs.Leaf{CommonName: b.enrolledCN}))
	return err
}

// revoked are the serial numbers on the clients' authority's list, as the ingress has it.
func (b *blueprint) revoked() []*big.Int {
	if b.neighbours.revoked.Certificate == nil {
		return nil
	}
	return []*big.Int{b.neighbours.revoked.Certificate.SerialNumber}
}

// client issues a client's certificate: soundly so, but for a fault.
func (b *blueprint) client(cn string) (certs.Pair, error) {
	leaf := certs.Leaf{CommonName: cn}
	if b.spec.Fault.Client != nil {
		b.spec.Fault.Client(&leaf)
	}
	return b.clients.Issue(b.profile().Form().Name(leaf))
}

// bundle is the PEM of the authorities that clients' certificates must be of:
// soundly the one, but for a fault.
func (b *blueprint) bundle() []byte {
	trusted := [][]byte{b.clients.RootPEM()}
	switch b.shape(harness.MTLS).Trust {
	case ingress.TrustSystem:
		trusted = append(trusted, b.neighbours.system.RootPEM(), publicRoot())
	case ingress.TrustEstate:
		trusted = append(trusted, b.servers.RootPEM())
	}
	return bytes.Join(trusted, nil)
}

// publicRoot is the PEM of an authority that is on every system.
func publicRoot() []byte {
	for root := range bundle.Roots() {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
	}
	return nil
}

// pool is a bundle as crypto/x509 has it.
func pool(bundle []byte) *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(bundle)
	return p
}
