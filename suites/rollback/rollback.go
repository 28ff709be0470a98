// Package rollback is the chapter of the way back: what may be done when
// enforcing has caused widespread failures, and what must hold meanwhile and
// after it (runbook section 7).
package rollback

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe/rollout"
)

// smoke is how the calls after a rollback must be answered.
var smoke = map[string]Outcome{
	rollout.SmokeValid: outcome.Accepted(), rollout.SmokeNone: outcome.Unauthenticated(),
	rollout.SmokeExpired: outcome.Unauthenticated(), rollout.SmokeForged: outcome.Unauthenticated(),
	rollout.SmokeUnenrolled: outcome.Forbidden(), rollout.SmokeClaim: outcome.Unauthenticated(), rollout.SmokeSpoof: outcome.Forbidden(),
}

// debug is what the debug replica must do for a drill to be one.
var debug = map[StateOf]string{DebugServes: "serves everybody"}

// Expectations of the chapter.
var Expectations = []Expectation{
	{
		ID: "RBK-001", Title: "A debug replica is not exposed", Clauses: []string{"7.5"},
		Source: "runbook section 7", Level: MUST,
		Rule:     Says("While a replica with AUTH_MODE=none runs for debugging, no new connection to a public address leads to it."),
		Stimulus: rollout.DebugBeside(),
		Outcome: outcome.RolledBack{Controls: debug, Calls: map[string]Outcome{
			rollout.SmokeNone: outcome.Unauthenticated(), rollout.SmokeUnenrolled: outcome.Forbidden(),
		}},
	},
	{
		ID: "RBK-002", Title: "Enforcing again restores everything", Clauses: []string{"7.5"},
		Source: "runbook section 7; EPT-022", Level: MUST,
		Rule:     Says("After the last resort and back, services that were deployed anew serve whom they must and nobody else, on every new connection."),
		Stimulus: rollout.Drill(), Outcome: outcome.RolledBack{Controls: debug, Calls: smoke, States: map[StateOf]string{SoundRollout: "became ready"}},
	},
	{
		ID: "RBK-003", Title: "The mode can be seen", Clauses: []string{"7.1", "7.5", "8.5"},
		Source: "runbook sections 7 and 8", Level: SHOULD,
		Rule:     Says("A service shows operators in which mode it runs, by a metric, and by its log when that is none; it tells no client."),
		Stimulus: rollout.ModesShown(),
		Outcome: outcome.RolledBack{Controls: debug, Never: ModeTold,
			Calls: map[string]Outcome{},
			States: map[StateOf]string{
				ServiceMode(OIDC): "oidc", ServiceMode(MTLS): "mtls", DebugMode: "none",
			}},
		Unless: func(p Profile) string {
			if p.ModeMetric != "" {
				return ""
			}
			return "the profile names no metric that shows the mode"
		},
	},
	{
		ID: "RBK-004", Title: "A bad rollout opens no gap", Clauses: []string{"5.1", "7.2", "7.3"},
		Source: "runbook sections 5 and 7", Level: MUST,
		Rule:     Says("A replica that cannot read its secrets never becomes ready; while it is rolled out, and a sound one after it, nobody is served who must not be."),
		Stimulus: rollout.BrokenDeploy(),
		Outcome: outcome.RolledBack{Calls: smoke, Meanwhile: true,
			States: map[StateOf]string{BrokenRollout: "never became ready", SoundRollout: "became ready"}},
	},
	{
		ID: "RBK-005", Title: "A secret is rolled back", Clauses: []string{"7.2"},
		Source: "runbook section 7; Vault, kv rollback", Level: SHOULD,
		Rule:     Says("When the former version of a secret is made the newest again, the service runs on its values within the declared bound."),
		Stimulus: rollout.SecretBack(),
		Outcome: outcome.RolledBack{Calls: map[string]Outcome{
			"the client of the former list, " + rollout.WithChanged: outcome.Forbidden(),
			"the client of the new list, " + rollout.WithChanged:    outcome.Accepted(),
			"the client of the former list, " + rollout.WithFormer:  outcome.Accepted(),
			"the client of the new list, " + rollout.WithFormer:     outcome.Forbidden(),
		}},
	},
	{
		ID: "RBK-006", Title: "The release before enforces too", Clauses: []string{"7.1"},
		Source: "runbook section 7", Level: SHOULD,
		Rule:     Says("The release that would be rolled back to serves whom it must and nobody else, on every new connection."),
		Stimulus: rollout.BackToPrevious(), Outcome: outcome.RolledBack{Calls: smoke, States: map[StateOf]string{SoundRollout: "became ready"}},
	},
}
