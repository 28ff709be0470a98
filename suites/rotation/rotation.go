// Package rotation is the chapter of change: keys, certificates, authorities and
// secrets are replaced under a steady mix of calls, each of which is judged
// (runbook section 6). Whom the runbook promises continuity is never refused, and
// nobody else is ever served.
package rotation

import (
	"cmp"
	"maps"
	"time"

	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/rotation"
)

// The callers whom no change may touch: refused, all the while.
var (
	inOIDC = map[string][]outcome.Duty{
		rotation.ClassStale: outcome.Always(outcome.Unauthenticated()), rotation.ClassForged: outcome.Always(outcome.Unauthenticated()),
	}
	inMTLS = map[string][]outcome.Duty{
		rotation.ClassExpired: outcome.Always(outcome.Unauthenticated()), rotation.ClassNobody: outcome.Always(outcome.Unauthenticated()),
		rotation.ClassUnenrolled: outcome.Always(outcome.Forbidden()),
	}
)

// among are the callers of one change, beside those whom none may touch.
func among(mix, callers map[string][]outcome.Duty) map[string][]outcome.Duty {
	all := maps.Clone(mix)
	maps.Copy(all, callers)
	return all
}

// served is whom the runbook promises continuity.
var served = outcome.Always(outcome.Accepted())

