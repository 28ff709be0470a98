package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// carried is a change that carries a token of a recipe.
func carried(name string, recipe token.Recipe, carry func(t *harness.Target, r *harness.Request, token string)) Change {
	return Change{Name: name, Needs: recipe.Needs, Prepare: func(t *harness.Target) (Edit, error) {
		value, err := recipe.Make(token.From(t))
		return func(r *harness.Request) {
			r.Credential = name
			carry(t, r, value)
		}, err
	}}
}

// Carried presents tokens in other ways than as a bearer.
func Carried(changes ...Change) Calls { return In(harness.OIDC, namesOf(changes, "; "), changes...) }

// Authorization presents a valid token in another way than as a bearer.
func Authorization(forms map[string]func(token string) string) Calls {
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		changes = append(changes, carryingValid(name, func(_ *harness.Target, r *harness.Request, token string) {
			r.Set("Authorization",
				forms[name](token))
		}))
	}
	return Carried(changes...)
}

// Schemes presents a valid token under other schemes than Bearer.
func Schemes(schemes ...string) Calls {
	forms := map[string]func(string) string{}
	for _, scheme := range schemes {
		forms["valid token under the scheme "+scheme] = func(token string) string { return scheme + " " + token }
	}
	return Authorization(forms)
}

// Writing says that some of the calls may be accepted, and write what a
// positive call writes.
func (c Calls) Writing() Calls {
	c.effect = harness.Writes
	return c
}

func carryingValid(name string, carry func(t *harness.Target, r *harness.Request, token string)) Change {
	return carried(name, token.Sound(), carry)
}

func tampered(name string, carry func(t *harness.Target, r *harness.Request, token string)) Change {
	return carried(name, token.OtherPayload(), carry)
}

// inHeader carries a token in a header field, in a form with %s for it.
func inHeader(name, form string) func(*harness.Target, *harness.Request, string) {
	return func(_ *harness.Target, r *harness.Request, token string) {
		r.Add(name, strings.Replace(form, "%s", token, 1))
	}
}

// EmptyBearers are the scheme with nothing after it (BRR-004).
func EmptyBearers() []Change {
	var all []Change
	for i, form := range []string{"Bearer", "Bearer ", "Bearer  "} {
		all = append(all, carried(fmt.Sprintf("Bearer with %d spaces and no token", i), token.Literal("no token", ""), inHeader("Authorization",
			form)))
	}
	return all
}

// Junk are valid tokens with something around them (BRR-005).
func Junk() []Change {
	return []Change{
		carryingValid("valid token, a space and more", inHeader("Authorization", "Bearer %s x")),
		carryingValid("valid token, a comma and more", inHeader("Authorization", "Bearer %s,x")),
		carryingValid("valid token in quotes", inHeader("Authorization", `Bearer "%s"`)),
		carryingValid("valid token after another word", inHeader("Authorization", "Bearer x %s")),
	}
}

// The orders of two lines of Authorization.
const (
	InvalidFirst = "an invalid token, then a valid one"
	ValidFirst   = "a valid token, then an invalid one"
)

// TwoLines are two lines of Authorization in both orders (BRR-006).
func TwoLines() []Change {
	both := func(first, second string) func(*harness.Target, *harness.Request, string) {
		return func(_ *harness.Target, r *harness.Request, token string) {
			for _, form := range []string{first, second} {
				inHeader("Authorization", "Bearer "+form)(nil, r, token)
			}
		}
	}
	return []Change{carryingValid(InvalidFirst, both("conformance", "%s")), carryingValid(ValidFirst, both("%s", "conformance"))}
}

// inQuery carries a token in the query.
func inQuery(_ *harness.Target, r *harness.Request, token string) {
	r.Path += "?access_token=" + token
}

// InQuery is a valid token in the query alone (BRR-007).
func InQuery() []Change { return []Change{carryingValid("valid token in the query", inQuery)} }

// inForm carries a token in a form that is the body.
func inForm(_ *harness.Target, r *harness.Request, token string) {
	r.Body = []byte("access_token=" + token)
	r.Set("Content-Type", "application/x-www-form-urlencoded")
}

