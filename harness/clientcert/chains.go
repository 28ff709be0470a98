package clientcert

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"sync"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// clientAuthority is the one the ingress trusts.
func clientAuthority(t *harness.Target) (*certs.Authority, error) {
	grant := t.Certs.Authority
	a, err := certs.ParseAuthority(grant.Chain, []byte(grant.Key.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("taking the client authority: %w", err)
	}
	return a, nil
}

// below is a sound certificate for the enrolled client, of an authority that
// the trusted one has certified.
func below(name string, branch func(*certs.Authority) (*certs.Authority, error)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.ClientCAKey},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			a, err := clientAuthority(t)
			if err != nil {
				return tls.Certificate{}, err
			}
			between, err := branch(a)
			if err != nil {
				return tls.Certificate{}, err
			}
			return issue1(t, between, nil)
		}}
}

// branched is below with one change to the intermediate authority.
func branched(name string, change func(*harness.Target, *certs.Branch) error) Recipe {
	return branchedFor(name, change, nil)
}

// branchedFor is branched with one change to the leaf too.
func branchedFor(name string, change func(*harness.Target, *certs.Branch) error, leaf func(*harness.Target, *certs.Leaf)) Recipe {
	c := below(name, nil)
	c.Make = func(t *harness.Target) (tls.Certificate, error) {
		a, err := clientAuthority(t)
		if err != nil {
			return tls.Certificate{}, err
		}
		branch := certs.Branch{CommonName: "Branch " + token.Random(4)}
		if err := change(t, &branch); err != nil {
			return tls.Certificate{}, err
		}
		between, err := a.Branch(branch)
		if err != nil {
			return tls.Certificate{}, err
		}
		return issue1(t, between, leaf)
	}
	return c
}

func usages(name string, of ...x509.ExtKeyUsage) Recipe {
	return Issued(name, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Usages = append([]x509.ExtKeyUsage{}, of...) })
}

// UnrelatedUsages are for mail, and for code (CHN-007).
func UnrelatedUsages() []Recipe {
	return []Recipe{
		usages("certificate for emailProtection only", x509.ExtKeyUsageEmailProtection),
		usages("certificate for codeSigning only", x509.ExtKeyUsageCodeSigning),
	}
}

// NoUsage has no extended key usage at all (CHN-008).
func NoUsage() Recipe { return usages("certificate without an extended key usage") }

// AnyUsage has anyExtendedKeyUsage only (CHN-009).
func AnyUsage() Recipe {
	return usages("certificate for anyExtendedKeyUsage only", x509.ExtKeyUsageAny)
}

// Version1 is of X.509 version 1 (CHN-010).
func Version1() Recipe {
	return Issued("certificate of X.509 version 1", func(_ *harness.Target, leaf *certs.Leaf) { leaf.Version1 = true })
}

// Usurped is signed by the enrolled client's own certificate (CHN-011).
func Usurped() Recipe {
	return Foreign("certificate signed by a client's certificate", func(t *harness.Target) (*certs.Authority, error) {
		holder, err := certs.ParsePair(t.Certs.Enrolled.Chain, []byte(t.Certs.Enrolled.Key.Reveal()))
		return certs.Usurper(holder), err
	}, nil)
}

// NoAuthorities are intermediates that are not marked as authorities (CHN-012).
func NoAuthorities() []Recipe {
	return []Recipe{
		branched("certificate of an intermediate without basicConstraints", func(_ *harness.Target, b *certs.Branch) error {
			b.Unconstrained = true
			return nil
		}),
		branched("certificate of an intermediate of X.509 version 1", func(_ *harness.Target, b *certs.Branch) error {
			b.Version1 = true
			return nil
		}),
	}
}

// Powerless is of an intermediate that may not sign certificates (CHN-013).
func Powerless() Recipe {
	return branched("certificate of an intermediate without keyCertSign", func(_ *harness.Target, b *certs.Branch) error {
		b.Powerless = true
		return nil
	})
}

