package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

// change is a diff with something under every heading.
func change() signoff.Diff {
	was, is := reporttest.Sample(), reporttest.Sample()
	was.Findings[0].Verdict, was.Findings[3].Verdict = harness.Fail, harness.Pass
	was.Findings[5].Verdict = harness.Pass
	was.Findings[7].Verdict, is.Findings[7].Verdict = harness.NotExercised, harness.Pass
	is.Findings[1].Millis = 9000
	is.Findings[8].ID, is.Waivers[0].State = "MET-009", signoff.Refused
	return signoff.Compare(was, is)
}

func TestDiffIsTold(t *testing.T) {
	for _, name := range []string{"text", "markdown"} {
		data, err := DiffFormats[name](change())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), `\`, "")
		for _, want := range []string{
			"worse than before", "Regressions", "new failures: MTLS-002", "MTLS-002 No client certificate: was pass, is fail (contract)", "No longer judged",
			"OIDC-009 Unsigned token: was pass, is inconclusive", "Fixed", "OIDC-001 Valid token accepted on /predict: was fail, is pass", "Newly passed", "MET-001",
			"Waivers", "was idle, is refused", "Catalogue", "1 added: MET-009", "1 removed: MET-003", "Slower", "OIDC-004: 9.00 s, was 0.04 s",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
		if again, _ := DiffFormats[name](change()); !bytes.Equal(again, data) {
			t.Errorf("%s differs for the same diff", name)
		}
	}
	same, err := DiffFormats["text"](signoff.Compare(reporttest.Sample(), reporttest.Sample()))
	if err != nil || !strings.HasSuffix(string(same), "\nnothing changed\n") || strings.Contains(string(same), "Slower") {
		t.Errorf("%v\n%s", err, same)
	}
}

func TestDiffIsData(t *testing.T) {
	data, err := DiffFormats["json"](change())
	if err != nil {
		t.Fatal(err)
	}
	var d signoff.Diff
	if err := json.Unmarshal(data, &d); err != nil || len(d.Failures) != 1 || d.Failures[0].ID != "MTLS-002" || bytes.Contains(data, []byte("null")) {
		t.Errorf("%v, %+v", err, d)
	}
}

func TestHostileDiffIsInert(t *testing.T) {
	was := reporttest.Sample()
	was.Findings[5].Verdict = harness.Pass
	for name, render := range DiffFormats {
		data, err := render(signoff.Compare(was, reporttest.Hostile()[1]))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range string(data) {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Errorf("%s holds %U as it is", name, c)
				break
			}
		}
		if name == "markdown" {
			inertMarkdown(t, string(data))
		}
	}
}
