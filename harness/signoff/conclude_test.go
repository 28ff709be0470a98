package signoff

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// posting is a stimulus that nothing asks to act.
var posting = harness.Stimulus{Words: "POST /predict", Needs: []harness.Capability{harness.URL}, Effect: harness.ReadOnly}

// denied is an outcome in words only.
type denied struct{}

func (denied) Want(harness.Profile) string { return "401" }
func (denied) Judge(harness.Profile, harness.Trace) harness.Judgement {
	return harness.Judgement{}
}

func catalogue(ids ...string) []harness.Expectation {
	var all []harness.Expectation
	for i, id := range ids {
		all = append(all, harness.Expectation{
			ID: id, Title: "Title of " + id, Clauses: []string{"4.2", "8.2"}, Source: "RFC 6750 §3", Level: harness.MUST,
			Rule:     harness.Rule{Text: "An expired token is refused.", File: "suites/oidc/expectations.go", Line: 10 + i},
			Stimulus: posting, Outcome: denied{},
		})
	}
	return all
}

// sound is the input of a run in which everything passed.
func sound() Input {
	start := time.Date(2026, 11, 23, 18, 0, 0, 0, time.FixedZone("elsewhere", 3600))
	return Input{
		Target: &harness.Target{
			Kind: harness.SelfTest, Name: "nginx and Vault in containers",
			Faces:     map[harness.Mode]harness.Face{harness.MTLS: {}, harness.OIDC: {}},
			Endpoints: []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", Body: []byte("x")}},
			Components: []harness.Component{
				{Name: "vault", Is: "Vault 1.21.0", Image: "vault:1.21", Digest: "sha256:00", Origin: "built", Endpoint: "127.0.0.1:1"},
			},
		},
		Run: "r-1", Started: start, Ended: start.Add(4 * time.Second), Who: "ann@ci",
		Harness:         Harness{Version: "v0.1.0", Go: "go1.26", Commit: "abc"},
		CatalogueDigest: "sha256:" + strings.Repeat("a", 64),
		RunbookDigest:   "sha256:" + strings.Repeat("b", 64),
		Catalogue:       catalogue("OIDC-001", "OIDC-005", "MTLS-001"),
		Clauses: []Clause{
			{ID: "4.2", Section: "4) Testing in staging", Line: 43, Text: "Call with expired/invalid token; expect 401."},
			{ID: "8.2", Section: "8", Line: 70, Text: "OIDC tokens validate against JWKS in staging."},
			{ID: "7.4", Section: "7) Rollback", Line: 70, Text: "As last resort …", Silence: "an operator's act"},
		},
		Findings: []harness.Finding{pass("OIDC-001"), pass("OIDC-005"), pass("MTLS-001")},
		Rerun:    func(id string) string { return "conformance run --id " + id },
	}
}

func pass(id string) harness.Finding {
	return harness.Finding{ID: id, Verdict: harness.Pass, Requests: 3, Exchange: 1, Millis: 7,
		Evidence: []harness.Evidence{{ProbeID: "p-1", Mode: harness.OIDC, Request: "POST /predict, expired token", Response: "401"}}}
}

