package outcome

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// BoundTo wants the role of Kubernetes auth bound to exactly one service account
// of one namespace, and nobody else let in.
type BoundTo struct{ Account string }

// longestLogin is how long the token of a login may live (SEC-004).
const longestLogin = time.Hour

// Want says what is wanted.
func (b BoundTo) Want(harness.Profile) string {
	return fmt.Sprintf("%s of one namespace, an audience, at most %s, and no policy with a wildcard; nobody else let in", b.Account,
		longestLogin)
}

// Judge judges.
func (b BoundTo) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Roles) == 0 {
		return nothing()
	}
	for _, role := range t.Roles {
		if loose := b.loose(role); len(loose) > 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: "the role is bound to " + strings.Join(loose, "; "), Want: b.Want(p)})
		}
	}
	for _, login := range t.Logins {
		switch {
		case login.Control && login.Refused != "":
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: fmt.Sprintf("with %s: refused: %s", login.With, login.Refused), Want: "let in"})
		case !login.Control && login.Refused == "":
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: -1,
				Got: fmt.Sprintf("with %s: let in, as %s", login.With, strings.Join(login.Policies, ", ")), Want: "refused"})
		case login.Control && (login.For > longestLogin || login.For <= 0):
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: fmt.Sprintf("with %s: a token for %s", login.With, login.For), Want: "at most " + longestLogin.String()})
		}
	}
	if len(t.Logins) == 0 {
		j.Notes = append(j.Notes, "the role was read; no login was tried, for no account's token can be had")
	}
	return j
}

// wildcard finds a path with a wildcard in a policy, and what needs none.
var wildcard = regexp.MustCompile(`"[^"\n]*[*+][^"\n]*"|"sudo"|"root"`)

// loose says what a role is bound to beyond what it must be.
func (b BoundTo) loose(role harness.LoginRole) []string {
	var found []string
	if !slices.Equal(role.Accounts, []string{b.Account}) {
		found = append(found, "the accounts "+strings.Join(role.Accounts, ", "))
	}
	if len(role.Namespaces) != 1 || strings.ContainsAny(strings.Join(role.Namespaces, ""), "*") {
		found = append(found, "the namespaces "+strings.Join(role.Namespaces, ", "))
	}
	if role.Selector != "" {
		found = append(found, "every namespace that a selector finds")
	}
	if role.Audience == "" {
		found = append(found, "no audience")
	}
	for name, life := range map[string]time.Duration{"a life": role.TTL, "a longest life": role.MaxTTL} {
		if role.Period == 0 && (life <= 0 || life > longestLogin) {
			found = append(found, fmt.Sprintf("%s of %s, where 0s is Vault's own", name, life))
		}
	}
	if role.Period > longestLogin {
		found = append(found, "a period of "+role.Period.String())
	}
	for _, name := range slices.Sorted(maps.Keys(role.Policies)) {
		if wide := wildcard.FindString(role.Policies[name]); wide != "" || name == "root" {
			found = append(found, fmt.Sprintf("the policy %s, with %s", name, wide))
		}
	}
	slices.Sort(found)
	return found
}
