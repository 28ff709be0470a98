package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness/config"
)

const bom = "\ufeff"

// wide is a text in UTF-16, as an editor saves it.
func wide(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

// TestFilesAsTheyAreSaved: marks that say nothing are passed over.
func TestFilesAsTheyAreSaved(t *testing.T) {
	withTarget := strings.Replace(sound, "  name: aegis", "  name: aegis\n  ca_bundle: file:ca.pem", 1)
	for name, text := range map[string]string{
		"a byte order mark": bom + sound, "a directive": "%YAML 1.2\n---\n" + sound, "a mark at the end": sound + "---\n", "an end": sound + "...\n",
		"all of them": bom + "%YAML 1.2\n---\n" + sound + "---\n", "a comment behind": sound + "---\n# the end\n", "a comment before": "# the beginning\n---\n" + sound,
		"a bundle with a mark": withTarget, "line ends of another system": strings.ReplaceAll(sound, "\n", "\r\n"),
		"a scheme in capitals": strings.Replace(sound, "https://", "HTTPS://", 1),
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "staging.yaml"), text)
		write(t, filepath.Join(dir, "ca.pem"), bom+estate(t)["staging-ca.pem"])
		all, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml")})
		if err != nil || all[0].Target.URL != "https://aegis.test" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"two documents": sound + "---\nmode: oidc\n", "UTF-16": wide(sound), "none": "%YAML 1.2\n---\n"} {
		want := map[string]string{"UTF-16": "save it as UTF-8"}[name]
		if _, err := load(t, text, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "no such key") {
			t.Errorf("%s: got %v, want it refused as what it is", name, err)
		}
	}
}

// signs is a configuration whose signing key is in a file.
var signs = strings.Replace(sound, "mode: both", "mode: both\nprofile: {issuer: https://i, audience: a}\ngrants: {tokens: {signing_key: {key: file:k.pem, id: k, algorithm: ALG}}}", 1)

// TestKeysByTheirNames: each form of a private key is read, and what is none is told
// by its name.
func TestKeysByTheirNames(t *testing.T) {
	ec, small := try(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), try(rsa.GenerateKey(rand.Reader, 2048))
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8, sec1 := try(x509.MarshalPKCS8PrivateKey(ec)), try(x509.MarshalECPrivateKey(ec))
	pair := try(try(certs.NewAuthority("IdP")).Issue(certs.Leaf{CommonName: "idp"}))
	for name, c := range map[string]struct{ text, algorithm, says string }{
		"PKCS #8":                {block("PRIVATE KEY", pkcs8), "ES256", ""},
		"PKCS #8, with a mark":   {bom + block("PRIVATE KEY", pkcs8), "ES256", ""},
		"SEC 1":                  {block("EC PRIVATE KEY", sec1), "ES256", ""},
		"SEC 1, with parameters": {block("EC PARAMETERS", []byte{5, 0}) + block("EC PRIVATE KEY", sec1), "ES256", ""},
		"PKCS #1":                {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), "RS256", ""},
		"a certificate":          {string(pair.ChainPEM()), "ES256", "a certificate"},
		"a public key":           {block("PUBLIC KEY", try(x509.MarshalPKIXPublicKey(&ec.PublicKey))), "ES256", "a public key"},
		"a public key of RSA":    {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&small.PublicKey)), "RS256", "a public key"},
		"encrypted":              {block("ENCRYPTED PRIVATE KEY", []byte("x")), "ES256", "encrypted"},
		"encrypted as of old":    {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "RS256", "encrypted"},
		"OpenSSH's":              {block("OPENSSH PRIVATE KEY", []byte("x")), "ES256", "OpenSSH"},
		"a request":              {block("CERTIFICATE REQUEST", []byte("x")), "ES256", "a request"},
		"a JWK":                  {`{"kty": "EC", "crv": "P-256"}`, "ES256", "JWK"},
		"DER":                    {string(pkcs8), "ES256", "DER"},
		"cut off":                {block("PRIVATE KEY", pkcs8)[:60], "ES256", "cut off"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "staging.yaml"), strings.Replace(signs, "ALG", c.algorithm, 1))
		write(t, filepath.Join(dir, "k.pem"), c.text)
		_, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml")})
		if c.says == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v, want it told as %q", name, err, c.says)
		}
	}
}

