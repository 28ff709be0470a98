package identity

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/replica"
)

// Lists are the expectations on the forms of the enrolment list, and on who may
// change it.
var Lists = []Expectation{
	{
		ID: "ENR-002", Title: "Addition takes effect", Clauses: []string{"6.5"},
		Source: "runbook section 6; rulings A-19", Level: MUST,
		Rule:     Says("A client put on the list is served within the declared bound, by default 60 seconds."),
		Stimulus: probe.AddClient(), Outcome: outcome.Accepted(),
	},
	{
		ID: "ENR-004", Title: "Newline list", Clauses: []string{"1.4"},
		Source: "runbook section 1", Level: MUST,
		Rule:     Says("Of a list of one name a line, with LF or CRLF, blank lines and no last LF, each member is served and nobody else."),
		Stimulus: probe.NewlineList(),
		Outcome:  outcome.PerVariant{probe.Member: outcome.Accepted(), probe.Outsider: outcome.Forbidden()},
	},
	{
		ID: "ENR-006", Title: "List missing in mtls mode", Clauses: []string{"4.8", "8.4"},
		Source: "runbook sections 4 and 8; rulings A-17", Level: SHOULD,
		Rule:     Says("Without a list a service in mtls mode refuses to start, or serves nobody."),
		Stimulus: replica.NoList(), Outcome: outcome.RefusesOrForbids(),
	},
	{
		ID: "ENR-007", Title: "Malformed list fails closed", Clauses: []string{"1.4", "8.4"},
		Source: "ASVS 16.5.3; rulings LAB-6", Level: MUST,
		Rule:     Says("With a list that is malformed a service in mtls mode refuses to start, or serves nobody: not a part of it, and not the enrolled name in it."),
		Stimulus: replica.MalformedLists(), Outcome: outcome.RefusesOrForbids(),
	},
	{
		ID: "ENR-008", Title: "Members that are no text", Clauses: []string{"1.4"},
		Source: "rulings LAB-6", Level: SHOULD,
		Rule:     Says("Of a list with a number, null, true and a name, the name is served; 1, None, null, True and true are nobody's names."),
		Stimulus: probe.MixedList(),
		Outcome:  outcome.PerVariant{probe.Member: outcome.Accepted(), probe.Stranger: outcome.NotIdentified()},
	},
	{
		ID: "ENR-009", Title: "Vault loss after start", Clauses: []string{"4.8", "5.1"},
		Source: "ASVS 16.5.2 and 16.5.3", Level: MUST,
		Rule:     Says("A service that loses Vault serves the clients it knew, or answers 503; it serves nobody else, however often it asks for Vault in vain."),
		Stimulus: replica.VaultLoss(),
		Outcome: outcome.PerVariant{
			replica.EnrolledBefore: outcome.Shown(outcome.Accepted()), replica.OutsiderBefore: outcome.Shown(outcome.Forbidden()),
			replica.EnrolledAfter: outcome.AcceptedOr(503), replica.OutsiderAfter: outcome.Forbidden().Or(503),
			replica.NobodyAfter: outcome.Unauthorized().Or(503),
		},
	},
	{
		ID: "ENR-010", Title: "Wildcard is not magic", Clauses: []string{"1.4"},
		Source: "runbook section 1", Level: MUST,
		Rule:     Says("A star on the list enrols nobody of another name."),
		Stimulus: probe.WildcardList(),
		Outcome:  outcome.PerVariant{probe.Member: outcome.AcceptedOr(403), probe.Outsider: outcome.Forbidden()},
	},
	{
		ID: "ENR-011", Title: "Enforced on every endpoint", Clauses: []string{"G.2", "4.8"},
		Source: "OWASP API5:2023", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client is answered 403 at every critical endpoint and each declared path below it."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()), Outcome: outcome.Forbidden(),
	},
	{
		ID: "ENR-012", Title: "No self-enrolment", Clauses: []string{"4.8"},
		Source: "OWASP API5:2023; runbook section 4", Level: MUST,
		Rule:     Says("An unenrolled client who enrols his own name is answered 403, and 403 everywhere afterwards."),
		Stimulus: probe.SelfEnrolment(), Outcome: outcome.Clean{Answers: outcome.Forbidden()},
	},
	{
		ID: "ENR-013", Title: "Denied enrolment leaves no state", Clauses: []string{"G.2"},
		Source: "ASVS 16.5.3", Level: MUST,
		Rule:     Says("An enrolment that was denied reaches no handler, and its name is not in the list."),
		Stimulus: probe.DeniedMarkers(), Outcome: outcome.Clean{Answers: outcome.Unauthenticated()},
	},
	{
		ID: "ENR-014", Title: "Members, not text", Clauses: []string{"1.4", "4.8"},
		Source: "ASVS 12.1.3", Level: MUST,
		Rule:     Says("A part of a member's name, or of the list's text, is no member."),
		Stimulus: probe.PartsOfMember(),
		Outcome:  outcome.PerVariant{probe.Member: outcome.Accepted(), probe.Stranger: outcome.NotIdentified()},
	},
}