func finding(id string, verdict harness.Verdict, missing ...harness.Capability) harness.Finding {
	f := harness.Finding{ID: id, Verdict: verdict, Reason: "because", Missing: missing}
	if verdict == harness.Fail {
		f.Bucket, f.Got, f.Want, f.FailedIn = harness.Security, "200", "401", []harness.Mode{harness.OIDC}
	}
	return f
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Input)
		want   Verdict
		exit   int
		reason string
	}{
		{"sound", func(*Input) {}, Passed, 0, ""},
		{"not applicable", func(in *Input) { in.Findings[2] = finding("MTLS-001", harness.NotApplicable) }, Passed, 0, ""},
		{"fail", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Fail) }, Failed, 1, "failed (security"},
		{"inconclusive", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Inconclusive) }, Incomplete, 3, "inconclusive: OIDC-005"},
		{"error", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Error) }, Incomplete, 3, "the harness broke: OIDC-005"},
		{"not exercised", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.Metrics) }, Incomplete, 3, "not exercised: OIDC-005"},
		{"MAY not exercised", func(in *Input) {
			in.Catalogue[1].Level = harness.MAY
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.Metrics)
		}, Passed, 0, ""},
		{"SHOULD fails", func(in *Input) { in.Catalogue[1].Level, in.Findings[1] = harness.SHOULD, contract("OIDC-005") }, Passed, 0, ""},
		{"MAY fails, and somebody was served", func(in *Input) {
			in.Catalogue[1].Level, in.Findings[1] = harness.MAY, finding("OIDC-005", harness.Fail)
		}, Failed, 1, "failed (security"},
		{"core, and a gap beyond it", func(in *Input) {
			coreClaim(in)
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.Metrics)
		}, Passed, 0, ""},
		{"core, and a gap in it", func(in *Input) {
			coreClaim(in)
			in.Findings[0] = finding("OIDC-001", harness.Inconclusive)
		}, Incomplete, 3, "inconclusive: OIDC-001"},
		{"core, and a MUST fails beyond it", func(in *Input) { coreClaim(in); in.Findings[1] = contract("OIDC-005") }, Failed, 1, "failed (contract"},
		{"fail outweighs gaps", func(in *Input) {
			in.Findings[0] = finding("OIDC-001", harness.Inconclusive)
			in.Findings[1] = finding("OIDC-005", harness.Fail)
		}, Failed, 1, "inconclusive: OIDC-001"},
		{"beyond a rehearsal", func(in *Input) {
			in.Target.Kind, in.Target.Beyond = harness.Rehearsal, []harness.Capability{harness.RealVault}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.RealVault)
		}, Rehearsed, 0, ""},
		{"a rehearsal", func(in *Input) { in.Target.Kind = harness.Rehearsal }, Rehearsed, 0, ""},
		{"a rehearsal with a waiver", func(in *Input) { in.Target.Kind = harness.Rehearsal; waive(in) }, Rehearsed, 0, "waived"},
		{"a rehearsal with a fail", func(in *Input) {
			in.Target.Kind = harness.Rehearsal
			in.Findings[1] = finding("OIDC-005", harness.Fail)
		}, Failed, 1, "failed"},
		{"more than what is beyond a rehearsal", func(in *Input) {
			in.Target.Kind, in.Target.Beyond = harness.Rehearsal, []harness.Capability{harness.RealVault}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.RealVault, harness.Metrics)
		}, Rehearsed, 0, ""},
		{"not beyond a rehearsal", func(in *Input) {
			in.Target.Kind, in.Target.Beyond = harness.Rehearsal, []harness.Capability{harness.RealVault}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.Metrics)
		}, Incomplete, 3, "not exercised"},
		{"not exercised in a rehearsal for no named lack", func(in *Input) {
			in.Target.Kind, in.Target.Beyond = harness.Rehearsal, []harness.Capability{harness.RealVault}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised)
		}, Incomplete, 3, "not exercised"},
		{"beyond any stack of ours", func(in *Input) {
			in.Target.Unreachable = []harness.Capability{harness.KeyedCaller}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.KeyedCaller)
		}, Passed, 0, ""},
		{"beyond any live run", func(in *Input) {
			in.Target.Kind, in.Target.Unreachable = harness.Live, []harness.Capability{harness.KeyedCaller}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.VaultWrite, harness.KeyedCaller)
		}, Passed, 0, ""},
		{"within a live run's reach", func(in *Input) {
			in.Target.Kind, in.Target.Unreachable = harness.Live, []harness.Capability{harness.KeyedCaller}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.VaultWrite)
		}, Incomplete, 3, "not exercised"},
		{"beyond, yet no rehearsal", func(in *Input) {
			in.Target.Beyond = []harness.Capability{harness.RealVault}
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.RealVault)
		}, Incomplete, 3, "not exercised"},
		{"filtered", func(in *Input) {
			in.Filter, in.Selected, in.Findings = "--id OIDC-005", []string{"OIDC-005"}, in.Findings[1:2]
		}, Invalid, 3, `"--id OIDC-005" selected 1 of 3`},
		{"filtered to everything", func(in *Input) { in.Filter, in.Selected = "x", []string{"OIDC-001", "OIDC-005", "MTLS-001"} }, Invalid, 3, "filtered"},
		{"filtered, with a fail", func(in *Input) {
			in.Filter, in.Selected, in.Findings = "x", []string{"OIDC-005"}, []harness.Finding{finding("OIDC-005", harness.Fail)}
		}, Invalid, 1, "failed (security"},
		{"filter that selects nothing", func(in *Input) { in.Filter, in.Findings = "x", nil }, Invalid, 3, "nothing was judged"},
		{"dry", func(in *Input) { in.DryRun, in.Findings = true, nil }, Invalid, 3, "dry"},
		{"dry, with findings", func(in *Input) { in.DryRun = true }, Invalid, 3, "dry"},
		{"interrupted", func(in *Input) { in.Interrupted, in.Findings = "SIGINT", in.Findings[:2] }, Invalid, 3, "interrupted: SIGINT"},
		{"stopped", func(in *Input) { in.Stopped, in.Findings = "no answer", nil }, Incomplete, 3, "the run stopped: no answer"},
		{"interrupted after the last", func(in *Input) { in.Interrupted = "SIGINT" }, Invalid, 3, "interrupted"},
		{"nothing judged", func(in *Input) {
			for i, f := range in.Findings {
				in.Findings[i] = finding(f.ID, harness.NotApplicable)
			}
		}, Invalid, 3, "nothing was judged"},
		{"no credential, and requests were sent", func(in *Input) {
			for i, f := range in.Findings {
				in.Findings[i] = finding(f.ID, harness.NotExercised, harness.GivenTokens)
				in.Findings[i].Requests = 1
			}
		}, Incomplete, 3, "no refusal counts without an accepted call"},
		{"no credential, and nothing was sent", func(in *Input) {
			for i, f := range in.Findings {
				in.Findings[i] = finding(f.ID, harness.NotExercised, harness.GivenTokens)
				in.Findings[i].Requests = 0
			}
		}, Invalid, 3, "nothing was judged"},
		{"empty catalogue", func(in *Input) { in.Catalogue, in.Findings = nil, nil }, Invalid, 3, "nothing was judged"},
		{"finding missing", func(in *Input) { in.Findings = in.Findings[:2] }, Invalid, 3, "no finding was recorded for MTLS-001"},
		{"unknown ID", func(in *Input) { in.Findings = append(in.Findings, pass("NEW-001")) }, Invalid, 3, "NEW-001"},
		{"judged twice", func(in *Input) { in.Findings = append(in.Findings, pass("OIDC-005")) }, Invalid, 3, "more than one finding for OIDC-005"},
		{"judged twice, one a fail", func(in *Input) { in.Findings = append(in.Findings, finding("OIDC-005", harness.Fail)) }, Invalid, 1, "failed"},
		{"unknown verdict", func(in *Input) { in.Findings[0].Verdict = "green" }, Incomplete, 3, "the harness broke: OIDC-001"},
		{"stack did not start", func(in *Input) { in.Target, in.NotStarted, in.Findings = nil, "starting vault: exit 1", nil }, Invalid, 3, "did not start: starting vault: exit 1"},
		{"findings without a target", func(in *Input) { in.Target = nil }, Invalid, 3, "did not start"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sound()
			c.change(&in)
			r := Conclude(in)
			reasons := strings.Join(r.Reasons, "\n")
			if r.Verdict != c.want || r.ExitStatus() != c.exit || !strings.Contains(reasons, c.reason) {
				t.Errorf("verdict %s, exit %d, reasons %q; want %s, %d, %q", r.Verdict, r.ExitStatus(), reasons, c.want, c.exit, c.reason)
			}
			if green := r.Verdict == Passed || r.Verdict == Rehearsed && c.reason == ""; green != (len(r.Reasons) == 0) {
				t.Errorf("verdict %s with reasons %q", r.Verdict, r.Reasons)
			}
			data, err := Encode(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Read(data); err != nil {
				t.Errorf("reading it back: %v\n%s", err, data)
			}
		})
	}
}

