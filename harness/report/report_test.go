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
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// sample is a record with every verdict in it, and every field filled in.
func sample() signoff.Record {
	start := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	r := signoff.Record{
		Schema: signoff.Schema, Verdict: signoff.Failed, Claim: signoff.FullClaim, Kind: harness.SelfTest, Run: "20261123-180000-7f3a",
		Headline: "2 of 9 expectations failed, 1 of them because an unauthorised request was served.",
		Reasons:  []string{"failed (security, an unauthorised request was served): OIDC-005", "failed (contract, not as documented): MTLS-002", "not exercised: MET-001"},
		Started:  start, Ended: start.Add(8400 * time.Millisecond), Who: "ann@staging-ci",
		Selection: signoff.Selection{Selected: 9, Of: 9},
		Harness:   signoff.Harness{Version: "v0.1.0", Go: "go1.26.0", Commit: "0123456789abcdef"},
		Catalogue: signoff.Catalogue{Digest: "sha256:" + strings.Repeat("a1", 32), Expectations: 9},
		Runbook:   signoff.Runbook{Digest: "sha256:" + strings.Repeat("b2", 32)},
		Config:    &signoff.Config{File: "staging.yaml", Digest: "sha256:" + strings.Repeat("e5", 32)},
		Build:     &signoff.Build{Image: "registry.test/aegis:1.4.2", ImageDigest: "sha256:" + strings.Repeat("f6", 32), Commit: "89abcdef01234567"},
		Clock:     signoff.Clock{Measured: true, OffsetMS: 12, BoundMS: 30000, Source: "the Date of its answers"},
		Faults:    &signoff.Faults{Planted: 207, Caught: 207, Exact: 206},
		Waivers: []signoff.Waiver{{Expectation: "MTLS-002", Owner: "team-edge", Approver: "ciso", Reason: "the ingress answers 400 until 1.5", Ticket: "AEGIS-12",
			Expires: "2026-12-31", At: "waivers.yaml:3", State: signoff.Idle, Why: `it is for the target "staging-eu"`, Target: "staging-eu"}},
		Checklist: []signoff.Check{{Clause: "8.2", Line: 70, Text: "OIDC tokens validate against JWKS in staging.", Verdict: harness.Fail,
			Expectations: []string{"OIDC-001", "OIDC-005"}, Missing: []string{"OIDC-005: fail (an expired token was served)"}}},
		Target: signoff.Target{
			Name: "nginx and Vault in containers", Modes: []harness.Mode{harness.MTLS, harness.OIDC},
			Endpoints:    []signoff.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}, {Name: "enrollment", Method: "POST", Path: "/enroll"}},
			Capabilities: []harness.Capability{harness.ClientCAKey, harness.MintTokens, harness.URL},
			Beyond:       []harness.Capability{}, Unreachable: []harness.Capability{}, Profile: harness.Profile{Issuer: "https://idp.test", Audience: "aegis", StartBound: time.Minute},
			Components: []harness.Component{
				{Name: "vault", Is: "Vault 1.21.0, in-memory storage, TLS", Image: "aegis-conformance/vault:1.21.0", Digest: "sha256:" + strings.Repeat("c3", 32), Origin: "built", ReadyMS: 812, Endpoint: "127.0.0.1:8200"},
				{Name: "ingress", Is: "nginx 1.22.1", Image: "aegis-conformance/nginx:1.22", Digest: "sha256:" + strings.Repeat("d4", 32), Origin: "present", ReadyMS: 240, Endpoint: "127.0.0.1:8443"},
			},
		},
		Clauses: []signoff.Clause{
			{ID: "4.2", Section: "4", Line: 42, Text: "Call /predict with Authorization: Bearer <token>; expect 200.", Expectations: []string{"OIDC-001"}},
			{ID: "4.3", Section: "4", Line: 43, Text: "Call with expired/invalid token; expect 401.", Expectations: []string{"OIDC-004", "OIDC-005"}},
			{ID: "8.2", Section: "8", Line: 70, Text: "OIDC tokens validate against JWKS in staging.", Expectations: []string{"OIDC-001", "OIDC-005"}},
			{ID: "7.4", Section: "7", Line: 72, Text: "As last resort, scale to a debug image with AUTH_MODE=none.", Silence: "an operator's act, not a property of a deployment", Expectations: []string{}},
		},
	}
	r.Findings = []signoff.Finding{
		row("OIDC-001", "Valid token accepted on /predict", "oidc", harness.Pass, ""),
		row("OIDC-004", "No credentials", "oidc", harness.Pass, ""),
		failed(row("OIDC-005", "Expired token", "oidc", harness.Fail, "an expired token was served")),
		row("OIDC-009", "Unsigned token", "oidc", harness.Inconclusive, "the control before it was not accepted: 503"),
		row("MTLS-001", "Enrolled certificate accepted", "mtls", harness.Pass, ""),
		contract(row("MTLS-002", "No client certificate", "mtls", harness.Fail, "denied, but not as documented")),
		row("MTLS-003", "Unenrolled certificate", "mtls", harness.NotApplicable, "the target does not show mode mtls"),
		row("MET-001", "Auth failures are counted", "monitoring", harness.NotExercised, "the target does not grant metrics"),
		row("MET-003", "The counter goes up", "monitoring", harness.Error, "scraping: broken pipe"),
	}
	r.Findings[7].Missing = []harness.Capability{harness.Metrics}
	r.Findings[4].Timeline = revocation()
	r.Findings[2].Owner, r.Findings[5].Owner = signoff.Service, signoff.Ingress
	retally(&r)
	return r
}

