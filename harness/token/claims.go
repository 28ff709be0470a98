package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Claiming is a token with claims set before it is signed. The values are
// written as encoding/json writes them; a json.RawMessage stands as it is.
func Claiming(name string, claims func(s Source) map[string]any) Recipe {
	return mintedFrom(name, func(s Source, d *Draft) {
		for claim, value := range claims(s) {
			d.Claims[claim] = value
		}
	})
}

// mintedFrom is minted, with a change that looks at the source.
func mintedFrom(name string, change func(Source, *Draft)) Recipe {
	r := minted(name, nil)
	r.Make = func(s Source) (string, error) {
		d, err := s.mint()
		if err != nil {
			return "", err
		}
		change(s, &d)
		return d.Compact()
	}
	return r
}

// valued are tokens whose claim has each of some values, which are JSON.
func valued(claim string, values ...string) []Recipe {
	var recipes []Recipe
	for _, value := range values {
		recipes = append(recipes, Claiming(fmt.Sprintf("token with %s %s", claim, value), func(Source) map[string]any {
			return map[string]any{claim: json.RawMessage(value)}
		}))
	}
	return recipes
}

// Mistyped are tokens whose exp is no number at all (CLM-003).
func Mistyped() []Recipe { return valued("exp", "null", "true", "[]", "{}") }

// MistypedNotBefore are tokens whose nbf is no number (CLM-007).
func MistypedNotBefore() []Recipe { return valued("nbf", `"0"`, "null", "{}") }

// ExpiringInWords is a token whose exp is right, as a string (CLM-002).
func ExpiringInWords() Recipe {
	return Claiming("token with exp as a string", func(s Source) map[string]any {
		return map[string]any{"exp": fmt.Sprint(s.Now.Add(Lifetime).Unix())}
	})
}

// Boundless are tokens whose exp is no finite number, or no date (CLM-004).
func Boundless() []Recipe { return expiring("1e400", "9223372036854775808", "253402300800") }

// Unnumbered are tokens whose exp is no number of JSON's (RFC 8259 section 6).
func Unnumbered() []Recipe { return expiring("NaN", "Infinity") }

// LongPast is a token that expired before all time.
func LongPast() Recipe { return expiring("-1")[0] }

// expiring are tokens whose exp is written so.
func expiring(values ...string) []Recipe {
	var recipes []Recipe
	for _, value := range values {
		recipes = append(recipes, mintedFrom("token with exp "+value, func(_ Source, d *Draft) {
			d.RawPayload = d.written(map[string]string{"exp": value}, nil)
		}))
	}
	return recipes
}

