package outcome

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

func TestHidden(t *testing.T) {
	seen, shown := harness.Searched.At("a log"), harness.Leaked.At("a log", "a token")
	answered := harness.Exchange{Observation: harness.Observation{Status: 401}}
	broken := harness.Exchange{Observation: harness.Observation{Status: 500, Body: []byte("ValueError: no")}}
	gone := harness.Exchange{Observation: harness.Observation{Status: 502}}
	control := gone
	control.Request.Control = true
	for name, row := range map[string]struct {
		outcome   Hidden
		facts     []harness.Fact
		exchanges []harness.Exchange
		want      judged
	}{
		"nothing shows":             {Hides("w", harness.Contract), []harness.Fact{seen}, []harness.Exchange{answered}, pass},
		"something shows":           {Hides("w", harness.Contract), []harness.Fact{seen, shown}, nil, undocumented},
		"something, to anybody":     {Hides("w", harness.Security), []harness.Fact{seen, shown}, nil, hole},
		"nothing was searched":      {Hides("w", harness.Contract), nil, []harness.Exchange{answered}, unseenYet},
		"a log that does not tell":  {Hides("w", harness.Contract), []harness.Fact{seen, harness.Unheard.At("a log")}, nil, unseenYet},
		"a call without an answer":  {Hides("w", harness.Contract), []harness.Fact{seen}, []harness.Exchange{gone}, unseenYet},
		"the same, of any answer":   {Hides("w", harness.Contract).Whatever(), []harness.Fact{seen}, []harness.Exchange{gone}, pass},
		"its control has none":      {Hides("w", harness.Contract).Whatever(), []harness.Fact{seen}, []harness.Exchange{control}, unseenYet},
		"an exception":              {Hides("w", harness.Security).Mute(), []harness.Fact{seen}, []harness.Exchange{broken}, hole},
		"an exception, not its own": {Hides("w", harness.Security), []harness.Fact{seen}, []harness.Exchange{broken}, pass},
	} {
		noted := append(row.facts, harness.SearchNote.At("a note"))
		j := row.outcome.Judge(harness.Profile{}, harness.Trace{Facts: noted, Exchanges: row.exchanges})
		if got := verdict(t, j); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
		if row.want == pass && (len(j.Notes) != 1 || j.Notes[0] != "a note") {
			t.Errorf("%s: got notes %q, want what is told", name, j.Notes)
		}
	}
}

func TestLoggedIn(t *testing.T) {
	sound := harness.VaultToken{Policies: []string{"aegis-runtime"}, Path: "auth/kubernetes/login", Made: time.Hour}
	for name, row := range map[string]struct {
		change func(*harness.VaultToken)
		want   judged
	}{
		"a login's":       {func(*harness.VaultToken) {}, pass},
		"root's":          {func(v *harness.VaultToken) { v.Policies = []string{"root"} }, undocumented},
		"made by a token": {func(v *harness.VaultToken) { v.Path = "auth/token/create-orphan" }, undocumented},
		"told by nobody":  {func(v *harness.VaultToken) { v.Path, v.Made = "", 0 }, unseenYet},
		"without an end":  {func(v *harness.VaultToken) { v.Made = 0 }, undocumented},
		"of a month":      {func(v *harness.VaultToken) { v.Made = 720 * time.Hour }, undocumented},
	} {
		token := sound
		row.change(&token)
		if got := verdict(t, LoggedIn{24 * time.Hour}.Judge(harness.Profile{},
			harness.Trace{Tokens: []harness.VaultToken{token}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	if got := verdict(t, LoggedIn{time.Hour}.Judge(harness.Profile{}, harness.Trace{})); got != unseenYet {
		t.Errorf("no token: %q, want %q", got, unseenYet)
	}
}

func TestRendered(t *testing.T) {
	sound := harness.File{Path: "oidc_jwks_uri", Perm: 0o440, Owner: 7, InMemory: true}
	for name, row := range map[string]struct {
		change func(*harness.File)
		status int
		want   judged
	}{
		"its own":           {func(*harness.File) {}, 200, pass},
		"0400 of root":      {func(f *harness.File) { f.Perm, f.Owner = 0o400, 0 }, 200, pass},
		"for everybody":     {func(f *harness.File) { f.Perm = 0o444 }, 200, undocumented},
		"to be written":     {func(f *harness.File) { f.Perm = 0o640 }, 200, undocumented},
		"another user's":    {func(f *harness.File) { f.Owner = 8 }, 200, undocumented},
		"on a disk":         {func(f *harness.File) { f.InMemory = false }, 200, undocumented},
		"not taken up":      {func(*harness.File) {}, 403, undocumented},
		"nobody who serves": {func(*harness.File) {}, 503, unseenYet},
	} {
		file := sound
		row.change(&file)
		trace := harness.Trace{
			Exchanges: []harness.Exchange{{Request: harness.Request{Credential: "identity header"},
				Observation: harness.Observation{Status: row.status}}},
			Rendered: []harness.Rendering{{When: "now", User: 7, Files: []harness.File{file}}},
		}
		if got := verdict(t, Rendered{}.Judge(harness.Profile{}, trace)); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	served := harness.Exchange{Request: harness.Request{Credential: "no credential"}, Observation: harness.Observation{Status: 200}}
	trace := harness.Trace{Exchanges: []harness.Exchange{served}, Rendered: []harness.Rendering{{User: 7, Files: []harness.File{sound}}}}
	if got := verdict(t, Rendered{}.Judge(harness.Profile{}, trace)); got != hole {
		t.Errorf("nobody is served: %q, want %q", got, hole)
	}
}
