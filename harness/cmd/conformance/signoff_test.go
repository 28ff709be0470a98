package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// sampleRun is the directory of a committed sign-off, of a run in containers.
const sampleRun = "../../report/testdata"

// written is a file of that text.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// waiversFile waives one expectation for a month.
func waiversFile(t *testing.T, id string) string {
	return written(t, "waivers.yaml", "waivers:\n  - expectation: "+id+"\n    owner: a\n    approver: b\n    reason: c\n    ticket: d\n    expires: "+
		time.Now().UTC().AddDate(0, 1, 0).Format("2006-01-02")+"\n")
}

func TestWaiversCheck(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"sound":          {[]string{waiversFile(t, "OIDC-005")}, exitPass, "OIDC-005  until "},
		"unknown":        {[]string{waiversFile(t, "OIDC-0005")}, exitUsage, `waivers.yaml:2: the catalogue has no expectation "OIDC-0005"`},
		"too far ahead":  {[]string{waiversFile(t, "OIDC-005"), "--waiver-days", "7"}, exitUsage, "waivers.yaml:7: the waiver of OIDC-005 expires on "},
		"no such file":   {[]string{"/nonexistent/waivers.yaml"}, exitUsage, "reading waivers"},
		"no days":        {[]string{waiversFile(t, "OIDC-005"), "--waiver-days", "0"}, exitUsage, "want 1 to 180"},
		"not needed":     {[]string{waiversFile(t, "OIDC-005"), "--record", sampleRun}, exitFail, "unneeded"},
		"record missing": {[]string{waiversFile(t, "OIDC-005"), "--record", "/nonexistent"}, exitUsage, "reading the sign-off"},
		"no arguments":   {nil, exitUsage, "a file of waivers"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := conformance(t, append([]string{"waivers", "check"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("status %d, %q %q; want %d, %q", code, stdout, stderr, c.code, c.says)
			}
		})
	}
}

// TestWaiversAreReadBeforeAnythingStarts: a mistake in them costs no run, and
// no earlier sign-off.
func TestWaiversAreReadBeforeAnythingStarts(t *testing.T) {
	out := t.TempDir()
	_, stderr, code := conformance(t, "run", "--runtime", "embedded", "--out", out, "--waivers", waiversFile(t, "OIDC-0005"))
	if entries, err := os.ReadDir(out); code != exitUsage || !strings.Contains(stderr, "waivers.yaml:2") || err != nil || len(entries) != 0 {
		t.Errorf("status %d, %q, %d entries, %v", code, stderr, len(entries), err)
	}
}

// TestAWaiverThatIsNotNeededInvalidatesTheRun waives what the reference does
// well.
func TestAWaiverThatIsNotNeededInvalidatesTheRun(t *testing.T) {
	out := t.TempDir()
	stdout, _, code := conformance(t, "run", "--runtime", "embedded", "--only", "OIDC-005", "--out", out, "--waivers", waiversFile(t, "OIDC-005"))
	r := record(t, out)
	if code != exitIncomplete || r.Verdict != signoff.Invalid || r.Waivers[0].State != signoff.Unneeded || !strings.Contains(stdout, "waivers.yaml:2: the waiver of OIDC-005") {
		t.Errorf("status %d, %s, %+v\n%s", code, r.Verdict, r.Waivers, stdout)
	}
}

// selfTest is the folder of a run of the harness's own, in which all held.
func selfTest(t *testing.T) string {
	return asRun(t, harness.SelfTest, "a self-test", func(in *signoff.Input) {
		in.Build = &signoff.Build{Image: "aegis", ImageDigest: "sha256:" + strings.Repeat("e", 64)}
	})
}

// catalogueOf writes the catalogue that a record is of, as list --json would have.
func catalogueOf(t *testing.T, dir string) string {
	t.Helper()
	r := record(t, dir)
	known := signoff.Known{Digest: r.Catalogue.Digest}
	for _, f := range r.Findings {
		known.Expectations = append(known.Expectations, signoff.KnownRow{ID: f.ID, Level: f.Level, Tier: f.Tier})
	}
	data, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, "list.json", string(data))
}

