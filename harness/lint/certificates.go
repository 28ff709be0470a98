package lint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/pki"
)

// certificates are the rules of what a script such as generate_certs.sh leaves behind.
var certificates = []Rule{
	{
		ID: "LNT-070", Clauses: []string{"3.3", "4.6"}, Level: harness.MUST, Kind: Certificates,
		Source: "RFC 5280 section 6.1.3 (a)(2)",
		Says:   "Every certificate is valid today.",
		Remedy: "issue it anew",
		Check: func(t *Tree) []Hit {
			return each(t.Certificates, func(c pki.Certificate) []Hit {
				switch now := t.now(); {
				case now.After(c.NotAfter):
					return []Hit{{At: c.At, Got: fmt.Sprintf("%s ended on %s", subject(c), day(c.NotAfter)), Want: "a certificate that is valid today"}}
				case now.Before(c.NotBefore):
					return []Hit{{At: c.At, Got: fmt.Sprintf("%s begins on %s", subject(c), day(c.NotBefore)), Want: "a certificate that is valid today"}}
				}
				return nil
			})
		},
	},
	{
		ID: "LNT-071", Clauses: []string{"6.2", "6.6"}, Level: harness.SHOULD, Kind: Certificates,
		Source: "the runbook: short-lived certificates, issued anew by machines",
		Says:   "A client's certificate lives 90 days at most.",
		Remedy: "issue clients' certificates by Vault PKI, for days and not for years",
		Check: func(t *Tree) []Hit {
			return each(t.Certificates, func(c pki.Certificate) []Hit {
				lives := c.NotAfter.Sub(c.NotBefore)
				if c.Purpose() != pki.Client || lives <= shortLived {
					return nil
				}
				return []Hit{{At: c.At, Got: fmt.Sprintf("%s lives %d days", subject(c), int(lives.Hours()/24)), Want: "90 days at most"}}
			})
		},
	},
	{
		ID: "LNT-072", Clauses: []string{"3.3"}, Level: harness.MUST, Kind: Certificates,
		Source: "LAB-1: RSA-1024 and SHA-1 are refused by some ingresses, and believed by others",
		Says:   "Keys and signatures are of today: RSA of 2048 bits or more, P-256 or more, Ed25519, and SHA-256 or more.",
		Remedy: "make a new key and certificate: openssl req -newkey rsa:3072 -sha256, or P-256",
		Check: func(t *Tree) []Hit {
			return each(t.Certificates, func(c pki.Certificate) []Hit {
				if weak := weakness(c); weak != "" {
					return []Hit{{At: c.At, Got: subject(c) + ": " + weak, Want: "RSA-2048, P-256 or Ed25519, signed with SHA-256"}}
				}
				return nil
			})
		},
	},
	{
		ID: "LNT-073", Clauses: []string{"3.3", "4.6"}, Level: harness.MUST, Kind: Certificates,
		Source: "LAB-1, B24: a server's certificate that is taken for a client's; RFC 5280 section 4.2.1.12",
		Says:   "A leaf says what it is for: clientAuth of a client's, serverAuth of a server's.",
		Remedy: "issue it with extendedKeyUsage=clientAuth, or serverAuth",
		Check: func(t *Tree) []Hit {
			return each(t.Certificates, func(c pki.Certificate) []Hit {
				usage := map[pki.Purpose]x509.ExtKeyUsage{pki.Client: x509.ExtKeyUsageClientAuth, pki.Server: x509.ExtKeyUsageServerAuth}
				wants, known := usage[c.Purpose()]
				if c.Purpose() == pki.Authority || known && c.Uses(wants) || !known && (c.Uses(usage[pki.Client]) || c.Uses(usage[pki.Server])) {
					return nil
				}
				return []Hit{{At: c.At, Got: fmt.Sprintf("%s, a %s's, has the usages %s", subject(c), c.Purpose(), usages(c)),
					Want: map[pki.Purpose]string{pki.Client: "clientAuth", pki.Server: "serverAuth", pki.Leaf: "clientAuth or serverAuth"}[c.Purpose()]}}
			})
		},
	},
	{
		ID: "LNT-074", Clauses: []string{"3.3"}, Level: harness.MUST, Kind: Certificates,
		Source: "LAB-1: a leaf that signs, an authority that is shown as a client",
		Says:   "An authority is one by its certificate, and nobody else is.",
		Remedy: "issue the CA with basicConstraints=critical,CA:TRUE, and leaves with CA:FALSE",
		Check: func(t *Tree) []Hit {
			return each(t.Certificates, func(c pki.Certificate) []Hit {
				authority := c.Purpose() == pki.Authority
				if authority == c.IsCA {
					return nil
				}
				got := subject(c) + ", an authority's, is not CA:TRUE"
				if c.IsCA {
					got = fmt.Sprintf("%s, a %s's, is CA:TRUE", subject(c), c.Purpose())
				}
				return []Hit{{At: c.At, Got: got, Want: "CA:TRUE of authorities alone"}}
			})
		},
	},
	{
		ID: "LNT-075", Clauses: []string{"3.2"}, Level: harness.MUST, Kind: Certificates,
		Source: "C15; RFC 9525 section 2: a name is in the subjectAltName, and nowhere else",
		Says:   "A server's certificate names its hosts as subject alternative names.",
		Remedy: "issue it with subjectAltName=DNS:the host's name",
		Check: func(t *Tree) []Hit {
			return each(t.Certificates, func(c pki.Certificate) []Hit {
				if c.Purpose() != pki.Server || c.IsCA || len(c.DNSNames)+len(c.IPAddresses)+len(c.URIs) > 0 {
					return nil
				}
				return []Hit{{At: c.At, Got: subject(c) + " has no subject alternative name", Want: "DNS names or addresses"}}
			})
		},
	},
	{
		ID: "LNT-076", Clauses: []string{"G.1"}, Level: harness.MUST, Kind: Certificates,
		Source: "openssl writes keys with 0600, a copy of them has the umask's 0644",
		Says:   "A private key is its owner's alone to read.",
		Remedy: "chmod 600; and commit no key: what was committed is to be issued anew",
		Check:  openKeys,
	},
	{
		ID: "LNT-077", Clauses: []string{"3.2", "4.6"}, Level: harness.MUST, Kind: Certificates,
		Source: "C8: key and certificate of two runs of a script",
		Says:   "Key and certificate of one name belong together.",
		Remedy: "make both in one run, or put the key that belongs to it beside the certificate",
		Check: func(t *Tree) []Hit {
			return each(t.Keys, func(k pki.Key) []Hit {
				var beside []pki.Certificate
				for _, c := range t.Certificates {
					if c.Stem == k.Stem && filepath.Dir(c.At.File) == filepath.Dir(k.At.File) {
						beside = append(beside, c)
					}
				}
				belongs := slices.ContainsFunc(beside, func(c pki.Certificate) bool { return same(c.PublicKey, k.Public) })
				if k.Public == nil || len(beside) == 0 || belongs {
					return nil
				}
				return []Hit{{At: k.At, Got: "a key that is not that of " + subject(beside[0]), Want: "its key"}}
			})
		},
	},
	{
		ID: "LNT-078", Clauses: []string{"3.3", "4.6"}, Level: harness.MUST, Kind: Certificates,
		Source: "a CA that was made anew, and leaves that were not",
		Says:   "Leaves beside an authority were issued by it.",
		Remedy: "issue the leaves anew with the authority that the ingress is given",
		Check:  unissued,
	},
}

