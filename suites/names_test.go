package suites_test

import (
	"testing"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/suites"
)

// TestNamesAsPeopleWriteThem: whatever the enrolled client is called, and wherever in
// his certificate, every credential of the catalogue can be made for him.
func TestNamesAsPeopleWriteThem(t *testing.T) {
	usual := made(t, certs.Leaf{CommonName: "aegis-client"})
	if len(usual) < 100 {
		t.Fatalf("the requests of %d rows are made, want a hundred and more", len(usual))
	}
	for label, leaf := range map[string]certs.Leaf{
		"a token":        {CommonName: "svc_enrolled_01"},
		"of two words":   {CommonName: "Jane Doe"},
		"beyond ASCII":   {CommonName: "Zoë Müller"},
		"of mail":        {CommonName: "jane.doe@example.org"},
		"a URI":          {CommonName: "spiffe://example.org/ns/aegis/sa/caller"},
		"punctuation":    {CommonName: "O'Neill, Jane (ops) #1"},
		"an address":     {CommonName: "10.0.0.7"},
		"63 letters":     {CommonName: "a23456789012345678901234567890123456789012345678901234567890123"},
		"no CN, a DNS":   {CommonName: "caller.example.org", Subject: []certs.Attribute{}, Names: []string{"caller.example.org"}},
		"no CN, a URI":   {CommonName: "spiffe://example.org/caller", Subject: []certs.Attribute{}, Names: []string{"spiffe://example.org/caller"}},
		"no CN, of mail": {CommonName: "jane@example.org", Subject: []certs.Attribute{{Type: "O", Value: "Example"}}, Names: []string{"jane@example.org"}},
	} {
		t.Run(label, func(t *testing.T) {
			for id, requests := range made(t, leaf) {
				if len(requests) != len(usual[id]) {
					t.Errorf("%s: %d requests are made, want %d as for an ordinary name", id, len(requests), len(usual[id]))
				}
			}
		})
	}
}

// made are the requests of each row that can be foretold, for a client who is enrolled;
// none of a row that cannot be made.
func made(t *testing.T, leaf certs.Leaf) map[string][]harness.Request {
	t.Helper()
	target, all := called(t, leaf), map[string][]harness.Request{}
	for _, x := range suites.All() {
		if s := x.Stimulus.Build(); s.Requests != nil && len(x.Missing(target)) == 0 {
			all[x.ID], _ = s.Requests(target)
		}
	}
	return all
}

// called is a target of paper that grants keys, whose enrolled client has a certificate.
func called(t *testing.T, leaf certs.Leaf) *harness.Target {
	t.Helper()
	ca := must(certs.NewAuthority("Clients"))(t)
	pair := func(leaf certs.Leaf) harness.CertPair {
		p := must(ca.Issue(leaf))(t)
		return harness.CertPair{Chain: p.ChainPEM(), Key: harness.Secret(must(p.KeyPEM())(t))}
	}
	face := harness.Face{URL: "https://aegis.test"}
	es, rs := must(token.NewKey())(t), must(token.NewRSAKey())(t)
	return &harness.Target{
		Run: "run", Faces: map[harness.Mode]harness.Face{harness.OIDC: face, harness.MTLS: face},
		Backends: map[harness.Mode]harness.Face{harness.OIDC: face, harness.MTLS: face},
		Endpoints: []harness.Endpoint{
			{Name: "inference", Method: "POST", Path: "/predict", ContentType: "application/json", Body: []byte(`{"inputs": [1]}`)},
			{Name: "enrollment", Method: "POST", Path: "/enroll", ContentType: "application/json", Body: []byte(`{"id": "{{unique}}"}`)},
			{Name: "review", Method: "POST", Path: "/review", ContentType: "application/json", Body: []byte(`{}`)},
			{Name: "review item", Method: "GET", Path: "/review/a"},
		},
		Profile: harness.Profile{Issuer: "https://idp.test", Audience: "aegis", Intermediates: true},
		Tokens:  harness.TokenGrant{Signing: []harness.SigningKey{es, rs}, Subject: "caller"},
		Certs: harness.CertGrant{
			Enrolled: pair(leaf), Unenrolled: pair(certs.Leaf{CommonName: "other"}), EnrolledCN: leaf.CommonName, UnenrolledCN: "other",
			Authority: harness.CertPair{Chain: ca.RootPEM(), Key: harness.Secret(must(ca.Pair().KeyPEM())(t))},
		},
	}
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
