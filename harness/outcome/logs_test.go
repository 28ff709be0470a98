package outcome

import (
	"testing"

	"aegis.test/conformance/harness"
)

func TestRecordsEach(t *testing.T) {
	const sound = `{"time":"2026-01-02T03:04:05Z","event":"denied","probe":"p","path":"/predict","reason":"expired","from":"10.0.0.1:9"}`
	outcome := RecordsEach(Unauthenticated())
	for name, row := range map[string]struct {
		lines  []string
		leaked bool
		want   judged
	}{
		"a record":           {lines: []string{sound}, want: pass},
		"and an access line": {lines: []string{`{"time":"…","path":"/predict","status":401}`, sound}, want: pass},
		"epoch, other names": {lines: []string{`{"ts":1.7e9,"endpoint":"/predict","reason_class":"expired","client_ip":"10.0.0.1"}`},
			want: pass},
		"two records":          {lines: []string{sound, sound}, want: undocumented},
		"none":                 {lines: nil, want: undocumented},
		"an access line alone": {lines: []string{`{"time":"2026-01-02T03:04:05Z","path":"/predict","status":401}`}, want: undocumented},
		"text":                 {lines: []string{"denied p /predict expired"}, want: undocumented},
		"text of Python's":     {lines: []string{`2026-11-30 10:20:11,123 WARNING aegis.auth p: POST /predict from 10.0.0.3 refused: token expired`}, want: pass},
		"uvicorn's beside it": {lines: []string{`2026-11-30 10:20:11,123 WARNING p POST /predict 10.0.0.3:9 denied: missing credentials`,
			`INFO:     10.0.0.3:9 - "POST /predict HTTP/1.1" 401 Unauthorized p`}, want: pass},
		"uvicorn's alone": {lines: []string{`2026-11-30 10:20:11 INFO:     10.0.0.3:9 - "POST /predict HTTP/1.1" 401 Unauthorized p`},
			want: undocumented},
		"logfmt":               {lines: []string{`time=2026-11-30T10:20:11Z level=warn msg="access denied" path=/predict reason="not enrolled" client=10.0.0.3 probe=p`}, want: pass},
		"CRI, then JSON":       {lines: []string{`2026-11-30T10:20:11.1Z stdout F ` + sound}, want: pass},
		"JSON, nested":         {lines: []string{`{"@timestamp":"2026-01-02T03:04:05Z","message":"denied","url":{"path":"/predict"},"event":{"reason":"expired"},"source":{"ip":"10.0.0.1"}}`}, want: pass},
		"JSON, in its message": {lines: []string{`{"asctime":"2026-11-30 10:20:11,123","levelname":"WARNING","message":"token expired","path":"/predict","client":"10.0.0.1"}`}, want: pass},
		"text, IPv6": {lines: []string{`Nov 30 10:20:11 host aegis[1]: p denied [2001:db8::1] "POST /predict" no bearer token`},
			want: pass},
		"text without a time": {lines: []string{`WARNING p POST /predict 10.0.0.3 denied: missing credentials`}, want: undocumented},
		"text of no source": {lines: []string{`2026-11-30 10:20:11,123 WARNING p POST /predict denied: missing credentials`},
			want: undocumented},
		"text of another path": {lines: []string{`2026-11-30 10:20:11,123 WARNING p POST /predictions 10.0.0.3 denied: missing credentials`},
			want: undocumented},
		"two of text": {lines: []string{`2026-11-30 10:20:11 p /predict 10.0.0.3 denied: expired`,
			`2026-11-30 10:20:12 p /predict 10.0.0.3 denied: expired`}, want: undocumented},
		"no time":      {lines: []string{`{"path":"/predict","reason":"expired","from":"10.0.0.1"}`}, want: undocumented},
		"no endpoint":  {lines: []string{`{"time":"2026-01-02T03:04:05Z","reason":"expired","from":"10.0.0.1"}`}, want: undocumented},
		"no source":    {lines: []string{`{"time":"2026-01-02T03:04:05Z","path":"/predict","reason":"expired"}`}, want: undocumented},
		"a credential": {lines: []string{sound}, leaked: true, want: undocumented},
	} {
		trace := harness.Trace{
			Exchanges: []harness.Exchange{{Request: harness.Request{Path: "/predict"}, Observation: harness.Observation{Status: 401}}},
			Records:   []harness.Record{{Lines: row.lines}},
		}
		if row.leaked {
			trace.Facts = []harness.Fact{harness.CredentialsLogged.Was("token")}
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
	inTLS := harness.Exchange{Request: harness.Request{Mode: harness.MTLS}, Observation: harness.Observation{Transport: harness.Alert,
		AlertCode: 116}}
	for name, row := range map[string]struct {
		exchange   harness.Exchange
		profile    harness.Profile
		lines      []string
		handshakes int
		want       judged
	}{
		"a line with the status": {exchange: inHTTP, lines: []string{`{"status":401}`}, handshakes: 0, want: pass},
		"a line with another":    {exchange: inHTTP, lines: []string{`{"status":200}`}, handshakes: 0, want: undocumented},
		"no line":                {exchange: inHTTP, handshakes: 0, want: undocumented},
		"a handshake, noted":     {exchange: inTLS, profile: harness.Profile{NoCertificate: harness.TLSAlert}, handshakes: 1, want: pass},
		"a handshake, not noted": {exchange: inTLS, profile: harness.Profile{NoCertificate: harness.TLSAlert}, handshakes: 0,
			want: undocumented},
		"answered otherwise at all": {exchange: harness.Exchange{Observation: harness.Observation{Status: 502}}, handshakes: 0, want: unseenYet},
	} {
		trace := harness.Trace{
			Exchanges: []harness.Exchange{row.exchange}, Records: []harness.Record{{Lines: row.lines}},
			Facts: []harness.Fact{harness.RefusedHandshakes.Was(row.handshakes)},
		}
		if got := verdict(t, Noted(Unauthenticated()).Judge(row.profile, trace)); got != row.want {
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
		"an error record": {start: harness.Startup{Exited: true, Code: 1, Log: complaint}, want: pass},
		"text": {start: harness.Startup{Exited: true, Code: 1, Log: "2026-11-30 10:20:11,123 ERROR app startup failed: " +
			"missing required secret(s): aegis/runtime:oidc_jwks_uri"}, want: pass},
		"logfmt": {start: harness.Startup{Exited: true, Code: 1, Log: `ts=1 level=error err="reading aegis/runtime: 403"`},
			want: pass},
		"uvicorn, of many lines": {start: harness.Startup{Exited: true, Code: 1, Log: "INFO:     Waiting\nERROR:    Traceback (most recent " +
			"call last):\n  File \"x.py\", line 3, in y\nRuntimeError: missing required secret(s): aegis/runtime:oidc_jwks_uri\n\nERROR:    " +
			"Application startup failed. Exiting.\n"}, want: pass},
		"klog": {start: harness.Startup{Exited: true, Code: 1, Log: "E1130 10:20:11.123456       1 main.go:42] reading " +
			"aegis/runtime: 403"}, want: pass},
		"syslog": {start: harness.Startup{Exited: true, Code: 1, Log: "<11>Nov 30 10:20:11 host aegis: reading " +
			"aegis/runtime: 403"}, want: pass},
		"in brackets": {start: harness.Startup{Exited: true, Code: 1, Log: "[2026-11-30 10:20:11] [CRITICAL] cannot read " +
			"aegis/runtime"}, want: pass},
		"JSON, pino": {start: harness.Startup{Exited: true, Code: 1,
			Log: `{"level":50,"time":1,"msg":"reading aegis/runtime: 403"}`}, want: pass},
		"JSON, ECS, escaped": {start: harness.Startup{Exited: true, Code: 1,
			Log: `{"log":{"level":"error"},"message":"reading aegis\/runtime: 403"}`}, want: pass},
		"JSON, OpenTelemetry": {start: harness.Startup{Exited: true, Code: 1,
			Log: `{"severityNumber":17,"body":"reading aegis/runtime: 403"}`}, want: pass},
		"text of level info": {start: harness.Startup{Exited: true, Code: 1, Log: "2026-11-30 INFO reading aegis/runtime, no error so far"},
			want: undocumented},
		"text of another error": {start: harness.Startup{Exited: true, Code: 1, Log: "INFO reading aegis/runtime\nERROR oops"},
			want: undocumented},
		"pino, a warning": {start: harness.Startup{Exited: true, Code: 1, Log: `{"level":40,"msg":"reading aegis/runtime: 403"}`},
			want: undocumented},
		"no level": {start: harness.Startup{Exited: true, Code: 1, Log: "missing aegis/runtime"}, want: undocumented},
		"of level info": {start: harness.Startup{Exited: true, Code: 1, Log: `{"level":"INFO","error":"reading aegis/runtime"}`},
			want: undocumented},
		"about something else": {start: harness.Startup{Exited: true, Code: 1, Log: `{"level":"ERROR","error":"oops"}`}, want: undocumented},
		"no word":              {start: harness.Startup{Exited: true, Code: 1}, want: undocumented},
		"it goes on":           {start: harness.Startup{Log: complaint}, want: undocumented},
		"a value in the log": {start: harness.Startup{Exited: true, Code: 1, Log: complaint},
			facts: []harness.Fact{harness.ValuesLogged.Was("oidc_jwks_uri")}, want: undocumented},
		"status 0 for an error": {start: harness.Startup{Exited: true, Log: complaint}, want: undocumented},
	} {
		trace := harness.Trace{Startups: []harness.Startup{row.start, sound}, Facts: row.facts}
		if got := verdict(t, LogsUnreadable().Judge(harness.Profile{}, trace)); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
