package certs

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"
	"time"
)

// soundBranch pins what would otherwise differ between two intermediates.
func soundBranch(t *testing.T) Branch {
	t.Helper()
	return Branch{
		CommonName: "Test Branch", Key: must(newKey())(t),
		NotBefore: time.Now().Add(-Backdate), NotAfter: time.Now().Add(AuthorityLifetime),
	}
}

// leafBelow issues a sound leaf through a branch.
func leafBelow(t *testing.T, root *Authority, b Branch) Pair {
	t.Helper()
	branch := must(root.Branch(b))(t)
	return must(branch.Issue(Leaf{CommonName: "aegis-client"}))(t)
}

func TestBranchDefectIsOneFieldFromSound(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	sound := soundBranch(t)
	if err := verify(root, leafBelow(t, root, sound), x509.ExtKeyUsageClientAuth); err != nil {
		t.Fatalf("sound branch: %v", err)
	}
	reference := must(root.Branch(sound))(t).pair.Certificate
	for name, c := range map[string]struct {
		spoil func(*Branch)
		want  []string
	}{
		"expired":          {func(b *Branch) { b.NotAfter = time.Now().Add(-time.Minute) }, []string{"notAfter"}},
		"unconstrained":    {func(b *Branch) { b.Unconstrained = true }, []string{"basicConstraints", "extensions"}},
		"powerless":        {func(b *Branch) { b.Powerless = true }, []string{"keyUsage"}},
		"other names only": {func(b *Branch) { b.Permitted = []string{"elsewhere.test"} }, []string{"extensions"}},
		"this name not":    {func(b *Branch) { b.Excluded = []string{"aegis-client"} }, []string{"extensions"}},
		"unknown extension": {func(b *Branch) { b.Extensions = []pkix.Extension{Strange(4)} },
			[]string{"extensions"}},
		"other directory only": {func(b *Branch) { b.Extensions = []pkix.Extension{must(PermittedName("elsewhere"))(t)} },
			[]string{"extensions"}},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := sound
			c.spoil(&spoilt)
			got := must(root.Branch(spoilt))(t).pair.Certificate
			apart := slices.DeleteFunc(differing(reference, got, root.pair.Certificate), func(f string) bool { return f == "serialNumber" })
			if !slices.Equal(apart, c.want) {
				t.Errorf("got fields %q apart, want %q", apart, c.want)
			}
			if err := verify(root, leafBelow(t, root, spoilt), x509.ExtKeyUsageClientAuth); err == nil {
				t.Error("a sound verifier accepts a leaf below it")
			}
		})
	}
}

func TestVersion1HasNoExtensionAndVerifiesAsALeafOnly(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	leaf := must(root.Issue(Leaf{CommonName: "aegis-client", Version1: true}))(t)
	if c := leaf.Certificate; c.Version != 1 || len(c.Extensions) != 0 {
		t.Errorf("got version %d with %d extensions, want 1 with none", c.Version, len(c.Extensions))
	}
	if err := verify(root, leaf, x509.ExtKeyUsageClientAuth); err != nil {
		t.Errorf("leaf: %v", err)
	}
	branch := soundBranch(t)
	branch.Version1 = true
	if verify(root, leafBelow(t, root, branch), x509.ExtKeyUsageClientAuth) == nil {
		t.Error("a sound verifier accepts an intermediate of version 1")
	}
}

func TestPathOfLastAuthorityEnds(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	for _, last := range []bool{false, true} {
		branch := soundBranch(t)
		branch.Last = last
		below := must(must(root.Branch(branch))(t).Intermediate("Below"))(t)
		err := verify(root, must(below.Issue(Leaf{CommonName: "aegis-client"}))(t), x509.ExtKeyUsageClientAuth)
		if (err != nil) != last {
			t.Errorf("last %t: got %v", last, err)
		}
	}
}

func TestWeakSignatureIsAsAsked(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	branch := soundBranch(t)
	branch.Key = must(RSAKey(2048))(t)
	old := must(root.Branch(branch))(t)
	for _, c := range []struct {
		by     *Authority
		digest crypto.Hash
		want   x509.SignatureAlgorithm
	}{
		{old, crypto.MD5, x509.MD5WithRSA}, {old, crypto.SHA1, x509.SHA1WithRSA},
		{old, crypto.SHA256, x509.SHA256WithRSA}, {root, crypto.SHA1, x509.ECDSAWithSHA1},
	} {
		leaf := must(c.by.Issue(Leaf{CommonName: "aegis-client", Digest: c.digest}))(t)
		if got := leaf.Certificate.SignatureAlgorithm; got != c.want {
			t.Errorf("got %v, want %v", got, c.want)
		}
		if err := verify(root, leaf, x509.ExtKeyUsageClientAuth); (err == nil) != (c.digest == crypto.SHA256) {
			t.Errorf("%v: got %v from a sound verifier", c.want, err)
		}
	}
	if _, err := root.Issue(Leaf{CommonName: "aegis-client", Digest: crypto.MD5}); err == nil || !strings.Contains(err.Error(), "no signature algorithm") {
		t.Errorf("MD5 with ECDSA: got %v", err)
	}
}

func TestRSAKeyIsAsLongAsAsked(t *testing.T) {
	if got := must(RSAKey(1024))(t).Public().(*rsa.PublicKey).Size() * 8; got != 1024 {
		t.Errorf("got %d bits", got)
	}
	if _, err := RSAKey(512); err == nil {
		t.Error("512 bits: got a key, want an error")
	}
}

func TestUsurpersAndCrossSignedAreNotBelieved(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	holder := must(root.Issue(Leaf{CommonName: "aegis-client"}))(t)
	stolen := must(Usurper(holder).Issue(Leaf{CommonName: "aegis-client"}))(t)
	if len(stolen.Chain) != 1 || verify(root, stolen, x509.ExtKeyUsageClientAuth) == nil {
		t.Errorf("usurper: got %d certificates in the chain, verified: %v", len(stolen.Chain), verify(root, stolen, x509.ExtKeyUsageClientAuth))
	}
	turning := must(must(CrossSigned("Turning", 2))(t).Issue(Leaf{CommonName: "aegis-client"}))(t)
	if len(turning.Chain) != 4 || verify(root, turning, x509.ExtKeyUsageClientAuth) == nil {
		t.Errorf("cycle: got %d certificates in the chain, verified: %v", len(turning.Chain), verify(root, turning, x509.ExtKeyUsageClientAuth))
	}
	deep := must(must(root.Deep(3))(t).Issue(Leaf{CommonName: "aegis-client"}))(t)
	if len(deep.Chain) != 3 || verify(root, deep, x509.ExtKeyUsageClientAuth) != nil {
		t.Errorf("deep: got %d certificates in the chain: %v", len(deep.Chain), verify(root, deep, x509.ExtKeyUsageClientAuth))
	}
}

func TestCorruptPairDoesNotVerify(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	sound := must(root.Issue(Leaf{CommonName: "aegis-client"}))(t)
	spoilt := must(sound.Corrupt())(t)
	if verify(root, sound, x509.ExtKeyUsageClientAuth) != nil || verify(root, spoilt, x509.ExtKeyUsageClientAuth) == nil {
		t.Error("want the sound one to verify and the corrupt one not to")
	}
}
