package report

import (
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// unseenVerdicts are those that are neither a pass nor a fail, and no exemption.
var unseenVerdicts = []harness.Verdict{harness.Error, harness.Inconclusive, harness.NotExercised}

// nextSteps says what the reader of a sign-off should do.
func nextSteps(r signoff.Record) []string {
	var steps []string
	add := func(n int, one, many string) {
		if n == 1 {
			steps = append(steps, one)
		} else if n > 1 {
			steps = append(steps, fmt.Sprintf(many, n))
		}
	}
	add(r.Buckets[harness.Security],
		"Do not release: an unauthorised request was served. Its failure below says which, and the command that shows it again.",
		"Do not release: unauthorised requests were served, %d expectations say so. Each failure below says which, and the command that shows it again.")
	advice := len(r.Advice())
	add(r.Totals[harness.Fail]-r.Buckets[harness.Security]-advice,
		"Mend the answer that is not as documented, or declare it in the target's profile where the runbook leaves it open: conformance doctor shows how an ingress refuses.",
		"Mend the %d answers that are not as documented, or declare them in the target's profile where the runbook leaves them open: conformance doctor shows how an ingress refuses.")
	add(advice,
		"Read the advice below: a SHOULD or MAY that does not hold decides nothing, unless a policy requires it.",
		"Read the advice below: %d of SHOULD and MAY do not hold; they decide nothing, unless a policy requires them.")
	add(r.Totals[harness.Inconclusive],
		"Run the inconclusive expectation again once its control is accepted: its reason says what was in the way.",
		"Run the %d inconclusive expectations again once their controls are accepted: their reasons say what was in the way.")
	add(r.Totals[harness.Error],
		"Report the harness error: it is a defect of the harness or of the machine it ran on, not of the target.",
		"Report the %d harness errors: they are defects of the harness or of the machine it ran on, not of the target.")
	add(wanting(r),
		"Grant what the expectation that was not exercised lacks, or accept in writing that it was not seen.",
		"Grant what the %d expectations that were not exercised lack, or accept in writing that they were not seen.")
	if r.Kind == harness.Live && !r.Known() {
		steps = append(steps, "Name the build: target.version in the configuration is where the deployment says it. A policy refuses a live run of no known build.")
	}
	return append(steps, conclusion(r)...)
}

// wanting counts what was not exercised although this kind of run could.
func wanting(r signoff.Record) int {
	return r.Totals[harness.NotExercised] - len(r.OutOfReach())
}

// conclusion is the last step: what this record is good for.
func conclusion(r signoff.Record) []string {
	switch {
	case r.Verdict == signoff.Invalid:
		return []string{"Run the whole catalogue to its end: conformance run without --only and --dry-run. This run gives no verdict."}
	case r.Kind == harness.Rehearsal:
		return []string{"Run it in containers (conformance run --runtime containers), and then against staging: a rehearsal is no release evidence."}
	case r.Verdict != signoff.Passed:
		return nil
	case r.Kind == harness.Image:
		return []string{"Sign the record (conformance sign), and make it one with staging's: conformance release."}
	case r.Kind == harness.SelfTest:
		return []string{"Run it with the team's image or against staging: this run judged the reference service."}
	default:
		return []string{"Sign the record (conformance sign), and keep it with the release."}
	}
}
