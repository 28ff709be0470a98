package oidc

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/keyset"
	"aegis.test/conformance/harness/token"
)

// KeySets are the expectations on where keys come from and how long they stay.
var KeySets = []Expectation{
	{
		ID: "JWKS-001", Title: "New key picked up without restart", Clauses: []string{"4.2"},
		Source: "OpenID Connect Core section 10.1.1; rulings A-16", Level: MUST,
		Rule:     Says("A token of a key that was newly published is answered 200 within the declared bound, without a restart."),
		Stimulus: keyset.NewKey(),
		Outcome:  outcome.Telling(outcome.PerCredential{keyset.OfNewKey: outcome.Accepted()}),
	},
	{
		ID: "JWKS-002", Title: "Withdrawn key stops working", Clauses: []string{"4.2"},
		Source: "OpenID Connect Core section 10.1.1; rulings A-16", Level: MUST,
		Rule:     Says("A token of a key that was withdrawn is answered 401 within the declared bound, one that was served before, too; another key's is served."),
		Stimulus: keyset.Withdrawn(),
		Outcome: outcome.Telling(outcome.PerCredential{
			keyset.OfGoneKey: outcome.Unauthenticated(), keyset.OfStaying: outcome.Accepted(),
		}),
	},
	{
		ID: "JWKS-003", Title: "Overlap window", Clauses: []string{"4.2"},
		Source: "OpenID Connect Core section 10.1.1", Level: MUST,
		Rule:     Says("While an old and a new key are both published, tokens of both are answered 200."),
		Stimulus: keyset.Overlap(),
		Outcome:  outcome.PerCredential{keyset.OfNewKey: outcome.Accepted(), token.Sound().Name: outcome.Accepted()},
	},
	{
		ID: "JWKS-004", Title: "IdP down, warm cache", Clauses: []string{"4.2"},
		Source: "ASVS 16.5.2; after RFC 9111 section 4.2.4", Level: SHOULD,
		Rule:     Says("Once its keys were read, a service answers valid tokens 200 during an outage of the JWKS endpoint."),
		Stimulus: keyset.Outage(), Outcome: outcome.Accepted(),
	},
	{
		ID: "JWKS-005", Title: "IdP down, cold cache", Clauses: []string{"4.4"},
		Source: "ASVS 16.5.3; the class of CVE-2026-27586; rulings A-35", Level: MUST,
		Rule:     Says("A service that started while the JWKS endpoint was out of reach serves nobody: 401, 503 or an exit, for valid and forged tokens."),
		Stimulus: keyset.ColdOutage(),
		Outcome: outcome.OrExit{Outcome: outcome.PerVariant{
			situated(token.Sound(), keyset.WhileCold):      outcome.Unverifiable(),
			situated(token.StolenKid(), keyset.WhileCold):  outcome.Unverifiable(),
			situated(token.UnknownKey(), keyset.WhileCold): outcome.Unverifiable(),
			situated(token.Sound(), keyset.OnceWarm):       outcome.Shown(outcome.Accepted()),
		}},
	},
	{
		ID: "JWKS-006", Title: "Unknown kid does not poison the cache", Clauses: []string{"4.2", "4.4"},
		Source: "ASVS 16.5.2; a cache that an unknown kid declares stale", Level: MUST,
		Rule:     Says("During an outage of the JWKS endpoint an unknown kid is answered 401, and a valid token after it 200."),
		Stimulus: keyset.Poison(),
		Outcome:  outcome.PerCredential{token.UnknownKey().Name: outcome.Unverifiable(), token.Sound().Name: outcome.Accepted()},
	},
	{
		ID: "JWKS-007", Title: "Refetch is rate-limited", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.10; ASVS 13.2.6", Level: SHOULD,
		Rule:     Says("A hundred unknown kids are each answered 401, and cause no more fetches of the JWKS than are declared for a minute: five, if nothing else is."),
		Stimulus: keyset.Flood(100),
		Outcome:  outcome.Sparing{},
	},
	{
		ID: "JWKS-008", Title: "Hostile JWKS responses", Clauses: []string{"4.2", "4.4"},
		Source: "ASVS 16.5.2 and 16.5.3; RFC 7517 section 5", Level: MUST,
		Rule:     Says("A JWKS endpoint that answers no key set takes no key from the service and opens it to nobody: valid tokens are answered 200, forged ones 401."),
		Stimulus: keyset.Hostile(),
		Outcome: outcome.PerCredential{
			token.Sound().Name: outcome.Accepted(), token.StolenKid().Name: outcome.Unverifiable(), token.UnknownKey().Name: outcome.Unverifiable(),
		},
	},
	{
		ID: "JWKS-009", Title: "Slow JWKS", Clauses: []string{"4.2"},
		Source: "ASVS 13.2.6 and 16.5.2", Level: SHOULD,
		Rule:     Says("While the JWKS endpoint holds its answer back, valid tokens of known keys are answered 200 at once, and unknown kids 401 or 503 within ten seconds."),
		Stimulus: keyset.Slow(),
		Outcome: outcome.Prompt(outcome.PerCredential{
			token.Sound().Name: outcome.Accepted(), token.UnknownKey().Name: outcome.Unverifiable(),
		}),
	},
	{
		ID: "JWKS-010", Title: "JWKS transport authenticated", Clauses: []string{"4.2", "4.4"},
		Source: "OpenID Connect Discovery section 3; ASVS 12.3.2", Level: MUST,
		Rule:     Says("A service takes no key from a JWKS endpoint whose certificate signs itself, is for another name or has expired."),
		Stimulus: keyset.Unauthenticated(),
		Outcome: outcome.All{
			outcome.OrExit{Outcome: outcome.PerVariant{
				situated(token.Sound(), keyset.BehindSelfSigned): outcome.Unverifiable(),
				situated(token.Sound(), keyset.BehindWrongName):  outcome.Unverifiable(),
				situated(token.Sound(), keyset.BehindExpired):    outcome.Unverifiable(),
				situated(token.Sound(), keyset.OnceWarm):         outcome.Shown(outcome.Accepted()),
			}},
			outcome.Count{Of: ServedUnverified, UnlessEnded: true, Bucket: Security},
		},
	},
	{
		ID: "JWKS-011", Title: "No downgrade by redirect", Clauses: []string{"4.2"},
		Source: "ASVS 13.2.4 and 13.2.5", Level: SHOULD,
		Rule:     Says("A JWKS endpoint that redirects to another host or to plain HTTP is not followed: nothing comes there, and the key it serves is not trusted."),
		Stimulus: keyset.Redirected(),
		Outcome: outcome.All{
			outcome.PerCredential{keyset.OfRedirect: outcome.Unverifiable()},
			outcome.Count{Of: CallsOutOfBand, Bucket: Contract},
		},
	},
	{
		ID: "JWKS-012", Title: "Unusable keys ignored", Clauses: []string{"4.2"},
		Source: "RFC 7517 sections 4 and 5", Level: SHOULD,
		Rule:     Says("Keys that cannot be used or are for something else, and unknown members, spoil no other key of the set: the good key's token is answered 200."),
		Stimulus: keyset.Unusable(),
		Outcome:  outcome.PerCredential{keyset.OfGoodKey: outcome.Accepted()},
	},
	{
		ID: "JWKS-013", Title: "Duplicate kid", Clauses: []string{"4.2", "4.4"},
		Source: "RFC 7517 section 4.5; Wycheproof, DuplicateKid", Level: MAY,
		Rule:     Says("Of two keys with one kid either may be taken, and the same always; a token of neither is answered 401."),
		Stimulus: keyset.DuplicateKid(),
		Outcome: outcome.Deterministic{PerCredential: outcome.PerCredential{
			keyset.OfFirst: outcome.Accepted().Or(401), keyset.OfSecond: outcome.Accepted().Or(401), keyset.OfNeither: outcome.Unauthenticated(),
		}},
	},
	{
		ID: "JWKS-014", Title: "Symmetric and private keys in the JWKS", Clauses: []string{"4.4"},
		Source: "RFC 8725 section 3.1; Wycheproof, MixedKeySet; CVE-2026-22818", Level: MUST,
		Rule:     Says("An HS256 token keyed with a symmetric or a private key that the JWKS publishes is answered 401."),
		Stimulus: keyset.Secret(), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JWKS-015", Title: "A key without alg does not let the token choose", Clauses: []string{"4.4"},
		Source: "CVE-2026-22817; CVE-2026-22818", Level: MUST,
		Rule:     Says("An HS256 token keyed with the public half of a published RSA key that says no alg is answered 401."),
		Stimulus: keyset.Algless(), Outcome: outcome.Unauthenticated(),
	},
	{
		ID: "JWKS-016", Title: "Recovery", Clauses: []string{"4.2"},
		Source: "ASVS 16.5.2", Level: MUST,
		Rule:     Says("Once the JWKS endpoint is back from an outage, valid tokens and those of a new key are answered 200 within the declared bound, and a minute at most, without a restart."),
		Stimulus: keyset.Recovery(),
		Outcome:  outcome.Telling(outcome.PerCredential{token.Sound().Name: outcome.Accepted(), keyset.OfNewKey: outcome.Accepted()}),
	},
	{
		ID: "JWKS-017", Title: "Vault's value is what is used", Clauses: []string{"1.4", "2.4", "2.6"},
		Source: "a verifier that reads the environment while Vault's value is discarded", Level: MUST,
		Rule:     Says("The key set that aegis/runtime names is the one that is trusted, whatever the environment names: its tokens are answered 200, the other's 401."),
		Stimulus: keyset.Named(),
		Outcome: outcome.PerVariant{
			keyset.OfDecoy + ", " + keyset.VaultNames:  outcome.Accepted(),
			situated(token.Sound(), keyset.VaultNames): outcome.Unauthenticated(),
			situated(token.Sound(), keyset.VaultSound): outcome.Accepted(),
			keyset.OfDecoy + ", " + keyset.VaultSound:  outcome.Unauthenticated(),
		},
	},
	{
		ID: "JWKS-018", Title: "Trusted key under an unknown kid", Clauses: []string{"4.2", "4.4"},
		Source: "RFC 7515 section 4.1.4; RFC 7517 section 4.5", Level: SHOULD,
		Rule:     Says("A token of the trusted key under a kid that the JWKS does not hold is answered 401: a kid names one key, and no other is tried."),
		Stimulus: probe.Bearer(token.Misfiled()), Outcome: outcome.Unauthenticated().Genuine(),
	},
	{
		ID: "JWKS-019", Title: "New key under an old kid", Clauses: []string{"4.2", "4.4"},
		Source: "RFC 7517 section 4.5; OpenID Connect Core section 10.1.1; rulings A-16", Level: MUST,
		Rule:     Says("Once a new key is published under an old one's kid, tokens of the old key are answered 401 and the new key's 200, within the declared bounds."),
		Stimulus: keyset.ReusedKid(),
		Outcome: outcome.Telling(outcome.PerCredential{
			keyset.OfGoneKey: outcome.Unauthenticated(), keyset.OfNewKey: outcome.Accepted(),
		}),
	},
	{
		ID: "JWKS-020", Title: "What the IdP publishes", Clauses: []string{"4.2"},
		Source: "OpenID Connect Discovery section 4.3; RFC 7517 sections 4.5 and 9.2; RFC 7518 section 3.3; a key set that held private halves", Level: MUST,
		Rule:     Says("The IdP's discovery document names its own issuer, and its keys, by https; the key set holds public keys only, of RSA none under 2048 bits, and each kid once."),
		Stimulus: keyset.Published(), Outcome: outcome.Published{},
	},
	{
		ID: "JOSE-008", Title: "jku to a key set of the attacker's", Clauses: []string{"4.4"},
		Source: "RFC 7515 sections 4.1.2 and 10; RFC 8725 section 3.10; ASVS 9.1.3", Level: MUST,
		Rule:     Says("A token whose jku leads to a listener of ours, in whatever way, is answered 401, and nothing comes there."),
		Stimulus: keyset.PointingTo("jku"),
		Outcome:  outcome.All{outcome.Unauthenticated(), outcome.Count{Of: CallsOutOfBand, Bucket: Security}},
	},
	{
		ID: "JOSE-009", Title: "x5u to a chain of the attacker's", Clauses: []string{"4.4"},
		Source: "RFC 7515 section 4.1.5; RFC 8725 section 3.10", Level: MUST,
		Rule:     Says("A token whose x5u leads to a listener of ours, in whatever way, is answered 401, and nothing comes there."),
		Stimulus: keyset.PointingTo("x5u"),
		Outcome:  outcome.All{outcome.Unauthenticated(), outcome.Count{Of: CallsOutOfBand, Bucket: Security}},
	},
}

// situated is the variant of a token in a situation.
func situated(recipe token.Recipe, situation string) string { return recipe.Name + ", " + situation }
