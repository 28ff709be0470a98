package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"testing"
)

func TestPairRoundTrips(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	between := must(root.Intermediate("Between"))(t)
	for _, a := range []*Authority{root, between} {
		pair := must(a.Issue(Leaf{CommonName: "aegis-client"}))(t)
		again := must(ParsePair(pair.ChainPEM(), must(pair.KeyPEM())(t)))(t)
		if !bytes.Equal(again.ChainPEM(), pair.ChainPEM()) || !pair.Key.(*ecdsa.PrivateKey).Equal(again.Key) {
			t.Errorf("%v: got another chain or key", pair)
		}
		if got, want := len(again.TLS().Certificate), 1+len(pair.Chain); got != want {
			t.Errorf("%v: got %d certificates to send, want %d", pair, got, want)
		}
		if err := verify(root, again, x509.ExtKeyUsageClientAuth); err != nil {
			t.Error(err)
		}
	}
}

func TestParsePairReadsEveryFormOfKey(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	rsaPair := must(authority.Issue(Leaf{CommonName: "c", Key: rsaKey}))(t)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	ecPair := must(authority.Issue(Leaf{CommonName: "c"}))(t)
	der := must(x509.MarshalECPrivateKey(ecPair.Key.(*ecdsa.PrivateKey)))(t)
	sec1 := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{5, 0}})
	for name, in := range map[string]struct{ chain, key []byte }{
		"PKCS #1":           {rsaPair.ChainPEM(), pkcs1},
		"SEC 1":             {ecPair.ChainPEM(), append(parameters, sec1...)},
		"both in one":       {append(sec1, ecPair.ChainPEM()...), append(ecPair.ChainPEM(), sec1...)},
		"text before block": {append([]byte("Certificate:\n  Data:\n"), ecPair.ChainPEM()...), sec1},
	} {
		if _, err := ParsePair(in.chain, in.key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePairRefuses(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	between := must(root.Intermediate("Between"))(t)
	pair := must(between.Issue(Leaf{CommonName: "aegis-client"}))(t)
	chain, key := pair.ChainPEM(), must(pair.KeyPEM())(t)
	other := must(must(root.Issue(Leaf{CommonName: "other"}))(t).KeyPEM())(t)
	reversed := append(certificatePEM(between.Pair().Certificate), certificatePEM(pair.Certificate)...)
	block := func(typ string, headers map[string]string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: typ, Headers: headers, Bytes: []byte("junk")})
	}
	for name, bad := range map[string]struct {
		chain, key []byte
		want       string
	}{
		"key of another":        {chain, other, `the key is not that of the certificate of "CN=aegis-client"`},
		"leaf not first":        {reversed, key, "the key is that of certificate 2 in the chain"},
		"no chain":              {nil, key, "reading a certificate chain: no PEM in it"},
		"no key":                {chain, nil, "reading a private key: no PEM in it"},
		"garbage chain":         {[]byte("garbage"), key, "reading a certificate chain: no PEM in it"},
		"garbage certificate":   {block("CERTIFICATE", nil), key, "reading a certificate chain: certificate 1: "},
		"garbage key":           {chain, block("PRIVATE KEY", nil), `reading a private key: block "PRIVATE KEY": `},
		"cut chain":             {chain[:len(chain)-40], key, "1 of 2 PEM blocks are cut off"},
		"cut key":               {chain, key[:len(key)-40], "1 of 1 PEM blocks are cut off"},
		"swapped":               {key, chain, "no certificate in it"},
		"chain for key":         {chain, chain, "no private key in it"},
		"encrypted PKCS #8":     {chain, block("ENCRYPTED PRIVATE KEY", nil), "it is encrypted: decrypt it first"},
		"encrypted, older form": {chain, block("EC PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}), "it is encrypted: decrypt it first"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePair(bad.chain, bad.key)
			wantError(t, err, bad.want)
		})
	}
}

func TestAuthorityRoundTrips(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	between := must(root.Intermediate("Between"))(t)
	deeper := must(between.Intermediate("Deeper"))(t)
	whole := append(deeper.Pair().ChainPEM(), root.RootPEM()...)
	for _, in := range []struct {
		name  string
		chain []byte
		of    *Authority
		sends int
	}{
		{"root", root.Pair().ChainPEM(), root, 0},
		{"intermediates with their root", whole, deeper, 2},
		{"intermediates without it", deeper.Pair().ChainPEM(), deeper, 2},
	} {
		again := must(ParseAuthority(in.chain, must(in.of.Pair().KeyPEM())(t)))(t)
		pair := must(again.Issue(Leaf{CommonName: "c"}))(t)
		if len(pair.Chain) != in.sends {
			t.Errorf("%s: got %d intermediates to send, want %d", in.name, len(pair.Chain), in.sends)
		}
		for _, trust := range []*Authority{root, again} {
			if err := verify(trust, pair, x509.ExtKeyUsageClientAuth); err != nil {
				t.Errorf("%s: %v", in.name, err)
			}
		}
		if got := again.Pair().ChainPEM(); !bytes.Equal(got, in.of.Pair().ChainPEM()) {
			t.Errorf("%s: got another chain of its own", in.name)
		}
	}
}

func TestParseAuthorityRefusesALeaf(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	leaf := must(root.Issue(Leaf{CommonName: "c"}))(t)
	_, err := ParseAuthority(leaf.ChainPEM(), must(leaf.KeyPEM())(t))
	wantError(t, err, "may not issue others")
}

func TestPairNeverPrintsItsKey(t *testing.T) {
	pair := must(must(NewAuthority("Test Authority"))(t).Issue(Leaf{CommonName: "aegis-client"}))(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got, want := fmt.Sprintf(verb, pair), `certificate of "CN=aegis-client"`; got != want {
			t.Errorf("%s: got %s, want %s", verb, got, want)
		}
	}
	if text := must(json.Marshal(pair))(t); bytes.Contains(text, []byte(`"Key":`)) {
		t.Error("got the key in JSON")
	}
}
