package outcome

import (
	"slices"
	"testing"

	"aegis.test/conformance/harness"
)

// TestAsked: who did not prove who he is may be told first that what he asks for is not
// there, or is badly asked for; who asks as the sound call does is told 401.
func TestAsked(t *testing.T) {
	sound := func(change func(*harness.Request)) harness.Request {
		r := harness.Request{
			Mode: harness.OIDC, Origin: "https://aegis.test:8443", Method: "POST", Path: "/enroll", Unique: "one", Body: []byte(`{"id": "one"}`),
			Endpoint: harness.Endpoint{Method: "POST", Path: "/enroll", ContentType: "application/json", Body: []byte(`{"id": "{{unique}}"}`)},
			Fields:   []harness.Field{{Name: "Host", Value: "aegis.test:8443"}, {Name: "Content-Type", Value: "application/json"}},
		}
		change(&r)
		return r
	}
	nowhere, badly, nobody := []int{404, 405, 501}, []int{400, 411, 413, 415, 422}, []int{404, 421}
	for name, row := range map[string]struct {
		change  func(*harness.Request)
		further []int
		tls     bool
	}{
		"as the sound call":    {func(*harness.Request) {}, nil, false},
		"with a field more":    {func(r *harness.Request) { r.Set("Cookie", "token=x") }, nil, false},
		"the host in capitals": {func(r *harness.Request) { r.Set("Host", "AEGIS.test:8443"); r.SNI = "AEGIS.TEST" }, nil, false},
		"another method":       {func(r *harness.Request) { r.Method = "PUT" }, nowhere, false},
		"another path":         {func(r *harness.Request) { r.Path = "/enroll/" }, nowhere, false},
		"in absolute form":     {func(r *harness.Request) { r.Path = "https://bearer:x@aegis.test:8443/enroll" }, nowhere, false},
		"a query":              {func(r *harness.Request) { r.Path += "?access_token=x" }, badly, false},
		"another body":         {func(r *harness.Request) { r.Body = []byte("{}") }, badly, false},
		"another kind of body": {func(r *harness.Request) { r.Set("Content-Type", "text/plain") }, badly, false},
		"a body held back":     {func(r *harness.Request) { r.Set("Expect", "100-continue") }, badly, false},
		"bytes as they are":    {func(r *harness.Request) { r.Raw = []byte("GET /\r\n") }, badly, false},
		"another host":         {func(r *harness.Request) { r.Set("Host", "127.0.0.1:8443") }, nobody, true},
		"another name in TLS":  {func(r *harness.Request) { r.SNI = harness.NoSNI }, nobody, true},
		"another path and host": {func(r *harness.Request) { r.Path = "/"; r.Set("Host", "x.test") }, append(slices.Clone(nowhere), nobody...),
			true},
	} {
		x := harness.Exchange{Request: sound(row.change)}
		for _, status := range []int{400, 401, 404, 405, 411, 413, 415, 421, 422, 501} {
			x.Observation = harness.Observation{Status: status}
			want := undocumented
			if status == 401 || slices.Contains(row.further, status) {
				want = pass
			}
			if got := verdict(t, Unauthenticated().Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{x}})); got != want {
				t.Errorf("%s: %d is %q, want %q", name, status, got, want)
			}
			if got := verdict(t, Unauthenticated().Foremost().Judge(harness.Profile{},
				harness.Trace{Exchanges: []harness.Exchange{x}})); (got == pass) != (status == 401) {
				t.Errorf("%s, asked first of all: %d is %q", name, status, got)
			}
		}
		for _, o := range []harness.Observation{{Status: 200}, {Status: 404, Reached: &harness.Reached{Handled: 1}}} {
			x.Observation = o
			if got := verdict(t, Unauthenticated().Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{x}})); got != hole {
				t.Errorf("%s: %d is %q, want a hole", name, o.Status, got)
			}
		}
		x.Observation = harness.Observation{Transport: harness.Alert, AlertCode: 112}
		if got := verdict(t, Unauthenticated().Judge(harness.Profile{},
			harness.Trace{Exchanges: []harness.Exchange{x}})); (got == pass) != row.tls {
			t.Errorf("%s: unrecognized_name is %q", name, got)
		}
	}
}
