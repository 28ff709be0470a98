package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

// call is a call of a replica, as the stimulus names it.
func call(variant string, status int) harness.Exchange {
	return harness.Exchange{Request: harness.Request{Variant: variant, Credential: variant}, Observation: harness.Observation{Status: status}}
}

func calls(none, valid int) []harness.Exchange {
	return []harness.Exchange{call("no credential", none), call("valid credential", valid)}
}

var (
	exits       = harness.Startup{Exited: true, Code: 2}
	exitsSound  = harness.Startup{Exited: true}
	hangs       = harness.Startup{}
	serves      = harness.Startup{After: calls(401, 200)}
	open        = harness.Startup{After: calls(200, 200)}
	openedFirst = harness.Startup{Exited: true, Code: 2, Before: calls(200, 200)}
	held        = harness.Startup{Asked: true, Refused: 30, After: calls(401, 200)}
	unready     = harness.Startup{Asked: true, Before: calls(503, 503), After: calls(401, 200)}
	early       = harness.Startup{Asked: true, Before: calls(401, 401), After: calls(401, 200)}
	earlyOpen   = harness.Startup{Asked: true, Before: calls(401, 200), After: calls(401, 200)}
	unasked     = harness.Startup{Refused: 30, After: calls(401, 200)}
	neverServes = harness.Startup{Asked: true, Refused: 30}
	diesHeld    = harness.Startup{Asked: true, Exited: true, Code: 2}
	refusesAll  = harness.Startup{Asked: true, After: calls(401, 401)}
)

func TestStarts(t *testing.T) {
	for name, row := range map[string]struct {
		start                        harness.Startup
		refuses, enforces, onlyAfter judged
	}{
		"exits":                      {exits, pass, pass, unseenYet},
		"exits with 0 (A-29)":        {exitsSound, undocumented, undocumented, unseenYet},
		"hangs (A-29)":               {hangs, undocumented, undocumented, unseenYet},
		"serves":                     {serves, undocumented, pass, unseenYet},
		"serves anybody":             {open, hole, hole, hole},
		"served before it exited":    {openedFirst, hole, hole, hole},
		"held, then serves":          {held, undocumented, pass, pass},
		"unready, then serves":       {unready, undocumented, pass, pass},
		"answers early":              {early, undocumented, pass, undocumented},
		"serves early":               {earlyOpen, hole, hole, hole},
		"not seen to ask":            {unasked, undocumented, pass, unseenYet},
		"never serves":               {neverServes, undocumented, undocumented, undocumented},
		"exits while held":           {diesHeld, pass, pass, unseenYet},
		"refuses valid ones as well": {refusesAll, undocumented, pass, undocumented},
	} {
		for outcome, want := range map[string]judged{"refuses": row.refuses, "enforces": row.enforces, "only after": row.onlyAfter} {
			o := map[string]Startup{"refuses": RefusesToStart(), "enforces": RefusesOrEnforces(), "only after": ServesOnlyWithSecrets()}[outcome]
			if got := verdict(t, o.Judge(harness.Profile{}, harness.Trace{Startups: []harness.Startup{row.start}})); got != want {
				t.Errorf("%s, %s: %q, want %q", name, outcome, got, want)
			}
		}
	}
}

// TestSoundStartIsTheControl: where a sound start does not serve, an exit says
// nothing; a hole stays a hole.
func TestSoundStartIsTheControl(t *testing.T) {
	for name, row := range map[string]struct {
		control harness.Startup
		start   harness.Startup
		profile harness.Profile
		want    []judged
	}{
		"serves":              {serves, exits, harness.Profile{}, nil},
		"exits too":           {exits, exits, harness.Profile{}, []judged{unseenYet}},
		"hangs":               {hangs, exits, harness.Profile{}, []judged{unseenYet}},
		"refuses all":         {refusesAll, exits, harness.Profile{}, []judged{unseenYet}},
		"hole stays":          {exits, open, harness.Profile{}, []judged{hole, unseenYet}},
		"serves by 201":       {harness.Startup{After: calls(401, 201)}, exits, harness.Profile{Success: []int{201}}, nil},
		"serves by undoc 201": {harness.Startup{After: calls(401, 201)}, exits, harness.Profile{}, []judged{unseenYet}},
	} {
		row.control.Control = true
		j := RefusesToStart().Judge(row.profile, harness.Trace{Startups: []harness.Startup{row.start, row.control}})
		if len(j.Problems) != len(row.want) {
			t.Errorf("%s: %+v, want %v", name, j.Problems, row.want)
			continue
		}
		for i, p := range j.Problems {
			if got := verdict(t, harness.Judgement{Problems: []harness.Problem{p}}); got != row.want[i] || p.Exchange != -1 {
				t.Errorf("%s: %q at %d, want %q", name, got, p.Exchange, row.want[i])
			}
		}
	}
}

// TestStartsBesides: what is wanted of the log comes after what is wanted of the
// exit, and each start has its own outcome.
func TestStartsBesides(t *testing.T) {
	untold := harness.Startup{Exited: true, Code: 2, Unnamed: []string{"oidc_jwks_uri"}}
	told := harness.Startup{Exited: true, Code: 2, Leaks: []string{"its token of Vault"}}
	of := func(variant string, s harness.Startup) harness.Startup { s.Variant = variant; return s }
	control := serves
	control.Control = true
	for name, row := range map[string]struct {
		outcome harness.Outcome
		starts  []harness.Startup
		want    judged
	}{
		"named":            {RefusesToStart().Named(), []harness.Startup{exits}, pass},
		"not named":        {RefusesToStart().Named(), []harness.Startup{untold}, undocumented},
		"discreet":         {RefusesToStart().Discreet(), []harness.Startup{exits}, pass},
		"not discreet":     {RefusesToStart().Named().Discreet(), []harness.Startup{told}, undocumented},
		"exit goes before": {RefusesToStart().Discreet(), []harness.Startup{hangs}, undocumented},
		"serves":           {Serves(), []harness.Startup{serves}, pass},
		"serves nobody":    {Serves(), []harness.Startup{exits}, undocumented},
		"serves anybody":   {Serves(), []harness.Startup{open}, hole},
		"each its own": {PerStart{"a": Serves(), "b": RefusesToStart()}, []harness.Startup{of("a", serves), of("b", exits), control},
			pass},
		"each its own, not b": {PerStart{"a": Serves(), "b": RefusesToStart()}, []harness.Startup{of("a", serves), of("b", serves), control},
			undocumented},
		"nothing started": {PerStart{"a": Serves()}, nil, unseenYet},
	} {
		if got := verdict(t, row.outcome.Judge(harness.Profile{}, harness.Trace{Startups: row.starts})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
