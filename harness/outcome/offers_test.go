package outcome

import (
	"crypto/tls"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// TestWeakRefused: what is spoken of the weak fails, what was not seen is not passed, and
// what is recorded is told and fails nothing.
func TestWeakRefused(t *testing.T) {
	w := WeakRefused{Refused: []string{"offering RSA"}, Bound: []string{"offering TLS 1.2"}, Recorded: []string{"offering hybrid"}}
	spoken := harness.Observation{Status: 200, TLSVersion: tls.VersionTLS12, CipherSuite: tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
	unbound := spoken
	unbound.Unbound = true
	refused := harness.Observation{Transport: harness.Alert, AlertCode: 40}
	unspoken := harness.Observation{Transport: harness.Alert, AlertCode: protocolVersion}
	nobody := harness.Observation{Transport: harness.Refused}
	for _, row := range []struct {
		variant string
		seen    harness.Observation
		want    harness.Verdict // of a problem; "" is none
		note    string
	}{
		{"offering RSA", spoken, harness.Fail, ""}, {"offering RSA", refused, "", ""}, {"offering RSA", nobody, harness.Inconclusive, ""},
		{"offering TLS 1.2", spoken, "", "TLS_RSA_WITH"}, {"offering TLS 1.2", unbound, harness.Fail, ""}, {"offering TLS 1.2", refused, "", ""},
		{"offering RSA", unspoken, "", ""}, {"offering hybrid", unspoken, "", "not offered"},
		{"offering hybrid", refused, "", "not offered"}, {"offering hybrid", spoken, "", "TLS 1.2"}, {"offering hybrid", nobody, harness.Inconclusive, ""},
	} {
		x := harness.Exchange{Request: harness.Request{Variant: "enrolled certificate " + row.variant}, Observation: row.seen}
		j := w.Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{x}})
		var got harness.Verdict
		if len(j.Problems) > 0 {
			got = j.Problems[0].Verdict
		}
		if got != row.want || !strings.Contains(strings.Join(j.Notes, ";"), row.note) {
			t.Errorf("%s %+v: got %q %q, want %q and %q", row.variant, row.seen.Transport, got, j.Notes, row.want, row.note)
		}
	}
}
