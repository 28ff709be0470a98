package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestOneEach(t *testing.T) {
	const denied, access = `{"event":"denied","probe":"p","reason":"expired"}`, `{"event":"request","probe":"p","status":401}`
	at := &harness.Reached{Seen: 1, Complete: true}
	elsewhere := &harness.Reached{Complete: true}
	outcome := Hides("w", harness.Contract).Whatever().OneEach()
	for name, row := range map[string]struct {
		control, lines []string
		reached        *harness.Reached
		status         int
		want           judged
		notes          int
	}{
		"one":                        {[]string{denied}, []string{denied}, at, 401, pass, 0},
		"beside a line of access":    {[]string{denied, access}, []string{access, denied}, at, 401, pass, 0},
		"two":                        {[]string{denied}, []string{denied, denied}, at, 401, undocumented, 0},
		"two, and no request log":    {[]string{denied}, []string{denied, denied}, nil, 403, undocumented, 0},
		"none":                       {[]string{denied}, []string{access}, at, 401, undocumented, 0},
		"none, and no request log":   {[]string{denied}, nil, nil, 401, pass, 1},
		"none, refused before it":    {[]string{denied}, nil, elsewhere, 401, pass, 1},
		"none, and it was no denial": {[]string{denied}, nil, at, 404, pass, 0},
		"a log of access alone":      {[]string{access}, []string{access, access}, at, 401, pass, 1},
		"a log of text":              {[]string{"denied p"}, []string{"denied p", "denied p"}, at, 401, pass, 1},
		"two of a control":           {[]string{denied, denied}, []string{denied}, at, 401, undocumented, 0},
	} {
		control := harness.Exchange{Request: harness.Request{Control: true}, Observation: harness.Observation{Status: 401, Reached: at}}
		trace := harness.Trace{
			Facts:     []harness.Fact{harness.Searched.At("a log")},
			Exchanges: []harness.Exchange{control, {Observation: harness.Observation{Status: row.status, Reached: row.reached}}, control},
			Records:   []harness.Record{{Exchange: 0, Lines: row.control}, {Exchange: 1, Lines: row.lines}, {Exchange: 2, Lines: row.control[:1]}},
		}
		j := outcome.Judge(harness.Profile{}, trace)
		if got := verdict(t, j); got != row.want || len(j.Notes) != row.notes {
			t.Errorf("%s: %q with notes %q, want %q and %d", name, got, j.Notes, row.want, row.notes)
		}
	}
}
