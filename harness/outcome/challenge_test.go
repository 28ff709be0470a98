package outcome

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/challenge"
)

// TestChallenges: what RFC 9110 section 11.6.1 lets stand in one field.
func TestChallenges(t *testing.T) {
	for field, want := range map[string]string{
		`Bearer`: `bearer`,
		`DPoP algs="ES256", Bearer realm="aegis", error="invalid_token"`:                `dpop algs="ES256"; bearer error="invalid_token" realm="aegis"`,
		`Bearer realm="aegis", error="invalid_token", DPoP algs="ES256"`:                `bearer error="invalid_token" realm="aegis"; dpop algs="ES256"`,
		`Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple"`: `newauth realm="apps" title="Login to "apps"" type=1; basic realm="simple"`,
		`Negotiate, NTLM, Bearer`:                    `negotiate; ntlm; bearer`,
		`Negotiate YII=, Bearer`:                     `negotiate YII=; bearer`,
		`Basic a+/b==,Bearer  realm = "x" ,	error=y`: `basic a+/b==; bearer error=y realm="x"`,
		` , ,Bearer,, realm="x" , `:                  `bearer realm="x"`,
		`BEARER Realm="a, Basic b"`:                  `bearer realm="a, Basic b"`,
		`Digest realm="a, Bearer b"`:                 `digest realm="a, Bearer b"`,
		`Bearer-Like realm="x"`:                      `bearer-like realm="x"`,
		``:                                           ``,
		`Bearer realm=aegis service`:                 `bearer realm=aegis; an error`,
		`Bearer error="invalid`:                      `bearer; an error`,
		`Bearer error="a", error="b"`:                `bearer error="a"; an error`,
		`realm="x", Bearer`:                          `an error`,
		`Basic a=, realm="x"`:                        `basic a=; an error`,
		"Bearer error=\"a\x01b\"":                    `bearer; an error`,
		`{"error":"unauthorized"}`:                   `an error`,
		`Bearer error_description="d;e", error="no"`: `bearer error="no" error_description="d;e"`,
	} {
		found, err := challenge.Parse(field)
		if got := written(found, err); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
}

// written is what was read, one text.
func written(found []challenge.Challenge, err error) string {
	var all []string
	for _, c := range found {
		text := strings.TrimSpace(c.Scheme + " " + c.Token68)
		for _, name := range slices.Sorted(maps.Keys(c.Params)) {
			value := c.Params[name].Value
			if c.Params[name].Quoted {
				value = `"` + value + `"`
			}
			if c.Params[name].Value != "" {
				text += " " + name + "=" + value
			}
		}
		all = append(all, text)
	}
	if err != nil {
		all = append(all, "an error")
	}
	return strings.Join(all, "; ")
}

// TestManyChallenges: each row that looks at a challenge finds the Bearer one
// wherever it stands, and none in what only looks like one.
func TestManyChallenges(t *testing.T) {
	for name, row := range map[string]struct {
		fields              []string
		challenged, explain judged
	}{
		"beside DPoP, in one field":  {[]string{`DPoP algs="ES256", Bearer realm="aegis", error="invalid_token"`}, pass, pass},
		"before DPoP, in one field":  {[]string{`Bearer error="invalid_token", DPoP algs="ES256"`}, pass, pass},
		"in two fields":              {[]string{`Basic realm="x"`, `Bearer error="invalid_token"`}, pass, pass},
		"the error is DPoP's":        {[]string{`DPoP error="invalid_token", Bearer realm="aegis"`}, pass, detail},
		"Bearer in a quoted string":  {[]string{`Digest realm="a, Bearer error=\"invalid_token\""`}, detail, detail},
		"error in a description":     {[]string{`Bearer error_description="error=\"invalid_token\""`}, pass, detail},
		"another scheme":             {[]string{`DPoP algs="ES256"`}, detail, detail},
		"nothing":                    {nil, detail, detail},
		"no list, behind a Bearer":   {[]string{`Bearer error="invalid_token" realm="x"`}, pass, detail},
		"no list, in Bearer's place": {[]string{`<Bearer>`}, detail, detail},
	} {
		x := harness.Exchange{Request: harness.Request{Mode: harness.OIDC}, Observation: harness.Observation{Status: 401,
			Header: http.Header{"Www-Authenticate": row.fields}}}
		x.Request.Set("Authorization", "Bearer x")
		trace := harness.Trace{Exchanges: []harness.Exchange{x}}
		if got := verdict(t, Unauthenticated().Challenged().Judge(harness.Profile{}, trace)); got != row.challenged {
			t.Errorf("%s: challenged %q, want %q", name, got, row.challenged)
		}
		if got := verdict(t, Unauthenticated().Explained().Judge(harness.Profile{}, trace)); got != row.explain {
			t.Errorf("%s: explained %q, want %q", name, got, row.explain)
		}
	}
}

// FuzzChallenges: whatever is sent is read to an end, and what was read reads the
// same when it is written again.
func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{`DPoP algs="ES256", Bearer realm="a\"b", error=x`, `Basic a==, , Bearer`, "Bearer realm=\"\x00", `=,"`,
		"A \t="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		found, err := challenge.Parse(field)
		if err != nil {
			return
		}
		again, err := challenge.Parse(rewritten(found))
		if err != nil || !reflect.DeepEqual(again, found) && len(found) > 0 {
			t.Errorf("%q: %+v, and again %+v, %v", field, found, again, err)
		}
	})
}

// rewritten are challenges as a field.
func rewritten(found []challenge.Challenge) string {
	var all []string
	for _, c := range found {
		all = append(all, strings.TrimSpace(c.Scheme+" "+c.Token68))
		for _, name := range slices.Sorted(maps.Keys(c.Params)) {
			value := c.Params[name].Value
			if c.Params[name].Quoted {
				value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
			}
			param := fmt.Sprintf("%s=%s", name, value)
			if last := len(all) - 1; all[last] == c.Scheme {
				all[last] += " " + param
			} else {
				all = append(all, param)
			}
		}
	}
	return strings.Join(all, ", ")
}
