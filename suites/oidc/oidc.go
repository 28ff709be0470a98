// Package oidc is the chapter of bearer tokens: runbook section 4, "OIDC flow",
// and what stands around it.
package oidc

import (
	"time"

	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Expectations of the chapter.
var Expectations = []Expectation{
	{
		ID: "OIDC-001", Title: "Valid token accepted on inference", Clauses: []string{"4.2", "4.3", "8.2"},
		Source: "RFC 6750 section 2.1", Level: MUST, Tier: Core,
		Rule:     Says("A token of the trusted issuer, sent as a bearer, is answered 200 by the inference endpoint."),
		Stimulus: probe.ValidToken().On("inference").Accepted(), Outcome: outcome.Accepted(),
	},
	{
		ID: "OIDC-002", Title: "Valid token accepted on enrollment", Clauses: []string{"G.2", "4.2"},
		Source: "RFC 6750 section 2.1; rulings A-36", Level: MUST,
		Rule:     Says("The same token is answered 200 by the enrollment endpoint, with a well-formed body and a new identifier."),
		Stimulus: probe.ValidToken().On("enrollment").Accepted(), Outcome: outcome.Accepted(),
	},
	{
		ID: "OIDC-003", Title: "Valid token accepted on review", Clauses: []string{"G.2", "4.2"},
		Source: "RFC 6750 section 2.1", Level: MUST,
		Rule:     Says("The same token is answered 200 by the review endpoint and each of its declared sub-paths."),
		Stimulus: probe.ValidToken().On("review", "review item").Accepted(), Outcome: outcome.Accepted(),
	},
	{
		ID: "OIDC-004", Title: "No credentials", Clauses: []string{"G.2", "4.4"},
		Source: "RFC 9110 section 15.5.2; RFC 6750 sections 3 and 3.1", Level: MUST, Tier: Core,
		Rule:     Says("A call without credentials is answered 401 with a Bearer challenge."),
		Stimulus: probe.NoCredential(OIDC).EvenWhereItWrites(), Outcome: outcome.Unauthenticated().Challenged().NotingError(),
	},
	{
		ID: "OIDC-005", Title: "Expired token", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.4; RFC 6750 section 3.1", Level: MUST, Tier: Core,
		Rule:     Says("A token that was valid until ten minutes ago is answered 401."),
		Stimulus: probe.Bearer(token.Expired(10 * time.Minute)).EvenWhereItWrites(), Outcome: outcome.Unauthenticated().NotingError(),
	},
	{
		ID: "OIDC-006", Title: "Signature bit flipped", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 5.2", Level: MUST, Tier: Core,
		Rule:     Says("A token with one bit flipped in the middle of its signature is answered 401, though the same unharmed was served just before."),
		Stimulus: probe.Tampered(token.FlippedBit()), Outcome: tampered(token.FlippedBit()),
	},
	{
		ID: "OIDC-007", Title: "Payload tampered", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 5.2", Level: MUST, Tier: Core,
		Rule:     Says("A token whose subject or end was changed after signing is answered 401, though it was served unharmed just before."),
		Stimulus: probe.Tampered(token.OtherPayload(), token.LaterEnd()), Outcome: tampered(token.OtherPayload(), token.LaterEnd()),
	},
	{
		ID: "OIDC-008", Title: "Protected header tampered", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 5.2", Level: MUST, Tier: Core,
		Rule:     Says("A token whose protected header was given a member after signing is answered 401, though it was served unharmed just before."),
		Stimulus: probe.Tampered(token.OtherHeader()), Outcome: tampered(token.OtherHeader()),
	},
	{
		ID: "OIDC-009", Title: "Signature stripped", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 7.1", Level: MUST, Tier: Core,
		Rule:     Says("A token without its signature, with and without the last dot, is answered 401, though it was served with it just before."),
		Stimulus: probe.Tampered(token.Stripped()...), Outcome: tampered(token.Stripped()...),
	},
	{
		ID: "OIDC-010", Title: "Wrong segment count", Clauses: []string{"4.4"},
		Source: "RFC 7515 sections 5.2 and 7.1", Level: MUST, Tier: Core,
		Rule:     Says("A token of one, two, four or five segments, or with empty ones, is answered 401 (400 is tolerated) and breaks nothing."),
		Stimulus: probe.Bearer(token.Miscounted()...), Outcome: outcome.Unauthenticated().Or(400),
	},
	{
		ID: "OIDC-011", Title: "Unknown key, unknown kid", Clauses: []string{"4.2", "4.4"},
		Source: "RFC 7515 section 5.2; RFC 8725 section 3.8", Level: MUST, Tier: Core,
		Rule:     Says("A token with the right claims, signed by a key nobody trusts under a new kid, is answered 401."),
		Stimulus: probe.Bearer(token.UnknownKey()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "OIDC-012", Title: "Unknown key, known kid", Clauses: []string{"4.2", "4.4"},
		Source: "RFC 7515 sections 4.1.4 and 5.2", Level: MUST, Tier: Core,
		Rule:     Says("A token signed by a key nobody trusts, under a kid that the JWKS holds, is answered 401."),
		Stimulus: probe.Bearer(token.StolenKid()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "OIDC-013", Title: "Garbage bearer", Clauses: []string{"4.4"},
		Source: "RFC 6750 section 3.1; ASVS 16.5.3", Level: MUST, Tier: Core,
		Rule:     Says("A bearer that is no token at all is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.Garbage()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "OIDC-014", Title: "Signature transplanted", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 5.2", Level: MUST,
		Rule:     Says("Header and payload of a token that was served, with the signature of another valid one, are answered 401."),
		Stimulus: probe.Tampered(token.Transplanted()), Outcome: tampered(token.Transplanted()),
	},
	{
		ID: "OIDC-015", Title: "Truncated signature", Clauses: []string{"4.4"},
		Source: "RFC 7518 sections 3.3 and 3.4", Level: MUST, Tier: Core,
		Rule:     Says("A token whose signature lost four characters at either end is answered 401, though it was served whole just before."),
		Stimulus: probe.Tampered(token.Truncated()...), Outcome: tampered(token.Truncated()...),
	},
	{
		ID: "OIDC-021", Title: "Verdict independence", Clauses: []string{"4.3", "4.4"},
		Source: "ASVS 16.5.3", Level: MUST, Tier: Core,
		Rule:     Says("On one connection, valid tokens and what is made of each by tampering, in turn, are answered 200, 401, 200, 401."),
		Stimulus: probe.TamperedTogether(token.OtherPayload(), token.FlippedBit(), token.LaterEnd()),
		Outcome:  tampered(token.OtherPayload(), token.FlippedBit(), token.LaterEnd()),
	},
	{
		ID: "OIDC-023", Title: "API does not redirect", Clauses: []string{"4.4"},
		Source: "RFC 6750 section 3", Level: MUST, Tier: Core,
		Rule:     Says("A call without credentials that would take HTML is answered 401, not with a way to a login page."),
		Stimulus: probe.NoCredential(OIDC).With("Accept", "text/html"), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "OIDC-024", Title: "Denial body is opaque", Clauses: []string{"4.4"},
		Source: "ASVS 16.5.1; RFC 6750 section 5.2", Level: SHOULD,
		Rule:     Says("The body of a 401 holds no stack trace, key, claim, address or exception, and is JSON or text."),
		Stimulus: probe.NoCredential(OIDC).And(probe.Bearer(token.OtherPayload(), token.OtherAudience(), token.OtherIssuer(), token.Expired(time.Hour), token.UnknownKey()), probe.Bearer(token.Garbage()...)),
		Outcome:  outcome.Unauthenticated().Opaque(),
	},
}

// Signatures are the expectations on JOSE headers and algorithms.
var Signatures = []Expectation{
	{
		ID: "JOSE-001", Title: "alg none, empty signature", Clauses: []string{"4.4"},
		Source: "RFC 7518 section 3.6; RFC 8725 sections 3.1 and 3.2; CVE-2015-9235", Level: MUST, Tier: Core,
		Rule:     Says("An unsigned token of alg none with otherwise right claims is answered 401, though it was served with its signature just before."),
		Stimulus: probe.Tampered(token.Unsigned("none")), Outcome: tampered(token.Unsigned("none")),
	},
	{
		ID: "JOSE-002", Title: "alg none in other spellings", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.1", Level: MUST, Tier: Core,
		Rule:     Says("An unsigned token whose alg is none in another spelling is answered 401 and breaks nothing."),
		Stimulus: probe.Bearer(token.NoneSpellings()...), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-003", Title: "alg none with a signature", Clauses: []string{"4.4"},
		Source: "RFC 7518 section 3.6", Level: MUST, Tier: Core,
		Rule:     Says("A token of alg none that keeps its original signature is answered 401, though it was served under its own alg just before."),
		Stimulus: probe.Tampered(token.NoneSigned()), Outcome: tampered(token.NoneSigned()),
	},
	{
		ID: "JOSE-004", Title: "RS to HS key confusion", Clauses: []string{"4.4"},
		Source: "RFC 8725 sections 2.1 and 3.1; CVE-2015-9235; CVE-2022-29217; CVE-2024-33663", Level: MUST,
		Rule:     Says("A token of HS256, HS384 or HS512 keyed with the public key, in any encoding a verifier may hold it in, is answered 401."),
		Stimulus: probe.Bearer(token.Confused("HS256")...).And(probe.Bearer(append(token.Confused("HS384"), token.Confused("HS512")...)...).Once()), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JOSE-007", Title: "Embedded key", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.3; CVE-2018-0114", Level: MUST, Tier: Core,
		Rule:     Says("A token that brings its own key in the header's jwk is answered 401, whatever its kid."),
		Stimulus: probe.Bearer(token.EmbeddedKey()...), Outcome: outcome.Unauthenticated(),
	},
}

// Claims are the expectations on what a correctly signed token says.
var Claims = []Expectation{
	{
		ID: "CLM-001", Title: "exp absent", Clauses: []string{"4.4"},
		Source: "RFC 9068 sections 2.2 and 4; rulings A-10", Level: SHOULD,
		Rule:     Says("A correctly signed token without exp is answered 401."),
		Stimulus: probe.Bearer(token.Without("exp")), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "CLM-006", Title: "nbf in the future", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.5; ASVS 9.2.1", Level: MUST,
		Rule:     Says("A token that is valid only in ten minutes is answered 401."),
		Stimulus: probe.Bearer(token.NotYet(10 * time.Minute)), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "CLM-009", Title: "aud wrong", Clauses: []string{"4.4"},
		Source: "RFC 7519 section 4.1.3; RFC 8725 section 3.9; rulings A-10", Level: MUST,
		Rule:     Says("A token for another audience is answered 401."),
		Stimulus: probe.Bearer(token.OtherAudience()), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredAudience, Unless: forAny,
	},
	{
		ID: "CLM-014", Title: "iss wrong", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.8; RFC 9068 section 4; rulings A-10", Level: MUST,
		Rule:     Says("A token that names another issuer, signed by the trusted key, is answered 401."),
		Stimulus: probe.Bearer(token.OtherIssuer()), Outcome: outcome.Unauthenticated(),
		Declared: DeclaredIssuer, Unless: ofAny,
	},
}

// undeclared is the reason why a claim that the operator does not declare is
// not judged.
func undeclared(claim, declared string) string {
	if declared != "" {
		return ""
	}
	return "the profile declares no " + claim
}

// Carriers are the expectations on how a token is carried.
var Carriers = []Expectation{
	{
		ID: "BRR-002", Title: "Missing scheme", Clauses: []string{"4.3"},
		Source: "RFC 6750 section 2.1", Level: MUST, Tier: Core,
		Rule: Says("A valid token in Authorization without a scheme is answered 401."),
		Stimulus: probe.Authorization(map[string]func(string) string{
			"valid token without a scheme": func(t string) string { return t },
		}),
		Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "BRR-003", Title: "Wrong scheme", Clauses: []string{"4.3"},
		Source: "RFC 6750 section 2.1", Level: MUST, Tier: Core,
		Rule:     Says("A valid token under another scheme than Bearer is answered 401."),
		Stimulus: probe.Schemes("Basic", "Token", "JWT", "DPoP", "Negotiate"), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "BRR-012", Title: "Challenge on every 401", Clauses: []string{"4.4"},
		Source: "RFC 9110 section 15.5.2; RFC 6750 section 3; rulings A-05", Level: MUST, Tier: Core,
		Rule:     Says("Every kind of 401 in oidc mode carries a Bearer challenge."),
		Stimulus: probe.NoCredential(OIDC).And(probe.Bearer(token.Expired(10*time.Minute), token.OtherPayload(), token.UnknownKey()), probe.Bearer(token.Garbage()...), probe.Schemes("Basic")),
		Outcome:  outcome.Unauthenticated().Challenged(),
	},
}

// tampered wants the valid token served, and what was made of it refused.
func tampered(recipes ...token.Recipe) outcome.PerVariant {
	wanted := outcome.PerVariant{token.Sound().Name: outcome.Accepted()}
	for _, recipe := range recipes {
		wanted[recipe.Name] = outcome.Unauthenticated()
	}
	return wanted
}
