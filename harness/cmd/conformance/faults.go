package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	planted "aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites/faults"
)

func faultsCommand() *cobra.Command {
	var only []string
	var asJSON, whole, list bool
	var seed string
	runtime := string(stack.Embedded)
	c := &cobra.Command{
		Use: "faults", Short: "plant the seeded faults, and see each of them caught", Args: none,
		Long: `faults plants each seeded fault in a stack of its own, the reference with one
thing wrong, and judges expectations: those the fault names must fail, and no
other may. "none" is the reference without a fault: nothing may fail.

A fault is judged in its rig: what is wrong with a service at the service itself,
what is wrong with the ingress in front of it. One fault in eight is judged on
everything that its rig holds: on the half of the catalogue that it is about (who is
served, or how the service is run), at one endpoint and those it names. The others
are judged on what they name. --seed chooses which are which, and the line at the end
says so; --whole and --only judge every fault on everything. What is not
exact beside other faults is judged once more, alone. A fault is caught if all that it
names fails, caught in part if some of that does, and survives if none does.`,
		Example: "  conformance faults\n  conformance faults --whole\n  conformance faults --only M-006 --json\n  conformance faults --list --only ingress",
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := chooseFaults(only)
			if err != nil {
				return usage{err}
			}
			if list {
				return listFaults(c, chosen, asJSON)
			}
			if err := stack.Known(stack.Runtime(runtime)); err != nil || runtime == string(stack.Auto) {
				return usage{fmt.Errorf("--runtime %q: want embedded or containers", runtime)}
			}
			plan := faults.Plan{Faults: plantable(c, chosen, stack.Runtime(runtime)), Runtime: stack.Runtime(runtime)}
			if !whole && len(only) == 0 {
				plan.Sample.Seed = cmp.Or(seed, strconv.FormatUint(rand.Uint64()>>48, 16)) //nolint:gosec // a choice of faults, no secret
			}
			return matrix(c, plan, asJSON)
		},
	}
	c.Flags().StringSliceVar(&only, "only", nil, "plant only these faults, by ID or component")
	c.Flags().BoolVar(&list, "list", false, "list the faults, and plant none")
	c.Flags().BoolVar(&whole, "whole", false, "judge every fault on everything that its rig holds")
	c.Flags().StringVar(&seed, "seed", "", "choose the faults that are judged on everything as the run with this seed did")
	c.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON")
	complete(c, map[string]completion{"only": planting})
	c.Flags().StringVar(&runtime, "runtime", runtime, "where the stacks are placed: embedded or containers")
	return c
}

// listFaults tells each fault in a line: its part, what is wrong, and what catches it.
func listFaults(c *cobra.Command, chosen []planted.Fault, asJSON bool) error {
	type row struct {
		ID        string   `json:"id"`
		Component string   `json:"component"`
		Says      string   `json:"says"`
		Origin    string   `json:"origin"`
		Named     []string `json:"named"`
	}
	rows := []row{}
	for _, f := range chosen {
		rows = append(rows, row{f.ID, f.Component, f.Says, f.Origin, f.Named})
	}
	if asJSON {
		return tellJSON(c, rows)
	}
	for _, r := range rows {
		if err := say(c, fmt.Sprintf("%-8s %-10s %s Caught by %s.", r.ID, r.Component, r.Says, few(r.Named))); err != nil {
			return err
		}
	}
	return tell(c, plural(len(rows), "fault")+"; conformance explain ID tells all of one")
}

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
			return nil, fmt.Errorf("no fault %q: conformance faults --list shows them", label)
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

func matrix(c *cobra.Command, plan faults.Plan, asJSON bool) error {
	plan.Each = func(r faults.Result) { c.PrintErrln(r.String()) } // progress, beside the JSON
	if !asJSON {
		plan.Each = func(r faults.Result) { _ = tell(c, r.String()) }
	}
	plan.Faults = slices.Concat([]planted.Fault{faults.Reference}, plan.Faults)
	results := faults.Run(c.Context(), plan)
	sound, results := results[0], results[1:]
	score := faults.Count(sound, results)
	if asJSON {
		if err := tellJSON(c, map[string]any{"reference": sound, "faults": results, "score": score, "seed": plan.Sample.Seed, "whole": plan.Whole()}); err != nil {
			return err
		}
	} else {
		_ = tell(c, score.String())
		_ = tell(c, plan.Told())
	}
	if c.Context().Err() != nil {
		return status(exitIncomplete)
	}
	if score.Errors > 0 {
		return status(exitEnvironment)
	}
	if score.Caught != score.Planted || score.FalseAlarms > 0 {
		return status(exitFail)
	}
	return nil
}
