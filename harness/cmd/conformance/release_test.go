package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// revision is the label by which the example's policy compares builds.
const revision = "org.opencontainers.image.revision"

// asRun writes the record of a run in which all held, and gives its folder.
func asRun(t *testing.T, kind harness.Kind, name string, change func(*signoff.Input)) string {
	t.Helper()
	in := suites.Input("", "run-of-"+name, time.Now().Add(-time.Hour))
	in.Ended = in.Started.Add(time.Minute)
	in.Target = &harness.Target{Kind: kind, Name: name, Faces: map[harness.Mode]harness.Face{harness.OIDC: {}, harness.MTLS: {}}}
	for _, x := range in.Catalogue {
		in.Findings = append(in.Findings, harness.Finding{ID: x.ID, Verdict: harness.Pass, Requests: 1})
	}
	change(&in)
	data, err := signoff.Encode(signoff.Conclude(in))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, signoff.RecordName), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func imageRun(t *testing.T) string {
	return asRun(t, harness.Image, "image", func(in *signoff.Input) {
		in.Build = &signoff.Build{Image: "registry.test/aegis:1.4.2", ImageDigest: "sha256:" + strings.Repeat("e", 64), Labels: map[string]string{revision: "abc123"}}
	})
}

// liveRun claims core, and saw nothing beyond it.
func liveRun(t *testing.T, region, build string) string {
	return asRun(t, harness.Live, region, func(in *signoff.Input) {
		in.Claim, in.Start = signoff.CoreClaim, &signoff.Identity{Version: build}
		in.End = in.Start
		for i, x := range in.Catalogue {
			if x.Tiered() != harness.Core {
				in.Findings[i] = harness.Finding{ID: x.ID, Verdict: harness.NotExercised, Reason: "not granted", Missing: []harness.Capability{harness.VaultWrite}}
			}
		}
	})
}

// keyPair is a private key, and the public one beside it.
func keyPair(t *testing.T) (key, public string) {
	t.Helper()
	dir := t.TempDir()
	key, public = filepath.Join(dir, "signoff.key"), filepath.Join(dir, "signoff.pub")
	for _, args := range [][]string{{"genpkey", "-algorithm", "ed25519", "-out", key}, {"pkey", "-in", key, "-pubout", "-out", public}} {
		if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return key, public
}

// TestReleaseEndToEnd makes a release of the image's run and two regions', by the
// example's policy, signs it, verifies it, and renders it again.
func TestReleaseEndToEnd(t *testing.T) {
	out, policy := filepath.Join(t.TempDir(), "release"), top+"/suites/examples/release/policy.yaml"
	image, eu, us := imageRun(t), liveRun(t, "eu", "abc123"), liveRun(t, "us", "abc123")
	linted := filepath.Join(t.TempDir(), "lint.json")
	if _, stderr, code := conformance(t, "lint", "--format", "json", "--out", linted, unsoundPolicy(t)); code != exitFail {
		t.Fatalf("lint: exit %d\n%s", code, stderr)
	}
	stdout, stderr, code := conformance(t, "release", "--image", image, "--live", eu, "--live", us, "--policy", policy, "--out", out, "--lint", linted)
	if code != exitPass || !strings.Contains(stdout, "Release of registry.test/aegis:1.4.2 at eu, us: passed, full:") || !strings.Contains(stdout, "enough to release on") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	page, err := os.ReadFile(filepath.Join(out, "signoff.html"))
	if err != nil || !strings.Contains(string(page), "What this release is made of") || !strings.Contains(string(page), "run-of-us") ||
		!strings.Contains(string(page), "What is committed") || !strings.Contains(string(page), "LNT-030") {
		t.Errorf("the page does not say what it is made of: %v", err)
	}
	key, public := keyPair(t)
	for _, args := range [][]string{
		{"sign", out, "--key", key},
		{"verify", out, "--key", public, "--kind", "release", "--max-age", "24h", "--policy", policy},
		{"signoff", out, "--policy", policy},
		{"report", out, "--format", "markdown", "--out", "-"},
	} {
		if stdout, stderr, code := conformance(t, args...); code != exitPass {
			t.Errorf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

func TestNoReleaseOfAnotherBuild(t *testing.T) {
	image, eu := imageRun(t), liveRun(t, "eu", "abc123")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"another build":   {[]string{"--image", image, "--live", liveRun(t, "us", "def456"), "--policy", top + "/suites/examples/release/policy.yaml"}, "not the same build"},
		"no build":        {[]string{"--image", image, "--live", liveRun(t, "us", ""), "--policy", top + "/suites/examples/release/policy.yaml"}, "build not known"},
		"by its digest":   {[]string{"--image", image, "--live", eu}, "not the same build"},
		"no live run":     {[]string{"--image", image}, "want --image and --live"},
		"the wrong place": {[]string{"--image", eu, "--live", image}, "want a run of kind image"},
	} {
		stdout, stderr, code := conformance(t, append([]string{"release", "--out", filepath.Join(t.TempDir(), "release")}, c.args...)...)
		if code != exitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", name, code, exitUsage, c.says, stdout, stderr)
		}
	}
}