// TestBundlesAreWhole: a block that cannot be read is no authority that may be missing.
func TestBundlesAreWhole(t *testing.T) {
	good := estate(t)["staging-ca.pem"]
	garbled := []byte(good)
	copy(garbled[bytes.IndexByte(garbled, '\n')+40:], "####")
	for name, c := range map[string]struct{ bundle, says string }{
		"good":              {good, ""},
		"two":               {good + "# the other\n" + good, ""},
		"garbled behind":    {good + string(garbled), "garbled"},
		"garbled before":    {string(garbled) + good, "garbled"},
		"cut off":           {good + good[:100], "cut off"},
		"no certificate":    {good + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "certificate 2"},
		"a key beside":      {good + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "private key"},
		"nothing":           {"text", "no certificate in it"},
		"in UTF-16":         {wide(good), "UTF-16"},
		"with a byte order": {bom + good, ""},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "staging.yaml"), strings.Replace(sound, "  name: aegis", "  name: aegis\n  ca_bundle: file:ca.pem", 1))
		write(t, filepath.Join(dir, "ca.pem"), c.bundle)
		_, err := config.Load(config.Sources{Path: filepath.Join(dir, "staging.yaml")})
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// TestOnlySecretsAreMasked: what is told of a value helps, unless it could be a secret.
func TestOnlySecretsAreMasked(t *testing.T) {
	for change, shown := range map[[2]string]string{
		{"mode: both", "mode: OIDC"}:                                        `"OIDC"`,
		{"environment: staging", "environment: prod"}:                       `"prod"`,
		{"https://aegis.test", "ftp://aegis.test"}:                          `"ftp://aegis.test"`,
		{"mode: both", "mode: both\nrails: {time_out: soon}"}:               `"soon"`,
		{"  name: aegis", "  name: aegis\n  connect_to: aegis"}:             `"aegis"`,
		{"https://aegis.test", "https://me:pass@aegis.test"}:                "",
		{"https://aegis.test", "https://aegis.test?key=pass"}:               "",
		{"mode: both", "mode: hvs.pass"}:                                    "",
		{"mode: both", "mode: eyJhbGciOiJub25lIn0.pass"}:                    "",
		{"mode: both", "mode: c2lnbmF0dXJlLW9mLXRoZS1jb250cm9s-pass"}:       "",
		{"mode: both", "mode: both\ngrants: {tokens: {valid: short-pass}}"}: "",
	} {
		_, err := load(t, strings.Replace(sound, change[0], change[1], 1), nil)
		if err == nil || !strings.Contains(err.Error(), shown) || strings.Contains(err.Error(), "pass") {
			t.Errorf("%s: got %v, want %s in it", change[1], err, shown)
		}
		if masked := strings.Contains(err.Error(), "••••"); masked != (shown == "") {
			t.Errorf("%s: masked: %t: %v", change[1], masked, err)
		}
	}
}

// TestMistypedEndpoints: a name that is nearly one of the runbook's loses rows.
func TestMistypedEndpoints(t *testing.T) {
	for name, near := range map[string]string{
		"inferrence": "inference", //nolint:misspell // the mistake is the case
		"Inference":  "inference", "enrolment": "enrollment", "reveiw": "review", "review-item": "review item",
		"inference": "", "batch": "", "embeddings": "",
	} {
		_, err := load(t, strings.Replace(sound, "name: inference", "name: "+name, 1), nil)
		if near == "" && err != nil || near != "" && (err == nil || !strings.Contains(err.Error(), near) || !strings.Contains(err.Error(), "staging.yaml:7:")) {
			t.Errorf("%s: got %v, want %q named, at its line", name, err, near)
		}
	}
}
