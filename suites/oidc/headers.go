package oidc

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Headers are the further expectations on JOSE headers: what a token says of
// its own key, algorithm, type and form.
var Headers = []Expectation{
	{
		ID: "JOSE-005", Title: "EC to HS key confusion", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.1; CVE-2022-29217; Wycheproof json_web_signature tcId 31", Level: MUST,
		Rule:     Says("A token of HS256, HS384 or HS512 keyed with the EC public key, in any encoding a verifier may hold it in, is answered 401."),
		Stimulus: probe.Bearer(token.ConfusedEC("HS256")...).And(probe.Bearer(append(token.ConfusedEC("HS384"), token.ConfusedEC("HS512")...)...).Once()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-006", Title: "Blank and known HMAC secrets", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.5; RFC 7518 section 3.2", Level: MUST, Tier: Core,
		Rule:     Says("A token signed by HMAC with an empty secret, or one of tutorials and word lists, is answered 401."),
		Stimulus: probe.Bearer(token.Guessed()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-010", Title: "Self-signed certificate in x5c", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.6", Level: MUST, Tier: Core,
		Rule:     Says("A token that brings its own self-signed certificate in x5c is answered 401, whatever its kid."),
		Stimulus: probe.Bearer(token.Chained()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-011", Title: "kid as a path", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.10; WSTG-SESS-10", Level: MUST, Tier: Core,
		Rule:     Says("A token whose kid is the path of a file, keyed with what that file holds, is answered 401."),
		Stimulus: probe.Bearer(token.Traversing()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-012", Title: "kid as code", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.10; WSTG-SESS-10", Level: MUST, Tier: Core,
		Rule:     Says("A token whose kid means something to a database, shell, directory or template is answered 401, as soon as any unknown kid is."),
		Stimulus: probe.Bearer(append(token.Injecting(), token.Unknowing())...),
		Outcome:  outcome.Timely{Each: outcome.Unauthenticated(), Baseline: token.Unknowing().Name},
	},
	{
		ID: "JOSE-013", Title: "kid of another type or size", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.4; rulings A-32", Level: MUST, Tier: Core,
		Rule:     Says("A token whose kid is no string is answered 401, one of 10 kB 401 or as too big; neither breaks anything."),
		Stimulus: probe.Bearer(append(token.OddKids(), token.LongKid())...),
		Outcome: outcome.Apart{
			Those: outcome.PerVariant{token.LongKid().Name: outcome.Unauthenticated().TooBig()},
			Rest:  outcome.Unauthenticated(),
		},
	},
	{
		ID: "JOSE-014", Title: "kid absent", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.4; OpenID Connect Core section 10.1; rulings A-12", Level: MUST,
		Rule:     Says("A valid token without kid is answered 200 or 401, which is recorded; a badly signed one without kid 401."),
		Stimulus: probe.Bearer(token.Anonymous(), token.AnonymousForged()),
		Outcome: outcome.Apart{
			Those: outcome.PerVariant{token.Anonymous().Name: outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).Recorded()},
			Rest:  outcome.Unauthenticated(),
		},
	},
	{
		ID: "JOSE-015", Title: "Unknown critical extension", Clauses: []string{"4.4"},
		Source: "RFC 7515 sections 4.1.11 and 5.2; CVE-2025-59420; CVE-2026-32597", Level: MUST,
		Rule:     Says("A correctly signed token with a critical extension is answered 401, whether nobody knows it, it is signed as if it were not there, or what it says was done."),
		Stimulus: probe.Bearer(append(token.Extensions(), token.Critical(), token.Deflated())...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "JOSE-016", Title: "Malformed crit", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.11", Level: SHOULD,
		Rule:     Says("A correctly signed token whose crit is empty, a string, repeats a name or names what is absent is answered 401."),
		Stimulus: probe.Bearer(token.OddlyCritical()...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "JOSE-017", Title: "Unencoded payload", Clauses: []string{"4.4"},
		Source: "RFC 7797 section 7", Level: MUST,
		Rule:     Says("A token with b64 false, critical or not, signed by the trusted key over the bare payload or as if b64 were not there, is answered 401 (400 where the payload stands bare)."),
		Stimulus: probe.Bearer(unencoded, bare, token.PassedOver(), token.Uncritical()),
		Outcome: outcome.PerVariant{
			token.PassedOver().Name: outcome.Unauthenticated().Genuine(),
			token.Uncritical().Name: outcome.Unauthenticated().Genuine(),
			unencoded.Name:          outcome.Unauthenticated().Genuine(),
			bare.Name:               outcome.Unauthenticated().Genuine().Or(400),
		},
	},
	{
		ID: "JOSE-018", Title: "Algorithm not the key's", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.1; RFC 7517 section 4.4", Level: SHOULD,
		Rule:     Says("A token signed with the trusted RSA key by an algorithm that is not its own, or over SHA-1, is answered 401."),
		Stimulus: probe.Bearer(token.OtherAlgorithms()...), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "JOSE-019", Title: "Algorithm of another kind than the key", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.1; Wycheproof, WrongPrimitive", Level: MUST,
		Rule:     Says("A token whose algorithm is for another kind of key than its kid's is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.Mismatched()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-020", Title: "alg missing, unknown or no string", Clauses: []string{"4.4"},
		Source: "RFC 7515 sections 4.1.1 and 5.2", Level: MUST, Tier: Core,
		Rule:     Says("A token signed by the trusted key whose alg is absent, unknown or no string is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.OddAlgorithms()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-021", Title: "Duplicate header members", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4; rulings A-13", Level: MUST, Tier: Core,
		Rule:     Says("A token with two alg is answered 401, or its last alg alone counts; without a signature it is answered 401 always."),
		Stimulus: probe.Bearer(twice.LastSound, twice.LastNone, twice.LastSoundUnsigned, twice.LastNoneUnsigned),
		Outcome: outcome.Apart{
			Those: outcome.PerVariant{twice.LastSound.Name: outcome.Same{Each: outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).Recorded()}},
			Rest:  outcome.Unauthenticated(),
		},
	},
	{
		ID: "JOSE-022", Title: "JWE in place of JWS", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.3; RFC 9068 section 4; CVE-2026-29000", Level: MUST,
		Rule:     Says("A JWE to the trusted public key that wraps unsigned claims, or a token of alg none, is answered 401."),
		Stimulus: probe.Bearer(token.Encrypted()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-023", Title: "Costly JWE", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.6; RFC 7518 section 8.1; CVE-2024-33664; CVE-2024-28180", Level: MUST,
		Rule:     Says("A JWE that asks for 2^31 rounds, or that decompresses to a thousand times its size, is answered 401 or 400, in time; how long is compared with an ordinary refusal and not bounded."),
		Stimulus: probe.Bearer(append(token.Expensive(), token.Unknowing())...),
		Outcome:  outcome.Timely{Each: outcome.Unauthenticated().TooBig(), Baseline: token.Unknowing().Name},
	},
	{
		ID: "JOSE-024", Title: "Tokens of another type", Clauses: []string{"4.4"},
		Source: "RFC 8725 sections 3.11 and 3.12; RFC 9068 section 4; ASVS 9.2.2; rulings A-11", Level: MUST,
		Rule:     Says("A correctly signed logout, DPoP or security event token is answered 401 where access tokens are typed."),
		Stimulus: probe.Bearer(token.OtherTypes()...), Outcome: outcome.Unauthenticated(),
		Unless: untyped,
	},
	{
		ID: "JOSE-025", Title: "ID token used as access token", Clauses: []string{"4.4"},
		Source: "ASVS 9.2.2; RFC 9068 section 5; RFC 8725 section 3.12", Level: MUST,
		Rule:     Says("An ID token of the trusted issuer, which is for a client, is answered 401."),
		Stimulus: probe.Bearer(token.IDToken()), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredAudience, Unless: forAny,
	},
	{
		ID: "JOSE-026", Title: "Non-canonical base64url", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 2; Wycheproof, base64; rulings A-14", Level: SHOULD,
		Rule:     Says("A token whose signature holds white space, another alphabet or stray bits is answered 401 (400 is tolerated); one with padding is recorded."),
		Stimulus: probe.Bearer(append(token.Uncanonical(), token.Padded())...),
		Outcome: outcome.Apart{
			Those: outcome.PerVariant{token.Padded().Name: outcome.Either(outcome.Accepted(), outcome.Unauthenticated()).Or(400).Recorded()},
			Rest:  outcome.Unauthenticated().Genuine().Or(400),
		},
	},
	{
		ID: "JOSE-027", Title: "Structural abuse", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.7; CVE-2025-30204; ASVS 16.5.3; rulings A-32", Level: MUST, Tier: Core,
		Rule:     Says("A token that is huge, deeply nested, of dots only or no text is answered 401, 400, 413 or 431, in time, and the next valid one 200."),
		Stimulus: probe.Bearer(append(append(token.Sized(), token.Twisted()...), token.Unknowing())...),
		Outcome:  outcome.Timely{Each: outcome.Unauthenticated().TooBig(), Baseline: token.Unknowing().Name},
	},
}

// The recipes that stand in their expectations more than once.
var (
	unencoded, bare = token.Unencoded()
	twice           = token.Twice()
)

// untyped is the reason why types are not judged.
func untyped(p Profile) string {
	if p.RFC9068 {
		return ""
	}
	return "the profile does not declare access tokens of RFC 9068"
}
