package signoff

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/strict"
)

var chaptersKnown = []string{"oidc", "mtls", "secrets"}

func TestReadPolicy(t *testing.T) {
	p, err := ReadPolicy("policy.yaml", []byte("kinds: [live, image]\nchapters: [oidc]\nlevels:\n  - MUST\nwaivers: {max: 0, max_days: 30}\n"), chaptersKnown)
	if got := fmt.Sprint(p.Kinds, p.Chapters, p.Levels, *p.Waivers, p.MaxDays, err); got != "[live image] [oidc] [MUST] 0 30 <nil>" {
		t.Error(got)
	}
	for _, c := range []struct{ data, want string }{
		{"", "policy.yaml: want one document"},
		{"kind: [live]\n", `policy.yaml:1: kind: there is no such key: the nearest is "kinds"`},
		{"kinds: live\n", "policy.yaml:1: kinds: got text, want a list"},
		{"levels: [MUST]\nkinds: [rehearsal]\n", `policy.yaml:2: kinds[0]: "rehearsal" is none of the values it may have: want self-test, image, live, release`},
		{"chapters: [oidc, saml]\n", `policy.yaml:1: chapters[1]: "saml" is no chapter: want oidc, mtls, secrets`},
		{"levels: [must]\n", `levels[0]: "must" is none of the values it may have: the nearest is "MUST"`},
		{"kinds: []\n", "policy.yaml:1: kinds: the list is empty"},
		{"build: {label: }\n", "build.label: nothing behind the key"},
		{"build: {}\n", "want {label: NAME}"},
		{"build: {required: maybe}\n", "policy.yaml:1: build.required: got text, want true or false"},
		{"max_age: 0s\n", "want a duration"},
		{"max_age: 7\n", "want a duration: write it with its unit"},
		{"claim: all\n", `"all" is none of the values it may have`},
		{"not_applicable: {max: -2}\n", "is no whole number from 0"},
		{"waivers: {max: none}\n", "want a whole number"},
		{"waivers: {max: -1}\n", "is no whole number from 0"},
		{"waivers: {security: true}\n", "waivers.security: there is no such key: want one of max, max_days"},
		{"security: waive\n", "security: there is no such key"},
	} {
		if _, err := ReadPolicy("policy.yaml", []byte(c.data), chaptersKnown); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v; want one that says %q", c.data, err, c.want)
		}
	}
}

// TestPolicyOfTheBuild: one may be required or not, and by which label.
func TestPolicyOfTheBuild(t *testing.T) {
	for data, want := range map[string]string{"build: {required: false}\n": "true ", "build: {required: true}\n": "false ", "build: {label: v}\n": "false v", "build: {label: v, required: false}\n": "true v"} {
		if p, err := ReadPolicy("policy.yaml", []byte(data), chaptersKnown); err != nil || fmt.Sprint(p.Anonymous, " ", p.Label) != want {
			t.Errorf("%q: %v %q, %v; want %q", data, p.Anonymous, p.Label, err, want)
		}
	}
}

// TestPolicyWordsAreAll: what a file may say is what there is.
func TestPolicyWordsAreAll(t *testing.T) {
	for key, want := range map[string]string{"kinds": listed(Evidence), "claim": listed(Claims), "levels": listed([]harness.Level{harness.MUST, harness.SHOULD, harness.MAY})} {
		for _, k := range strict.Keys(reflect.TypeFor[policyFile]()) {
			if got := strings.ReplaceAll(k.Field.Tag.Get("enum"), ",", ", "); k.Name == key && got != want {
				t.Errorf("%s may be %s, want %s", key, got, want)
			}
		}
	}
}

// FuzzReadPolicy: whatever a file holds, it is refused or asks for what there is.
func FuzzReadPolicy(f *testing.F) {
	for _, seed := range []string{
		"kinds: [live]\nlevels: [MUST, SHOULD]\nwaivers: {max: 0, max_days: 30}\nnot_applicable: {max: 3}\nbuild: {label: a}\nmax_age: 24h\n", "",
		"chapters: &a [*a]\n", "claim: !!binary aGk=\n", "? [a]\n: b\n", "kinds:\n- live\n- live\n", "waivers:\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPolicy("policy.yaml", data, chaptersKnown)
		strange := slices.ContainsFunc(p.Kinds, func(k harness.Kind) bool { return !slices.Contains(Evidence, k) }) ||
			slices.ContainsFunc(p.Chapters, func(c string) bool { return !slices.Contains(chaptersKnown, c) }) ||
			p.Waivers != nil && *p.Waivers < 0 || p.Exempt != nil && *p.Exempt < 0 || p.MaxDays < 0 || p.MaxAge < 0
		if strange || err != nil && (len(p.Kinds) > 0 || p.Label != "") {
			t.Errorf("read as %+v, %v", p, err)
		}
	})
}

