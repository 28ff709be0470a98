package keyset

import (
	"context"
	"errors"
	"slices"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe/probetest"
)

// shown is an IdP of documents, by URL.
type shown map[string]string

func (shown) Issuer() string { return "https://idp.test/realms/x" }

func (s shown) Get(_ context.Context, url string) (int, []byte, error) {
	if text, ok := s[url]; ok {
		return 200, []byte(text), nil
	}
	return 404, nil, nil
}

// TestWhatIsWrongOfAPublishedKeyIsTold: by kind, and nothing of the key itself.
func TestWhatIsWrongOfAPublishedKeyIsTold(t *testing.T) {
	const weak = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
	idp := shown{
		"https://idp.test/realms/x" + discovery: `{"issuer": "https://idp.test/realms/x", "jwks_uri": "https://keys.test/jwks"}`,
		"https://keys.test/jwks": `{"keys": [
			{"kty": "EC", "kid": "a", "x": "AA", "y": "AA"}, {"kty": "EC", "kid": "b", "d": "AA"}, {"kty": "oct", "k": "AA"},
			{"kty": "RSA", "kid": "a", "n": "` + weak + `"}, {"kty": "EC", "kid": "a"}, {"kty": "OKP", "crv": "Ed25519"}]}`,
	}
	target := &harness.Target{Control: &harness.Control{IdP: idp}}
	trace, err := Published().Act(t.Context(), probetest.On(target))
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, key := range harness.KeyPublished.In(trace) {
		got = append(got, key.Is)
	}
	want := [][]string{nil, {privateHalf}, {symmetricKey}, {weakRSA}, {kidTwice}, nil}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q, want %q", got, want)
	}
	delete(idp, "https://keys.test/jwks")
	if _, err := Published().Act(t.Context(), probetest.On(target)); !errors.Is(err, harness.ErrMissing) {
		t.Errorf("a key set that is 404: got %v, want it missing", err)
	}
}