// Expectations of the chapter.
var Expectations = []Expectation{
	{
		ID: "ROT-001", Title: "Zero-downtime signing-key rotation", Clauses: []string{"4.2", "8.2"},
		Source: "runbook section 6; OpenID Connect Core section 10.1.1", Level: MUST,
		Rule:     Says("While a new signing key is published beside the old one, and the old one is withdrawn after it, no token that is valid is refused: the new key's are answered 200 within the declared bound, and from then on."),
		Stimulus: rotation.SigningKey(),
		Outcome: outcome.Gapless{Classes: among(inOIDC, map[string][]outcome.Duty{
			rotation.ClassOldKey: served,
			rotation.ClassNewKey: outcome.Until(rotation.KeyPublished, outcome.Unauthenticated(), outcome.Accepted()),
		})},
	},
	{
		ID: "ROT-002", Title: "Emergency key revocation", Clauses: []string{"4.4", "8.2"},
		Source: "runbook section 6; RFC 8725", Level: MUST,
		Rule:     Says("A signing key that is withdrawn at once is refused within the declared cap, and the key in its place is accepted; a service that is deployed anew, which forces it, refuses the one and accepts the other without a gap."),
		Stimulus: rotation.KeyRemoval(),
		Outcome: outcome.Gapless{Classes: among(inOIDC, map[string][]outcome.Duty{
			rotation.ClassOldKey: outcome.Until(rotation.KeyWithdrawn, outcome.Accepted(), outcome.Unauthenticated()),
			rotation.ClassNewKey: {{Want: outcome.Unauthenticated()}, {From: rotation.KeyWithdrawn, Want: outcome.Accepted(), Within: newKey}},
		})},
	},
	{
		ID: "ROT-003", Title: "A client's certificate is re-issued", Clauses: []string{"6.2", "6.6"},
		Source: "runbook section 6", Level: MUST,
		Rule:     Says("A certificate that is issued anew under the same name, with another key and serial number, is answered 200 with nothing changed, of an intermediate too where these are declared; the former one is answered 200 until it expires."),
		Stimulus: rotation.Reissue(),
		Outcome: outcome.Gapless{Classes: among(inMTLS, map[string][]outcome.Duty{
			rotation.ClassValid: served, rotation.ClassReissued: served, rotation.ClassIntermediate: served,
		}), Optional: []string{rotation.ClassIntermediate}},
	},
	{
		ID: "ROT-004", Title: "Short-lived credentials really expire", Clauses: []string{"4.4", "6.2", "6.6"},
		Source: "runbook section 6; RFC 5280 section 4.1.2.5; ASVS 9.2.1", Level: MUST,
		Rule:     Says("A short-lived certificate is served until it expires, and refused from then on in every new handshake; a connection held open outlives it no longer than is declared, nor does a token its exp that was accepted before."),
		Stimulus: rotation.Expiring(),
		Outcome: outcome.Gapless{
			Classes: among(among(inOIDC, inMTLS), map[string][]outcome.Duty{
				rotation.ClassValid: served, rotation.ClassShort: expiring(clocks),
				rotation.ClassShortToken: expiring(leeway), rotation.ClassHeld1: expiring(age), rotation.ClassHeld2: expiring(age),
			}),
			Optional: everyone,
		},
	},
	{
		ID: "ROT-007", Title: "Client authorities overlap", Clauses: []string{"3.3", "6.6"},
		Source: "runbook section 6", Level: MUST,
		Rule:     Says("When the ingress comes to trust a second authority beside the first, and when its own certificate is renewed, clients of the first are answered 200 without a gap, and clients of the second from then on."),
		Stimulus: rotation.Overlapping(),
		Outcome: outcome.Gapless{Classes: among(inMTLS, map[string][]outcome.Duty{
			rotation.ClassFirstCA:  served,
			rotation.ClassSecondCA: outcome.Until(rotation.BothTrusted, outcome.Unauthenticated(), outcome.Accepted()),
		})},
	},
	{
		ID: "ROT-008", Title: "A client authority is dropped", Clauses: []string{"3.3", "6.6"},
		Source: "CVE-2025-68121; RFC 8446 section 4.6.1", Level: MUST,
		Rule:     Says("When the ingress trusts an authority no longer, its clients are refused in full handshakes and in resumed ones alike, by TCP and by HTTP/3, and clients of the authority that stays are answered 200 without a gap."),
		Stimulus: rotation.Dropping(),
		Outcome: outcome.Gapless{Classes: map[string][]outcome.Duty{
			rotation.ClassSecondCA: served,
			rotation.ClassFirstCA:  dropped, rotation.ClassResumed12: dropped, rotation.ClassResumed13: dropped,
			rotation.ClassFirstHTTP3: dropped,
			rotation.ClassExpired:    inMTLS[rotation.ClassExpired], rotation.ClassUnenrolled: inMTLS[rotation.ClassUnenrolled],
		}, Optional: []string{rotation.ClassFirstHTTP3}},
	},
	{
		ID: "ROT-009", Title: "An API key is rotated", Clauses: []string{"6.5"},
		Source: "runbook section 6; OWASP API2:2023", Level: MUST,
		Rule:     Says("Where callers hold API keys, a new one in Vault is accepted, the old one is refused once the overlap has passed, and no log shows either."),
		Stimulus: probe.Absent("write a new API key to Vault, and call with it and with the old one", KeyedCaller), Outcome: outcome.Accepted(),
		Unless: func(p Profile) string {
			if !p.APIKeys {
				return "no API keys are declared: callers present tokens and certificates"
			}
			return ""
		},
	},
	{
		ID: "ROT-010", Title: "A new version of a secret is honoured", Clauses: []string{"1.4", "6.5"},
		Source: "runbook section 6; a cache without an end", Level: MUST,
		Rule:     Says("A new version of aegis/runtime is in force within the declared bound: who was put on the list is served, who stays on it is without a gap, and the key set it names is the one that is trusted."),
		Stimulus: rotation.VersionBump(),
		Outcome: outcome.Gapless{
			Classes: among(among(inOIDC, inMTLS), map[string][]outcome.Duty{
				rotation.ClassValid:  served,
				rotation.ClassAdded:  outcome.Until(rotation.VersionBumped, outcome.Forbidden(), outcome.Accepted()),
				rotation.ClassNewKey: {{Want: outcome.Unauthenticated()}, {From: rotation.VersionBumped, Want: outcome.Accepted(), Within: named}},
			}),
			Optional: everyone,
		},
	},
	{
		ID: "ROT-011", Title: "The models' signing key is rotated", Clauses: []string{"1.4", "2.4"},
		Source: "runbook sections 1 and 2", Level: SHOULD,
		Rule:     Says("Where models are loaded whose signature model_signing_pubkey verifies, after it was rotated one signed by the old key is refused and one signed by the new key is loaded; who may call stays as it was."),
		Stimulus: probe.Absent("write a new model_signing_pubkey to Vault, and have models loaded that the old key and the new one have signed", SignedModel), Outcome: outcome.Accepted(),
		Unless: func(p Profile) string {
			if !p.SignedModels {
				return "no signed models are declared: what model_signing_pubkey verifies is not to be seen"
			}
			return ""
		},
	},
	{
		ID: "ROT-012", Title: "Authorisation is weighed on each request", Clauses: []string{"4.8", "6.5"},
		Source: "runbook section 6; ASVS 16.5.3", Level: MUST,
		Rule:     Says("A client who is taken off the list is answered 403 within the declared bound on connections he keeps open too, of HTTP/1.1 and of HTTP/2; who takes his place is served."),
		Stimulus: rotation.HeldOpen(),
		Outcome: outcome.Gapless{Classes: among(inMTLS, map[string][]outcome.Duty{
			rotation.ClassAdded:   outcome.Until(rotation.TakenOff, outcome.Forbidden(), outcome.Accepted()),
			rotation.ClassRemoved: taken, rotation.ClassHeld1: taken, rotation.ClassHeld2: taken,
		}), Optional: []string{rotation.ClassHeld2}},
	},
	{
		ID: "ROT-013", Title: "The service outlives its Vault lease", Clauses: []string{"1.2", "7.2"},
		Source: "Vault, token renewal; runbook section 1", Level: SHOULD,
		Rule:     Says("A service that has run for longer than its token of Vault lives is as it was: it serves whom it must and nobody else, and a change of the list is in force within the declared bound; so it is when the active node of Vault is lost, and one that starts then waits, or exits and names the cause."),
		Stimulus: rotation.Then(rotation.Outlasting(), rotation.FailedOver()),
		Outcome: outcome.Gapless{Classes: map[string][]outcome.Duty{
			rotation.ClassValid: served, rotation.ClassUnenrolled: outcome.Always(outcome.Forbidden()), rotation.ClassNobody: outcome.Always(outcome.Unauthorized()),
			rotation.ClassAdded: outcome.Until(rotation.VersionBumped, outcome.Forbidden(), outcome.Accepted()),
		}, Then: &failedOver},
	},
}