// revocation is a client taken from the enrolment list under traffic, which
// bites after 1.2 s; one call after that is answered wrongly.
func revocation() *harness.Timeline {
	t := harness.Timeline{Change: "a client is taken from the enrolment list", Bound: 3 * time.Second, Window: 4 * time.Second,
		Marks: []harness.Mark{{AtMS: 1000, Label: "the list is written"}, {AtMS: 1150, Label: "read by the service"}, {AtMS: 3300, Label: "written back"}}}
	for at := int64(0); at <= 4000; at += 50 {
		t.Samples = append(t.Samples,
			harness.Sample{AtMS: at, Class: "valid", Served: true, Right: true},
			harness.Sample{AtMS: at + 10, Class: "unenrolled", Served: at < 2200 || at == 2800, Right: at != 2800},
			harness.Sample{AtMS: at + 20, Class: "expired", Right: true})
	}
	return &t
}

func retally(r *signoff.Record) {
	r.Totals, r.Buckets = map[harness.Verdict]int{}, map[harness.Bucket]int{}
	for _, v := range harness.Verdicts {
		r.Totals[v] = len(r.ByVerdict(v))
	}
	for _, b := range harness.Buckets {
		r.Buckets[b] = 0
	}
	for _, f := range r.ByVerdict(harness.Fail) {
		r.Buckets[f.Bucket]++
	}
}

func row(id, title, chapter string, verdict harness.Verdict, reason string) signoff.Finding {
	return signoff.Finding{
		ID: id, Title: title, Chapter: chapter, Verdict: verdict, Reason: reason,
		Level: harness.MUST, Tier: harness.Extended, Effect: harness.AuthFailures, Rule: "A request with an expired token is refused with 401, and does not reach the handler.",
		At: "suites/" + chapter + "/expectations.go:42", Clauses: []string{"4.3"}, Source: "RB§4; RFC 7519 §4.1.4; RFC 6750 §3.1",
		Stimulus: "POST each critical endpoint with a token that expired 600 s ago", Outcome: "401 with a Bearer challenge",
		Needs: []harness.Capability{harness.MintTokens}, Missing: []harness.Capability{}, Notes: []string{}, FailedIn: []harness.Mode{},
		Control:  "accepted before (200) and after (200)",
		Requests: 5, Exchanges: 3, Millis: 41, Rerun: "go run ./harness/cmd/conformance run --runtime containers --id " + id,
		Evidence: []harness.Evidence{
			{ProbeID: "7f3a-0042", Control: true, Mode: harness.OIDC, Request: "POST /predict, sound token", Response: "200", TLS: "TLS 1.3, h2", Millis: 4},
			{ProbeID: "7f3a-0043", Mode: harness.OIDC, Variant: "exp = now-600 s", Request: "POST /predict, expired token", Response: "401, WWW-Authenticate: Bearer error=\"invalid_token\"", TLS: "TLS 1.3, h2", Reached: "seen once, handled 0 times", Millis: 3},
		},
	}
}

