// Package monitoring is the chapter of what operators see: the counter of auth
// failures, the logs, and the alerts (runbook section 5).
package monitoring

import (
	"time"

	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/monitor"
	"aegis.test/conformance/harness/token"
)

// Expectations on the counter.
var Expectations = []Expectation{
	{
		ID: "MET-001", Title: "The counter exists at zero", Clauses: []string{"5.3", "8.5"},
		Source: "runbook section 5; Prometheus, instrumentation: avoid missing metrics", Level: MUST,
		Rule:     Says("aegis_auth_failures_total is on the metrics page, and stands at zero after a start; or it is there once a call was refused."),
		Stimulus: monitor.FirstScrape(), Outcome: outcome.PresentAtZero(),
	},
	{
		ID: "MET-002", Title: "Counter semantics", Clauses: []string{"5.3"},
		Source: "OpenMetrics 1.0, counter; Prometheus, writing client libraries", Level: MUST,
		Rule:     Says("aegis_auth_failures_total is declared a counter and explained, and no series of it ever falls, whoever reads it."),
		Stimulus: monitor.CountWatched(probe.NoCredential(OIDC), 3, 2), Outcome: outcome.IsCounter(outcome.Unauthenticated()),
	},
	{
		ID: "MET-003", Title: "Missing credentials are counted", Clauses: []string{"5.3"},
		Source: "runbook section 5; rulings A-27, A-28", Level: MUST,
		Rule:     Says("Calls without a credential raise aegis_auth_failures_total by exactly their number."),
		Stimulus: monitor.Count(probe.NoCredential(OIDC), 5), Outcome: outcome.CountsEach(outcome.Unauthenticated()),
	},
	{
		ID: "MET-004", Title: "Invalid and expired tokens are counted", Clauses: []string{"5.3"},
		Source: "runbook section 5", Level: MUST,
		Rule:     Says("Calls with a bad token raise aegis_auth_failures_total by exactly their number, of whatever kind the token is."),
		Stimulus: monitor.CountApart(probe.Bearer(token.Expired(time.Hour), token.FlippedBit(), token.OtherAudience(), token.OtherIssuer(), token.UnknownKey(), token.Literal("a token of one part", "conformance")), 3),
		Outcome:  outcome.CountsEach(outcome.Unauthenticated()),
	},
	{
		ID: "MET-005", Title: "Enrolment denials are counted", Clauses: []string{"5.3"},
		Source: "runbook sections 4 and 5", Level: MUST,
		Rule:     Says("Calls by a client who is not enrolled raise aegis_auth_failures_total by exactly their number."),
		Stimulus: monitor.Count(probe.Presenting(clientcert.Unenrolled()), 5), Outcome: outcome.CountsEach(outcome.Forbidden()),
	},
	{
		ID: "MET-006", Title: "Success is not counted", Clauses: []string{"5.3"},
		Source: "runbook section 5", Level: MUST,
		Rule:     Says("Accepted calls leave aegis_auth_failures_total where it stands."),
		Stimulus: monitor.Count(probe.ValidToken().And(probe.EnrolledCertificate()), 4),
		Outcome:  outcome.CountsNone(outcome.Accepted()),
	},
	{
		ID: "MET-007", Title: "Other failures are not counted", Clauses: []string{"5.3"},
		Source: "runbook section 5: auth failures", Level: SHOULD,
		Rule:     Says("Calls of a known caller that fail for another reason leave aegis_auth_failures_total where it stands."),
		Stimulus: monitor.CountApart(probe.Mistakes(), 2), Outcome: outcome.CountsNone(outcome.Mistaken()),
	},
	{
		ID: "MET-008", Title: "No endpoint is silent", Clauses: []string{"5.3"},
		Source: "runbook section 5", Level: MUST,
		Rule:     Says("Denials raise aegis_auth_failures_total by exactly their number at each critical endpoint, in each mode."),
		Stimulus: monitor.CountApart(probe.NoCredential(OIDC).And(probe.Presenting(clientcert.Unenrolled())).Everywhere(), 2),
		Outcome:  outcome.CountsEach(outcome.Unauthenticated().Or(403)),
	},
	{
		ID: "MET-009", Title: "Workers count together", Clauses: []string{"5.3"},
		Source: "prometheus_client, multiprocess mode; rulings 2.H on M-151", Level: MUST,
		Rule:     Says("A service of several workers shows the sum of what they count, whichever of them is asked."),
		Stimulus: monitor.Workers(4, 200, 20), Outcome: outcome.Steady(outcome.Denied()),
	},
}

