package leak

import (
	"testing"

	"aegis.test/conformance/harness"
)

// TestOurOwnInURLs: a token that a stimulus of ours has put into a query is told
// under the rule about queries, and under no other.
func TestOurOwnInURLs(t *testing.T) {
	const sample = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZWdpcyJ9.c2lnbmF0dXJl"
	for name, row := range map[string]struct {
		line              string
		anywhere, inQuery bool
	}{
		"an ingress's line":      {`10.0.0.1 - "POST /predict?access_token=` + sample + ` HTTP/1.1" 401`, false, true},
		"behind another":         {`"GET /x?a=b&access_token=` + sample + `&c=d" 401`, false, true},
		"the arguments alone":    {`{"args":"access_token=` + sample + `","status":401}`, false, true},
		"encoded":                {`uri=%2Fpredict%3Faccess_token%3D` + sample, false, true},
		"escaped by JSON":        {`{"uri":"/predict?access_token\u003d` + sample + `"}`, false, true},
		"a header":               {`{"authorization":"Bearer ` + sample + `"}`, true, true},
		"an answer of the IdP's": {`{"access_token":"` + sample + `","expires_in":60}`, true, true},
		"both":                   {`"POST /predict?access_token=` + sample + `" Authorization: Bearer ` + sample, true, true},
		"nothing":                {`"POST /predict" 401`, false, false},
	} {
		for urls, want := range map[bool]bool{false: row.anywhere, true: row.inQuery} {
			s := search{sought: harness.Sought{"a token": sample}, urls: urls}
			s.in("a log", row.line)
			if got := len(s.facts) > 1; got != want {
				t.Errorf("%s, in URLs %v: shown %v, want %v", name, urls, got, want)
			}
		}
	}
}