func failed(f signoff.Finding) signoff.Finding {
	f.Bucket, f.Got, f.Want = harness.Security, "200 on /predict with an expired token", "401"
	f.Notes = []string{"leeway measured: more than 600 s"}
	f.Evidence[1].Response, f.Evidence[1].Body, f.Evidence[1].Reached = "200", `{"label":"benign"}`, "seen once, handled once, as ann"
	return f
}

func contract(f signoff.Finding) signoff.Finding {
	f.Bucket, f.Got, f.Want = harness.Contract, "400", "401"
	return f
}

// rehearsal is a record of a rehearsal that passed.
func rehearsal() signoff.Record {
	r := sample()
	r.Kind, r.Verdict, r.Reasons = harness.Rehearsal, signoff.Rehearsed, []string{}
	r.Headline = "Rehearsal, no release evidence: every expectation the embedded stack can show holds (8 passed, 0 not applicable); the container run adds the real vault and 1 more expectations (MET-001)."
	r.Target.Name, r.Target.Beyond = "embedded stack", []harness.Capability{harness.RealVault}
	r.Target.Components[0] = harness.Component{Name: "vault", Is: "stand-in for KV v2 reads", Origin: "in process", StandIn: true, ReadyMS: 1}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Verdict, f.Bucket, f.Reason, f.Got, f.Want, f.Missing = harness.Pass, "", "", "", "", nil
		if f.ID == "MET-001" {
			f.Verdict, f.Reason, f.Missing, f.BeyondReach = harness.NotExercised, "the target does not grant real-vault", []harness.Capability{harness.RealVault}, true
		}
	}
	retally(&r)
	return r
}

func files(t *testing.T, r signoff.Record) map[string][]byte {
	t.Helper()
	all, err := Files(r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFilesAreAFunctionOfTheRecord(t *testing.T) {
	first := files(t, sample())
	for range 5 {
		again := files(t, sample())
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
	for _, r := range []signoff.Record{sample(), rehearsal()} {
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
	r := sample()
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
	r := sample()
	r.Merged = []string{"r-east", "r-west"}
	for _, name := range []string{"signoff.html", "signoff.md"} {
		if text := strings.ReplaceAll(string(files(t, r)[name]), `\`, ""); !strings.Contains(text, "merged of the runs r-east, r-west") {
			t.Errorf("%s does not name the runs it was made of", name)
		}
	}
}

func TestRehearsalIsNoEvidence(t *testing.T) {
	r := rehearsal()
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

const hostile = "\x1b]0;owned\x07\x1b[31m\u009b31m\u202egnp\u200b\x00\xff </style></script><script>alert(1)</script><img src=https://evil.test/x onerror=alert(1)> ]]> | `a` ``b`` [c](javascript:d) {{.}} \"'\n# PASS\n| all |\r\t"

// poisoned is the sample with hostile text in every string of it.
func poisoned() signoff.Record {
	r := sample()
	poison(reflect.ValueOf(&r).Elem())
	return r
}

func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + hostile)
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type() != reflect.TypeFor[time.Time]() {
				poison(v.Field(i))
			}
		}
	}
}

// hostileRecords are poisoned through and through, or only where a target has
// a say, so that every part of a report is reached.
func hostileRecords() []signoff.Record {
	said := sample()
	for i := range said.Findings {
		f := &said.Findings[i]
		f.Reason, f.Got, f.Want, f.Control, f.Notes = hostile, hostile, hostile, hostile, []string{hostile}
		for j := range f.Evidence {
			f.Evidence[j].Response, f.Evidence[j].Body, f.Evidence[j].Reached = hostile, hostile, hostile
		}
	}
	return []signoff.Record{poisoned(), said}
}

func TestHostileTextIsInert(t *testing.T) {
	for _, r := range hostileRecords() {
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
	plain, colour := Console(hostileRecords()[1], false), Console(hostileRecords()[1], true)
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
	data := files(t, sample())["signoff.html"]
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
	r := rehearsal()
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
	r := sample()
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
	for line := range strings.Lines(Wrap(Console(broken(t), false), 60)) {
		if body := strings.TrimRight(line, "\n"); len([]rune(body)) > 60 && strings.Count(strings.TrimLeft(body, " "), " ") > 1 && !command.MatchString(body) {
			t.Errorf("longer than 60 columns: %q", body)
		}
	}
}
