package probe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire/wiretest"
)

// TestTamperedIsMadeOfTheAccepted: each token that is tampered with is sent behind the
// very one that it is made of.
func TestTamperedIsMadeOfTheAccepted(t *testing.T) {
	target := wiretest.Serve(t, func(http.ResponseWriter, *http.Request) {})
	key, err := token.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	target.Tokens.Signing = []harness.SigningKey{key}
	target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}, {Name: "review", Method: "POST",
		Path: "/review"}}
	for _, stimulus := range []harness.Stimulus{Tampered(token.FlippedBit(), token.Transplanted()), TamperedTogether(token.FlippedBit(),
		token.Transplanted())} {
		trace, err := stimulus.Act(wiretest.Within(t, 20*time.Second), probetest.On(target))
		if err != nil || len(trace.Exchanges) != 8 {
			t.Fatalf("%d exchanges, %v, want a pair of each kind at each endpoint", len(trace.Exchanges), err)
		}
		for i := 0; i < len(trace.Exchanges); i += 2 {
			sound, made := trace.Exchanges[i].Request, trace.Exchanges[i+1].Request
			of := func(r harness.Request) (signed, signature string) {
				value := r.Get("Authorization")
				at := strings.LastIndex(value, ".")
				return value[:at], value[at:]
			}
			one, proof := of(sound)
			other, forged := of(made)
			if sound.Variant != token.Sound().Name || one != other || proof == forged {
				t.Errorf("%q and %q: want the same header and payload, and another signature", sound.Variant, made.Variant)
			}
		}
	}
}
