package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	planted "aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
	"aegis.test/conformance/suites/faults"
)

func faultsCommand() *cobra.Command {
	var only []string
	var asJSON, whole bool
	var score string
	runtime := string(stack.Embedded)
	c := &cobra.Command{
		Use: "faults", Short: "plant the seeded faults, and see each of them caught", Args: none,
		Long: `faults plants each seeded fault in a stack of its own, the reference with one
thing wrong, and judges expectations: those the fault names must fail, and no
other may. "none" is the reference without a fault: nothing may fail.

The whole catalogue on every fault, in a full stack, takes minutes. Without --whole,
--only or --score, what is wrong with how the service takes tokens is judged at the
service itself, without the ingress; and each fault is judged on the expectations it
is about and on one in four of the others, whether they must fail or not: others each
time. The last line says so. What is not exact beside other faults is judged once
more, alone.`,
		Example: "  conformance faults\n  conformance faults --whole\n  conformance faults --only M-006 --json\n  conformance faults --score suites/faultscore.json",
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := chooseFaults(only)
			if err != nil {
				return usage{err}
			}
			if err := stack.Known(stack.Runtime(runtime)); err != nil || runtime == string(stack.Auto) {
				return usage{fmt.Errorf("--runtime %q: want embedded or containers", runtime)}
			}
			if score != "" && len(only) > 0 {
				return usage{fmt.Errorf("--score takes the whole matrix, without --only")}
			}
			plan := faults.Plan{Faults: plantable(c, chosen, stack.Runtime(runtime)), Runtime: stack.Runtime(runtime)}
			if !whole && score == "" && len(only) == 0 {
				plan.Rigs, plan.Share, plan.Seed = true, share, rand.Uint64() //nolint:gosec // a choice of rows, no secret
			}
			return matrix(c, plan, asJSON, score)
		},
	}
	c.Flags().StringSliceVar(&only, "only", nil, "plant only these faults, by ID or component")
	c.Flags().StringVar(&score, "score", "", "also write the score to this file: suites/faultscore.json is what sign-offs show")
	c.Flags().BoolVar(&whole, "whole", false, "judge every fault on every expectation")
	c.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON")
	complete(c, map[string]completion{"only": planting})
	c.Flags().StringVar(&runtime, "runtime", runtime, "where the stacks are placed: embedded or containers")
	return c
}

// share is of how many expectations that must not fail on a fault one is judged.
const share = 4

func chooseFaults(only []string) ([]planted.Fault, error) {
	all := planted.All()
	if len(only) == 0 {
		return all, nil
	}
	matches := func(f planted.Fault, label string) bool {
		return strings.EqualFold(f.ID, label) || strings.EqualFold(f.Component, label)
	}
	for _, label := range only {
		if !slices.ContainsFunc(all, func(f planted.Fault) bool { return matches(f, label) }) {
			return nil, fmt.Errorf("no fault %q: conformance faults --help, or fixtures/faults, lists them", label)
		}
	}
	return slices.DeleteFunc(all, func(f planted.Fault) bool {
		return !slices.ContainsFunc(only, func(label string) bool { return matches(f, label) })
	}), nil
}

// plantable leaves out what a placement cannot show, saying so.
func plantable(c *cobra.Command, chosen []planted.Fault, runtime stack.Runtime) []planted.Fault {
	return slices.DeleteFunc(chosen, func(f planted.Fault) bool {
		out := runtime == stack.Embedded && !f.Embedded() || runtime == stack.Containers && f.Component == "ingress" && !f.InNginx()
		if out {
			c.PrintErrf("%-8s left out: %s cannot show it\n", f.ID, runtime)
		}
		return out
	})
}

// keepScore writes the score of a whole matrix, with the digest of the catalogue
// that it was run of; "" is no file.
func keepScore(file string, s faults.Score) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(suites.FaultScore{
		Catalogue: suites.CatalogueDigest(), Planted: s.Planted, Caught: s.Caught, Exact: s.Exact, FalseAlarms: s.FalseAlarms,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the score: %w", err)
	}
	return nil
}

func matrix(c *cobra.Command, plan faults.Plan, asJSON bool, file string) error {
	plan.Each = func(r faults.Result) { c.PrintErrln(r.String()) } // progress, beside the JSON
	if !asJSON {
		plan.Each = func(r faults.Result) { _ = tell(c, r.String()) }
	}
	plan.Faults = slices.Concat([]planted.Fault{faults.Reference}, plan.Faults)
	results := faults.Run(c.Context(), plan)
	sound, results := results[0], results[1:]
	score := faults.Count(sound, results)
	if asJSON {
		if err := tellJSON(c, map[string]any{"reference": sound, "faults": results, "score": score, "share": max(plan.Share, 1)}); err != nil {
			return err
		}
	} else {
		_ = tell(c, score.String())
		if plan.Share > 1 {
			_ = tell(c, fmt.Sprintf("each was judged on the expectations it is about, and on one in %d of the others; --whole judges all", plan.Share))
		}
	}
	if c.Context().Err() != nil {
		return status(exitIncomplete)
	}
	if score.Errors > 0 {
		return status(exitEnvironment)
	}
	if err := keepScore(file, score); err != nil {
		return usage{err}
	}
	if score.Caught != score.Planted || score.FalseAlarms > 0 {
		return status(exitFail)
	}
	return nil
}
