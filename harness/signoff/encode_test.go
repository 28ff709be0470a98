package signoff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"aegis.test/conformance/harness"
)

func encoded(t *testing.T, r Record) []byte {
	t.Helper()
	data, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// full is a record in which every field that may be absent is there.
func full() Record {
	in := sound()
	in.Target.Profile = harness.Profile{
		NoAudience: true, NoIssuer: true, Scope: "aegis", RFC9068: true, BoundTokens: true, Intermediates: true, Revocation: true, ShortLived: time.Hour,
		ConnectionAge: time.Minute, Leeway: time.Second, APIKeys: true, SignedModels: true,
		Mesh: true, Authorizer: true, HandledMetric: "handled_total", EnrollmentMetric: "enrolled", ModeMetric: "mode_info", NewKeyBound: time.Second, RemovedKeyBound: time.Second, KeyFetches: 5, KeyRefresh: time.Second,
		Issuer: "https://idp.test", Audience: "aegis", NoCertificate: harness.HTTP400, BadCertificate: harness.TLSAlert,
		Identity: "uri", IdentityHeader: "x-id", Success: []int{200, 201}, StartBound: time.Minute, AlertBound: time.Minute, Replicas: 3, Propagation: time.Second,
	}
	in.Findings[1] = finding("OIDC-005", harness.Fail)
	in.Findings[1].Notes = []string{"worth telling"}
	in.Findings[1].Evidence = []harness.Evidence{{ProbeID: "p", Credential: "c", Control: true, Variant: "v", Mode: harness.MTLS,
		Request: "POST", Response: "200", TLS: "1.3", Body: "{}", Reached: "handled once", Millis: 3}}
	in.Findings[1].Timeline = &harness.Timeline{Change: "a key is removed", Bound: time.Minute, Window: 2 * time.Minute,
		Then:  &harness.Timeline{Change: "a node is lost", Marks: []harness.Mark{{Label: "lost", DoneMS: 5}}, Samples: []harness.Sample{{Class: "valid"}}},
		Marks: []harness.Mark{{AtMS: 10, Label: "removed", DoneMS: 11}}, Samples: []harness.Sample{{AtMS: 12, Class: "valid", Served: true, Right: true}}}
	digest := "sha256:" + strings.Repeat("c", 64)
	in.CataloguePlanned, in.Stopped = in.CatalogueDigest, "no answer"
	in.Conduct = harness.Conduct{Asked: 2, Waited: time.Second, Most: time.Minute, Again: 3}
	in.Config = &Config{File: "staging.yaml", Digest: digest, Planned: digest}
	in.Build = &Build{Image: "registry.test/aegis:1", ImageDigest: digest, Commit: "abc"}
	in.Clock = Clock{Measured: true, OffsetMS: -20, BoundMS: 30000, Source: "Date of the answers"}
	in.Start = &Identity{Version: "1.4.2", Certificate: strings.Repeat("d", 64), Server: "nginx", At: in.Started.UTC()}
	end := *in.Start
	end.At = in.Ended.UTC()
	in.End = &end
	in.Faults = &Faults{Planted: 207, Caught: 206, Exact: 205, FalseAlarms: 0}
	in.Waivers = []Waiver{waiver("OIDC-005")}
	return Conclude(in)
}

// waiver is one that holds throughout the runs of these tests.
func waiver(id string) Waiver {
	return Waiver{Expectation: id, Target: "nginx and Vault in containers", Mode: harness.OIDC, Owner: "team-idp", Approver: "ciso", Reason: "the library is mended in 1.5",
		Ticket: "AEGIS-12", Expires: "2026-12-31", Expected: "because", At: "waivers.yaml:3"}
}

func TestEncodeIsCanonical(t *testing.T) {
	r := full()
	data := encoded(t, r)
	if !bytes.Equal(data, encoded(t, full())) {
		t.Error("the same record encodes differently")
	}
	back, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, encoded(t, back)) {
		t.Error("a record read back encodes differently")
	}
	if data[len(data)-1] != '\n' || bytes.Contains(data, []byte("null")) {
		t.Error("want a trailing newline and no null")
	}
}

func TestEncodeIsInert(t *testing.T) {
	in := sound()
	in.Findings[0].Evidence[0].Body = "\x1b]0;owned\x07 \u009b31m \u202egnp \U000e0041 \xff \x7f <script>"
	data := encoded(t, Conclude(in))
	for _, c := range string(data) {
		if c != '\n' && !unicode.IsPrint(c) {
			t.Errorf("%U stands in the file as it is", c)
		}
	}
	r, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ToValidUTF8(in.Findings[0].Evidence[0].Body, "\ufffd")
	if got := r.Findings[0].Evidence[0].Body; got != want {
		t.Errorf("body read back is %q; want %q", got, want)
	}
}

