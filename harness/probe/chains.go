package probe

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/url"
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
func below(name string, branch func(*certs.Authority) (*certs.Authority, error)) Certificate {
	return Certificate{Name: name, Needs: []harness.Capability{harness.ClientCAKey},
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
func branched(name string, change func(*harness.Target, *certs.Branch) error) Certificate {
	return branchedFor(name, change, nil)
}

// branchedFor is branched with one change to the leaf too.
func branchedFor(name string, change func(*harness.Target, *certs.Branch) error, leaf func(*harness.Target, *certs.Leaf)) Certificate {
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

func usages(name string, of ...x509.ExtKeyUsage) Certificate {
	return Issued(name, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Usages = append([]x509.ExtKeyUsage{}, of...) })
}

// UnrelatedUsages are for mail, and for code (CHN-007).
func UnrelatedUsages() []Certificate {
	return []Certificate{
		usages("certificate for emailProtection only", x509.ExtKeyUsageEmailProtection),
		usages("certificate for codeSigning only", x509.ExtKeyUsageCodeSigning),
	}
}

// NoUsage has no extended key usage at all (CHN-008).
func NoUsage() Certificate { return usages("certificate without an extended key usage") }

// AnyUsage has anyExtendedKeyUsage only (CHN-009).
func AnyUsage() Certificate {
	return usages("certificate for anyExtendedKeyUsage only", x509.ExtKeyUsageAny)
}

// Version1 is of X.509 version 1 (CHN-010).
func Version1() Certificate {
	return Issued("certificate of X.509 version 1", func(_ *harness.Target, leaf *certs.Leaf) { leaf.Version1 = true })
}

// Usurped is signed by the enrolled client's own certificate (CHN-011).
func Usurped() Certificate {
	return Foreign("certificate signed by a client's certificate", func(t *harness.Target) (*certs.Authority, error) {
		holder, err := certs.ParsePair(t.Certs.Enrolled.Chain, []byte(t.Certs.Enrolled.Key.Reveal()))
		return certs.Usurper(holder), err
	}, nil)
}

// NoAuthorities are intermediates that are not marked as authorities (CHN-012).
func NoAuthorities() []Certificate {
	return []Certificate{
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
func Powerless() Certificate {
	return branched("certificate of an intermediate without keyCertSign", func(_ *harness.Target, b *certs.Branch) error {
		b.Powerless = true
		return nil
	})
}

// TooDeep stands below an authority that may have none below it (CHN-014).
func TooDeep() Certificate {
	return below("certificate below a pathLenConstraint of 0", func(a *certs.Authority) (*certs.Authority, error) {
		last, err := a.Branch(certs.Branch{CommonName: "Last " + token.Random(4), Last: true})
		if err != nil {
			return nil, err
		}
		return last.Intermediate("Below " + token.Random(4))
	})
}

// ExpiredBranch is of an intermediate that expired an hour ago (CHN-015).
func ExpiredBranch() Certificate {
	return branched("certificate of an expired intermediate", func(_ *harness.Target, b *certs.Branch) error {
		b.NotBefore, b.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(-time.Hour)
		return nil
	})
}

// ViaIntermediate is sound, with its intermediate sent (CHN-016): a new one's.
func ViaIntermediate() Certificate {
	return branched("certificate of an intermediate", func(*harness.Target, *certs.Branch) error { return nil })
}

// givenChain reports whether the enrolled client's certificate was given with an
// intermediate's.
func givenChain(t *harness.Target) bool {
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

// ByIntermediate presents a certificate of an intermediate: the enrolled client's where
// that was given with one, and a new intermediate's otherwise.
func ByIntermediate() harness.Stimulus {
	c := ViaIntermediate()
	branch := c.Make
	c.Make = func(t *harness.Target) (tls.Certificate, error) {
		if givenChain(t) {
			return Enrolled().Make(t)
		}
		return branch(t)
	}
	s := Presenting(c).Accepted().Build()
	unsuited := s.Unsuited
	s.NeedsOn = func(t *harness.Target) []harness.Capability { // the authority's key, where no chain was given
		if givenChain(t) {
			return Enrolled().Needs
		}
		return c.Needs
	}
	s.Unsuited = func(t *harness.Target) string {
		if givenChain(t) {
			return unsuited(t)
		}
		return cmp.Or(unsuited(t), Unlisted(t))
	}
	return s
}

// Orphan is the same without its intermediate (CHN-017).
func Orphan() Certificate {
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
func OutOfBounds() []Certificate {
	bound := func(name string, constrain func(elsewhere string, t *harness.Target, b *certs.Branch) error) Certificate {
		return branchedFor(name, func(t *harness.Target, b *certs.Branch) error {
			return constrain("elsewhere-"+token.Random(4)+".test", t, b)
		}, func(t *harness.Target, leaf *certs.Leaf) { leaf.Names = []string{bounded(t)} })
	}
	return []Certificate{
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
func UnknownExtensions() []Certificate {
	return []Certificate{
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
func Corrupt() Certificate {
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
func Weak() []Certificate {
	digest := func(name string, of crypto.Hash) Certificate {
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
	return []Certificate{digest(MD5Signed, crypto.MD5), digest(SHA1Signed, crypto.SHA1), short}
}

// Public is of an authority that the ingress's system trusts (CHN-023).
func Public() Certificate {
	c := given("publicly trusted certificate", func(g harness.CertGrant) harness.CertPair { return g.Public })
	c.Needs = []harness.Capability{harness.PublicClient}
	return c
}

// Sibling is of another authority of the estate (CHN-027).
func Sibling() Certificate {
	c := given("certificate of a sibling authority", func(g harness.CertGrant) harness.CertPair { return g.Sibling })
	c.Needs = []harness.Capability{harness.SiblingClient}
	return c
}

// Reused are certificates that were made for something else than a client
// (CHN-024).
func Reused() []Certificate {
	host := func(*harness.Target) string { return "server-" + token.Random(4) }
	itself := Certificate{Name: "the client authority's own certificate", Needs: []harness.Capability{harness.ClientCAKey},
		Make: func(t *harness.Target) (tls.Certificate, error) {
			a, err := clientAuthority(t)
			if err != nil {
				return tls.Certificate{}, err
			}
			return a.Pair().TLS(), nil
		}}
	return []Certificate{
		Issued("server's certificate in the enrolled client's name", func(t *harness.Target, leaf *certs.Leaf) {
			leaf.Names, leaf.Usages = []string{host(t)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		Issued("server's certificate for serverAuth and clientAuth", func(t *harness.Target, leaf *certs.Leaf) {
			leaf.CommonName = host(t)
			leaf.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}),
		Issued("ingress's own name, without any usage", func(t *harness.Target, leaf *certs.Leaf) {
			if u, err := url.Parse(t.Faces[harness.MTLS].URL); err == nil {
				leaf.CommonName = ServerName(t.Faces[harness.MTLS], u)
			}
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
func Listed() []Certificate {
	list := func(name string, order func(own, other []byte) [][]byte) Certificate {
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
	return []Certificate{
		list(ListedLast, func(own, other []byte) [][]byte { return [][]byte{own, other} }),
		list(ListedTwice, func(own, other []byte) [][]byte { return [][]byte{own, own, other} }),
		list(ListedFirst, func(own, other []byte) [][]byte { return [][]byte{other, own} }),
	}
}

// Hostile are chains that are costly to check; nobody needs more than the
// trusted authority's name to make them (CHN-026).
func Hostile() []Certificate {
	crafted := func(name string, make func(t *harness.Target) (*certs.Authority, error), change func(*harness.Target, *certs.Leaf)) Certificate {
		return Foreign(name, make, change)
	}
	return []Certificate{
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
			root, err := stranger(nil)
			if err != nil {
				return nil, err
			}
			return root.Branch(certs.Branch{CommonName: "Names " + token.Random(4), Permitted: manyNames(500), Excluded: manyNames(500)})
		}, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Names = manyNames(2000) }),
		crafted("certificate of 64 kB", stranger, func(_ *harness.Target, leaf *certs.Leaf) {
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
func NotHolder() Certificate {
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

// Lifetimes reads how long the certificates that clients were given live.
func Lifetimes() harness.Stimulus {
	return harness.Stimulus{
		Words: "read the lifetime of the certificates that clients were given",
		Needs: []harness.Capability{harness.GivenClientCerts}, Effect: harness.ReadOnly, Modes: MTLSOnly,
		OwnControl: true, // nothing is refused
		Act:        lifetimes,
	}
}

func lifetimes(_ context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	for _, c := range []Certificate{Enrolled(), Unenrolled()} {
		certificate, err := c.Make(hands.Target())
		if err != nil {
			return trace, fmt.Errorf("taking the %s: %w", c.Name, err)
		}
		life := certificate.Leaf.NotAfter.Sub(certificate.Leaf.NotBefore)
		trace.Facts = append(trace.Facts, harness.Fact{Name: c.Name, Values: []string{life.String()}})
	}
	return trace, nil
}

// UntrustedUnenrolled is Untrusted in the unenrolled client's name (MTLS-021).
func UntrustedUnenrolled() Certificate {
	return Foreign("unenrolled client's certificate of an untrusted authority", stranger, func(t *harness.Target, leaf *certs.Leaf) {
		leaf.CommonName = t.Certs.UnenrolledCN
	})
}
