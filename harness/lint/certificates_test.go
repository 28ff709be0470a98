package lint_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness/lint"
)

// made is what a script leaves in a folder.
type made struct {
	authority      *certs.Authority
	server, client certs.Pair
	mode           os.FileMode // of the client's key
	key            []byte      // PEM, in the place of the client's own; nil leaves that
	ca             []byte      // PEM
}

func check[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// script makes a folder of an authority, a server and a client, as generate_certs.sh
// names them, after one thing was changed.
func script(t *testing.T, change func(*made, *certs.Leaf)) string {
	t.Helper()
	m := made{authority: check[*certs.Authority](t)(certs.NewAuthority("Aegis Test CA")), mode: 0o600}
	m.ca = m.authority.RootPEM()
	m.server = check[certs.Pair](t)(m.authority.Server("aegis.example.com"))
	leaf := certs.Leaf{CommonName: "aegis-client"}
	change(&m, &leaf)
	m.client = check[certs.Pair](t)(m.authority.Issue(leaf))
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.crt"), string(m.ca))
	for name, pair := range map[string]certs.Pair{"server": m.server, "client": m.client} {
		write(t, filepath.Join(dir, name+".crt"), string(pair.ChainPEM()))
		write(t, filepath.Join(dir, name+".key"), string(check[[]byte](t)(pair.KeyPEM())))
	}
	if m.key != nil {
		write(t, filepath.Join(dir, "client.key"), string(m.key))
	}
	if err := os.Chmod(filepath.Join(dir, "client.key"), m.mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func weakKey(t *testing.T) crypto.Signer {
	t.Setenv("GODEBUG", "rsa1024min=0")
	return check[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
}

// certificateChanges are one thing each that a script does wrong, and the rule that finds
// it; none finds anything of a sound one.
var certificateChanges = []struct {
	what   string
	change func(*testing.T, *made, *certs.Leaf)
	rule   string
}{
	{"sound", func(*testing.T, *made, *certs.Leaf) {}, ""},
	{"expired", func(_ *testing.T, _ *made, l *certs.Leaf) {
		l.NotBefore, l.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}, "LNT-070"},
	{"not yet valid", func(_ *testing.T, _ *made, l *certs.Leaf) {
		l.NotBefore, l.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
	}, "LNT-070"},
	{"of ten years", func(_ *testing.T, _ *made, l *certs.Leaf) { l.NotAfter = time.Now().AddDate(10, 0, 0) }, "LNT-071"},
	{"RSA-1024", func(t *testing.T, _ *made, l *certs.Leaf) { l.Key = weakKey(t) }, "LNT-072"},
	{"SHA-1", func(_ *testing.T, _ *made, l *certs.Leaf) { l.Digest = crypto.SHA1 }, "LNT-072"},
	{"no usage", func(_ *testing.T, _ *made, l *certs.Leaf) { l.Usages = []x509.ExtKeyUsage{} }, "LNT-073"},
	{"a server's usage", func(_ *testing.T, _ *made, l *certs.Leaf) { l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "LNT-073"},
	{"version 1", func(_ *testing.T, _ *made, l *certs.Leaf) { l.Version1 = true }, "LNT-073"},
	{"a client as authority", func(t *testing.T, m *made, l *certs.Leaf) {
		m.ca = append(m.ca, check[certs.Pair](t)(m.authority.Issue(certs.Leaf{CommonName: "another"})).ChainPEM()...)
	}, "LNT-074"},
	{"no host", func(t *testing.T, m *made, _ *certs.Leaf) {
		m.server = check[certs.Pair](t)(m.authority.Issue(certs.Leaf{CommonName: "an ingress",
			Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Names: []string{}}))
	}, "LNT-075"},
	{"open", func(_ *testing.T, m *made, _ *certs.Leaf) { m.mode = 0o644 }, "LNT-076"},
	{"another key", func(t *testing.T, m *made, _ *certs.Leaf) {
		m.key = check[[]byte](t)(check[certs.Pair](t)(m.authority.Issue(certs.Leaf{CommonName: "aegis-client"})).KeyPEM())
	}, "LNT-077"},
	{"another authority", func(t *testing.T, m *made, _ *certs.Leaf) {
		stranger := check[*certs.Authority](t)(certs.NewAuthority("Aegis Test CA"))
		m.ca = stranger.RootPEM()
		m.server = check[certs.Pair](t)(stranger.Server("a.example.com"))
	}, "LNT-078"},
}

func TestCertificatesFindTheirChange(t *testing.T) {
	for _, c := range certificateChanges {
		t.Run(c.what, func(t *testing.T) {
			dir := script(t, func(m *made, l *certs.Leaf) { c.change(t, m, l) })
			wantRule(t, dir, c.rule)
		})
	}
}

// wantRule wants one rule alone to find something; "" wants nothing found.
func wantRule(t *testing.T, dir, rule string) {
	t.Helper()
	r := lint.Run([]string{dir}, lint.Options{})
	if rule == "" {
		clean(t, r)
		return
	}
	if len(r.Findings) == 0 || len(r.Unreadable) > 0 {
		t.Fatalf("nothing was found, or not all was read:\n%s", lint.Text(r, words, true))
	}
	for _, f := range r.Findings {
		if f.Rule != rule {
			t.Errorf("found by %s, want %s alone: %s: %s", f.Rule, rule, f.Place, f.Got)
		}
	}
}

// TestGarbledBlocksAreTold: one block that cannot be read makes the file unreadable,
// whatever stands beside it.
func TestGarbledBlocksAreTold(t *testing.T) {
	dir := script(t, func(*made, *certs.Leaf) {})
	sound, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"garbled":        string(sound) + "-----BEGIN CERTIFICATE-----\nMIIB!!\n-----END CERTIFICATE-----\n",
		"not ended":      string(sound) + "-----BEGIN CERTIFICATE-----\nMIIB\n",
		"no certificate": string(sound) + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			write(t, filepath.Join(dir, "ca.crt"), text)
			r := lint.Run([]string{dir}, lint.Options{})
			if len(r.Unreadable) != 1 || r.Unreadable[0].Line != 1+bytes.Count(sound, []byte("\n")) || r.Exit() != 2 {
				t.Errorf("got exit %d and %v, want 2 and the second block's line", r.Exit(), r.Unreadable)
			}
		})
	}
	block, _ := pem.Decode(sound)
	write(t, filepath.Join(dir, "ca.crt"), string(block.Bytes)) // DER
	wantRule(t, dir, "")
}
