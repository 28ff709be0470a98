// Package reporttest holds the records that the reports' tests render, and those of
// the browser's test, which is a module of its own.
package reporttest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// Sample is a record with every verdict in it, and every field filled in.
func Sample() signoff.Record {
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
		Row("OIDC-001", "Valid token accepted on /predict", "oidc", harness.Pass, ""),
		Row("OIDC-004", "No credentials", "oidc", harness.Pass, ""),
		failed(Row("OIDC-005", "Expired token", "oidc", harness.Fail, "an expired token was served")),
		Row("OIDC-009", "Unsigned token", "oidc", harness.Inconclusive, "the control before it was not accepted: 503"),
		Row("MTLS-001", "Enrolled certificate accepted", "mtls", harness.Pass, ""),
		Contract(Row("MTLS-002", "No client certificate", "mtls", harness.Fail, "denied, but not as documented")),
		Row("MTLS-003", "Unenrolled certificate", "mtls", harness.NotApplicable, "the target does not show mode mtls"),
		Row("MET-001", "Auth failures are counted", "monitoring", harness.NotExercised, "the target does not grant metrics"),
		Row("MET-003", "The counter goes up", "monitoring", harness.Error, "scraping: broken pipe"),
	}
	r.Findings[7].Missing = []harness.Capability{harness.Metrics}
	r.Findings[4].Timeline = Revocation()
	r.Findings[2].Owner, r.Findings[5].Owner = signoff.Service, signoff.Ingress
	Retally(&r)
	return r
}

// Revocation is a client taken from the enrolment list under traffic, which
// bites after 1.2 s; one call after that is answered wrongly.
func Revocation() *harness.Timeline {
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

// Retally counts a record's findings again.
func Retally(r *signoff.Record) {
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

// Row is a finding of a row with every field filled in.
func Row(id, title, chapter string, verdict harness.Verdict, reason string) signoff.Finding {
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

// Contract is a finding that failed by an answer that is not as documented.
func Contract(f signoff.Finding) signoff.Finding {
	f.Bucket, f.Got, f.Want = harness.Contract, "400", "401"
	return f
}

// Rehearsal is a record of a rehearsal that passed.
func Rehearsal() signoff.Record {
	r := Sample()
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
	Retally(&r)
	return r
}

// HostileText is markup, scripts, controls and what no encoding takes.
const HostileText = "\x1b]0;owned\x07\x1b[31m\u009b31m\u202egnp\u200b\x00\xff </style></script><script>alert(1)</script><img src=https://evil.test/x onerror=alert(1)> ]]> | `a` ``b`` [c](javascript:d) {{.}} \"'\n# PASS\n| all |\r\t"

// poisoned is the sample with hostile text in every string of it.
func poisoned() signoff.Record {
	r := Sample()
	poison(reflect.ValueOf(&r).Elem())
	return r
}

func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + HostileText)
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

// Hostile are records that are poisoned through and through, or only where a target has
// a say, so that every part of a report is reached.
func Hostile() []signoff.Record {
	said := Sample()
	for i := range said.Findings {
		f := &said.Findings[i]
		f.Reason, f.Got, f.Want, f.Control, f.Notes = HostileText, HostileText, HostileText, HostileText, []string{HostileText}
		for j := range f.Evidence {
			f.Evidence[j].Response, f.Evidence[j].Body, f.Evidence[j].Reached = HostileText, HostileText, HostileText
		}
	}
	return []signoff.Record{poisoned(), said}
}

// Broken is a sign-off as it would be of a live target with many faults: a
// Row of each is turned into a failure.
func Broken(r signoff.Record) signoff.Record {
	r = Checked(r)
	r.Kind, r.Verdict, r.Build, r.Target.Name = harness.Live, signoff.Failed, nil, "payments, eu-west staging"
	r.Target.Components, r.Target.URLs = nil, map[harness.Mode]string{harness.OIDC: "https://aegis.staging.example", harness.MTLS: "https://mtls.aegis.staging.example"}
	r.Headline = "9 of 299 expectations failed, 8 of them because an unauthorised request was served. The build is not known: nothing says which one this is of."
	wrong := map[string]string{
		"OIDC-005": "token expired 10 minutes ago", "BRR-012": "token expired 10 minutes ago", "JOSE-001": "token of alg none", "JOSE-004": "HS256 token keyed with the public half as PKCS #1 PEM",
		"CLM-009": "token for another audience", "CLM-014": "token of another issuer", "CHN-001": "certificate of an untrusted authority", "HDR-002": "unenrolled certificate with identity header of the enrolled client",
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		with, failing := wrong[f.ID]
		if f.ID == "MTLS-001" {
			f.Verdict, f.Bucket, f.Got, f.Owner = harness.Fail, harness.Contract, "403", signoff.Ingress
		}
		if f.ID == "MET-001" {
			f.Verdict, f.Reason, f.Missing = harness.NotExercised, "the target does not grant metrics", []harness.Capability{harness.Metrics}
		}
		if !failing {
			continue
		}
		f.Verdict, f.Bucket, f.Owner, f.Got = harness.Fail, harness.Security, signoff.Service, "200, and the request reached the handler to POST /predict with "+with
		f.Reason = "got " + f.Got + ", want 401"
		mode := harness.OIDC
		if f.Chapter != "oidc" {
			mode = harness.MTLS
		}
		f.Evidence = append([]harness.Evidence{{ProbeID: r.Run + "-1", Mode: mode, Variant: with, Request: "POST /predict with " + with, Response: "200", TLS: "TLS 1.3", Reached: "the handler ran 1 times"}}, f.Evidence...)
		f.Rerun = "conformance run --config staging.yaml --only " + f.ID
	}
	Retally(&r)
	return r
}

// Checked gives a record the runbook's whole checklist.
func Checked(r signoff.Record) signoff.Record {
	r.Checklist = nil
	for i, c := range []struct {
		text    string
		verdict harness.Verdict
		missing []string
	}{
		{"RuntimeSecrets.ensure_required passes in staging.", harness.Pass, nil},
		{"OIDC tokens validate against JWKS in staging.", harness.Fail, []string{"OIDC-005: fail (an expired token was served)"}},
		{"mTLS enforced at ingress/mesh and identity header forwarded.", harness.Pass, nil},
		{"Enrollment list present in secret backend for mtls mode.", harness.Pass, nil},
		{"Logging & alerting configured for auth failures and missing secrets.", harness.NotExercised, []string{"MET-001: not-exercised (the target does not grant metrics)"}},
	} {
		r.Checklist = append(r.Checklist, signoff.Check{Clause: fmt.Sprintf("8.%d", i+1), Line: 69 + i, Text: c.text, Verdict: c.verdict,
			Expectations: []string{"OIDC-001"}, Missing: c.missing})
	}
	return r
}

// Real is the committed sign-off of a real run, below the folder of the reports.
func Real(t testing.TB, dir string) signoff.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "testdata", signoff.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	r, err := signoff.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
