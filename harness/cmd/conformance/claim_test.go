package main

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/suites"
)

func TestListOfATier(t *testing.T) {
	core := 0
	for _, x := range suites.All() {
		if x.Tiered() == harness.Core {
			core++
		}
	}
	out, _, code := conformance(t, "list", "--tier", "core")
	if n := strings.Count(out, "\n"); code != exitPass || n != core || strings.Contains(out, " extended ") {
		t.Errorf("exit %d, %d lines, want %d of core:\n%s", code, n, core, out)
	}
	if _, said, code := conformance(t, "list", "--tier", "gold"); code != exitUsage || !strings.Contains(said, "want core or extended") {
		t.Errorf("exit %d, %s", code, said)
	}
}

// TestPlanHoldsTheClaimAgainstTheGrants: both credentials of one mode are enough for
// core, and core wants both.
func TestPlanHoldsTheClaimAgainstTheGrants(t *testing.T) {
	path := begun(t)
	oidc := []string{"mode=oidc", "grants.tokens.valid=file:valid.jwt"}
	whole := append(oidc[:len(oidc):len(oidc)], "grants.tokens.expired=file:expired.jwt")
	for _, c := range []struct {
		name string
		set  []string
		args []string
		code int
		says string
	}{
		{"core, both credentials", whole, []string{"--strict"}, exitPass, ""},
		{"core, one credential", oidc, []string{"--strict"}, exitUsage, "the claim core is out of reach of what is granted: OIDC-005"},
		{"told, without --strict", oidc, nil, exitPass, "the claim core needs"},
		{"full", whole, []string{"--strict", "--claim", "full"}, exitUsage, "the claim full is out of reach"},
		{"full, by the file", append(whole[:len(whole):len(whole)], "claim=full"), []string{"--strict"}, exitUsage, "the claim full is out of reach"},
		{"no such claim", whole, []string{"--claim", "most"}, exitUsage, "want core or full"},
	} {
		args := append([]string{"plan", "--config", path}, c.args...)
		for _, value := range c.set {
			args = append(args, "--set", value)
		}
		out, errs, code := conformance(t, args...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit %d, want %d and %q:\n%s%s", c.name, code, c.code, c.says, out, errs)
		}
	}
}

// TestNoneIsADeclaration: an audience of none takes the rows about it out, with the
// reason, and one that is not declared leaves them unseen.
func TestNoneIsADeclaration(t *testing.T) {
	path := begun(t)
	for _, c := range []struct{ set, says string }{
		{"profile.audience=none", "CLM-009   not applicable  the profile declares no audience"},
		{"profile.issuer=none", "CLM-014   not applicable  the profile declares no issuer"},
		{"profile.issuer=https://idp.test", "CLM-009   cannot          lacks mint-tokens, profile.audience"},
	} {
		out, errs, code := conformance(t, "plan", "--all", "--config", path, "--set", "mode=oidc", "--set", "grants.tokens.valid=file:valid.jwt", "--set", c.set)
		if code != exitPass || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %q:\n%s%s", c.set, code, c.says, out, errs)
		}
	}
}
