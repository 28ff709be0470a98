package signoff

import (
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// contract is a finding of a denial that was not as documented.
func contract(id string) harness.Finding {
	f := finding(id, harness.Fail)
	f.Bucket, f.Got = harness.Contract, "403"
	f.Evidence = []harness.Evidence{
		{Control: true, Mode: harness.MTLS, Request: "POST /predict", Response: "200"},
		{Mode: harness.OIDC, Request: "POST /predict, expired token", Response: "403", Reached: "the service, not the handler"},
	}
	return f
}

// TestWhatBecomesOfAWaiver: a waiver lets one failure through, and is an error
// once it says what is not so.
func TestWhatBecomesOfAWaiver(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Input, *Waiver)
		state   WaiverState
		verdict Verdict
		exit    int
		reason  string
	}{
		{"as granted", func(*Input, *Waiver) {}, Applied, WithWaivers, 0, "waived (contract): OIDC-005, until 2026-12-31, by ciso (AEGIS-12)"},
		{"on its last day", func(_ *Input, w *Waiver) { w.Expires = "2026-11-23" }, Applied, WithWaivers, 0, "waived"},
		{"for any target, mode and failure", func(_ *Input, w *Waiver) { w.Target, w.Mode, w.Expected = "", "", "" }, Applied, WithWaivers, 0, "waived"},
		{"the security bucket", func(in *Input, _ *Waiver) { in.Findings[1].Bucket = harness.Security }, Refused, Failed, 1, "unauthorised request was served"},
		{"no longer needed", func(in *Input, _ *Waiver) { in.Findings[1] = pass("OIDC-005") }, Unneeded, Invalid, 3, "waivers.yaml:3: the waiver of OIDC-005: it is no longer needed"},
		{"another failure", func(_ *Input, w *Waiver) { w.Expected = "got 500" }, Unmet, Invalid, 1, `otherwise than the expected "got 500"`},
		{"expired", func(_ *Input, w *Waiver) { w.Expires = "2026-11-22" }, Expired, Invalid, 1, "it expired on 2026-11-22"},
		{"unknown", func(_ *Input, w *Waiver) { w.Expectation = "OIDC-999" }, Unknown, Invalid, 1, "no such expectation"},
		{"another target", func(_ *Input, w *Waiver) { w.Target = "staging-eu" }, Idle, Failed, 1, "failed (contract"},
		{"another mode", func(_ *Input, w *Waiver) { w.Mode = harness.MTLS }, Idle, Failed, 1, "failed (contract"},
		{"the other mode too, beyond the evidence", func(in *Input, _ *Waiver) {
			in.Findings[1].FailedIn = []harness.Mode{harness.MTLS, harness.OIDC}
		}, Idle, Failed, 1, "failed (contract"},
		{"of no known mode", func(in *Input, _ *Waiver) { in.Findings[1].FailedIn = nil }, Idle, Failed, 1, "failed (contract"},
		{"not exercised", func(in *Input, _ *Waiver) {
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.Metrics)
		}, Idle, Incomplete, 3, "not exercised: OIDC-005"},
		{"one of two failures", func(in *Input, _ *Waiver) { in.Findings[2] = contract("MTLS-001") }, Applied, Failed, 1, "MTLS-001"},
		{"a failure beside a gap", func(in *Input, _ *Waiver) { in.Findings[2] = finding("MTLS-001", harness.Inconclusive) }, Applied, Incomplete, 3, "inconclusive: MTLS-001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, w := sound(), waiver("OIDC-005")
			in.Findings[1] = contract("OIDC-005")
			c.change(&in, &w)
			in.Waivers = []Waiver{w}
			r := Conclude(in)
			reasons := strings.Join(r.Reasons, "\n")
			if r.Waivers[0].State != c.state || r.Verdict != c.verdict || r.ExitStatus() != c.exit || !strings.Contains(reasons, c.reason) {
				t.Errorf("%s, %s, exit %d, %q; want %s, %s, %d, %q", r.Waivers[0].State, r.Verdict, r.ExitStatus(), reasons, c.state, c.verdict, c.exit, c.reason)
			}
			if c.state == Applied && r.Totals[harness.Fail] == 0 {
				t.Error("the record hides a waived failure")
			}
			if _, err := Read(encoded(t, r)); err != nil {
				t.Errorf("reading it back: %v", err)
			}
		})
	}
}

// TestForgedWaiversAreRefused: a record whose waiver claims more than the
// findings allow is not read.
func TestForgedWaiversAreRefused(t *testing.T) {
	in := sound()
	in.Findings[1] = finding("OIDC-005", harness.Fail)
	in.Waivers = []Waiver{waiver("OIDC-005")}
	r := Conclude(in)
	r.Waivers[0].State, r.Verdict = Applied, WithWaivers
	if _, err := Read(encoded(t, r)); err == nil || !strings.Contains(err.Error(), "waivers") {
		t.Errorf("error %v; want the waiver named", err)
	}
}