// failedOver is what may come of the loss of a node of Vault: nothing but that what is
// written waits for the next one.
var failedOver = outcome.Gapless{
	Classes: among(among(inOIDC, inMTLS), map[string][]outcome.Duty{
		rotation.ClassValid: served, rotation.ClassToken: served,
		rotation.ClassAdded: {{Want: outcome.Forbidden()}, {From: rotation.VersionBumped, Want: outcome.Accepted(), Within: listed}},
	}),
	Optional: everyone, Starts: outcome.WaitsOrSays(),
}

// listed is how long a change of the list may take, whatever else may take longer.
func listed(p Profile, _ time.Duration) time.Duration {
	return cmp.Or(p.Propagation, DefaultPropagation)
}

var (
	dropped = outcome.Until(rotation.FirstDropped, outcome.Accepted(), outcome.Unauthenticated())
	taken   = outcome.Until(rotation.TakenOff, outcome.Accepted(), outcome.Forbidden())
)

// expiring are the duties to who holds what expires.
func expiring(within func(Profile, time.Duration) time.Duration) []outcome.Duty {
	return []outcome.Duty{{Want: outcome.Accepted()}, {From: rotation.Expires, Want: outcome.Unauthenticated(), Within: within}}
}

// clocks is what clocks may differ by: the bound is that and what may last longest.
func clocks(p Profile, bound time.Duration) time.Duration {
	return bound - max(p.Leeway, p.ConnectionAge)
}

func leeway(p Profile, bound time.Duration) time.Duration { return clocks(p, bound) + p.Leeway }

func age(p Profile, bound time.Duration) time.Duration {
	if p.ConnectionAge == 0 {
		return -1
	}
	return clocks(p, bound) + p.ConnectionAge
}

// newKey is how long a new key may take to be known.
func newKey(p Profile, _ time.Duration) time.Duration { return cmp.Or(p.NewKeyBound, DefaultNewKey) }

// named is how long a key of a key set that a secret names may take to be known.
func named(p Profile, bound time.Duration) time.Duration { return bound + newKey(p, bound) }

// everyone are callers of whom the target says who can call.
var everyone = []string{
	rotation.ClassShort, rotation.ClassShortToken, rotation.ClassHeld1, rotation.ClassHeld2,
	rotation.ClassValid, rotation.ClassToken, rotation.ClassAdded, rotation.ClassNewKey, rotation.ClassStale, rotation.ClassForged,
	rotation.ClassExpired, rotation.ClassNobody, rotation.ClassUnenrolled,
}