// coreClaim makes the run claim core, of which the first expectation is one.
func coreClaim(in *Input) { in.Claim, in.Catalogue[0].Tier = CoreClaim, harness.Core }

func TestHeadlineSaysWhatIsClaimedAndWhatIsBeyond(t *testing.T) {
	in := sound()
	coreClaim(&in)
	in.Target.Kind, in.Target.Unreachable = harness.Live, []harness.Capability{harness.KeyedCaller}
	in.Start, in.End = &Identity{Version: "1.4.2"}, &Identity{Version: "1.4.2"}
	in.Catalogue = append(in.Catalogue, catalogue("CLM-001", "MET-001", "ROT-009")...)
	in.Catalogue[3].Level = harness.SHOULD
	in.Findings = append(in.Findings, contract("CLM-001"), finding("MET-001", harness.NotExercised, harness.Metrics), finding("ROT-009", harness.NotExercised, harness.KeyedCaller))
	want := "Passed, core: 1 of 1. Beyond it 2 held, none failed, 1 were not exercised; out of reach of a live run: ROT-009; advice: 1 of SHOULD and MAY."
	if r := Conclude(in); r.Headline != want || r.Verdict != Passed {
		t.Errorf("%s %q, want %q", r.Verdict, r.Headline, want)
	}
	in.Target.Withheld = map[string]string{"review": "an accepted call writes", "enrollment": "an accepted call writes"}
	want += " No accepted call was made, so that no refusal counts, at enrollment, review (--allow writes calls what writes)."
	if r := Conclude(in); r.Headline != want || r.Verdict != Passed {
		t.Errorf("%s %q, want %q", r.Verdict, r.Headline, want)
	}
}

