package endpoints

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// router is a denial of whoever asks for what may be no endpoint, or in no
// proper way (rulings A-21).
var router = outcome.Denied().Or(400, 421)

// Spellings are the expectations on other ways to name an endpoint.
var Spellings = []Expectation{
	{
		ID: "EPT-003", Title: "Method override", Clauses: []string{"G.2"},
		Source: "ASVS 4.1.4", Level: MUST,
		Rule:     Says("A header or a parameter that names another method opens no critical endpoint."),
		Stimulus: probe.Twisted("with another method by header or parameter", probe.MethodOverrides()...), Outcome: router,
	},
	{
		ID: "EPT-005", Title: "Dot segments and double slash", Clauses: []string{"G.2"},
		Source: "RFC 3986 section 6.2.2; CVE-2019-9901; rulings LAB-7", Level: MUST,
		Rule:     Says("A path that is an endpoint's only once normalised is denied."),
		Stimulus: probe.Crossed("at paths to be normalised", probe.DotSegments()...).Following(), Outcome: router.SameOrigin(probe.SameOrigin),
	},
	{
		ID: "EPT-006", Title: "Percent-encoding", Clauses: []string{"G.2"},
		Source: "RFC 3986 section 6.2.2.2; CVE-2021-29492; rulings LAB-7", Level: MUST,
		Rule:     Says("A path that is an endpoint's only once decoded is denied."),
		Stimulus: probe.Crossed("at paths to be decoded", probe.PercentEncodings()...).Following(), Outcome: router.SameOrigin(probe.SameOrigin),
	},
	{
		ID: "EPT-007", Title: "Path parameters and suffixes", Clauses: []string{"G.2"},
		Source: "Orange Tsai, Breaking Parser Logic; rulings LAB-7", Level: MUST,
		Rule:     Says("An endpoint's path with a parameter, an extension or other text after it is denied."),
		Stimulus: probe.Crossed("at paths with something after them", probe.Suffixes()...).Following(), Outcome: router.SameOrigin(probe.SameOrigin),
	},
	{
		ID: "EPT-008", Title: "Case variants", Clauses: []string{"G.2"},
		Source: "rulings LAB-7", Level: MUST,
		Rule:     Says("An endpoint's path in other letters is denied, or is none."),
		Stimulus: probe.Crossed("at paths in other letters", probe.LetterCases()...).Following(), Outcome: router.SameOrigin(probe.SameOrigin),
	},
	{
		ID: "EPT-009", Title: "Query and fragment delimiters", Clauses: []string{"G.2"},
		Source: "CVE-2023-45539; RFC 9112 section 3.2", Level: MUST,
		Rule:     Says("A query or a fragment, whatever it names, makes a critical endpoint no open path."),
		Stimulus: probe.Crossed("with delimiters in the target", probe.Delimiters()...).Following(), Outcome: router.SameOrigin(probe.SameOrigin),
	},
	{
		ID: "EPT-010", Title: "Absolute form and Host", Clauses: []string{"G.2"},
		Source: "RFC 9112 sections 3.2 and 3.2.2; CVE-2025-0108", Level: MUST,
		Rule:     Says("A target in absolute form, a second Host or another one, or an open path in whatever a URL is built of, opens no critical endpoint."),
		Stimulus: probe.Crossed("under another host", append(probe.Hosts(), probe.OpenURLs()...)...).Following(),
		Outcome:  outcome.WhereOffered{Outcome: router.SameOrigin(probe.SameOrigin)},
	},
	{
		ID: "EPT-011", Title: "Aliases", Clauses: []string{"G.2"},
		Source: "OWASP API9:2023", Level: MUST,
		Rule:     Says("No alias, older version or neighbour of a critical endpoint is served without a credential."),
		Stimulus: probe.Crossed("at aliases of the endpoints", probe.Aliases()...).Following(), Outcome: router.SameOrigin(probe.SameOrigin),
	},
	{
		ID: "EPT-020", Title: "Rewrite and internal headers", Clauses: []string{"G.2", "3.5"},
		Source: "CVE-2025-29927; CVE-2024-0012; ASVS 4.1.3", Level: MUST, Tier: Core,
		Rule:     Says("No header or parameter of a proxy, a framework or a debug switch opens a critical endpoint."),
		Stimulus: probe.Twisted("with headers and parameters of the inside", probe.Internals()...), Outcome: router,
	},
}

// Crossings is the expectation on every way to an endpoint together with who goes it.
var Crossings = []Expectation{
	{
		ID: "EPT-023", Title: "Every way, whoever goes it", Clauses: []string{"G.2", "3.2", "3.5", "4.4", "4.8"},
		Source: "runbook, goal; CVE-2023-45539; CVE-2026-48491; ASVS 4.1.3, 4.1.4", Level: MUST,
		Rule:     Says("By no way to name or reach a critical endpoint is anybody served who claims another's identity, is not enrolled, or shows a token that has ended, was changed or is of another key."),
		Stimulus: probe.Crossings(), Outcome: outcome.NeverServed{Plain: probe.PlainPath},
	},
}

