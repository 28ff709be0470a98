package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestRecordsEach(t *testing.T) {
	const sound = `{"time":"2026-01-02T03:04:05Z","event":"denied","probe":"p","path":"/predict","reason":"expired","from":"10.0.0.1:9"}`
	outcome := RecordsEach(Unauthenticated(), "leak")
	for name, row := range map[string]struct {
		lines  []string
		leaked bool
		want   judged
	}{
		"a record":             {lines: []string{sound}, want: pass},
		"and an access line":   {lines: []string{`{"time":"…","path":"/predict","status":401}`, sound}, want: pass},
		"epoch, other names":   {lines: []string{`{"ts":1.7e9,"endpoint":"/predict","reason_class":"expired","client_ip":"10.0.0.1"}`}, want: pass},
		"two records":          {lines: []string{sound, sound}, want: undocumented},
		"none":                 {lines: nil, want: undocumented},
		"an access line alone": {lines: []string{`{"time":"2026-01-02T03:04:05Z","path":"/predict","status":401}`}, want: undocumented},
		"text":                 {lines: []string{"denied p /predict expired"}, want: undocumented},
		"no time":              {lines: []string{`{"path":"/predict","reason":"expired","from":"10.0.0.1"}`}, want: undocumented},
		"no endpoint":          {lines: []string{`{"time":"2026-01-02T03:04:05Z","reason":"expired","from":"10.0.0.1"}`}, want: undocumented},
		"no source":            {lines: []string{`{"time":"2026-01-02T03:04:05Z","path":"/predict","reason":"expired"}`}, want: undocumented},
		"a credential":         {lines: []string{sound}, leaked: true, want: undocumented},
	} {
		trace := harness.Trace{
			Exchanges: []harness.Exchange{{Request: harness.Request{Path: "/predict"}, Observation: harness.Observation{Status: 401}}},
			Records:   []harness.Record{{Lines: row.lines}},
		}
		if row.leaked {
			trace.Facts = []harness.Fact{{Name: "leak", Values: []string{"token"}}}
		}
		if got := verdict(t, outcome.Judge(harness.Profile{}, trace)); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
		trace.Exchanges[0].Observation.Status = 503
		if got := verdict(t, outcome.Judge(harness.Profile{}, trace)); got != unseenYet {
			t.Errorf("%s, and the call not refused: %q, want %q", name, got, unseenYet)
		}
	}
}

func TestNoted(t *testing.T) {
	inHTTP := harness.Exchange{Observation: harness.Observation{Status: 401}}
	inTLS := harness.Exchange{Request: harness.Request{Mode: harness.MTLS}, Observation: harness.Observation{Transport: harness.Alert, AlertCode: 116}}
	for name, row := range map[string]struct {
		exchange   harness.Exchange
		profile    harness.Profile
		lines      []string
		handshakes string
		want       judged
	}{
		"a line with the status":    {exchange: inHTTP, lines: []string{`{"status":401}`}, handshakes: "0", want: pass},
		"a line with another":       {exchange: inHTTP, lines: []string{`{"status":200}`}, handshakes: "0", want: undocumented},
		"no line":                   {exchange: inHTTP, handshakes: "0", want: undocumented},
		"a handshake, noted":        {exchange: inTLS, profile: harness.Profile{NoCertificate: harness.TLSAlert}, handshakes: "1", want: pass},
		"a handshake, not noted":    {exchange: inTLS, profile: harness.Profile{NoCertificate: harness.TLSAlert}, handshakes: "0", want: undocumented},
		"answered otherwise at all": {exchange: harness.Exchange{Observation: harness.Observation{Status: 502}}, handshakes: "0", want: unseenYet},
	} {
		trace := harness.Trace{
			Exchanges: []harness.Exchange{row.exchange}, Records: []harness.Record{{Lines: row.lines}},
			Facts: []harness.Fact{{Name: "handshakes", Values: []string{row.handshakes}}},
		}
		if got := verdict(t, Noted(Unauthenticated(), "handshakes").Judge(row.profile, trace)); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestLogsUnreadable(t *testing.T) {
	sound := harness.Startup{Control: true, After: []harness.Exchange{{Observation: harness.Observation{Status: 200}}}}
	const complaint = `{"level":"ERROR","event":"exit","error":"reading aegis/runtime: 403"}`
	for name, row := range map[string]struct {
		start harness.Startup
		facts []harness.Fact
		want  judged
	}{
		"an error record":       {start: harness.Startup{Exited: true, Code: 1, Log: complaint}, want: pass},
		"of level info":         {start: harness.Startup{Exited: true, Code: 1, Log: `{"level":"INFO","error":"reading aegis/runtime"}`}, want: undocumented},
		"about something else":  {start: harness.Startup{Exited: true, Code: 1, Log: `{"level":"ERROR","error":"oops"}`}, want: undocumented},
		"no word":               {start: harness.Startup{Exited: true, Code: 1}, want: undocumented},
		"it goes on":            {start: harness.Startup{Log: complaint}, want: undocumented},
		"a value in the log":    {start: harness.Startup{Exited: true, Code: 1, Log: complaint}, facts: []harness.Fact{{Name: "leak", Values: []string{"oidc_jwks_uri"}}}, want: undocumented},
		"status 0 for an error": {start: harness.Startup{Exited: true, Log: complaint}, want: undocumented},
	} {
		trace := harness.Trace{Startups: []harness.Startup{row.start, sound}, Facts: row.facts}
		if got := verdict(t, LogsUnreadable("leak").Judge(harness.Profile{}, trace)); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
