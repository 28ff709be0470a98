package oidc

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Carriage are the expectations on every other way to carry a token.
var Carriage = []Expectation{
	{
		ID: "BRR-001", Title: "Scheme is case-insensitive", Clauses: []string{"4.3"},
		Source: "RFC 9110 section 11.1", Level: SHOULD,
		Rule:     Says("A valid token under bearer, BEARER or BeArEr is answered 200."),
		Stimulus: probe.Schemes("bearer", "BEARER", "BeArEr").Accepted(), Outcome: outcome.Accepted(),
	},
	{
		ID: "BRR-004", Title: "Empty bearer", Clauses: []string{"4.4"},
		Source: "RFC 6750 section 3.1; rulings A-08", Level: MUST, Tier: Core,
		Rule:     Says("Bearer with no token after it is answered 401 (400 is tolerated)."),
		Stimulus: probe.Carried(probe.EmptyBearers()...), Outcome: outcome.Unauthenticated().Or(400),
	},
	{
		ID: "BRR-005", Title: "Junk around the token", Clauses: []string{"4.4"},
		Source: "RFC 6750 section 2.1; rulings A-08", Level: SHOULD,
		Rule:     Says("A valid token in quotes, or with anything before or behind it, is answered 401 (400 is tolerated)."),
		Stimulus: probe.Carried(probe.Junk()...), Outcome: outcome.Unauthenticated().Genuine().Or(400),
	},
	{
		ID: "BRR-006", Title: "Duplicate Authorization", Clauses: []string{"4.4"},
		Source: "RFC 9110 section 5.3; RFC 6750 section 2; rulings A-08, A-33", Level: SHOULD,
		Rule:     Says("Two lines of Authorization, one valid and one not, are answered 401 or 400, whatever their order; at least the same for both."),
		Stimulus: probe.Carried(probe.TwoLines()...).Writing(), Outcome: outcome.Consistent{Refused: outcome.Unauthenticated().Genuine().Or(400)},
	},
	{
		ID: "BRR-007", Title: "Token in the query", Clauses: []string{"4.3", "4.4"},
		Source: "RFC 6750 section 2.3; RFC 9700 section 4.3.2", Level: SHOULD,
		Rule:     Says("A valid token in the query, and none in Authorization, is answered 401."),
		Stimulus: probe.Carried(probe.InQuery()...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "BRR-008", Title: "Token in the body", Clauses: []string{"4.3", "4.4"},
		Source: "RFC 6750 section 2.2", Level: SHOULD,
		Rule:     Says("A valid token in a form or in JSON, and none in Authorization, is answered 401 (400, 415 and 422 are tolerated)."),
		Stimulus: probe.Carried(probe.InBody()...), Outcome: outcome.Unauthenticated().Genuine().Or(400, 415, 422),
	},
	{
		ID: "BRR-009", Title: "Token in other carriers", Clauses: []string{"4.3", "4.4"},
		Source: "RFC 6750 section 2", Level: MUST,
		Rule:     Says("A valid token in a cookie, in another field than Authorization or in the URI's user information is answered 401 (the last also 400)."),
		Stimulus: probe.Carried(probe.OtherCarriers()...), Outcome: elsewhere(),
	},
	{
		ID: "BRR-010", Title: "Two methods at once", Clauses: []string{"4.3", "4.4"},
		Source: "RFC 6750 sections 2 and 3.1", Level: SHOULD,
		Rule:     Says("Beside a valid token in Authorization an invalid one elsewhere is ignored or answered 400; beside an invalid one no other is taken."),
		Stimulus: probe.Carried(probe.TwoMethods()...).Writing(),
		Outcome: outcome.PerVariant{
			probe.BesideQuery: outcome.Accepted().Or(400),
			probe.BesideBody:  outcome.Accepted().Or(400, 415, 422),
			probe.WorseQuery:  outcome.Unauthenticated().Genuine().Or(400),
		},
	},
	{
		ID: "BRR-011", Title: "Whitespace variants", Clauses: []string{"4.3", "4.4"},
		Source: "RFC 9110 sections 5.5 and 11.4", Level: MAY,
		Rule:     Says("With more white space than one space a valid token may be served or refused, and an invalid one is refused; nothing breaks."),
		Stimulus: spaces, Outcome: spacious,
	},
	{
		ID: "BRR-013", Title: "error attribute fits the case", Clauses: []string{"4.4"},
		Source: "RFC 6750 sections 3 and 3.1", Level: SHOULD,
		Rule:     Says("The challenge has no error where no credential came, and error=\"invalid_token\" where a bad token did; a quoted string, without control characters."),
		Stimulus: probe.NoCredential(OIDC).And(probe.Bearer(token.OtherPayload(), token.UnknownKey())),
		Outcome:  outcome.Unauthenticated().Explained(),
	},
	{
		ID: "BRR-014", Title: "No bearer over cleartext", Clauses: []string{"3.2", "4.3"},
		Source: "RFC 6750 section 5.3; ASVS 4.1.2 and 12.2.1", Level: MUST,
		Rule:     Says("A valid token over plain HTTP is not served: no connection, a 4xx or a redirect."),
		Stimulus: probe.Uncovered(),
		Outcome:  outcome.PerVariant{probe.InClear: outcome.Uncovered(), probe.OverTLS: outcome.Accepted()},
	},
	{
		ID: "BRR-015", Title: "No cached bypass", Clauses: []string{"4.4"},
		Source: "RFC 9111 section 3.5; RFC 6750 section 5.3", Level: MUST,
		Rule:     Says("A URL that was served to a token is answered 401 without one, whatever Accept and the spelling of the host; no answer comes from a cache."),
		Stimulus: probe.Again(),
		Outcome: outcome.PerVariant{
			probe.First:  outcome.Accepted().Fresh(),
			probe.Second: outcome.Unauthenticated().Fresh(),
			probe.Third:  outcome.Unauthenticated().Fresh(),
			probe.Fourth: outcome.Unauthenticated().Fresh(),
		},
	},
	{
		ID: "BRR-016", Title: "Control bytes in the credential", Clauses: []string{"4.4"},
		Source: "RFC 9110 section 5.5; rulings A-08", Level: MUST,
		Rule:     Says("A valid token with CR, LF, NUL or a byte beyond ASCII in it or behind it is answered 400 or 401."),
		Stimulus: probe.Carried(probe.ControlBytes()...), Outcome: outcome.Unauthenticated().Genuine().Or(400),
	},
	{ // 16 kB is over the bound of nginx and HAProxy, 64 kB under Caddy's (rulings LAB-4)
		ID: "BRR-017", Title: "Oversize credential", Clauses: []string{"4.4"},
		Source: "RFC 6585 section 5; rulings A-32", Level: MUST,
		Rule:     Says("A token made 16 or 64 kB long is refused, by a status or a close, and the service goes on."),
		Stimulus: probe.Carried(probe.Oversize()...), Outcome: outcome.Unauthenticated().TooBig(),
	},
	{
		ID: "BRR-018", Title: "Expect: 100-continue", Clauses: []string{"4.4"},
		Source: "RFC 9110 section 10.1.1", Level: SHOULD,
		Rule:     Says("A call without credentials that expects 100 and holds its body back is answered 401, 403 or 417; whether that body is asked for first is recorded."),
		Stimulus: probe.Withheld(), Outcome: outcome.Unauthenticated().Or(403, 405, 417).NotingContinue(),
	},
}

// elsewhere is what is wanted of each of the other carriers.
func elsewhere() outcome.PerVariant {
	wanted := outcome.PerVariant{}
	for _, c := range probe.OtherCarriers() {
		wanted[c.Name] = outcome.Unauthenticated().Genuine()
	}
	wanted[probe.Userinfo] = outcome.Unauthenticated().Or(400).Genuine()
	return wanted
}

// spaces and spacious are what is done with white space, and wanted of it.
var spaces, spacious = func() (probe.Calls, outcome.PerVariant) {
	carriages, accepted, refused := probe.Whitespace()
	wanted := outcome.PerVariant{}
	for _, name := range accepted {
		wanted[name] = outcome.Accepted().Or(400, 401).Recorded()
	}
	for _, name := range refused {
		wanted[name] = outcome.Unauthenticated().Or(400)
	}
	return probe.Carried(carriages...).Writing(), wanted
}()
