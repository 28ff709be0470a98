package outcome_test

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
)

func TestHandshakeOutcomesTellAnswersApart(t *testing.T) {
	p := harness.Profile{}
	trace := func(o harness.Observation) harness.Trace {
		r := harness.Request{Mode: harness.MTLS, Variant: "v", Protocol: "h2"}
		return harness.Trace{Exchanges: []harness.Exchange{{Request: r, Observation: o}}}
	}
	living := func(life time.Duration) harness.Trace {
		return harness.Trace{Facts: []harness.Fact{harness.CertificateLife.Was(life)}}
	}
	alert := func(code uint8) harness.Observation {
		return harness.Observation{Transport: harness.Alert, AlertCode: code}
	}
	for name, c := range map[string]struct {
		judge harness.Outcome
		trace harness.Trace
		want  harness.Verdict
	}{
		"alert is in TLS":          {outcome.InTLS(), trace(alert(51)), harness.Pass},
		"401 is not in TLS":        {outcome.InTLS(), trace(harness.Observation{Status: 401}), harness.Fail},
		"or in TLS":                {outcome.Unauthorized().OrInTLS(), trace(alert(51)), harness.Pass},
		"rejected as no TLS":       {outcome.Rejected(), trace(harness.Observation{Transport: harness.Malformed}), harness.Pass},
		"rejected by nobody there": {outcome.Rejected(), trace(harness.Observation{Transport: harness.Refused}), harness.Inconclusive},
		"served is not rejected":   {outcome.Rejected(), trace(harness.Observation{Status: 200}), harness.Fail},
		"soon": {outcome.Unauthorized().Within(time.Second), trace(harness.Observation{Status: 401,
			Total: time.Millisecond}), harness.Pass},
		"late": {outcome.Unauthorized().Within(time.Second), trace(harness.Observation{Status: 401, Total: time.Minute}),
			harness.Fail},
		"legacy by its alert":     {outcome.LegacyRefused{}, trace(alert(70)), harness.Pass},
		"legacy by another alert": {outcome.LegacyRefused{}, trace(alert(40)), harness.Pass},
		"legacy spoken":           {outcome.LegacyRefused{}, trace(harness.Observation{Status: 401, TLSVersion: 0x301}), harness.Fail},
		"legacy unseen":           {outcome.LegacyRefused{}, trace(harness.Observation{Transport: harness.TimeOut}), harness.Inconclusive},
		"short life":              {outcome.ShortLived{}, living(24*time.Hour + 10*time.Minute), harness.Pass},
		"long life":               {outcome.ShortLived{}, living(720 * time.Hour), harness.Fail},
		"no life":                 {outcome.ShortLived{}, harness.Trace{}, harness.Inconclusive},
		"offered and wrong":       {outcome.WhereOffered{Outcome: outcome.Forbidden()}, trace(harness.Observation{Status: 401}), harness.Fail},
		"offered and right":       {outcome.WhereOffered{Outcome: outcome.Forbidden()}, trace(harness.Observation{Status: 403}), harness.Pass},
		"offered, HTTP/3 announced": {outcome.WhereOffered{Outcome: outcome.Forbidden()}, trace(harness.Observation{Status: 403,
			Header: map[string][]string{"Alt-Svc": {`h3=":443"`}}}), harness.Pass},
		"one protocol of two": {outcome.WhereOffered{Outcome: outcome.PerVariant{"by HTTP/1.1": outcome.Forbidden(),
			"by HTTP/2": outcome.Forbidden()}}, harness.Trace{Exchanges: []harness.Exchange{
			{Request: harness.Request{Variant: "by HTTP/2", Protocol: "h2"}, Observation: harness.Observation{Transport: harness.Unoffered}},
			{Request: harness.Request{Variant: "by HTTP/1.1"}, Observation: harness.Observation{Status: 403}},
		}}, harness.Pass},
		"one version of two": {outcome.WhereOffered{Outcome: outcome.PerVariant{"over TLS 1.2": outcome.Forbidden(),
			"over TLS 1.3": outcome.Forbidden()}}, overVersions(harness.Observation{Status: 403}, alert(70)), harness.Pass},
		"no version": {outcome.WhereOffered{Outcome: outcome.PerVariant{"over TLS 1.2": outcome.Forbidden(),
			"over TLS 1.3": outcome.Forbidden()}}, overVersions(alert(70), alert(70)), harness.Inconclusive},
		"one version is wrong": {outcome.WhereOffered{Outcome: outcome.Forbidden()}, overVersions(harness.Observation{Status: 403},
			harness.Observation{Status: 200}), harness.Fail},
		"another alert": {outcome.WhereOffered{Outcome: outcome.Forbidden()}, overVersions(harness.Observation{Status: 403}, alert(40)),
			harness.Fail},
		"any version": {outcome.WhereOffered{Outcome: outcome.Forbidden()}, trace(alert(70)), harness.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			got := harness.Pass
			if problems := c.judge.Judge(p, c.trace).Problems; len(problems) > 0 {
				got = problems[0].Verdict
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// overVersions is a call over TLS 1.2 and one over TLS 1.3.
func overVersions(older, newer harness.Observation) harness.Trace {
	return harness.Trace{Exchanges: []harness.Exchange{
		{Request: harness.Request{Mode: harness.MTLS, Variant: "over TLS 1.2", MinTLS: 0x303, MaxTLS: 0x303}, Observation: older},
		{Request: harness.Request{Mode: harness.MTLS, Variant: "over TLS 1.3", MinTLS: 0x304, MaxTLS: 0x304}, Observation: newer},
	}}
}

func TestWhatIsNotOfferedIsNoted(t *testing.T) {
	offered := harness.Exchange{Request: harness.Request{Mode: harness.MTLS}, Observation: harness.Observation{Status: 403}}
	not := harness.Exchange{Request: harness.Request{Protocol: "h2"}, Observation: harness.Observation{Transport: harness.Unoffered}}
	j := outcome.WhereOffered{Outcome: outcome.Forbidden()}.Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{offered,
		not}})
	if len(j.Problems) != 0 || len(j.Notes) != 1 {
		t.Errorf("got problems %v and notes %q, want none and one", j.Problems, j.Notes)
	}
}

func TestHTTP3IsJudgedWhereItIsSpoken(t *testing.T) {
	call := func(protocol string, o harness.Observation) harness.Exchange {
		return harness.Exchange{Request: harness.Request{Mode: harness.MTLS, Variant: "v" + protocol, Protocol: protocol}, Observation: o}
	}
	refused := harness.Observation{Status: 403}
	announcing := harness.Observation{Status: 403, Header: map[string][]string{"Alt-Svc": {`h3=":443"`}}}
	cleared := harness.Observation{Status: 403, Header: map[string][]string{"Alt-Svc": {"clear"}}}
	nobody := harness.Observation{Transport: harness.Unoffered, Detail: "connection refused"}
	for name, c := range map[string]struct {
		exchanges    []harness.Exchange
		want         harness.Verdict
		inapplicable bool
	}{
		"spoken, and refused":       {[]harness.Exchange{call("", announcing), call("h3", refused)}, harness.Pass, false},
		"spoken, unannounced":       {[]harness.Exchange{call("", refused), call("h3", refused)}, harness.Pass, false},
		"spoken, and served":        {[]harness.Exchange{call("", refused), call("h3", harness.Observation{Status: 200})}, harness.Fail, false},
		"nobody, unannounced":       {[]harness.Exchange{call("", refused), call("h3", nobody)}, harness.Pass, true},
		"nobody, and taken back":    {[]harness.Exchange{call("", cleared), call("h3", nobody)}, harness.Pass, true},
		"nobody, and announced":     {[]harness.Exchange{call("", announcing), call("h3", nobody)}, harness.Inconclusive, true},
		"nobody, and served by TCP": {[]harness.Exchange{call("", harness.Observation{Status: 200}), call("h3", nobody)}, harness.Fail, true},
		"now and then":              {[]harness.Exchange{call("", refused), call("h3", refused), call("h3", nobody)}, harness.Inconclusive, false},
	} {
		j := outcome.ByHTTP3{Outcome: outcome.Forbidden()}.Judge(harness.Profile{}, harness.Trace{Exchanges: c.exchanges})
		got := harness.Pass
		if len(j.Problems) > 0 {
			got = j.Problems[0].Verdict
		}
		if got != c.want || (j.Inapplicable != "") != c.inapplicable {
			t.Errorf("%s: %s, inapplicable %q, want %s, %v", name, got, j.Inapplicable, c.want, c.inapplicable)
		}
	}
}
