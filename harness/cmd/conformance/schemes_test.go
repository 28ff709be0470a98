package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
)

// served is a server with a certificate, by its address, and what it trusts itself by.
func served(t *testing.T, certificate *tls.Certificate) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if certificate == nil {
		s.Start()
	} else {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// nameless is a certificate of 127.0.0.1 by its common name alone.
func nameless(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key := try(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der := try(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestTheDoctorNamesTheRemedy: of a scheme that does not fit the port, and of a
// server's certificate, by what is wrong with it.
func TestTheDoctorNamesTheRemedy(t *testing.T) {
	authority := try(certs.NewAuthority("Servers"))
	pair, other := try(authority.Server("127.0.0.1")), try(authority.Server("elsewhere.test"))
	of := func(p certs.Pair) *tls.Certificate {
		c := try(tls.X509KeyPair(p.ChainPEM(), try(p.KeyPEM())))
		return &c
	}
	bare, bareRoot := nameless(t)
	for name, c := range map[string]struct {
		url   string
		roots []byte
		says  string
	}{
		"http at TLS":    {"http://" + served(t, of(pair)), nil, "https://"},
		"https at plain": {"https://" + served(t, nil), nil, "plain HTTP is spoken"},
		"sound":          {"https://" + served(t, of(pair)), authority.RootPEM(), "verifies"},
		"no SAN":         {"https://" + served(t, &bare), bareRoot, "subject alternative name"},
		"another's name": {"https://" + served(t, of(other)), authority.RootPEM(), "target.sni"},
		"unknown root":   {"https://" + served(t, of(pair)), bareRoot, "target.ca_bundle"},
	} {
		var said strings.Builder
		examineFace(t.Context(), "oidc", harness.Face{URL: c.url, RootCAs: c.roots}, func(a ailment) { said.WriteString(a.String() + "\n") })
		if !strings.Contains(said.String(), c.says) {
			t.Errorf("%s: want %q\n%s", name, c.says, said.String())
		}
	}
}

// TestAMisspokenURLIsNoEOF: a run against it ends at once, and says why.
func TestAMisspokenURLIsNoEOF(t *testing.T) {
	authority := try(certs.NewAuthority("Servers"))
	pair := try(authority.Server("127.0.0.1"))
	certificate := try(tls.X509KeyPair(pair.ChainPEM(), try(pair.KeyPEM())))
	for url, want := range map[string]string{"http://" + served(t, &certificate): "https://", "http://" + served(t, nil): "", "https://" + served(t, &certificate): "", "http://127.0.0.1:1": ""} {
		err := misspoken(context.Background(), &harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {URL: url}}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