// TestWeigh: a policy may ask for less than everything, never for less than
// that nobody unauthorised was served.
func TestWeigh(t *testing.T) {
	none := 0
	for _, c := range []struct {
		name   string
		policy Policy
		change func(*Input)
		want   string // conditions that refuse, with ! where something failed
		says   string
	}{
		{"sound", Policy{}, func(*Input) {}, "", ""},
		{"a rehearsal", Policy{}, func(in *Input) { in.Target.Kind = harness.Rehearsal }, "kind", "the run is a rehearsal"},
		{"another kind", Policy{Kinds: []harness.Kind{harness.Live}}, func(*Input) {}, "kind", "the run is a self-test, want live"},
		{"live, of no known build", Policy{}, func(in *Input) { in.Target.Kind = harness.Live }, "build", "the build is not known"},
		{"live, of no known build, which is accepted", Policy{Anonymous: true}, func(in *Input) { in.Target.Kind = harness.Live }, "", ""},
		{"live, and it says its version", Policy{}, func(in *Input) {
			in.Target.Kind, in.Start, in.End = harness.Live, &Identity{Version: "1"}, &Identity{Version: "1"}
		}, "", ""},
		{"filtered", Policy{}, func(in *Input) { in.Filter, in.Selected = "x", []string{"OIDC-001", "OIDC-005", "MTLS-001"} }, "verdict", "filtered"},
		{"judged twice", Policy{}, func(in *Input) { in.Findings = append(in.Findings, pass("OIDC-005")) }, "verdict", "more than one finding"},
		{"a failure", Policy{}, func(in *Input) { in.Findings[1] = contract("OIDC-005") }, "verdict!", "OIDC-005"},
		{"a gap", Policy{}, func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Inconclusive) }, "verdict", "OIDC-005"},
		{"a failure in another chapter", Policy{Chapters: []string{"mtls"}}, func(in *Input) { in.Findings[1] = contract("OIDC-005") }, "", ""},
		{"a hole in another chapter", Policy{Chapters: []string{"mtls"}}, func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Fail) }, "verdict!", "unauthorised"},
		{"a failure at another level", Policy{Levels: []harness.Level{harness.MAY}}, func(in *Input) {
			in.Catalogue[1].Level, in.Findings[1] = harness.SHOULD, contract("OIDC-005")
		}, "", ""},
		{"a hole at another level", Policy{Levels: []harness.Level{harness.MUST}}, func(in *Input) {
			in.Catalogue[1].Level, in.Findings[1] = harness.MAY, finding("OIDC-005", harness.Fail)
		}, "verdict!", "unauthorised"},
		{"advice that is not required", Policy{}, func(in *Input) { in.Catalogue[1].Level, in.Findings[1] = harness.SHOULD, contract("OIDC-005") }, "", ""},
		{"advice that is required", Policy{Levels: []harness.Level{harness.SHOULD}}, func(in *Input) {
			in.Catalogue[1].Level, in.Findings[1] = harness.SHOULD, contract("OIDC-005")
		}, "verdict!", "OIDC-005"},
		{"MAY alone, and a gap", Policy{Levels: []harness.Level{harness.MAY}}, func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Inconclusive) }, "verdict", "OIDC-005"},
		{"core, where full is wanted", Policy{Claim: FullClaim}, coreClaim, "claim", "the run claims core, want full"},
		{"more than may be exempt", Policy{Exempt: &none}, func(in *Input) { in.Findings[2] = finding("MTLS-001", harness.NotApplicable) }, "not_applicable", "1 expectations are not applicable"},
		{"a chapter that is not applicable", Policy{Chapters: []string{"oidc", "mtls"}}, func(in *Input) { in.Findings[2] = finding("MTLS-001", harness.NotApplicable) }, "chapter", "the chapter mtls"},
		{"a waiver", Policy{}, waive, "", ""},
		{"a waiver too many", Policy{Waivers: &none}, waive, "waivers!", "1 failures are waived"},
		{"a waiver for too long", Policy{MaxDays: 30}, waive, "waivers", "more than 30 days"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sound()
			in.Catalogue[2].Rule.File = "suites/mtls/expectations.go"
			c.change(&in)
			var got, says []string
			for _, refusal := range c.policy.Weigh(Conclude(in)) {
				condition := refusal.Condition
				if refusal.Failed {
					condition += "!"
				}
				got, says = append(got, condition), append(says, refusal.Why)
			}
			if strings.Join(got, " ") != c.want || !strings.Contains(strings.Join(says, "\n"), c.says) {
				t.Errorf("%q, %q; want %q, %q", got, says, c.want, c.says)
			}
		})
	}
}

// waive makes one failure and its waiver.
func waive(in *Input) {
	in.Findings[1] = contract("OIDC-005")
	in.Waivers = []Waiver{waiver("OIDC-005")}
}