// olderRun is a run as it would be of another catalogue.
func olderRun(t *testing.T, run string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(run, signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(string(data), suites.CatalogueDigest(), "sha256:"+strings.Repeat("0", 64))
	return filepath.Dir(written(t, signoff.RecordName, other))
}

func TestSignoffByPolicy(t *testing.T) {
	run := selfTest(t)
	older := olderRun(t, run)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"all":               {[]string{run}, exitPass, "enough to release on"},
		"kinds":             {[]string{run, "--policy", written(t, "policy.yaml", "kinds: [live]\n")}, exitIncomplete, "the run is a self-test, want live"},
		"chapters":          {[]string{run, "--policy", written(t, "policy.yaml", "chapters: [oidc, mtls]\nlevels: [MUST]\n")}, exitPass, "enough"},
		"unknown chapter":   {[]string{run, "--policy", written(t, "policy.yaml", "chapters: [saml]\n")}, exitUsage, `policy.yaml:1: chapters[0]: "saml"`},
		"no policy":         {[]string{run, "--policy", "/nonexistent"}, exitUsage, "reading the policy"},
		"another catalogue": {[]string{older}, exitIncomplete, "was held to the catalogue"},
		"its catalogue":     {[]string{older, "--catalogue", catalogueOf(t, older)}, exitPass, "enough to release on"},
		"no record":         {[]string{t.TempDir()}, exitUsage, "reading the sign-off"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := conformance(t, append([]string{"signoff"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("status %d, %q %q; want %d, %q", code, stdout, stderr, c.code, c.says)
			}
		})
	}
}

// TestReportReproduces renders the committed record: every format, byte for
// byte what was committed beside it.
func TestReportReproduces(t *testing.T) {
	out := t.TempDir()
	stdout, stderr, code := conformance(t, "report", filepath.Join(sampleRun, signoff.RecordName), "--out", out)
	if code != exitPass {
		t.Fatalf("status %d, %s", code, stderr)
	}
	for _, f := range report.Formats {
		want, err := os.ReadFile(filepath.Join(sampleRun, f.File))
		got, err2 := os.ReadFile(filepath.Join(out, f.File))
		if err != nil || err2 != nil || !bytes.Equal(got, want) || !strings.Contains(stdout, f.File) {
			t.Errorf("%s differs, or is not told of: %v %v", f.File, err, err2)
		}
	}
	if stdout, _, _ := conformance(t, "report", sampleRun, "--format", "markdown", "--out", "-"); !strings.HasPrefix(stdout, "# Aegis conformance sign-off") {
		t.Errorf("%.60q, want the Markdown", stdout)
	}
	for _, args := range [][]string{{sampleRun, "--out", "-"}, {sampleRun, "--format", "pdf"}, {"/nonexistent"}} {
		if _, stderr, code := conformance(t, append([]string{"report"}, args...)...); code != exitUsage || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q; want %d and one line", args, code, stderr, exitUsage)
		}
	}
}