func TestReadRefuses(t *testing.T) {
	sound := string(encoded(t, full()))
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", "truncated after 0 bytes"},
		{"half of it", sound[:len(sound)/2], "truncated"},
		{"all but its end", sound[:len(sound)-3], "truncated"},
		{"no JSON", "PASS", "invalid character"},
		{"more than one document", sound + "{}", "invalid character"},
		{"an unknown field", strings.Replace(sound, `"verdict"`, `"waived": 1, "verdict"`, 1), "additional properties 'waived' not allowed"},
		{"another version", strings.Replace(sound, "signoff/v4", "signoff/v9", 1), `its schema is "aegis-conformance/signoff/v9"`},
		{"an older version", strings.Replace(sound, "signoff/v4", "signoff/v1", 1), "use the harness version that wrote it"},
		{"no version", strings.Replace(sound, `"schema"`, `"scheme"`, 1), `its schema is ""`},
		{"a field missing", strings.Replace(sound, `"who": "ann@ci",`, "", 1), "who"},
		{"an unknown verdict", strings.Replace(sound, `"verdict": "pass"`, `"verdict": "green"`, 1), "/findings/0/verdict"},
		{"totals changed", strings.Replace(sound, `"fail": 1`, `"fail": 0`, 1), "disagree"},
		{"buckets changed", strings.Replace(sound, `"security": 1`, `"security": 0`, 1), "disagree"},
		{"verdict changed", strings.Replace(sound, `"verdict": "FAIL"`, `"verdict": "PASS"`, 1), "the findings allow FAIL"},
		{"checklist changed", strings.Replace(sound, `"line": 70`, `"line": 71`, 1), "checklist disagrees"},
		{"a waiver changed", strings.Replace(sound, `"state": "refused"`, `"state": "applied"`, 1), "waivers disagrees"},
		{"catalogue changed", strings.Replace(sound, `"expectations": 3`, `"expectations": 2`, 1), "3 findings for a catalogue of 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.data == sound {
				t.Fatal("the case changes nothing")
			}
			r, err := Read([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want one that says %q", err, c.want)
			}
			if r.Schema != "" {
				t.Error("want no record beside an error")
			}
		})
	}
}

// TestSchemaDescribesEveryField walks the schema beside a record in which
// every field is present.
func TestSchemaDescribesEveryField(t *testing.T) {
	var schema, record map[string]any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	whole := full()
	whole.Harness.Date = "2026-11-23T17:00:00Z"
	whole.Merged = []string{"r-1", "r-2"}
	whole.Target.Uncalled = map[string]string{"review": "an accepted call writes"}
	whole.Target.URLs = map[harness.Mode]string{harness.OIDC: "https://aegis.test"}
	whole.Since = &Diff{Old: side(whole), New: side(whole), Regressions: []string{"new failures: OIDC-005"}, Failures: []Change{{ID: "OIDC-005"}},
		Waivers: []WaiverChange{{ID: "OIDC-005"}}, Added: []string{"A-1"}, Removed: []string{"A-2"}, Lost: []string{"A-2"}, Slower: []Slower{{ID: "A-3"}},
		Fixed: []Change{{ID: "A-4"}}, Unseen: []Change{{ID: "A-5"}}, Seen: []Change{{ID: "A-6"}}}
	labels := map[string]string{"build": "1"}
	whole.Build.Labels, whole.Target.Components[0].Labels = labels, labels
	whole.Records = []Origin{{Run: "r-1", Kind: harness.Image, Claim: FullClaim, Verdict: Passed, Ended: whole.Ended, Digest: whole.Catalogue.Digest},
		{Run: "r-2", Kind: harness.Live, Claim: CoreClaim, Verdict: Passed, Ended: whole.Ended, Digest: whole.Catalogue.Digest}}
	whole.Committed = &Committed{Digest: whole.Catalogue.Digest, At: whole.Ended, Unread: []string{"a.yaml: a template"},
		Findings: []CommittedFinding{{Rule: "LNT-001", Level: harness.MUST, Clauses: []string{"2.5"}}}}
	whole.Findings[0].Sources = []Source{{Run: "r-1", Verdict: harness.Pass}}
	data := encoded(t, whole)
	if err := Validate(data); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	definitions := schema["$defs"].(map[string]any)
	var walk func(at string, schema map[string]any, examples []any)
	walk = func(at string, schema map[string]any, examples []any) {
		if name, ok := schema["$ref"].(string); ok {
			schema = definitions[strings.TrimPrefix(name, "#/$defs/")].(map[string]any)
		}
		if items, ok := schema["items"].(map[string]any); ok {
			var inner []any
			for _, example := range examples {
				inner = append(inner, example.([]any)...)
			}
			walk(at+"[]", items, inner)
			return
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			if name == "then" && strings.HasSuffix(at, ".then") {
				continue // of the same shape
			}
			property := property.(map[string]any)
			if property["description"] == nil {
				t.Errorf("%s.%s has no description", at, name)
			}
			var inner []any
			for _, example := range examples {
				if value, ok := example.(map[string]any)[name]; ok {
					inner = append(inner, value)
				}
			}
			if len(inner) == 0 {
				t.Errorf("%s.%s is described, and in no record", at, name)
				continue
			}
			walk(fmt.Sprintf("%s.%s", at, name), property, inner)
		}
	}
	walk("", schema, []any{record})
}
