package report

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

// TestAnnotations wants a line for the verdict and for each cause of failures, at the file
// that configured the run, with who must mend it; what was not seen is one notice.
func TestAnnotations(t *testing.T) {
	r := reporttest.Sample()
	lines := strings.Split(strings.TrimSpace(GitHub(r)), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d annotations; want the verdict, 2 causes and what was not seen:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	if !strings.HasPrefix(lines[0], "::error title=Aegis conformance%3A FAIL::2 of 9") {
		t.Errorf("the first is %q; want the verdict", lines[0])
	}
	for _, want := range []string{"::error file=staging.yaml,line=1,title=OIDC-005 an expired token is served%3A to be mended in the service", "want: 401%0A", "rerun: "} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("the failure's is %q; want %q in it", lines[1], want)
		}
	}
	if !strings.HasPrefix(lines[3], "::notice title=Not seen") || !strings.Contains(lines[3], "MET-001") {
		t.Errorf("the last is %q; want what was not seen", lines[3])
	}
}

// TestAnnotationsAreInert wants no answer to make a command of its own.
func TestAnnotationsAreInert(t *testing.T) {
	for _, r := range reporttest.Hostile() {
		for i := range r.Findings {
			r.Findings[i].Got = "x\n::error::owned\r\n::stop-commands::token" + r.Findings[i].Got
		}
		for line := range strings.Lines(GitHub(r)) {
			if !strings.HasPrefix(line, "::error ") && !strings.HasPrefix(line, "::warning ") && !strings.HasPrefix(line, "::notice ") {
				t.Errorf("a line of its own: %.80q", line)
			}
			if name, _, _ := strings.Cut(strings.TrimPrefix(line, "::"), "::"); strings.Contains(name, "owned") && !strings.Contains(name, "title=") {
				t.Errorf("a command was forged: %.80q", line)
			}
		}
	}
}

// TestWaivedIsToldWithItsFailure wants a waived failure told as both in every
// format.
func TestWaivedIsToldWithItsFailure(t *testing.T) {
	r := reporttest.Sample()
	r.Waivers[0].State = signoff.Applied
	all := files(t, r)
	all["console"], all["github"] = []byte(Console(r, false)), []byte(GitHub(r))
	for name, data := range all {
		text := string(data)
		if !strings.Contains(text, "MTLS-002") || !strings.Contains(text, "AEGIS-12") || !strings.Contains(text, "the ingress answers 400 until 1.5") {
			t.Errorf("%s does not tell the failure and its waiver", name)
		}
	}
	if !strings.Contains(string(all["github"]), "::warning file=staging.yaml,line=1,title=MTLS-002") {
		t.Error("a waived failure is annotated as if it were not")
	}
}