// written is the draft's claims in JSON, but for some that are written as they
// are, in the place where they stand or, for those in after, again at the end.
func (d Draft) written(raw map[string]string, after map[string]string) []byte {
	var members []string
	for _, claim := range sortedKeys(d.Claims) {
		value, ok := raw[claim]
		if !ok {
			data, _ := json.Marshal(d.Claims[claim]) // claims of our own: text and numbers
			value = string(data)
		}
		members = append(members, fmt.Sprintf("%q:%s", claim, value))
	}
	for _, claim := range sortedKeys(after) {
		members = append(members, fmt.Sprintf("%q:%s", claim, after[claim]))
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

// TwiceExpiring are the two tokens with two values of exp, one past and one to
// come: the last is to come, and the last is past (CLM-019).
func TwiceExpiring() (lastToCome, lastPast Recipe) {
	twice := func(name string, pastFirst bool) Recipe {
		return mintedFrom(name, func(s Source, d *Draft) {
			first, last := fmt.Sprint(s.Now.Add(-time.Hour).Unix()), fmt.Sprint(s.Now.Add(Lifetime).Unix())
			if !pastFirst {
				first, last = last, first
			}
			d.RawPayload = d.written(map[string]string{"exp": first}, map[string]string{"exp": last})
		})
	}
	return twice("token with two exp, the last to come", true), twice("token with two exp, the last past", false)
}

// Futuristic is a token that says it was issued later than now.
func Futuristic(ahead time.Duration) Recipe {
	return Claiming("token issued in "+words(ahead), func(s Source) map[string]any {
		return map[string]any{"iat": s.Now.Add(ahead).Unix()}
	})
}

// SharedAudience is a token for another service and the target (CLM-011).
func SharedAudience() Recipe {
	return Claiming("token for another audience and ours", func(s Source) map[string]any {
		return map[string]any{"aud": []string{"other-" + Random(4), s.Profile.Audience}}
	})
}

// OddAudiences are tokens whose aud does not name the target in a form that
// RFC 7519 knows (CLM-012).
func OddAudiences() []Recipe {
	return append(valued("aud", "[]", "null", "{}", "1", `[1]`, `[null]`),
		Claiming("token with aud [another audience]", func(Source) map[string]any {
			return map[string]any{"aud": []string{"other-" + Random(4)}}
		}),
		Claiming("token with our audience in an array of arrays", func(s Source) map[string]any {
			return map[string]any{"aud": [][]string{{s.Profile.Audience}}}
		}),
		Claiming("token with our audience as a member's name", func(s Source) map[string]any {
			return map[string]any{"aud": map[string]any{s.Profile.Audience: true}}
		}))
}

// nearMisses are the ways to write a name that is almost ours.
var nearMisses = []struct {
	name string
	of   func(string) string
}{
	{"a part of", func(s string) string { return s[:len(s)-1] }},
	{"more than", func(s string) string { return s + "x" }},
	{"more before", func(s string) string { return "x" + s }},
	{"another case of", otherCase},
	{"a slash after", func(s string) string { return s + "/" }},
	{"a space before", func(s string) string { return " " + s }},
	{"a space after", func(s string) string { return s + " " }},
}

// otherCase changes the case of the first letter that has one.
func otherCase(s string) string {
	i := strings.IndexFunc(s, unicode.IsLetter)
	if i < 0 {
		return s + "X"
	}
	if unicode.IsUpper(rune(s[i])) {
		return s[:i] + strings.ToLower(s[i:i+1]) + s[i+1:]
	}
	return s[:i] + strings.ToUpper(s[i:i+1]) + s[i+1:]
}

// AlmostAudiences are tokens whose aud is almost the target's (CLM-013).
func AlmostAudiences() []Recipe {
	return almost("aud", "audience", func(s Source) string { return s.Profile.Audience })
}

// AlmostIssuers are tokens whose iss is almost the trusted one (CLM-016).
func AlmostIssuers() []Recipe {
	ours := func(s Source) string { return s.Profile.Issuer }
	return append(almost("iss", "issuer", ours),
		Claiming("token of our issuer by another scheme", func(s Source) map[string]any {
			if rest, ok := strings.CutPrefix(ours(s), "https://"); ok {
				return map[string]any{"iss": "http://" + rest}
			}
			return map[string]any{"iss": "https://" + strings.TrimPrefix(ours(s), "http://")}
		}),
		Claiming("token of our issuer in an array", func(s Source) map[string]any {
			return map[string]any{"iss": []string{ours(s)}}
		}))
}

func almost(claim, what string, ours func(Source) string) []Recipe {
	var recipes []Recipe
	for _, miss := range nearMisses {
		recipes = append(recipes, Claiming("token with "+miss.name+" our "+what, func(s Source) map[string]any {
			return map[string]any{claim: miss.of(ours(s))}
		}))
	}
	return recipes
}

// Siblings are tokens of another realm of the same issuer, signed by the
// trusted key, as issuers that share keys between tenants do (CLM-017); where
// the target grants a genuine one, that too.
func Siblings() []Recipe {
	beside := Claiming("token of a realm beside ours", func(s Source) map[string]any {
		base := s.Profile.Issuer
		if i := strings.LastIndex(base, "/"); i > len("https://") {
			base = base[:i]
		}
		return map[string]any{"iss": base + "/realm-" + Random(4)}
	})
	mint := beside.Make
	genuine := beside
	genuine.Name = "token of another realm, as given or else minted"
	genuine.Make = func(s Source) (string, error) {
		if s.Grant.OtherRealm != "" {
			return s.Grant.OtherRealm.Reveal(), nil
		}
		return mint(s)
	}
	below := Claiming("token of a realm below ours", func(s Source) map[string]any {
		return map[string]any{"iss": s.Profile.Issuer + "/realms/" + Random(4)}
	})
	return []Recipe{beside, below, genuine}
}

// Nobodies are tokens that say of nobody whose they are (CLM-018).
func Nobodies() []Recipe { return append([]Recipe{Without("sub")}, valued("sub", `""`)...) }

// Talkative is a token with claims that nobody knows (CLM-020).
func Talkative() Recipe {
	return Claiming("token with unknown claims", func(Source) map[string]any {
		return map[string]any{
			"x-" + Random(4):      Random(8),
			"urn:x:" + Random(4):  map[string]any{"deep": []any{1, "two", nil, map[string]any{"deeper": true}}},
			"https://x.invalid/y": []any{},
			"email_verified":      false,
			"number":              json.RawMessage("1.5e3"),
		}
	})
}

// Fractional is a token whose exp has a fraction of a second (CLM-021).
func Fractional() Recipe {
	return Claiming("token with a fraction of a second in exp", func(s Source) map[string]any {
		return map[string]any{"exp": json.RawMessage(fmt.Sprintf("%d.5", s.Now.Add(Lifetime).Unix()))}
	})
}

// OtherScopes are tokens that do not carry the declared scope (CLM-022).
func OtherScopes() []Recipe {
	return []Recipe{
		Without("scope"),
		Claiming("token with another scope", func(Source) map[string]any { return map[string]any{"scope": "other:" + Random(4)} }),
		Claiming("token with more than our scope's name",
			func(s Source) map[string]any { return map[string]any{"scope": s.Profile.Scope + "x"} }),
	}
}

// Bound is a token bound to a client certificate that is not shown (CLM-023).
func Bound() Recipe {
	return Claiming("token bound to a certificate that is not shown", func(Source) map[string]any {
		return map[string]any{"cnf": map[string]string{"x5t#S256": encode([]byte(Random(16)))}}
	})
}

// IDToken is what the issuer gives a client to know its user by (OpenID
// Connect Core section 2): for the client, not for the target.
func IDToken() Recipe {
	return mintedFrom("ID token", func(s Source, d *Draft) {
		client := "client-" + Random(4)
		d.Header["typ"] = "JWT"
		d.Claims["aud"], d.Claims["azp"] = client, client
		d.Claims["nonce"], d.Claims["auth_time"] = Random(8), s.Now.Unix()-30
		d.Claims["at_hash"] = encode([]byte(Random(8)))
	})
}

// Marker is how every claim begins that a denial must not show.
const Marker = "marker-"

// Marked is a token whose claims are changed to markers after signing: all that
// are text, and all but issuer and audience (CLM-024).
func Marked() []Recipe {
	mark := func(name string, also ...string) Recipe {
		return forged(name, func(d Draft) (string, error) {
			header, _, signature, err := d.Segments()
			if err != nil {
				return "", err
			}
			d = d.rewritten()
			for _, claim := range append([]string{"sub", "jti", "name", "email", "client_id", "preferred_username"}, also...) {
				d.Claims[claim] = Marker + Random(8)
			}
			_, payload, _, err := d.Segments()
			return header + "." + payload + "." + signature, err
		})
	}
	return []Recipe{
		mark("token with markers in its claims, badly signed"),
		mark("token with markers in every claim, badly signed", "iss", "aud", "scope"),
	}
}

// Shapeless are authentic tokens whose payload is no JSON object (OIDC-016).
func Shapeless() []Recipe {
	var recipes []Recipe
	for _, payload := range []string{`[]`, `null`, `"x"`, ``} {
		recipes = append(recipes, minted(fmt.Sprintf("token with payload %q", payload), func(d *Draft) {
			d.RawPayload = []byte(payload)
		}))
	}
	return recipes
}

// Subject is a sound token of a subject of its own.
func Subject() Recipe {
	return Claiming("valid token of a subject of its own", func(Source) map[string]any {
		return map[string]any{"sub": "subject-" + Random(8)}
	})
}

// Calling are tokens that name the key, or the caller, by a text: neither is
// authentic but the last, which is sound but for its subject.
func Calling(text string) []Recipe {
	return []Recipe{
		forged("token of another kid", func(d Draft) (string, error) {
			d = d.rewritten()
			d.Header["kid"] = text
			return d.Compact()
		}),
		forged("token of another subject, badly signed", func(d Draft) (string, error) {
			header, _, signature, err := d.Segments()
			if err != nil {
				return "", err
			}
			d = d.rewritten()
			d.Claims["sub"] = text
			_, payload, _, err := d.Segments()
			return header + "." + payload + "." + signature, err
		}),
		Claiming("valid token of another subject", func(Source) map[string]any { return map[string]any{"sub": text} }),
	}
}
