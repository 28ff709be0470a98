package oidc

import (
	"slices"
	"time"

	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Contents are the further expectations on what a correctly signed token says.
var Contents = []Expectation{
	{
		ID: "CLM-002", Title: "exp as a string", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.4", Level: SHOULD,
		Rule:     Says("A correctly signed token whose exp is a string is answered 401."),
		Stimulus: probe.Bearer(token.ExpiringInWords()), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "CLM-003", Title: "exp of another type", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.4; ASVS 16.5.3", Level: MUST,
		Rule:     Says("A correctly signed token whose exp is null, a boolean, an array or an object is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.Mistyped()...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "CLM-004", Title: "exp without bounds", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 2; RFC 8259 section 6", Level: MUST,
		Rule:     Says("A correctly signed token whose exp is a number beyond every date is answered 200 or 401; where it is no JSON number or below zero 401; none breaks anything."),
		Stimulus: probe.Bearer(slices.Concat(token.Boundless(), token.Unnumbered(), []token.Recipe{token.LongPast()})...),
		Outcome:  boundless(),
	},
	{
		ID: "CLM-005", Title: "Leeway bounded", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.4; rulings A-09", Level: MUST,
		Rule:     Says("A token that expired ten minutes ago is answered 401; up to which age one is taken is measured, and more than five minutes is a warning."),
		Stimulus: probe.Bearer(ageing...),
		Outcome:  outcome.Leeway{Ages: ages, Free: 5 * time.Minute, Limit: 10 * time.Minute},
	},
	{
		ID: "CLM-007", Title: "nbf of another type", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.5", Level: SHOULD,
		Rule:     Says("A correctly signed token whose nbf is a string, null or an object is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.MistypedNotBefore()...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "CLM-008", Title: "iat in the future", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.6; rulings A-15", Level: MAY,
		Rule:     Says("A token that was issued an hour from now is answered 200 or 401, which is recorded."),
		Stimulus: probe.Bearer(token.Futuristic(time.Hour)),
		Outcome:  outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).Recorded(),
	},
	{
		ID: "CLM-010", Title: "aud absent", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.9; RFC 9068 section 4; rulings A-10", Level: MUST,
		Rule:     Says("A correctly signed token without aud is answered 401."),
		Stimulus: probe.Bearer(token.Without("aud")), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredAudience, Unless: forAny,
	},
	{
		ID: "CLM-011", Title: "aud of many with ours", Clauses: []string{"4.3"},
		Source: "RFC 7519 section 4.1.3", Level: MUST,
		Rule:     Says("A token for several audiences, of which one is ours, is answered 200."),
		Stimulus: probe.Bearer(token.SharedAudience()).Accepted(), Outcome: outcome.Accepted(),
		Declared: DeclaredAudience, Unless: forAny,
	},
	{
		ID: "CLM-012", Title: "aud of many without ours, or no name", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.3; rulings A-10", Level: MUST,
		Rule:     Says("A token whose aud is empty, of other audiences only, or no string is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.OddAudiences()...), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredAudience, Unless: forAny,
	},
	{
		ID: "CLM-013", Title: "aud almost ours", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.3; CVE-2020-26160; rulings A-10", Level: MUST,
		Rule:     Says("A token whose aud is a part of ours, more than ours, or ours in another case or with a space is answered 401."),
		Stimulus: probe.Bearer(token.AlmostAudiences()...), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredAudience, Unless: forAny,
	},
	{
		ID: "CLM-015", Title: "iss absent", Clauses: []string{"4.4"},
		Source: "RFC 9068 sections 2.2 and 4; RFC 8725 section 3.8; rulings A-10", Level: MUST,
		Rule:     Says("A correctly signed token without iss is answered 401."),
		Stimulus: probe.Bearer(token.Without("iss")), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredIssuer, Unless: ofAny,
	},
	{
		ID: "CLM-016", Title: "iss almost ours", Clauses: []string{"4.4"},
		Source: "RFC 9068 section 4; CVE-2024-53861; rulings A-10", Level: MUST,
		Rule:     Says("A token whose iss is a part of ours, more than ours, ours by another scheme or case, or ours in an array is answered 401."),
		Stimulus: probe.Bearer(token.AlmostIssuers()...), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredIssuer, Unless: ofAny,
	},
	{
		ID: "CLM-017", Title: "Sibling realm", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.8; CVE-2026-23552; Storm-0558; rulings A-10", Level: MUST,
		Rule:     Says("A token of another realm of the same IdP, beside ours or below it, is answered 401 even if the realms share their key."),
		Stimulus: probe.Bearer(token.Siblings()...), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredIssuer, Unless: ofAny,
	},
	{
		ID: "CLM-018", Title: "sub absent or empty", Clauses: []string{"4.4"},
		Source: "RFC 9068 section 2.2", Level: SHOULD,
		Rule:     Says("A correctly signed token without a subject is answered 401 where access tokens are of RFC 9068."),
		Stimulus: probe.Bearer(token.Nobodies()...), Outcome: outcome.Unauthenticated().Genuine(),
		Unless: untyped,
	},
	{
		ID: "CLM-019", Title: "Duplicate claims", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4; rulings A-13", Level: MUST,
		Rule:     Says("A token with two exp is answered 401, or the last counts, everywhere alike; where the last is past it is answered 401 always."),
		Stimulus: probe.Bearer(lastToCome, lastPast),
		Outcome: outcome.Apart{
			Those: outcome.PerVariant{lastToCome.Name: outcome.Same{Each: outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).Recorded()}},
			Rest:  outcome.Unauthenticated(),
		},
	},
	{
		ID: "CLM-020", Title: "Unknown claims ignored", Clauses: []string{"4.3"},
		Source: "RFC 7519 section 4", Level: MUST,
		Rule:     Says("A valid token with claims that nobody knows, nested ones among them, is answered 200."),
		Stimulus: probe.Bearer(token.Talkative()).Accepted(), Outcome: outcome.Accepted(),
	},
	{
		ID: "CLM-021", Title: "exp with a fraction", Clauses: []string{"4.3"},
		Source: "RFC 7519 section 2", Level: SHOULD,
		Rule:     Says("A valid token whose exp has a fraction of a second is answered 200."),
		Stimulus: probe.Bearer(token.Fractional()).Accepted(), Outcome: outcome.Accepted(),
	},
	{
		ID: "CLM-022", Title: "Insufficient scope", Clauses: []string{"4.4"},
		Source: "RFC 6750 section 3.1; ASVS 10.3.2", Level: MAY,
		Rule:     Says("A valid token without the declared scope is answered 403, with a challenge that names insufficient_scope."),
		Stimulus: probe.Bearer(token.OtherScopes()...), Outcome: outcome.Forbidden().Scoped(),
		Unless: func(p Profile) string { return undeclared("scope", p.Scope) },
	},
	{
		ID: "CLM-023", Title: "Sender-constrained token", Clauses: []string{"4.4"},
		Source: "RFC 8705 section 3; ASVS 10.3.5", Level: MUST,
		Rule:     Says("A token bound to a client certificate, sent without it, is answered 401."),
		Stimulus: probe.Bearer(token.Bound()), Outcome: outcome.Unauthenticated().NotingError(),
		Unless: func(p Profile) string {
			if p.BoundTokens {
				return ""
			}
			return "the profile does not declare that the IdP binds tokens"
		},
	},
	{
		ID: "CLM-024", Title: "Claims not read before the signature", Clauses: []string{"4.4"},
		Source: "ASVS 9.1.1", Level: MUST,
		Rule:     Says("A badly signed token full of markers is answered 401, and none of them appears in the answer."),
		Stimulus: probe.Bearer(token.Marked()...), Outcome: outcome.Unauthenticated().Unreflected(token.Marker),
	},
}

// boundless is what is wanted of an exp without bounds: a number of JSON's is one,
// however great.
func boundless() outcome.Apart {
	wanted := outcome.PerVariant{token.LongPast().Name: outcome.Unauthenticated()}
	for _, recipe := range token.Unnumbered() {
		wanted[recipe.Name] = outcome.Unauthenticated().Genuine()
	}
	return outcome.Apart{Those: wanted, Rest: outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).Genuine().Recorded()}
}

// forAny and ofAny are the reasons of a declaration that any audience or issuer is
// accepted: what is not declared is not exercised (rulings A-10).
func forAny(p Profile) string {
	if p.NoAudience {
		return "the profile declares no audience: a token for anybody is accepted"
	}
	return ""
}

func ofAny(p Profile) string {
	if p.NoIssuer {
		return "the profile declares no issuer: a token of whoever's the keys are is accepted"
	}
	return ""
}

// The recipes that stand in their expectations more than once.
var (
	lastToCome, lastPast = token.TwiceExpiring()
	ageing, ages         = aged(time.Second, 20*time.Second, time.Minute, 2*time.Minute, 5*time.Minute, 450*time.Second, 10*time.Minute)
)

// aged are tokens that expired so long ago, and their ages by name.
func aged(ago ...time.Duration) (recipes []token.Recipe, ages map[string]time.Duration) {
	ages = map[string]time.Duration{}
	for _, age := range ago {
		r := token.Expired(age)
		r.Needs = []Capability{MintTokens} // one that was given is as old as it is
		recipes, ages[r.Name] = append(recipes, r), age
	}
	return recipes, ages
}