// TestALiveTargetOfNoBuildSaysSo: the headline is what is read, and copied.
func TestALiveTargetOfNoBuildSaysSo(t *testing.T) {
	const says = "The build is not known"
	for _, c := range []struct {
		name   string
		change func(*Input)
		want   bool
	}{
		{"nothing tells", func(*Input) {}, true},
		{"it fails, and nothing tells", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Fail) }, true},
		{"it tells its version", func(in *Input) { in.Start, in.End = &Identity{Version: "1"}, &Identity{Version: "1"} }, false},
		{"its image is known", func(in *Input) { in.Build = &Build{ImageDigest: "sha256:00"} }, false},
		{"a stack of ours", func(in *Input) { in.Target.Kind = harness.SelfTest }, false},
	} {
		in := sound()
		in.Target.Kind = harness.Live
		c.change(&in)
		if r := Conclude(in); strings.Contains(r.Headline, says) != c.want {
			t.Errorf("%s: %q", c.name, r.Headline)
		}
	}
}

func TestEveryExpectationIsARow(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Input)
		reason string
	}{
		{"filtered", func(in *Input) { in.Filter = "--id X" }, `not selected by "--id X"`},
		{"dry", func(in *Input) { in.DryRun = true }, "the run was dry"},
		{"interrupted", func(in *Input) { in.Interrupted = "SIGTERM" }, "the run was interrupted before it"},
		{"not started", func(in *Input) { in.Target, in.NotStarted = nil, "no engine" }, "the stack did not start: no engine"},
		{"lost", func(*Input) {}, noFinding},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sound()
			in.Findings = nil
			c.change(&in)
			r := Conclude(in)
			if len(r.Findings) != 3 || r.Totals[harness.NotExercised] != 3 {
				t.Fatalf("%d rows, totals %v; want 3, all not exercised", len(r.Findings), r.Totals)
			}
			for i, f := range r.Findings {
				if f.ID != in.Catalogue[i].ID || f.Reason != c.reason {
					t.Errorf("row %d is %s, %q; want %s, %q", i, f.ID, f.Reason, in.Catalogue[i].ID, c.reason)
				}
			}
		})
	}
}

func TestRehearsalClaimsNoMoreThanItSaw(t *testing.T) {
	in := sound()
	in.Target.Kind, in.Target.Beyond = harness.Rehearsal, []harness.Capability{harness.RealVault}
	in.Target.Components[0].StandIn = true
	in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.RealVault)
	for _, dry := range []bool{false, true} {
		in.DryRun = dry
		r := Conclude(in)
		for _, want := range []string{"no release evidence", "the container run adds", "the real vault", "OIDC-005"} {
			if !strings.Contains(r.Headline, want) {
				t.Errorf("headline %q lacks %q", r.Headline, want)
			}
		}
	}
}

func TestConcludedFacts(t *testing.T) {
	r := Conclude(sound())
	if got := r.Started.Format(time.RFC3339); got != "2026-11-23T17:00:00Z" {
		t.Errorf("started %s; want it in UTC", got)
	}
	if !slices.Equal(r.Target.Modes, []harness.Mode{harness.MTLS, harness.OIDC}) {
		t.Errorf("modes %v; want them sorted", r.Target.Modes)
	}
	if !slices.Equal(r.Target.Capabilities, []harness.Capability{harness.URL}) {
		t.Errorf("capabilities %v; want those needed and granted, once", r.Target.Capabilities)
	}
	if !slices.Equal(r.Clauses[0].Expectations, []string{"OIDC-001", "OIDC-005", "MTLS-001"}) || len(r.Clauses[2].Expectations) != 0 {
		t.Errorf("clauses %+v", r.Clauses)
	}
	f := r.Findings[1]
	got := fmt.Sprint(f.Chapter, f.At, f.Outcome, f.Stimulus, f.Rerun, f.Requests, f.Exchanges)
	want := fmt.Sprint("oidc", "suites/oidc/expectations.go:11", "401", "POST /predict", "conformance run --id OIDC-005", 3, 1)
	if got != want {
		t.Errorf("row says %s; want %s", got, want)
	}
}