// TooDeep stands below an authority that may have none below it (CHN-014).
func TooDeep() Recipe {
	return below("certificate below a pathLenConstraint of 0", func(a *certs.Authority) (*certs.Authority, error) {
		last, err := a.Branch(certs.Branch{CommonName: "Last " + token.Random(4), Last: true})
		if err != nil {
			return nil, err
		}
		return last.Intermediate("Below " + token.Random(4))
	})
}

// ExpiredBranch is of an intermediate that expired an hour ago (CHN-015).
func ExpiredBranch() Recipe {
	return branched("certificate of an expired intermediate", func(_ *harness.Target, b *certs.Branch) error {
		b.NotBefore, b.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(-time.Hour)
		return nil
	})
}

// ViaIntermediate is sound, with its intermediate sent (CHN-016): a new one's.
func ViaIntermediate() Recipe {
	return branched("certificate of an intermediate", func(*harness.Target, *certs.Branch) error { return nil })
}

// GivenChain reports whether the enrolled client's certificate was given with an
// intermediate's.
func GivenChain(t *harness.Target) bool {
	return bytes.Count(t.Certs.Enrolled.Chain, []byte("-----BEGIN CERTIFICATE-----")) > 1
}

// Unlisted is why no new authority's client can be served: an ingress that looks for
// the list of what an authority has revoked finds none of a new one, and must refuse.
func Unlisted(t *harness.Target) string {
	if t.Profile.Revocation {
		return "the profile declares revocation, and a new authority has no revocation list at the ingress"
	}
	return ""
}

// Orphan is the same without its intermediate (CHN-017).
func Orphan() Recipe {
	c := ViaIntermediate()
	c.Name += " that is not sent"
	whole := c.Make
	c.Make = func(t *harness.Target) (tls.Certificate, error) {
		certificate, err := whole(t)
		if err == nil {
			certificate.Certificate = certificate.Certificate[:1]
		}
		return certificate, err
	}
	return c
}

// OutOfBounds are of intermediates whose name constraints the enrolled client
// does not meet (CHN-018).
func OutOfBounds() []Recipe {
	bound := func(name string, constrain func(elsewhere string, t *harness.Target, b *certs.Branch) error) Recipe {
		return branchedFor(name, func(t *harness.Target, b *certs.Branch) error {
			return constrain("elsewhere-"+token.Random(4)+".test", t, b)
		}, func(t *harness.Target, leaf *certs.Leaf) { leaf.Names = []string{bounded(t)} })
	}
	return []Recipe{
		bound("certificate outside its intermediate's DNS names", func(elsewhere string, _ *harness.Target, b *certs.Branch) error {
			b.Permitted = []string{elsewhere}
			return nil
		}),
		bound("certificate of a name its intermediate excludes", func(_ string, t *harness.Target, b *certs.Branch) error {
			b.Excluded = []string{bounded(t)}
			return nil
		}),
		bound("certificate outside its intermediate's directory", func(elsewhere string, _ *harness.Target, b *certs.Branch) error {
			extension, err := certs.PermittedName(elsewhere)
			b.Extensions = []pkix.Extension{extension}
			return err
		}),
	}
}

// bounded is a DNS name of the enrolled client's, which name constraints can be about:
// his own, or one beside it where that is a person's.
func bounded(t *harness.Target) string {
	if certs.IsDNSName(t.Certs.EnrolledCN) {
		return t.Certs.EnrolledCN
	}
	return "enrolled.conformance.test"
}

// UnknownExtensions have a critical extension that nobody knows, in the leaf
// and in its intermediate (CHN-019).
func UnknownExtensions() []Recipe {
	return []Recipe{
		Issued("certificate with an unknown critical extension", func(_ *harness.Target, leaf *certs.Leaf) {
			leaf.Extensions = []pkix.Extension{certs.Strange(8)}
		}),
		branched("certificate of an intermediate with an unknown critical extension", func(_ *harness.Target, b *certs.Branch) error {
			b.Extensions = []pkix.Extension{certs.Strange(8)}
			return nil
		}),
	}
}

