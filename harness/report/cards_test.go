package report

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

// TestACauseIsOneCard: what fails by one cause is one card on the page, which says why it
// matters, how it is mended and how it is seen again, at the same target.
func TestACauseIsOneCard(t *testing.T) {
	r := reporttest.Broken(reporttest.Real(t, "."))
	page := string(files(t, r)["signoff.html"])
	told := map[string]int{}
	for _, c := range cards(r) {
		for _, row := range c.Rows {
			told[row.ID]++
		}
		if c.Topic.Why == "" || len(c.Topic.Mend) == 0 || c.Whose == "" || !strings.Contains(page, `id="`+c.Anchor()+`"`) {
			t.Errorf("%s: no card that says why, how and who", c.Heading)
		}
	}
	for _, f := range r.ByVerdict(harness.Fail) {
		if told[f.ID] != 1 {
			t.Errorf("%s is told on %d cards", f.ID, told[f.ID])
		}
	}
	first := cards(r)[0]
	if first.Says != "an expired token is served" || strings.Join(first.IDs(), " ") != "OIDC-005 BRR-012" {
		t.Errorf("the first is %q of %v; want the cause of two holes", first.Says, first.IDs())
	}
	if want := "conformance run --config staging.yaml --only OIDC-005,BRR-012"; first.Rerun != want {
		t.Errorf("it is judged again by %q; want %q", first.Rerun, want)
	}
	if want := "conformance replay signoff.json OIDC-005 --config 'my staging.yaml'"; first.Replay != "" {
		t.Errorf("no file configured the run, and it is replayed by %q", first.Replay)
	} else if r.Config = (&signoff.Config{File: "my staging.yaml"}); cards(r)[0].Replay != want {
		t.Errorf("it is replayed by %q; want %q", cards(r)[0].Replay, want)
	}
	if last := cards(r)[len(cards(r))-1]; last.Lead.Bucket != harness.Contract {
		t.Errorf("the last is %s; want what served nobody", last.Heading)
	}
}

// TestALeaveComesLast: what is waived, and what is advice, is told after what decides.
func TestALeaveComesLast(t *testing.T) {
	r := reporttest.Sample()
	r.Waivers[0].State, r.Waivers[0].Target = signoff.Applied, ""
	r.Findings[2].Bucket, r.Findings[2].Got = harness.Contract, "403"
	reporttest.Retally(&r)
	all := cards(r)
	if len(all) != 2 || all[0].Tone != "fail" || all[1].Tone != "advice" || all[1].Lead.ID != "MTLS-002" {
		t.Errorf("%+v; want the waived failure last, as advice", all)
	}
}

// TestCommands: evidence as a shell sends it again, with the credential as a variable.
func TestCommands(t *testing.T) {
	at := signoff.Record{Target: signoff.Target{URLs: map[harness.Mode]string{harness.MTLS: "https://m.test:8443"}}}
	for _, c := range []struct {
		evidence harness.Evidence
		want     []string
		not      string
	}{
		{harness.Evidence{Mode: harness.OIDC, Request: "POST /predict with token expired 10 minutes ago", Variant: "token expired 10 minutes ago"},
			[]string{"# TARGET: scheme and host of the oidc face; TOKEN: token expired 10 minutes ago", `-H "Authorization: Bearer $TOKEN"`, `"$TARGET/predict"`, "-X POST", `-d "$BODY"`}, "--cert"},
		{harness.Evidence{Mode: harness.OIDC, Request: "GET /review/1 with no credential"}, []string{"curl -sS -i -X GET", `"$TARGET/review/1"`}, "Authorization"},
		{harness.Evidence{Mode: harness.MTLS, Request: "POST /predict with unenrolled certificate", Variant: "unenrolled certificate with identity header of the enrolled client"},
			[]string{"CERT, KEY: unenrolled certificate", `-H "x-ssl-client-cn: $NAME"`, `--cert "$CERT" --key "$KEY"`, `"https://m.test:8443/predict"`}, "$TARGET"},
		{harness.Evidence{Mode: harness.MTLS, TLS: "TLS 1.2", Request: "POST //predict with no credential"}, []string{"--path-as-is", "--tls-max 1.2"}, "--cert"},
		{harness.Evidence{Mode: harness.MTLS, Request: "POST http://m.test/predict with no credential"}, []string{"--request-target 'http://m.test/predict'"}, ""},
		{harness.Evidence{Mode: harness.MTLS, Request: "POST /predict with a session ticket"}, []string{`openssl s_client -quiet -connect "m.test:8443" -servername "m.test"`}, "curl"},
		{harness.Evidence{Mode: harness.OIDC, Request: "POST /predict with valid token in the query"}, []string{"/predict?access_token=$TOKEN"}, "Authorization"},
		{harness.Evidence{Mode: harness.OIDC, Request: "POST /p\"$(reboot)`id` with no credential"}, []string{`"$TARGET/p\"\$(reboot)` + "\\`id\\`" + `"`}, ""},
	} {
		got := strings.Join(commands(at, c.evidence), "\n")
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s\nlacks %s", c.evidence.Request, got, want)
			}
		}
		if c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %s\nholds %s", c.evidence.Request, got, c.not)
		}
	}
	if got := commands(at, harness.Evidence{Request: "start a replica as it is"}); got != nil {
		t.Errorf("%q: it is no request", got)
	}
}

// TestTheLastSignOffIsCompared: where there was one, the page says what changed, on its first
// screen and in full.
func TestTheLastSignOffIsCompared(t *testing.T) {
	r := reporttest.Sample()
	if page := string(files(t, r)["signoff.html"]); strings.Contains(page, `id="since"`) {
		t.Error("there was none, and the page compares")
	}
	before := reporttest.Rehearsal()
	before.Run = "r-before"
	diff := signoff.Compare(before, r)
	r.Since = &diff
	page := string(files(t, r)["signoff.html"])
	for _, want := range []string{`id="since"`, `href="#since">worse than before`, "New failures", "r-before"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestTrendShowsOneFailure: a look of which one expectation failed is to be seen among many, and
// a look that was none is told as such.
func TestTrendShowsOneFailure(t *testing.T) {
	looks := []Point{
		{Run: "r-1", Verdict: signoff.Failed, Totals: map[harness.Verdict]int{harness.Pass: 299, harness.Fail: 1}},
		{Error: "no answer"},
		{Run: "r-3", Verdict: signoff.Passed, Totals: map[harness.Verdict]int{harness.Pass: 300}},
	}
	page, err := Trend("staging", looks)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`class="top passed"`, `<rect class="run wrong" x="0" y="88" width="9" height="12"/>`, "no answer", `href="runs/r-1/signoff.html"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the trend lacks %s", want)
		}
	}
}
