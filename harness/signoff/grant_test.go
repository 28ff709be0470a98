package signoff

import (
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

var grants = Grants{
	File: "waivers.yaml", Known: []string{"OIDC-001", "OIDC-005", "MTLS-001"},
	Today: time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC), MaxDays: 90,
}

const leave = `waivers:
  # why a comment may stand anywhere
  - expectation: OIDC-005
    scope: {target: staging-eu, mode: oidc}
    owner: team-identity
    approver: ciso
    reason: >
      the gateway answers 403
      until 3.2
    ticket: 412
    expires: 2026-12-31
    expected: "got 403"
  - expectation: OIDC-005
    owner: team-edge
    approver: ciso
    reason: as above
    ticket: AEGIS-413
    expires: 2026-11-24
`

func TestReadWaivers(t *testing.T) {
	waivers, err := ReadWaivers([]byte(leave), grants)
	if err != nil {
		t.Fatal(err)
	}
	first := Waiver{Expectation: "OIDC-005", Target: "staging-eu", Mode: harness.OIDC, Owner: "team-identity", Approver: "ciso",
		Reason: "the gateway answers 403 until 3.2", Ticket: "412", Expires: "2026-12-31", Expected: "got 403", At: "waivers.yaml:3"}
	if len(waivers) != 2 || waivers[0] != first || waivers[1].At != "waivers.yaml:13" {
		t.Errorf("%+v", waivers)
	}
	if waivers, err := ReadWaivers([]byte("waivers: []\n"), grants); err != nil || len(waivers) != 0 {
		t.Errorf("%v, %v; want no waivers and no error", waivers, err)
	}
}

// TestEveryMistakeHasItsLine makes one mistake at a time.
func TestEveryMistakeHasItsLine(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(leave, from, to, 1) }
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", "waivers.yaml: want one document"},
		{"two documents", leave + "---\nwaivers: []\n", "want one"},
		{"no YAML", "waivers: [", "waivers.yaml:1:10: it is no YAML"},
		{"a key twice", change("    ticket: 412\n", "    ticket: 412\n    ticket: 413\n"), "waivers.yaml:11: waivers[0].ticket: the key stands here twice"},
		{"no list", "waivers: all\n", "waivers.yaml:1: waivers: got text, want a list"},
		{"another root", "waivrs: []\n", `waivers.yaml:1: waivrs: there is no such key: the nearest is "waivers"`},
		{"no mapping", "waivers:\n  - OIDC-005\n", "waivers.yaml:2: waivers[0]: got text, want keys with values"},
		{"an unknown key", change("    owner: team-identity", "    ownr: team-identity"), `waivers.yaml:5: waivers[0].ownr: there is no such key: the nearest is "owner"`},
		{"a key missing", change("    approver: ciso\n", ""), `waivers.yaml:3: the waiver of "OIDC-005" lacks approver`},
		{"an empty value", change("    owner: team-identity", "    owner:"), "waivers.yaml:5: waivers[0].owner: nothing behind the key"},
		{"a list for a text", change("ciso", "[ciso, cto]"), "waivers.yaml:6: waivers[0].approver: got a list, want text"},
		{"an unknown ID", change("OIDC-005", "OIDC-999"), `waivers.yaml:3: the catalogue has no expectation "OIDC-999"`},
		{"an unknown mode", change("mode: oidc", "mode: saml"), `waivers.yaml:4: waivers[0].scope.mode: "saml" is none of the values it may have: want oidc, mtls`},
		{"an unknown scope", change("mode: oidc", "path: /"), "waivers.yaml:4: waivers[0].scope.path: there is no such key: want one of target, mode"},
		{"the same twice", change("    scope: {target: staging-eu, mode: oidc}\n", ""), "OIDC-005 is waived already at waivers.yaml:3"},
		{"no date", change("2026-12-31", "next year"), `waivers.yaml:11: it expires on "next year", want a date like 2026-12-24`},
		{"an impossible date", change("2026-12-31", "2026-02-30"), "want a date"},
		{"one who approves of himself", change("approver: ciso", "approver: Team-Identity"), `waivers.yaml:6: "Team-Identity" owns the failure and approves of it`},
		{"the same, but for what does not show", change("approver: ciso", "approver: \"team\u200b-identity \""), "somebody else must approve"},
		{"an approver nobody can read", change("approver: ciso", "approver: \"\u200b\""), "waivers.yaml:6: the approver is"},
		{"an owner of dots", change("owner: team-identity", "owner: ..."), "waivers.yaml:5: the owner is"},
		{"a filler for a name", change("approver: ciso", "approver: \"\u3164\""), "nobody can read it"},
		{"expired", change("2026-11-24", "2026-11-23"), "waivers.yaml:18: the waiver of OIDC-005 expired on 2026-11-23"},
		{"too far ahead", change("2026-12-31", "2027-02-23"), "waivers.yaml:11: the waiver of OIDC-005 expires on 2027-02-23, more than 90 days ahead: want 2027-02-22 at the latest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.data == leave {
				t.Fatal("the case changes nothing")
			}
			waivers, err := ReadWaivers([]byte(c.data), grants)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want one line that says %q", err, c.want)
			}
			if waivers != nil {
				t.Error("want no waivers beside a mistake")
			}
		})
	}
}

func TestEveryMistakeIsTold(t *testing.T) {
	data := strings.NewReplacer("OIDC-005", "OIDC-999", "2026-11-24", "2026-01-01", "mode: oidc", "mode: x").Replace(leave)
	_, err := ReadWaivers([]byte(data), grants)
	for _, want := range []string{":3: the catalogue", ":4: waivers[0].scope.mode", ":13: the catalogue", ":18: the waiver"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func FuzzReadWaivers(f *testing.F) {
	for _, seed := range []string{leave, "", "waivers:\n- &a {expectation: *a}\n", "waivers: !!binary aGk=\n", "? [a]\n: b\n", "waivers:\n  - <<: {owner: a}\n", "waivers: [{expires: |\n x}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		waivers, err := ReadWaivers(data, grants)
		for _, w := range waivers {
			if err != nil || !slices.Contains(grants.Known, w.Expectation) || w.Approver == "" || w.Expires == "" {
				t.Errorf("accepted %+v, %v", w, err)
			}
		}
	})
}

// TestWaiversAsTheyAreSaved: a byte order mark, a directive and a mark at the end say
// nothing; another encoding is named.
func TestWaiversAsTheyAreSaved(t *testing.T) {
	for _, text := range []string{"\ufeff" + leave, "%YAML 1.2\n---\n" + leave + "---\n"} {
		if _, err := ReadWaivers([]byte(text), grants); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := ReadWaivers([]byte("\xff\xfew\x00"), grants); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("UTF-16: %v", err)
	}
}
