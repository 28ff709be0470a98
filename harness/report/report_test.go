package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

func files(t *testing.T, r signoff.Record) map[string][]byte {
	t.Helper()
	all, err := Files(r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFilesAreAFunctionOfTheRecord(t *testing.T) {
	first := files(t, reporttest.Sample())
	for range 5 {
		again := files(t, reporttest.Sample())
		for name, data := range first {
			if !bytes.Equal(data, again[name]) {
				t.Errorf("%s differs for the same record", name)
			}
		}
	}
	if len(first) != len(Formats)+1 {
		t.Errorf("%d files; want the record and %d formats", len(first), len(Formats))
	}
	back, err := signoff.Read(first["signoff.json"])
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files(t, back) {
		if !bytes.Equal(data, first[name]) {
			t.Errorf("%s differs when made from the record read back", name)
		}
	}
}

func TestTotalsAgree(t *testing.T) {
	for _, r := range []signoff.Record{reporttest.Sample(), reporttest.Rehearsal()} {
		all := files(t, r)
		for name, totals := range map[string]map[harness.Verdict]int{
			"signoff.json":    jsonTotals(t, all["signoff.json"]),
			"signoff.md":      markdownTotals(t, string(all["signoff.md"])),
			"junit.xml":       junitTotals(t, all["junit.xml"]),
			"signoff.html":    pageTotals(t, all["signoff.html"]),
			"signoff.sarif":   sarifTotals(t, all["signoff.sarif"]),
			"ctrf.json":       ctrfTotals(t, all["ctrf.json"]),
			"step-summary.md": markdownTotals(t, string(all["step-summary.md"])),
			"console":         consoleTotals(t, Console(r, false)),
		} {
			if !reflect.DeepEqual(totals, r.Totals) {
				t.Errorf("%s counts %v; the record %v", name, totals, r.Totals)
			}
		}
	}
}

func jsonTotals(t *testing.T, data []byte) map[harness.Verdict]int {
	t.Helper()
	var r struct{ Totals map[harness.Verdict]int }
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r.Totals
}

func markdownTotals(t *testing.T, text string) map[harness.Verdict]int {
	t.Helper()
	match := regexp.MustCompile(`\| passed \| .*\n.*\n\| (.*) \|`).FindStringSubmatch(text)
	if match == nil {
		t.Fatal("no table of totals")
	}
	cells := strings.Split(match[1], " | ")
	totals, sum := map[harness.Verdict]int{}, 0
	for i, v := range harness.Verdicts {
		totals[v] = number(t, cells[i])
		sum += totals[v]
	}
	if all := number(t, cells[len(cells)-1]); all != sum {
		t.Errorf("the table's sum is %d; want %d", all, sum)
	}
	return totals
}

// junitTotals counts test cases by their own verdict, and holds the counts in
// the attributes against them.
func junitTotals(t *testing.T, data []byte) map[harness.Verdict]int {
	t.Helper()
	var all testsuites
	if err := xml.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	totals := map[harness.Verdict]int{}
	for _, v := range harness.Verdicts {
		totals[v] = 0
	}
	var sum, counted [4]int
	for _, s := range all.Suites {
		for i, n := range [4]int{s.Tests, s.Failures, s.Errors, s.Skipped} {
			sum[i] += n
		}
		for _, c := range s.Cases {
			counted[0]++
			for i, told := range []*outcome{c.Failure, c.Error, c.Skipped} {
				if told != nil {
					counted[i+1]++
					if told.Message == "" {
						t.Errorf("%s has no reason", c.Name)
					}
				}
			}
			verdict := regexp.MustCompile(`(?m)^verdict: (.*)$`).FindStringSubmatch(c.Out)
			totals[harness.Verdict(verdict[1])]++
		}
	}
	if attributes := [4]int{all.Tests, all.Failures, all.Errors, sum[3]}; sum != counted || attributes != counted {
		t.Errorf("tests, failures, errors, skipped: suites say %v, the document %v, the cases are %v", sum, attributes, counted)
	}
	return totals
}

func pageTotals(t *testing.T, data []byte) map[harness.Verdict]int {
	t.Helper()
	totals := map[harness.Verdict]int{}
	for _, match := range regexp.MustCompile(`<li class="([a-z-]+)(?: none)?"><a href="#catalogue" data-filter="[a-z-]+"><b>(\d+)</b>`).FindAllStringSubmatch(string(data), -1) {
		totals[harness.Verdict(match[1])] = number(t, match[2])
	}
	return totals
}

func consoleTotals(t *testing.T, text string) map[harness.Verdict]int {
	t.Helper()
	totals := map[harness.Verdict]int{}
	for _, v := range harness.Verdicts {
		match := regexp.MustCompile(`(\d+) ` + words(v) + `( ·|\n)`).FindStringSubmatch(text)
		if match == nil {
			t.Fatalf("the console does not count %q", words(v))
		}
		totals[v] = number(t, match[1])
	}
	return totals
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFailuresAreTold(t *testing.T) {
	r := reporttest.Sample()
	all := files(t, r)
	all["console"] = []byte(Console(r, false))
	for name, data := range all {
		text := html.UnescapeString(strings.ReplaceAll(string(data), `\`, ""))
		for _, want := range []string{
			"OIDC-005", "200 on /predict with an expired token", "accepted before (200) and after (200)",
			"Bearer", "7f3a-0043", "--runtime containers --id OIDC-005",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
}

func TestMergedRunsAreNamed(t *testing.T) {
	r := reporttest.Sample()
	r.Merged = []string{"r-east", "r-west"}
	for _, name := range []string{"signoff.html", "signoff.md"} {
		if text := strings.ReplaceAll(string(files(t, r)[name]), `\`, ""); !strings.Contains(text, "merged of the runs r-east, r-west") {
			t.Errorf("%s does not name the runs it was made of", name)
		}
	}
}

func TestRehearsalIsNoEvidence(t *testing.T) {
	r := reporttest.Rehearsal()
	all := files(t, r)
	all["console"] = []byte(Console(r, false))
	for name, data := range all {
		if !strings.Contains(strings.ToLower(string(data)), "no release evidence") {
			t.Errorf("%s does not say that a rehearsal is no release evidence", name)
		}
	}
	page := string(all["signoff.html"])
	if at := strings.Index(page, "This is no release evidence"); at < 0 || at > strings.Index(page, `class="summary"`) {
		t.Error("the page says it after its summary, or never")
	}
	for _, want := range []string{"the real vault (here: stand-in for KV v2 reads)", "what needs real-vault: MET-001"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestHostileTextIsInert(t *testing.T) {
	for _, r := range reporttest.Hostile() {
		all := files(t, r)
		all["console"] = []byte(Console(r, false))
		for name, data := range all {
			if !utf8.Valid(data) {
				t.Errorf("%s is no valid UTF-8", name)
			}
			for _, c := range string(data) {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Errorf("%s holds %U as it is", name, c)
					break
				}
			}
			for line := range strings.Lines(string(data)) {
				if strings.HasPrefix(line, "# PASS") || strings.HasPrefix(line, "| all |") {
					t.Errorf("%s: a line was forged: %s", name, line)
				}
			}
		}
		if err := xml.Unmarshal(all["junit.xml"], &testsuites{}); err != nil {
			t.Error(err)
		}
		inertPage(t, all["signoff.html"])
		inertMarkdown(t, string(all["signoff.md"]))
		inertMarkdown(t, string(all["step-summary.md"]))
	}
}

func TestConsoleColour(t *testing.T) {
	plain, colour := Console(reporttest.Hostile()[1], false), Console(reporttest.Hostile()[1], true)
	if stripped := regexp.MustCompile("\x1b\\[[0-9;]+m").ReplaceAllString(colour, ""); stripped != plain {
		t.Error("colour changes more than colour")
	}
	if plain == colour {
		t.Error("no colour")
	}
}

// inertPage requires that nothing in the page runs, loads or leads away.
func inertPage(t *testing.T, data []byte) {
	t.Helper()
	document, err := html.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for node := range document.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "script":
			if node.FirstChild == nil || node.FirstChild.Data != pageJS || len(node.Attr) > 0 {
				t.Error("the page holds a script that is not its own")
			}
		case "img", "iframe", "object", "embed", "link", "form", "base", "foreignobject", "image", "use", "animate", "set":
			t.Errorf("the page holds <%s>", node.Data)
		}
		for _, a := range node.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("<%s> has %s=%q", node.Data, a.Key, a.Val)
			}
		}
	}
}

// inertMarkdown requires that no markup stands outside of code spans.
func inertMarkdown(t *testing.T, text string) {
	t.Helper()
	fence := regexp.MustCompile("(?m)(^|[^`\\\\])```+? .*? ```($|[^`])")
	for line := range strings.Lines(text) {
		prose := fence.ReplaceAllString(line, "$1$2")
		for _, markup := range []string{"<script", "<img", " [c](", " `a`", "https://evil"} {
			if strings.Contains(prose, markup) {
				t.Errorf("Markdown holds %q in %.160q", markup, prose)
			}
		}
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain ünïcödé ✓", "plain ünïcödé ✓"},
		{"\x1b[31m", `\u{1b}[31m`},
		{"a\nb\tc\r", `a\nb\tc\u{d}`},
		{"\u202e\u200b\u009b\u00a0\U000e0041", `\u{202e}\u{200b}\u{9b}\u{a0}\u{e0041}`},
		{"a\xffb", "a\ufffdb"},
	} {
		got := Line(c.in)
		if got != c.want {
			t.Errorf("Line(%q) = %q; want %q", c.in, got, c.want)
		}
		if again := Line(got); again != got {
			t.Errorf("Line(%q) = %q; want it as it is", got, again)
		}
	}
}

// TestPolicyMatchesPage requires that the page's policy lets in its own style
// and script, and nothing else.
func TestPolicyMatchesPage(t *testing.T) {
	data := files(t, reporttest.Sample())["signoff.html"]
	document, err := html.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var policy, style, script string
	for node := range document.Descendants() {
		if node.Data == "style" {
			style = node.FirstChild.Data
		}
		if node.Data == "script" {
			script = node.FirstChild.Data
		}
		for _, a := range node.Attr {
			if node.Data == "meta" && a.Key == "content" && strings.HasPrefix(a.Val, "default-src") {
				policy = a.Val
			}
		}
	}
	want := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'", digest(style), digest(script))
	if policy != want {
		t.Errorf("policy %q; want %q", policy, want)
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style loads something")
	}
}

// TestARehearsalSaysPassNowhere: its word is REHEARSED, in every format and on the
// console, where somebody may look for the other.
func TestARehearsalSaysPassNowhere(t *testing.T) {
	r := reporttest.Rehearsal()
	all := files(t, r)
	all["console"], all["annotations"] = []byte(Console(r, false)), []byte(GitHub(r))
	for name, text := range all {
		if strings.Contains(string(text), "PASS") || !strings.Contains(string(text), string(signoff.Rehearsed)) {
			t.Errorf("%s of a rehearsal says PASS, or does not say %s", name, signoff.Rehearsed)
		}
	}
}

// TestEveryFileNamesItsRun: a file that is found alone can be told from another run's.
func TestEveryFileNamesItsRun(t *testing.T) {
	r := reporttest.Sample()
	for name, text := range files(t, r) {
		if !strings.Contains(string(text), r.Run) {
			t.Errorf("%s does not say that it is of run %s", name, r.Run)
		}
	}
}

// TestWrap breaks between words, under the text of a label, and leaves commands whole.
func TestWrap(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"short\n", "short\n"},
		{"  why      A token that leaks opens the service for ever.\n", "  why      A token that leaks\n           opens the service for\n           ever.\n"},
		{"one two three four five six seven eight\nnext", "one two three four five six\n    seven eight\nnext"},
		{"  rerun    conformance run --config staging.yaml --only OIDC-005\n", "  rerun    conformance run --config staging.yaml --only OIDC-005\n"},
		{"           curl -sS -i -X POST https://aegis.staging.example/predict\n", "           curl -sS -i -X POST https://aegis.staging.example/predict\n"},
		{"averyveryveryverylongwordthatnobodybreaks\n", "averyveryveryverylongwordthatnobodybreaks\n"},
	} {
		if got := Wrap(c.in, 32); got != c.want {
			t.Errorf("Wrap(%q) = %q; want %q", c.in, got, c.want)
		}
	}
	if long := strings.Repeat("word ", 40); Wrap(long, 0) != long {
		t.Error("what is no terminal is wrapped")
	}
	for line := range strings.Lines(Wrap(Console(reporttest.Broken(reporttest.Real(t, ".")), false), 60)) {
		if body := strings.TrimRight(line, "\n"); len([]rune(body)) > 60 && strings.Count(strings.TrimLeft(body, " "), " ") > 1 && !command.MatchString(body) {
			t.Errorf("longer than 60 columns: %q", body)
		}
	}
}