// TestWhatMakesARunInvalid: what was planned and what was there at the start
// must still be so at the end.
func TestWhatMakesARunInvalid(t *testing.T) {
	digest, other := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("c", 64)
	for _, c := range []struct {
		name   string
		change func(*Input)
		want   Verdict
		reason string
	}{
		{"as planned", func(in *Input) {
			in.CataloguePlanned, in.Config = digest, &Config{File: "staging.yaml", Digest: other, Planned: other}
		}, Passed, ""},
		{"another catalogue", func(in *Input) { in.CataloguePlanned = other }, Invalid, "the catalogue is not the planned one"},
		{"another configuration", func(in *Input) { in.Config = &Config{File: "staging.yaml", Digest: digest, Planned: other} }, Invalid, "staging.yaml is not the planned one"},
		{"the clock just within", func(in *Input) { in.Clock = Clock{Measured: true, OffsetMS: -30_000} }, Passed, ""},
		{"the clock ahead", func(in *Input) { in.Clock = Clock{Measured: true, OffsetMS: 30_001, Source: "Date"} }, Invalid, "clock is 30.001s off"},
		{"the clock behind", func(in *Input) { in.Clock = Clock{Measured: true, OffsetMS: -30_001} }, Invalid, "off"},
		{"a clock nobody measured", func(in *Input) { in.Clock = Clock{OffsetMS: 99_000} }, Passed, ""},
		{"the same target", func(in *Input) {
			in.Start, in.End = &Identity{Version: "1", At: in.Started.UTC()}, &Identity{Version: "1", At: in.Ended.UTC()}
		}, Passed, ""},
		{"another version", func(in *Input) { in.Start, in.End = &Identity{Version: "1"}, &Identity{Version: "2"} }, Invalid, "changed under the run"},
		{"another certificate", func(in *Input) {
			in.Start, in.End = &Identity{Certificate: strings.Repeat("a", 64)}, &Identity{Certificate: strings.Repeat("b", 64)}
		}, Invalid, "changed under the run"},
		{"gone at the end", func(in *Input) { in.Start = &Identity{Version: "1"} }, Invalid, "nothing at the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sound()
			c.change(&in)
			r := Conclude(in)
			if reasons := strings.Join(r.Reasons, "\n"); r.Verdict != c.want || !strings.Contains(reasons, c.reason) {
				t.Errorf("%s, %q; want %s, %q", r.Verdict, reasons, c.want, c.reason)
			}
			if err := Validate(encoded(t, r)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestChecklist answers the runbook's section 8 by the worst of what holds to
// each point.
func TestChecklist(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Input)
		want    harness.Verdict
		missing string
	}{
		{"all hold", func(*Input) {}, harness.Pass, ""},
		{"one fails", func(in *Input) { in.Findings[1] = contract("OIDC-005") }, harness.Fail, "OIDC-005: fail (because)"},
		{"two lack the same", func(in *Input) {
			in.Findings[1], in.Findings[2] = finding("OIDC-005", harness.NotExercised), finding("MTLS-001", harness.NotExercised)
		}, harness.NotExercised, "OIDC-005, MTLS-001: not-exercised (because)"},
		{"a fail outweighs what was not seen", func(in *Input) {
			in.Findings[1], in.Findings[2] = contract("OIDC-005"), finding("MTLS-001", harness.Inconclusive)
		}, harness.Fail, "MTLS-001: inconclusive"},
		{"none applies", func(in *Input) {
			for i, f := range in.Findings {
				in.Findings[i] = finding(f.ID, harness.NotApplicable)
			}
		}, harness.NotApplicable, ""},
		{"nothing holds to it", func(in *Input) { in.Clauses[1].ID = "8.9" }, harness.NotExercised, "no expectation was held to it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sound()
			c.change(&in)
			list := Conclude(in).Checklist
			if len(list) != 1 || list[0].Verdict != c.want || !strings.Contains(strings.Join(list[0].Missing, "\n"), c.missing) || (c.missing == "") != (len(list[0].Missing) == 0) {
				t.Errorf("%+v; want %s, missing %q", list, c.want, c.missing)
			}
		})
	}
}

// TestWhatFailsAboutAPointTurnsItRed: a rule about the same thing that fails stands against a
// point, though it is none of those that the point names; one that decides nothing, and one
// about another thing, do not.
func TestWhatFailsAboutAPointTurnsItRed(t *testing.T) {
	row := func(id, chapter string, v harness.Verdict, mode harness.Mode, level harness.Level) Finding {
		return Finding{ID: id, Chapter: chapter, Verdict: v, Level: level, FailedIn: []harness.Mode{mode}}
	}
	clause := Clause{ID: "8.2", Expectations: []string{"OIDC-001", "ROT-001"}}
	held := []Finding{row("OIDC-001", "oidc", harness.Pass, "", harness.MUST), row("ROT-001", "rotation", harness.NotExercised, "", harness.MUST)}
	for _, c := range []struct {
		name string
		row  Finding
		want harness.Verdict
	}{
		{"an expired token is served", row("OIDC-005", "oidc", harness.Fail, harness.OIDC, harness.MUST), harness.Fail},
		{"advice", row("OIDC-024", "oidc", harness.Fail, harness.OIDC, harness.SHOULD), harness.NotExercised},
		{"of the chapter of another of its expectations", row("ROT-003", "rotation", harness.Fail, harness.MTLS, harness.MUST), harness.NotExercised},
		{"another area", row("EPT-001", "endpoints", harness.Fail, harness.OIDC, harness.MUST), harness.NotExercised},
		{"inconclusive", row("OIDC-005", "oidc", harness.Inconclusive, harness.OIDC, harness.MUST), harness.NotExercised},
		{"signed by nobody", row("JOSE-001", "oidc", harness.Fail, harness.OIDC, harness.MUST), harness.Fail},
	} {
		check := Record{Findings: append(slices.Clone(held), c.row)}.check(clause)
		if named := strings.Contains(check.Missing[0], c.row.ID); check.Verdict != c.want || named != (c.want == harness.Fail) {
			t.Errorf("%s: %s, %q; want %s", c.name, check.Verdict, check.Missing, c.want)
		}
	}
}

// TestOwners: what was observed says which layer a failure is of.
func TestOwners(t *testing.T) {
	seen := func(reached string) []harness.Evidence {
		return []harness.Evidence{{Control: true, Reached: "the handler ran 1 times"}, {Mode: harness.MTLS, Reached: reached}}
	}
	served, refused := "the handler ran 1 times", "the service, not the handler"
	for _, c := range []struct {
		name string
		f    Finding
		want Layer
	}{
		{"no failure", Finding{Verdict: harness.Inconclusive, Needs: []harness.Capability{harness.AlertsAPI}}, ""},
		{"no alert", Finding{Verdict: harness.Fail, Needs: []harness.Capability{harness.AlertsAPI, harness.RestartService}}, Monitoring},
		{"deployed with a secret", Finding{Verdict: harness.Fail, Needs: []harness.Capability{harness.DeploymentRead, harness.VaultRead}}, Service},
		{"it started without secrets", Finding{Verdict: harness.Fail, Needs: []harness.Capability{harness.RestartService, harness.VaultWrite}}, Service},
		{"a policy allows too much", Finding{Verdict: harness.Fail, Needs: []harness.Capability{harness.VaultRead, harness.RealVault}}, Vault},
		{"the list is not obeyed", Finding{Verdict: harness.Fail, Needs: []harness.Capability{harness.VaultWrite}, Exchanges: 2, Evidence: seen(refused)}, Service},
		{"behind the ingress", Finding{Verdict: harness.Fail, Needs: []harness.Capability{harness.BackendPath}, Evidence: seen(served)}, Service},
		{"the ingress's own 400", Finding{Verdict: harness.Fail, Bucket: harness.Contract, Chapter: "mtls", Evidence: seen(harness.NotReached)}, Ingress},
		{"a stranger's certificate is let in", Finding{Verdict: harness.Fail, Bucket: harness.Security, Chapter: "mtls", Evidence: seen(served)}, Ingress},
		{"a spoofed header is passed on", Finding{ID: "HDR-001", Verdict: harness.Fail, Bucket: harness.Security, Chapter: "identity", Evidence: seen(served)}, Ingress},
		{"one who is not enrolled is served", Finding{ID: "ENR-001", Verdict: harness.Fail, Bucket: harness.Security, Chapter: "identity", Evidence: seen(served)}, Service},
		{"an expired token is served", Finding{Verdict: harness.Fail, Bucket: harness.Security, Chapter: "oidc", Evidence: seen(served)}, Service},
	} {
		if got := c.f.owner(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if !slices.Equal(owners(Conclude(sound())), []Layer{"", "", ""}) {
		t.Error("what passed is owned by somebody")
	}
}

func owners(r Record) []Layer {
	var all []Layer
	for _, f := range r.Findings {
		all = append(all, f.Owner)
	}
	return all
}
