package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

func signoffCommand() *cobra.Command {
	var file, catalogue string
	c := &cobra.Command{
		Use: "signoff RECORD", Short: "say whether a record is enough to release on, by a policy", Args: exactly(1, "a record, or the directory that holds it"),
		Long: `signoff holds the record of a run against what an organisation requires, and says
what is missing. Without a policy every MUST of what the run claims is required, of any
run but a rehearsal. policy.yaml:

  kinds: [image, live]      # the run must be one of these: self-test, image, live, release
  claim: full               # what it must claim: full, or core, which any staging can show
  chapters: [oidc, mtls]    # all must hold in these, and something must have passed
  levels: [SHOULD]          # these must hold too: a MUST always must
  not_applicable: {max: 5}  # how many expectations the declared profile may take out
  build: {required: false}  # a live target need not say which build it is
  waivers: {max: 2, max_days: 30}

Every key is optional. A request that was served unauthorised is never accepted,
wherever it was seen.

Exit status: 0 enough, 1 something failed, 3 something is missing, 2 usage.`,
		Example: "  conformance signoff build/signoff\n  conformance signoff build/signoff --policy policy.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			policy, err := readPolicy(file)
			if err != nil {
				return usage{err}
			}
			known, err := knownCatalogue(catalogue)
			if err != nil {
				return usage{err}
			}
			r, _, err := signoff.Load(args[0])
			if err != nil {
				return usage{err}
			}
			return weigh(c, r, policy, known)
		},
	}
	c.Flags().StringVar(&file, "policy", "", "what is required, in YAML")
	c.Flags().StringVar(&catalogue, "catalogue", "", catalogueText)
	return c
}

// readPolicy reads the policy in a file; no file is the policy that requires all.
func readPolicy(file string) (signoff.Policy, error) {
	if file == "" {
		return signoff.Policy{}, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return signoff.Policy{}, fmt.Errorf("reading the policy: %w", err)
	}
	return signoff.ReadPolicy(filepath.Base(file), data, chapterNames())
}

func weigh(c *cobra.Command, r signoff.Record, policy signoff.Policy, known *signoff.Known) error {
	code, refusals := exitPass, policy.Weigh(r)
	if err := known.Holds(r); err != nil {
		refusals = append(refusals, signoff.Refusal{Condition: "catalogue", Why: err.Error()})
	}
	for _, refusal := range refusals {
		if code != exitFail {
			code = exitIncomplete
		}
		if refusal.Failed {
			code = exitFail
		}
		if err := say(c, fmt.Sprintf("%-8s %s", refusal.Condition, report.Line(refusal.Why))); err != nil {
			return err
		}
	}
	if code != exitPass {
		_ = tell(c, fmt.Sprintf("not enough to release on: run %s of %s, %s", r.Run, report.Line(r.Target.Name), r.Verdict))
		return status(code)
	}
	return tell(c, fmt.Sprintf("enough to release on: run %s of %s, %s. conformance sign signs it", r.Run, report.Line(r.Target.Name), r.Verdict))
}