// Messages are the expectations on other ways to send a call, and on what is
// done before it is denied.
var Messages = []Expectation{
	{
		ID: "EPT-012", Title: "OpenAPI-driven sweep", Clauses: []string{"G.2"},
		Source: "OWASP API9:2023; ASVS 4.1.4", Level: MUST,
		Rule:     Says("Every operation of a schema that is published is denied without a credential, but for signs of life."),
		Stimulus: probe.SchemaSweep(),
		Outcome:  outcome.Swept{Schema: probe.SchemaVariant, Operation: probe.OperationVariant, Denial: router.Or(422, 415)},
	},
	{
		ID: "EPT-013", Title: "Diagnostics do not leak", Clauses: []string{"G.1"},
		Source: "ASVS 16.5.1; OWASP API8:2023", Level: MUST,
		Rule:     Says("No page that is open tells a token, a key, credentials, the environment or a client's name."),
		Stimulus: probe.Diagnostics(), Outcome: outcome.TellsNothing{},
	},
	{
		ID: "EPT-014", Title: "Authentication before validation", Clauses: []string{"G.2", "4.4"},
		Source: "runbook section 4; rulings A-20", Level: SHOULD,
		Rule:     Says("A call without a credential whose body is sound JSON of the wrong shape is answered 401, not 422."),
		Stimulus: probe.Twisted("with a body that a schema refuses", probe.Unfit()...), Outcome: outcome.Unauthenticated().Foremost(),
	},
	{
		ID: "EPT-015", Title: "Malformed body, unauthenticated", Clauses: []string{"G.2"},
		Source: "rulings A-20", Level: MUST,
		Rule:     Says("A call without a credential whose body is broken, of another type or absent is denied, with 401 or as malformed."),
		Stimulus: probe.Twisted("with a body that is no JSON", probe.Broken()...), Outcome: outcome.Denied().Or(400, 411, 415, 422),
	},
	{
		ID: "EPT-016", Title: "Authentication before side effects", Clauses: []string{"G.2", "5.3"},
		Source: "OWASP API4:2023; ASVS 16.5.3", Level: MUST,
		Rule:     Says("A hundred denied calls to inference and some to enrolment move no counter of work that was done."),
		Stimulus: probe.DeniedWork(), Outcome: outcome.NoWork{Denial: outcome.Unauthenticated().Or(401, 403)},
		Unless: func(p Profile) string { return unnamed("a counter of what came to a handler", p.HandledMetric) },
	},
	{
		ID: "EPT-017", Title: "Old and odd HTTP", Clauses: []string{"G.2"},
		Source: "RFC 9112 sections 2.3 and 9.3.2", Level: MUST,
		Rule:     Says("HTTP/1.0 without a Host, HTTP/0.9 and a method in lower case open nothing; of two calls in one write each is judged by itself."),
		Stimulus: probe.Odd(),
		Outcome: outcome.PerVariant{
			probe.NoHost: router, probe.LowerCase: router, probe.HTTP09: outcome.Headless{Answers: router.Or(426, 505).OrInTLS()},
			probe.ValidThenNone: outcome.Pair{First: 200, Second: 401}, probe.NoneThenValid: outcome.Pair{First: 401, Second: 200},
		},
	},
	{
		ID: "EPT-018", Title: "Encodings and framing", Clauses: []string{"G.2"},
		Source: "RFC 9112 section 7; rulings A-32", Level: MUST,
		Rule:     Says("A call without a credential is denied however its body is sent: chunked, compressed, in parts, without length, or of 10 MB."),
		Stimulus: probe.Twisted("with a body in another form", append(probe.Framings(), probe.Huge())...),
		Outcome:  outcome.Unauthenticated().Or(400, 411, 413, 415).OrInTLS(),
	},
	{
		ID: "EPT-019", Title: "Other protocols to the same handler", Clauses: []string{"G.2"},
		Source: "OWASP API9:2023", Level: MUST,
		Rule:     Says("WebSocket, server-sent events, gRPC and GraphQL reach no handler without a credential; the protocol is never switched."),
		Stimulus: probe.Twisted("in another protocol", probe.Protocols()...), Outcome: outcome.NoTunnel{Answers: router.Or(415, 426)},
	},
	{
		ID: "EPT-021", Title: "CORS preflight", Clauses: []string{"G.2"},
		Source: "Fetch standard; rulings A-23", Level: MUST,
		Rule:     Says("A browser's preflight reaches no handler, and the call after it is denied without a credential."),
		Stimulus: probe.Twisted("after a browser's preflight", probe.Preflight()...),
		Outcome:  outcome.PerVariant{probe.PreflightName: outcome.Preflight(), probe.CrossOriginName: outcome.Unauthenticated()},
	},
	{
		ID: "EPT-022", Title: "Every replica enforces", Clauses: []string{"G.2", "7.5"},
		Source: "runbook section 7", Level: MUST,
		Rule:     Says("Each of forty calls without a credential, on a new connection each, is denied."),
		Stimulus: probe.EveryReplica(), Outcome: outcome.Unauthenticated(),
	},
}

// unnamed is the reason why what only some services show is not judged.
func unnamed(what, metric string) string {
	if metric != "" {
		return ""
	}
	return "the profile names no metric that is " + what
}