// inJSON carries a token in a JSON body, beside what is there.
func inJSON(_ *harness.Target, r *harness.Request, token string) {
	members := map[string]any{}
	_ = json.Unmarshal(r.Body, &members) // what is no object is replaced by one
	members["access_token"] = token
	r.Body, _ = json.Marshal(members) // of JSON and a text
	r.Set("Content-Type", "application/json")
}

// InBody is a valid token in the body alone (BRR-008).
func InBody() []Change {
	return []Change{carryingValid("valid token in a form", inForm), carryingValid("valid token in JSON", inJSON)}
}

// Userinfo is the carrier that a server may refuse as such (RFC 9110 section
// 4.2.4).
const Userinfo = "valid token in the URI's user information"

// OtherCarriers are valid tokens where RFC 6750 knows of none (BRR-009).
func OtherCarriers() []Change {
	var all []Change
	for _, name := range []string{"access_token", "token", "jwt", "Authorization"} {
		all = append(all, carryingValid("valid token in the cookie "+name, inHeader("Cookie", name+"=%s")))
	}
	for _, name := range []string{"X-Auth-Token", "X-Access-Token", "X-Forwarded-Access-Token"} {
		all = append(all, carryingValid("valid token in "+name, inHeader(name, "%s")))
	}
	return append(all,
		carryingValid("valid token in Proxy-Authorization", inHeader("Proxy-Authorization", "Bearer %s")),
		carryingValid(Userinfo, func(t *harness.Target, r *harness.Request, token string) {
			r.Path = "https://bearer:" + token + "@" + r.Get("Host") + r.Path
		}),
	)
}

// Two methods at once (BRR-010).
const (
	BesideQuery = "valid token in Authorization, an invalid one in the query"
	BesideBody  = "valid token in Authorization, an invalid one in the body"
	WorseQuery  = "invalid token in Authorization, a valid one in the query"
)

// TwoMethods are two tokens, one valid and one not, by two methods.
func TwoMethods() []Change {
	good := inHeader("Authorization", "Bearer %s")
	return []Change{
		carryingValid(BesideQuery, func(t *harness.Target, r *harness.Request, token string) {
			good(t, r, token)
			inQuery(t, r, "conformance")
		}),
		carryingValid(BesideBody, func(t *harness.Target, r *harness.Request, token string) {
			good(t, r, token)
			if len(r.Body) > 0 {
				inJSON(t, r, "conformance")
			}
		}),
		carryingValid(WorseQuery, func(t *harness.Target, r *harness.Request, token string) {
			good(t, r, "conformance")
			inQuery(t, r, token)
		}),
	}
}

// whitespace are ways to write spaces around a token (BRR-011).
var whitespace = []struct{ name, form string }{
	{"after three spaces", "Bearer   %s"},
	{"after a tab", "Bearer\t%s"},
	{"with spaces before the scheme", "   Bearer %s"},
	{"with spaces and a tab behind", "Bearer %s \t "},
}

// Whitespace names the ways in which a valid and an invalid token are written.
func Whitespace() (all []Change, accepted, refused []string) {
	for _, w := range whitespace {
		good, bad := "valid token "+w.name, "tampered token "+w.name
		all = append(all, carryingValid(good, inHeader("Authorization", w.form)), tampered(bad, inHeader("Authorization", w.form)))
		accepted, refused = append(accepted, good), append(refused, bad)
	}
	return all, accepted, refused
}

// ControlBytes are valid tokens with a byte that no field may hold, or that no
// token does (BRR-016).
func ControlBytes() []Change {
	var all []Change
	for _, b := range []struct{ name, text string }{{"CR", "\r"}, {"LF", "\n"}, {"NUL", "\x00"}, {"0x80", "\x80"}, {"0xFF", "\xff"}} {
		if b.text != "\n" { // alone it may end the line (RFC 9112 section 2.2): the token would be sound
			all = append(all, carryingValid("valid token with "+b.name+" behind", inHeader("Authorization", "Bearer %s"+b.text+"x")))
		}
		all = append(all,
			carryingValid("valid token with "+b.name+" in it", func(t *harness.Target, r *harness.Request, token string) {
				half := len(token) / 2
				inHeader("Authorization", "Bearer %s")(t, r, token[:half]+b.text+token[half:])
			}))
	}
	return all
}

