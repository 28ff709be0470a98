// Package pki reads certificates and private keys, as a script that makes them leaves
// them in a folder: PEM or DER.
package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"aegis.test/conformance/harness/lint/place"
)

// Certificate is one certificate, and where it stands.
type Certificate struct {
	*x509.Certificate
	At   place.Place
	Stem string // of its file's name: client of client.crt
}

// Key is one private key, and where it stands.
type Key struct {
	At     place.Place
	Stem   string
	Public crypto.PublicKey // nil where the key is encrypted
}

// File is what one file holds.
type File struct {
	Certificates []Certificate
	Keys         []Key
	Others       int // blocks that are neither: requests, lists of what was revoked, public keys
}

// begin is where a block of PEM begins.
var begin = regexp.MustCompile(`(?m)^-----BEGIN ([^-]+)-----`)

// Is says whether a text holds PEM.
func Is(text []byte) bool { return begin.Match(text) }

// Read reads every block of a file; one that cannot be read is an error, whatever stands
// beside it.
func Read(file string, text []byte) (*File, error) {
	f := &File{}
	stem := stem(file)
	if !Is(text) {
		c, err := x509.ParseCertificate(text)
		if err != nil {
			return nil, place.Errorf(place.Place{File: file}, "it holds neither PEM nor a certificate in DER: %v", err)
		}
		f.Certificates = []Certificate{{c, place.Place{File: file, Line: 1, Column: 1}, stem}}
		return f, nil
	}
	found := begin.FindAllIndex(text, -1)
	line, counted := 1, 0
	for i, where := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		line += bytes.Count(text[counted:where[0]], []byte("\n"))
		counted = where[0]
		at := place.Place{File: file, Line: line, Column: 1}
		block, _ := pem.Decode(text[where[0]:end])
		if block == nil {
			return nil, place.Errorf(at, "a block of PEM is garbled, or is not ended")
		}
		if err := f.block(block, at, stem); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// stem is a file's name, as far as certificate and key share it: client of
// client-key.pem, client.crt and client_cert.pem.
func stem(file string) string {
	name := strings.ToLower(filepath.Base(file))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	for _, end := range []string{"key", "cert", "crt", "certificate", "chain", "fullchain"} {
		for _, sign := range []string{"-", "_", "."} {
			name = strings.TrimSuffix(name, sign+end)
		}
	}
	return name
}

func (f *File) block(b *pem.Block, at place.Place, stem string) error {
	switch {
	case b.Type == "CERTIFICATE" || b.Type == "TRUSTED CERTIFICATE" || b.Type == "X509 CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return place.Errorf(at, "it is no certificate: %v", err)
		}
		f.Certificates = append(f.Certificates, Certificate{c, at, stem})
	case strings.HasSuffix(b.Type, "PRIVATE KEY"):
		k := Key{At: at, Stem: stem}
		if b.Type != "ENCRYPTED PRIVATE KEY" && !strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") && b.Type != "OPENSSH PRIVATE KEY" {
			public, err := publicOf(b.Bytes)
			if err != nil {
				return place.Errorf(at, "it is no private key: %v", err)
			}
			k.Public = public
		}
		f.Keys = append(f.Keys, k)
	default:
		f.Others++
	}
	return nil
}

// publicOf is a private key's public half: of PKCS #8, PKCS #1 or SEC 1.
func publicOf(der []byte) (crypto.PublicKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if rsa, other := x509.ParsePKCS1PrivateKey(der); other == nil {
			return rsa.Public(), nil
		}
		if ec, other := x509.ParseECPrivateKey(der); other == nil {
			return ec.Public(), nil
		}
		return nil, fmt.Errorf("it is in none of the forms PKCS #8, PKCS #1 and SEC 1")
	}
	if signer, ok := key.(crypto.Signer); ok {
		return signer.Public(), nil
	}
	return nil, nil
}

// Purpose is what a certificate is for.
type Purpose string

// Purposes.
const (
	Authority Purpose = "authority"
	Server    Purpose = "server"
	Client    Purpose = "client"
	Leaf      Purpose = "leaf" // of one of the two: neither its name nor its usages say which
)

// Purpose is what a certificate is for: by its file's name, otherwise by what it says.
func (c Certificate) Purpose() Purpose {
	parts := strings.FieldsFunc(c.Stem, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for i, part := range parts {
		switch part {
		case "ca", "root", "intermediate", "rootca", "cacert":
			return Authority
		case "client", "clients":
			if i+1 < len(parts) && parts[i+1] == "ca" {
				return Authority
			}
			return Client
		case "server", "tls", "ingress":
			return Server
		}
	}
	switch {
	case c.IsCA || c.Version == 1 && bytes.Equal(c.RawIssuer, c.RawSubject):
		return Authority
	case c.Uses(x509.ExtKeyUsageClientAuth) && !c.Uses(x509.ExtKeyUsageServerAuth):
		return Client
	case c.Uses(x509.ExtKeyUsageServerAuth) && !c.Uses(x509.ExtKeyUsageClientAuth):
		return Server
	default:
		return Leaf
	}
}

// Uses says whether the certificate names an extended key usage.
func (c Certificate) Uses(usage x509.ExtKeyUsage) bool {
	for _, u := range c.ExtKeyUsage {
		if u == usage {
			return true
		}
	}
	return false
}