// Corrupt is the enrolled certificate with one bit of the authority's signature
// flipped (CHN-020).
func Corrupt() Recipe {
	c := Enrolled()
	c.Name += " with one bit of its signature flipped"
	c.Make = func(t *harness.Target) (tls.Certificate, error) {
		pair, err := certs.ParsePair(t.Certs.Enrolled.Chain, []byte(t.Certs.Enrolled.Key.Reveal()))
		if err != nil {
			return tls.Certificate{}, err
		}
		spoilt, err := pair.Corrupt()
		if err != nil {
			return tls.Certificate{}, err
		}
		return spoilt.TLS(), nil
	}
	return c
}

// The three kinds of weak certificate (CHN-022).
const (
	MD5Signed  = "certificate signed of an MD5 digest"
	SHA1Signed = "certificate signed of a SHA-1 digest"
	ShortRSA   = "certificate of an RSA key of 1024 bits"
)

// RSA keys are slow to mint: they are the same in all of a process.
var (
	branchKey = sync.OnceValues(func() (crypto.Signer, error) { return certs.RSAKey(2048) })
	shortKey  = sync.OnceValues(func() (crypto.Signer, error) { return certs.RSAKey(1024) })
)

// Weak are certificates of weak cryptography; there is no ECDSA with MD5, so
// that one comes of an RSA intermediate.
func Weak() []Recipe {
	digest := func(name string, of crypto.Hash) Recipe {
		c := below(name, nil)
		c.Make = func(t *harness.Target) (tls.Certificate, error) {
			a, err := clientAuthority(t)
			if err != nil {
				return tls.Certificate{}, err
			}
			key, err := branchKey()
			if err != nil {
				return tls.Certificate{}, err
			}
			between, err := a.Branch(certs.Branch{CommonName: "Branch " + token.Random(4), Key: key})
			if err != nil {
				return tls.Certificate{}, err
			}
			return issue1(t, between, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Digest = of })
		}
		return c
	}
	short := Issued(ShortRSA, nil)
	short.Make = func(t *harness.Target) (tls.Certificate, error) {
		key, err := shortKey()
		if err != nil {
			return tls.Certificate{}, err
		}
		return Issued(ShortRSA, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Key = key }).Make(t)
	}
	return []Recipe{digest(MD5Signed, crypto.MD5), digest(SHA1Signed, crypto.SHA1), short}
}

// Public is of an authority that the ingress's system trusts (CHN-023).
func Public() Recipe {
	c := given("publicly trusted certificate", func(g harness.CertGrant) harness.CertPair { return g.Public })
	c.Needs = []harness.Capability{harness.PublicClient}
	return c
}

// Sibling is of another authority of the estate (CHN-027).
func Sibling() Recipe {
	c := given("certificate of a sibling authority", func(g harness.CertGrant) harness.CertPair { return g.Sibling })
	c.Needs = []harness.Capability{harness.SiblingClient}
	return c
}

// Revoked stands on the list of revoked certificates (CHN-029).
func Revoked() Recipe {
	c := given("revoked certificate of the enrolled name", func(g harness.CertGrant) harness.CertPair { return g.Revoked })
	c.Needs = []harness.Capability{harness.RevokedClient}
	return c
}