// Oversize are valid tokens made longer (BRR-017).
func Oversize() []Change {
	var all []Change
	for _, kB := range []int{16, 64} {
		all = append(all, carryingValid(fmt.Sprintf("valid token with a signature of %d kB", kB), func(t *harness.Target, r *harness.Request,
			token string) {
			inHeader("Authorization", "Bearer %s")(t, r, token+strings.Repeat("A", kB<<10))
		}))
	}
	return all
}

// Withheld announces a body of a megabyte with Expect: 100-continue, without a
// credential, and holds it back until it is asked for, or nobody answers (BRR-018).
func Withheld() Calls {
	announce := Alter("no credential, a body of 1 MB announced and held back", func(_ *harness.Target, r *harness.Request) {
		r.Method, r.HeldBack = "POST", Promptness
		r.Body = append(slices.Clone(r.Body), bytes.Repeat([]byte(" "), 1<<20-len(r.Body))...)
		r.Set("Content-Type", "application/json")
		r.Set("Expect", "100-continue")
	})
	return In(harness.OIDC, "no credential and Expect: 100-continue, the body of 1 MB held back until 100 is answered, or nothing", announce)
}

// OverTLS is the control of Uncovered.
const OverTLS = "valid token over TLS"

// InClear is a valid token over plain HTTP.
const InClear = "valid token over plain HTTP"

// Uncovered presents a valid token at the plain-HTTP port (BRR-014).
func Uncovered() Calls {
	inClear := carryingValid(InClear, func(t *harness.Target, r *harness.Request, token string) {
		r.To(harness.Face{URL: t.Plain, Host: t.Faces[harness.OIDC].Host})
		inHeader("Authorization", "Bearer %s")(t, r, token)
	})
	return Carried(inClear, carryingValid(OverTLS, inHeader("Authorization", "Bearer %s"))).Needing(harness.PlainPort).Writing()
}

// The calls of Again.
const (
	First  = "valid token, a URL of its own"
	Second = "the same URL without a token"
	Third  = "the same URL without a token, for other media types"
	Fourth = "the same URL without a token, the host in capitals"
)

// Again asks for one URL with a token, and then without: what was answered to the first
// must not answer the second (BRR-015).
func Again() harness.Stimulus {
	none := func(name string, edit Edit) Change {
		return carried(name, token.Literal("no token", ""), func(_ *harness.Target, r *harness.Request, _ string) { edit(r) })
	}
	calls := Carried(
		carryingValid(First, inHeader("Authorization", "Bearer %s")),
		none(Second, func(*harness.Request) {}),
		none(Third, func(r *harness.Request) { r.Set("Accept", "text/html, */*;q=0.1") }),
		none(Fourth, func(r *harness.Request) { r.Set("Host", strings.ToUpper(r.Get("Host"))) }),
	).On("review item")
	s := calls.Build()
	s.Words += ", by GET, one after the other"
	s.Requests = nil
	s.Act = calls.inTurn
	return s
}

// inTurn makes the calls by GET one after the other, with an identifier of their own in
// the query.
func (c Calls) inTurn(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	for _, endpoint := range c.pick(client.Target()) {
		if endpoint.Method != "GET" {
			continue
		}
		endpoint.Path += "?conformance=" + token.Random(8)
		requests, unfit, err := c.requests(client.Target(), []harness.Endpoint{endpoint})
		if err != nil {
			return trace, err
		}
		trace.Notes = Union(trace.Notes, unfit)
		for _, r := range requests {
			r.Endpoint.Path, _, _ = strings.Cut(endpoint.Path, "?") // whose control it stands beside
			trace.Exchanges = append(trace.Exchanges, client.Send(ctx, r))
		}
	}
	return trace, nil
}