// Records are the expectations on what is written down.
var Records = []Expectation{
	{
		ID: "MET-010", Title: "Denials by the ingress are seen", Clauses: []string{"5.3", "8.5"},
		Source: "runbook section 5; rulings A-27", Level: SHOULD,
		Rule:     Says("Each call that the ingress refuses leaves a line in the ingress's own log: the service never counts it."),
		Stimulus: monitor.RefusedByIngress(3), Outcome: outcome.Noted(outcome.Unauthenticated()),
	},
	{
		ID: "MET-015", Title: "Each denial is recorded", Clauses: []string{"5.2", "8.5"},
		Source: "ASVS 16.2.1, 16.2.5, 16.3.1, 16.3.2; runbook section 8", Level: MUST,
		Rule:     Says("Each denial leaves one record, in JSON or text: time, endpoint, reason, source and request ID; no credential is logged."),
		Stimulus: monitor.EachDenial(), Outcome: outcome.RecordsEach(outcome.Denied()),
	},
	{
		ID: "MET-016", Title: "Errors retrieving secrets are logged", Clauses: []string{"5.2", "8.5"},
		Source: "runbook section 5", Level: MUST,
		Rule:     Says("A service that cannot read its secrets ends with a record of level error that names them, and shows no value."),
		Stimulus: monitor.Unreadable(), Outcome: outcome.LogsUnreadable(),
	},
}

// Alarms are the expectations on what wakes operators.
var Alarms = []Expectation{
	{
		ID: "MET-011", Title: "The alert is wired", Clauses: []string{"5.3", "8.5"},
		Source: "runbook sections 5 and 8; a published rule whose metric nothing emits, and a scrape job that misses the service", Level: MUST,
		Rule:     Says("An alerting rule on aegis_auth_failures_total evaluates, Prometheus has its series from targets that are up, and Alertmanager has a receiver with an integration."),
		Stimulus: monitor.Wiring(), Outcome: outcome.Wired{},
	},
	{
		ID: "MET-012", Title: "The alert fires on a spike", Clauses: []string{"5.3", "8.5"},
		Source: "runbook section 5", Level: MUST,
		Rule:     Says("An alert on auth failures is quiet while nobody is refused, comes to Alertmanager and from there to a receiver within its bound of a spike, and ends after it."),
		Stimulus: monitor.Spike(), Outcome: outcome.Alarms{Quiet: monitor.WhileQuiet, Fires: map[string]bool{monitor.DuringSpike: true, monitor.AfterSpike: false}},
	},
	{
		ID: "MET-013", Title: "The alert catches a short burst", Clauses: []string{"5.3"},
		Source: "runbook section 5: unusual spikes; Prometheus, unit testing for rules", Level: SHOULD,
		Rule:     Says("By promtool an alert on auth failures fires after 600 refusals within 15 seconds and silence, and never without any."),
		Stimulus: monitor.Burst(), Outcome: outcome.Alarms{Quiet: monitor.WhileQuiet, Fires: map[string]bool{monitor.AfterBurst: true}},
	},
	{
		ID: "MET-014", Title: "The alert on exits", Clauses: []string{"5.2", "8.5"},
		Source: "runbook section 5", Level: MUST,
		Rule:     Says("A watched replica that ends for want of a secret makes an alert come to Alertmanager within its bound, that ends once it is gone: not by its own series, of which it has none."),
		Stimulus: monitor.MissedExit(), Outcome: outcome.Alarms{Quiet: monitor.WhileQuiet, Fires: map[string]bool{monitor.AfterExit: true, monitor.AfterGone: false}},
	},
}