// Reused are certificates that were made for something else than a client
// (CHN-024).
func Reused() []Recipe {
	host := func(*harness.Target) string { return "server-" + token.Random(4) }
	itself := Recipe{Name: "the client authority's own certificate", Needs: []harness.Capability{harness.ClientCAKey},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			a, err := clientAuthority(t)
			if err != nil {
				return tls.Certificate{}, err
			}
			return a.Pair().TLS(), nil
		}}
	return []Recipe{
		Issued("server's certificate in the enrolled client's name", func(t *harness.Target, leaf *certs.Leaf) {
			leaf.Names, leaf.Usages = []string{host(t)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		Issued("server's certificate for serverAuth and clientAuth", func(t *harness.Target, leaf *certs.Leaf) {
			leaf.CommonName = host(t)
			leaf.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}),
		Issued("ingress's own name, without any usage", func(t *harness.Target, leaf *certs.Leaf) {
			leaf.CommonName = t.Faces[harness.MTLS].ServerName()
			leaf.Usages = []x509.ExtKeyUsage{}
		}),
		itself,
	}
}

// The places of the enrolled certificate in an unenrolled client's list
// (CHN-025).
const (
	ListedLast  = "unenrolled certificate, the enrolled one after it"
	ListedTwice = "unenrolled certificate twice, the enrolled one after them"
	ListedFirst = "unenrolled certificate, the enrolled one before it"
)

// Listed sends the enrolled certificate, which is public, in an unenrolled
// client's list.
func Listed() []Recipe {
	list := func(name string, order func(own, other []byte) [][]byte) Recipe {
		c := Unenrolled()
		c.Name = name
		c.Make = func(t *harness.Target) (tls.Certificate, error) {
			certificate, err := Unenrolled().Make(t)
			if err != nil {
				return certificate, err
			}
			other, _ := pem.Decode(t.Certs.Enrolled.Chain)
			certificate.Certificate = order(certificate.Certificate[0], other.Bytes)
			return certificate, nil
		}
		return c
	}
	return []Recipe{
		list(ListedLast, func(own, other []byte) [][]byte { return [][]byte{own, other} }),
		list(ListedTwice, func(own, other []byte) [][]byte { return [][]byte{own, own, other} }),
		list(ListedFirst, func(own, other []byte) [][]byte { return [][]byte{other, own} }),
	}
}

// Hostile are chains that are costly to check; nobody needs more than the
// trusted authority's name to make them (CHN-026).
func Hostile() []Recipe {
	crafted := func(name string, make func(t *harness.Target) (*certs.Authority, error), change func(*harness.Target, *certs.Leaf)) Recipe {
		return Foreign(name, make, change)
	}
	return []Recipe{
		crafted("chain of 100 certificates", func(*harness.Target) (*certs.Authority, error) {
			root, err := certs.NewAuthority("Depth " + token.Random(4))
			if err != nil {
				return nil, err
			}
			return root.Deep(99)
		}, nil),
		crafted("chain that is a circle", func(*harness.Target) (*certs.Authority, error) {
			return certs.CrossSigned("Circle "+token.Random(4), 4)
		}, nil),
		crafted("two thousand names under a thousand name constraints", func(*harness.Target) (*certs.Authority, error) {
			root, err := Stranger(nil)
			if err != nil {
				return nil, err
			}
			return root.Branch(certs.Branch{CommonName: "Names " + token.Random(4), Permitted: manyNames(500), Excluded: manyNames(500)})
		}, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Names = manyNames(2000) }),
		crafted("certificate of 64 kB", Stranger, func(_ *harness.Target, leaf *certs.Leaf) {
			leaf.Extensions = []pkix.Extension{certs.Strange(64 << 10)}
		}),
	}
}

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.%s.test", i, token.Random(2))
	}
	return names
}

// NotHolder is the enrolled certificate, which is public, with another key than
// its own (MTLS-006).
func NotHolder() Recipe {
	c := Enrolled()
	c.Name += " without its key"
	c.Make = func(t *harness.Target) (tls.Certificate, error) {
		certificate, err := Enrolled().Make(t)
		if err != nil {
			return certificate, err
		}
		other, err := certs.NewAuthority("Thief " + token.Random(4))
		if err != nil {
			return certificate, err
		}
		certificate.PrivateKey = other.Pair().Key
		return certificate, nil
	}
	return c
}

// UntrustedUnenrolled is Untrusted in the unenrolled client's name (MTLS-021).
func UntrustedUnenrolled() Recipe {
	return Foreign("unenrolled client's certificate of an untrusted authority", Stranger, func(t *harness.Target, leaf *certs.Leaf) {
		leaf.CommonName = t.Certs.UnenrolledCN
	})
}
