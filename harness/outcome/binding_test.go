package outcome

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

func TestBoundTo(t *testing.T) {
	const own = "aegis-service-account"
	for name, row := range map[string]struct {
		change func(*harness.LoginRole)
		want   judged
	}{
		"exactly":             {func(*harness.LoginRole) {}, pass},
		"every account":       {func(r *harness.LoginRole) { r.Accounts = []string{"*"} }, undocumented},
		"another account too": {func(r *harness.LoginRole) { r.Accounts = append(r.Accounts, "default") }, undocumented},
		"names that begin so": {func(r *harness.LoginRole) { r.Accounts = []string{"aegis-*"} }, undocumented},
		"every namespace":     {func(r *harness.LoginRole) { r.Namespaces = []string{"*"} }, undocumented},
		"no namespace":        {func(r *harness.LoginRole) { r.Namespaces = nil }, undocumented},
		"two namespaces":      {func(r *harness.LoginRole) { r.Namespaces = append(r.Namespaces, "other") }, undocumented},
		"a selector":          {func(r *harness.LoginRole) { r.Selector = "{}" }, undocumented},
		"no audience":         {func(r *harness.LoginRole) { r.Audience = "" }, undocumented},
		"a day":               {func(r *harness.LoginRole) { r.TTL = 24 * time.Hour }, undocumented},
		"Vault's own life":    {func(r *harness.LoginRole) { r.TTL = 0 }, undocumented},
		"renewed for a day":   {func(r *harness.LoginRole) { r.MaxTTL = 24 * time.Hour }, undocumented},
		"a short period":      {func(r *harness.LoginRole) { r.TTL, r.MaxTTL, r.Period = 0, 0, time.Hour }, pass},
		"a long period":       {func(r *harness.LoginRole) { r.Period = 2 * time.Hour }, undocumented},
		"a policy of a wildcard": {func(r *harness.LoginRole) { r.Policies["wide"] = `path "secret/*" { capabilities = ["read"] }` },
			undocumented},
		"a policy of a segment": {func(r *harness.LoginRole) { r.Policies["wide"] = `path "secret/+/runtime" {}` }, undocumented},
		"a policy with sudo": {func(r *harness.LoginRole) { r.Policies["wide"] = `path "sys/raw" { capabilities = ["sudo"] }` },
			undocumented},
		"root": {func(r *harness.LoginRole) { r.Policies["root"] = "" }, undocumented},
	} {
		role := harness.LoginRole{
			Accounts: []string{own}, Namespaces: []string{"aegis"}, Audience: "vault", TTL: 20 * time.Minute, MaxTTL: time.Hour,
			Policies: map[string]string{"aegis-runtime": `path "secret/data/aegis/runtime" { capabilities = ["read"] }`},
		}
		row.change(&role)
		if got := verdict(t, BoundTo{own}.Judge(harness.Profile{}, harness.Trace{Roles: []harness.LoginRole{role}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestLogins: whoever else is let in is a hole; without the service's own login,
// refusals say nothing.
func TestLogins(t *testing.T) {
	role := harness.LoginRole{Accounts: []string{"a"}, Namespaces: []string{"n"}, Audience: "vault", TTL: time.Hour, MaxTTL: time.Hour}
	own := harness.Login{With: "its own", Control: true, Policies: []string{"p"}, For: time.Hour}
	for name, row := range map[string]struct {
		logins []harness.Login
		want   judged
	}{
		"others refused":   {[]harness.Login{own, {With: "another's", Refused: "no"}}, pass},
		"another let in":   {[]harness.Login{own, {With: "another's", For: time.Hour}}, hole},
		"its own refused":  {[]harness.Login{{With: "its own", Control: true, Refused: "no"}, {With: "another's", Refused: "no"}}, unseenYet},
		"its own for long": {[]harness.Login{{With: "its own", Control: true, For: 2 * time.Hour}}, undocumented},
		"its own for ever": {[]harness.Login{{With: "its own", Control: true}}, undocumented},
	} {
		if got := verdict(t, BoundTo{"a"}.Judge(harness.Profile{}, harness.Trace{Roles: []harness.LoginRole{role},
			Logins: row.logins})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