// shortLived is how long a client's certificate may live.
const shortLived = 90 * 24 * time.Hour

// now is when certificates must be valid.
func (t *Tree) now() time.Time {
	if t.options.Now.IsZero() {
		return time.Now()
	}
	return t.options.Now
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func subject(c pki.Certificate) string { return fmt.Sprintf("%q", c.Subject.String()) }

// usages are a certificate's extended key usages, as a text.
func usages(c pki.Certificate) string {
	names := map[x509.ExtKeyUsage]string{x509.ExtKeyUsageAny: "any", x509.ExtKeyUsageClientAuth: "clientAuth",
		x509.ExtKeyUsageServerAuth: "serverAuth", x509.ExtKeyUsageEmailProtection: "emailProtection", x509.ExtKeyUsageCodeSigning: "codeSigning"}
	text := ""
	for _, u := range c.ExtKeyUsage {
		if text != "" {
			text += ", "
		}
		if name, known := names[u]; known {
			text += name
		} else {
			text += fmt.Sprint(u)
		}
	}
	if text == "" {
		return "none"
	}
	return text
}

// weakness says what is weak; "" where nothing is. A root's signature is believed by
// nobody, and may be anything.
func weakness(c pki.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Sprintf("a key of RSA-%d", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return "a key of " + k.Curve.Params().Name
		}
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, x509.DSAWithSHA256:
		if slices.Equal(c.RawIssuer, c.RawSubject) {
			return ""
		}
		return "signed with " + c.SignatureAlgorithm.String()
	}
	return ""
}

// same says whether two public keys are one.
func same(a, b crypto.PublicKey) bool {
	one, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && b != nil && one.Equal(b)
}

// openKeys finds keys that others may read.
func openKeys(t *Tree) []Hit {
	if runtime.GOOS == "windows" { // its permissions are no bits
		return nil
	}
	return each(t.Keys, func(k pki.Key) []Hit {
		info, err := os.Stat(k.At.File)
		if err != nil || info.Mode().Perm()&0o077 == 0 {
			return nil
		}
		return []Hit{{At: k.At, Got: fmt.Sprintf("a private key with mode %04o", info.Mode().Perm()), Want: "0600"}}
	})
}

// unissued finds leaves that no authority beside them has issued.
func unissued(t *Tree) []Hit {
	return each(t.Certificates, func(c pki.Certificate) []Hit {
		if c.Purpose() == pki.Authority {
			return nil
		}
		var beside []pki.Certificate
		for _, a := range t.Certificates {
			if a.Purpose() == pki.Authority && filepath.Dir(a.At.File) == filepath.Dir(c.At.File) {
				beside = append(beside, a)
			}
		}
		issued := slices.ContainsFunc(beside, func(a pki.Certificate) bool {
			err := a.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
			_, insecure := err.(x509.InsecureAlgorithmError)
			return slices.Equal(a.RawSubject, c.RawIssuer) && (err == nil || insecure)
		})
		if len(beside) == 0 || issued {
			return nil
		}
		return []Hit{{At: c.At, Got: fmt.Sprintf("%s, which %q issued", subject(c), c.Issuer.String()), Want: "a leaf of " + subject(beside[0])}}
	})
}
