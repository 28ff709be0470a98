package signoff

import (
	"encoding/json"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// TestCompare changes one thing from one run to the next.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new func(*Input)
		want     string // the keys of the diff that hold something
		says     string // the regressions
	}{
		{"nothing", nil, nil, "", ""},
		{"a new failure", nil, func(in *Input) { in.Findings[1] = contract("OIDC-005") }, "regressions failures", "new failures: OIDC-005; the verdict was PASS and is FAIL"},
		{"a new failure that is waived", nil, waive, "regressions failures waivers", "the verdict was PASS and is PASS_WITH_WAIVERS"},
		{"a worse failure", func(in *Input) { in.Findings[1] = contract("OIDC-005") }, func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Fail) }, "regressions failures", "new failures: OIDC-005"},
		{"a milder failure", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Fail) }, func(in *Input) { in.Findings[1] = contract("OIDC-005") }, "", ""},
		{"fixed", func(in *Input) { in.Findings[1] = contract("OIDC-005") }, nil, "fixed", ""},
		{"no longer exercised", nil, func(in *Input) {
			in.Findings[1] = finding("OIDC-005", harness.NotExercised, harness.Metrics)
		}, "regressions unseen", "no longer judged: OIDC-005"},
		{"a failure no longer exercised", func(in *Input) { in.Findings[1] = contract("OIDC-005") }, func(in *Input) {
			in.Findings[1] = finding("OIDC-005", harness.Inconclusive)
		}, "regressions unseen", "no longer judged: OIDC-005"},
		{"exercised at last", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Inconclusive) }, nil, "seen", ""},
		{"no longer applicable", nil, func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.NotApplicable) }, "", ""},
		{"a waiver withdrawn", waive, func(in *Input) { in.Findings[1] = contract("OIDC-005") }, "regressions waivers", "the verdict was PASS_WITH_WAIVERS and is FAIL"},
		{"a waiver prolonged", waive, func(in *Input) { waive(in); in.Waivers[0].Expires = "2027-01-31" }, "waivers", ""},
		{"a waiver refused", waive, func(in *Input) { waive(in); in.Findings[1].Bucket = harness.Security }, "regressions failures waivers", "new failures: OIDC-005"},
		{"an expectation more", func(in *Input) { in.Catalogue, in.Findings = in.Catalogue[:2], in.Findings[:2] }, nil, "added", ""},
		{"an expectation more, which fails", func(in *Input) { in.Catalogue, in.Findings = in.Catalogue[:2], in.Findings[:2] }, func(in *Input) { in.Findings[2] = contract("MTLS-001") }, "regressions failures added", "new failures: MTLS-001"},
		{"an expectation less", nil, func(in *Input) { in.Catalogue, in.Findings = in.Catalogue[:2], in.Findings[:2] }, "regressions removed", "passed, and gone: MTLS-001"},
		{"an expectation less, which failed", func(in *Input) { in.Findings[2] = contract("MTLS-001") }, func(in *Input) { in.Catalogue, in.Findings = in.Catalogue[:2], in.Findings[:2] }, "removed", ""},
		{"slower", nil, func(in *Input) { in.Findings[0].Millis = 507 }, "slower", ""},
		{"a little slower", nil, func(in *Input) { in.Findings[0].Millis = 506 }, "", ""},
		{"slower on another kind", nil, func(in *Input) { in.Findings[0].Millis, in.Target.Kind = 5070, harness.Live }, "", ""},
		{"invalid", nil, func(in *Input) { in.Interrupted = "SIGINT" }, "regressions", "the verdict was PASS and is INVALID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			records := [2]Record{}
			for i, change := range []func(*Input){c.old, c.new} {
				in := sound()
				if change != nil {
					change(&in)
				}
				records[i] = Conclude(in)
			}
			d := Compare(records[0], records[1])
			if got := filled(t, d); got != c.want || strings.Join(d.Regressions, "; ") != c.says && !strings.HasPrefix(strings.Join(d.Regressions, "; "), c.says+";") || d.Regressed() != (c.says != "") {
				t.Errorf("%q, %q; want %q, %q", got, d.Regressions, c.want, c.says)
			}
			if back := Compare(records[0], records[0]); filled(t, back) != "" {
				t.Errorf("a record differs from itself: %+v", back)
			}
		})
	}
}

// filled lists the keys that hold a list with something in it, in order.
func filled(t *testing.T, d Diff) string {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range []string{"regressions", "failures", "fixed", "unseen", "seen", "waivers", "added", "removed", "slower"} {
		items, isList := fields[name].([]any)
		if !isList {
			t.Errorf("%s is no list", name)
		}
		if len(items) > 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