// TestSignAndVerify signs the committed record as a release manager would, and
// verifies it as an auditor would.
func TestSignAndVerify(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join(selfTest(t), signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	record, key, public := filepath.Join(dir, signoff.RecordName), filepath.Join(dir, "signoff.key"), filepath.Join(dir, "signoff.pub")
	if err := os.WriteFile(record, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if stdout, stderr, code := conformance(t, "sign", dir, "--key", key, "--public", public); code != exitPass || !strings.Contains(stdout, "signed by SHA256:") {
		t.Fatalf("status %d, %s%s", code, stdout, stderr)
	}
	bundle := filepath.Join(dir, signoff.BundleName)
	if _, err := os.Stat(bundle); err != nil {
		t.Errorf("there is no bundle beside the envelope: %v", err)
	}
	if stdout, _, _ := conformance(t, "verify", dir, "--key", public, "--envelope", bundle); !strings.Contains(stdout, "holds  signature") || !strings.Contains(stdout, "holds  digest") {
		t.Errorf("the bundle does not verify as the envelope does:\n%s", stdout)
	}
	build := "sha256:" // of the image, as the record has it
	if r, err := signoff.Read(data); err == nil && r.Build != nil {
		build = r.Build.ImageDigest
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"as it is":          {[]string{dir, "--key", public}, exitPass, "\nverified\n"},
		"all":               {[]string{record, "--key", public, "--digest", build, "--max-age", "876000h", "--kind", "self-test"}, exitPass, "holds  build"},
		"the signer's":      {[]string{dir, "--key", key}, exitUsage, "it is a private key"},
		"another catalogue": {[]string{dir, "--key", public, "--catalogue", written(t, "list.json", `{"digest": "sha256:00", "expectations": [{"id": "OIDC-001"}]}`)}, exitFail, "FAILS  catalogue"},
		"no catalogue":      {[]string{dir, "--key", public, "--catalogue", written(t, "list.json", "{}")}, exitUsage, "conformance list --json writes one"},
		"another image":     {[]string{dir, "--key", public, "--digest", "sha256:" + strings.Repeat("0", 64)}, exitFail, "FAILS  build"},
		"too old":           {[]string{dir, "--key", public, "--max-age", "1s"}, exitFail, "FAILS  age"},
		"another kind":      {[]string{dir, "--key", public, "--kind", "live,image"}, exitFail, "FAILS  kind"},
		"a policy":          {[]string{dir, "--key", public, "--policy", written(t, "policy.yaml", "kinds: [live]\n")}, exitFail, "FAILS  policy"},
		"no kind":           {[]string{dir, "--key", public, "--kind", "rehearsal"}, exitUsage, "want self-test, image, live or release"},
		"no key":            {[]string{dir}, exitUsage, "which key?"},
		"no such key":       {[]string{dir, "--key", "/nonexistent"}, exitUsage, "reading the key"},
		"no record":         {[]string{"/nonexistent", "--key", public}, exitUsage, "reading the sign-off"},
		"not signed":        {[]string{sampleRun, "--key", public}, exitUsage, "conformance sign writes the signature"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := conformance(t, append([]string{"verify"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("status %d, %q %q; want %d, %q", code, stdout, stderr, c.code, c.says)
			}
		})
	}
	page := filepath.Join(dir, "signoff.md")
	if _, _, code := conformance(t, "report", dir, "--format", "markdown"); code != exitPass {
		t.Fatalf("rendering: status %d", code)
	}
	if stdout, _, code := conformance(t, "verify", dir, "--key", public); code != exitPass || !strings.Contains(stdout, "artefacts") {
		t.Errorf("with the page: status %d, %s", code, stdout)
	}
	if err := os.WriteFile(page, []byte("# Passed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, signoff.ManifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if stdout, _, code := conformance(t, "verify", dir, "--key", public); code != exitFail || !strings.Contains(stdout, "signoff.md is not the one that was signed") {
		t.Errorf("with another page: status %d, %s", code, stdout)
	}
	if _, stderr, code := conformance(t, "sign", dir, "--key", key); code != exitUsage || !strings.Contains(stderr, "is not what it says") {
		t.Errorf("signing beside another page: status %d, %s", code, stderr)
	}
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := conformance(t, "sign", dir, "--key", public); code != exitUsage || !strings.Contains(stderr, "a private one is needed") {
		t.Errorf("signing with the public key: status %d, %q", code, stderr)
	}
}

// TestDiff compares the committed record with itself and with one in which
// something was not judged.
func TestDiff(t *testing.T) {
	out := t.TempDir()
	if _, _, code := conformance(t, "run", "--dry-run", "--out", out); code != exitIncomplete {
		t.Fatalf("status %d", code)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":    {[]string{sampleRun, sampleRun}, exitPass, "nothing changed"},
		"regression": {[]string{sampleRun, out}, exitFail, "no longer judged: "},
		"markdown":   {[]string{sampleRun, out, "--format", "markdown"}, exitFail, "## Regressions"},
		"json":       {[]string{sampleRun, sampleRun, "--format", "json"}, exitPass, `"regressions": []`},
		"better":     {[]string{out, sampleRun}, exitPass, "no regression"},
		"no format":  {[]string{sampleRun, out, "--format", "xml"}, exitUsage, "want text, markdown or json"},
		"no record":  {[]string{sampleRun, "/nonexistent"}, exitUsage, "reading the sign-off"},
		"one record": {[]string{sampleRun}, exitUsage, "two records"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := conformance(t, append([]string{"diff"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("status %d, %.300q %q; want %d, %q", code, stdout, stderr, c.code, c.says)
			}
		})
	}
}

// TestOutputThatVanishes takes the sign-off's directory away while a run judges.
func TestOutputThatVanishes(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(out string) error // in its place
		code int
	}{
		"and is made anew": {func(string) error { return nil }, exitPass},
		"and is a file":    {func(out string) error { return os.WriteFile(out, nil, 0o600) }, exitEnvironment},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "signoff")
			run := command(t, "run", "--runtime", "embedded", "--only", "OIDC", "--out", out)
			var stderr bytes.Buffer
			run.Stderr = &stderr
			stdout, err := run.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "judging") {
			}
			if err := errors.Join(os.RemoveAll(out), c.put(out)); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			_ = run.Wait()
			if code := run.ProcessState.ExitCode(); code != c.code {
				t.Fatalf("status %d, %s; want %d", code, &stderr, c.code)
			}
			if c.code == exitPass {
				record(t, out)
			} else if !strings.Contains(stderr.String(), "--out") {
				t.Errorf("%q; want what to do", &stderr)
			}
		})
	}
}

// TestStatusesOfErrors: a leak that was prevented is 5, a disk is 4.
func TestStatusesOfErrors(t *testing.T) {
	for want, err := range map[int]error{
		exitInternal:    fmt.Errorf("publishing: %w", signoff.Leak{File: "signoff.json", Kind: "bearer token"}),
		exitEnvironment: signoff.Publish("/proc/signoff", map[string][]byte{"a": nil}, nil),
		exitUsage:       usage{errors.New("x")},
	} {
		if got := exit(err); got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}
