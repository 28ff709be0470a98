package lint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness/lint"
)

// fuzzed reads any text under a name: it is read, or told as unreadable, and every place
// that is named is in the file.
func fuzzed(f *testing.F, name, seeds string, more ...string) {
	for _, text := range more {
		f.Add([]byte(text))
	}
	err := filepath.WalkDir("testdata/sound", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != seeds {
			return err
		}
		text, err := os.ReadFile(path)
		f.Add(text)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r := lint.Run([]string{path}, lint.Options{})
		lines := 2
		for _, c := range text {
			if c == '\n' {
				lines++
			}
		}
		for _, found := range r.Findings {
			if found.Line < 1 || found.Line > lines {
				t.Errorf("%s: no such line", found.Place)
			}
		}
		tellings(t, r)
	})
}

func FuzzManifest(f *testing.F) { fuzzed(f, "a.yaml", ".yaml") }

func FuzzRules(f *testing.F) { fuzzed(f, "rules.yml", ".yml") }

func FuzzRole(f *testing.F) { fuzzed(f, "a.json", ".json") }

func FuzzPolicy(f *testing.F) { fuzzed(f, "a.hcl", ".hcl") }

func FuzzNginx(f *testing.F) { fuzzed(f, "nginx.conf", ".conf") }

func FuzzHAProxy(f *testing.F) { fuzzed(f, "haproxy.cfg", ".none", rendered(f, "haproxy/haproxy.cfg")) }

func FuzzCaddy(f *testing.F) { fuzzed(f, "Caddyfile", ".none", rendered(f, "caddy/Caddyfile")) }

func FuzzEnvoy(f *testing.F) { fuzzed(f, "envoy.yaml", ".none", rendered(f, "envoy/envoy.yaml")) }

func FuzzCertificate(f *testing.F) {
	a, err := certs.NewAuthority("Aegis Test CA")
	if err != nil {
		f.Fatal(err)
	}
	fuzzed(f, "client.pem", ".none", string(a.RootPEM()))
}

// rendered is a configuration of the stack's.
func rendered(f *testing.F, name string) string {
	text, err := renderings[name](servers())
	if err != nil {
		f.Fatal(err)
	}
	return text
}
