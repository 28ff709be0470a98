package probe

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

func TestInterleavedTokensAreInTurnAndTheirOwn(t *testing.T) {
	key, err := token.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	target := &harness.Target{
		Faces:  map[harness.Mode]harness.Face{harness.OIDC: {URL: "https://aegis.test"}},
		Tokens: harness.TokenGrant{Signing: []harness.SigningKey{key}},
	}
	calls := Interleaved(3)
	requests, _, err := calls.requests(target, []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}})
	if err != nil || len(requests) != 6 {
		t.Fatalf("%d requests, %v: want 6", len(requests), err)
	}
	seen := map[string]bool{}
	for i, r := range requests {
		want := token.Subject().Name
		if i%2 == 1 {
			want = token.OtherPayload().Name
		}
		if r.Variant != want || seen[r.Get("Authorization")] {
			t.Errorf("request %d: %q, token seen %v", i, r.Variant, seen[r.Get("Authorization")])
		}
		seen[r.Get("Authorization")] = true
	}
	built := calls.Build()
	if words := built.Words; strings.Count(words, token.Subject().Name) != 1 {
		t.Errorf("words %q say it more than once", words)
	}
	if built.OwnControl || built.Effect != harness.AuthFailures {
		t.Errorf("controls of its own %v, effect %s", built.OwnControl, built.Effect)
	}
}
