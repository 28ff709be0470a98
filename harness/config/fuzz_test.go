package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness/config"
)

// FuzzLoad: whatever a file holds, it is refused or read; what is read may be called,
// can be shown, and no reference's value was told.
func FuzzLoad(f *testing.F) {
	const secret = "hunter2hunter2"
	for _, seed := range []string{
		sound, "", "%YAML 1.2\n---\n" + sound + "---\n", sound + "targets:\n  - target: {name: eu}\n  - target: {name: us}\n",
		strings.Replace(sound, "mode: both", "mode: oidc\ngrants: {tokens: {valid: env:SECRET}, metrics: {oidc: \"http://127.0.0.1:1\"}}", 1),
		"mode: &a [*a]\n", "target: !!binary aGk=\n", "? [a]\n: b\n", "rails: {rate: .inf, burst: 1e400}\n", "endpoints: [{}, {}]\n",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "staging.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := config.Load(config.Sources{Path: path, Environ: []string{"SECRET=" + secret}})
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
		for _, l := range all {
			if err == nil && l.Service.Image == "" && !slices.Contains([]string{"staging", "test"}, l.Target.Environment) {
				t.Errorf("a target that is declared %q is read", l.Target.Environment)
			}
			if strings.Contains(l.Effective(), secret) {
				t.Error("what is shown holds the secret")
			}
		}
	})
}
