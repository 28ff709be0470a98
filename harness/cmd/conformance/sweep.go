package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
)

func sweepCommand() *cobra.Command {
	var from sources
	c := &cobra.Command{
		Use: "sweep", Short: "remove what killed runs left at the engine, and at live targets", Args: none,
		Long: `sweep removes the containers and networks of runs whose process is dead. With
--config it also removes, from the targets of that file, what killed runs noted
in their journals and did not remove: by each endpoint's clean_up, and at Vault.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("config") {
				return sweepTargets(c, from)
			}
			removed, err := stack.Sweep(c.Context())
			if err != nil {
				return &stack.EnvironmentError{Err: err}
			}
			for _, name := range removed {
				if err := tell(c, "removed "+name); err != nil {
					return err
				}
			}
			return tell(c, fmt.Sprintf("%d removed", len(removed)))
		},
	}
	from.flags(c)
	return c
}

// sweepTargets removes what killed runs left at the targets of a configuration.
func sweepTargets(c *cobra.Command, from sources) error {
	all, err := from.load()
	if err != nil {
		return err
	}
	clean := true
	for _, l := range all {
		abandoned, err := stack.FindAbandoned(l.Lookup.Path(l.Rails.JournalFiles))
		if err != nil {
			return &stack.EnvironmentError{Runtime: stack.Given, Err: err}
		}
		for _, a := range abandoned {
			if a.Target != l.Target.Name {
				err = errors.Join(err, a.Close(false))
				continue
			}
			swept, sweepErr := sweepTarget(c, l, a)
			clean = clean && swept
			err = errors.Join(err, sweepErr, a.Close(swept))
		}
		if err != nil {
			return err
		}
	}
	if !clean {
		return status(exitIncomplete)
	}
	return tell(c, "nothing is left of killed runs")
}

// sweepTarget removes what one killed run left, and reports whether all is gone.
func sweepTarget(c *cobra.Command, l config.Loaded, a stack.Abandoned) (bool, error) {
	live, err := stack.Live(c.Context(), l, run.NewID(), func(string, string) {})
	if err != nil {
		return false, err
	}
	defer func() { _ = live.Stop(context.WithoutCancel(c.Context())) }()
	engine := run.New(live.Target, run.Options{Rate: l.Rails.Rate, Burst: l.Rails.Burst, TimeOut: l.Rails.TimeOut, RetryAfter: l.Rails.RetryAfter, RetryTotal: l.Rails.RetryTotal})
	defer engine.Close()
	created, serials := left(l, a)
	removed, remaining := engine.Remove(c.Context(), created)
	if err := stack.RevokeAll(c.Context(), l, serials); err != nil {
		remaining = append(remaining, err.Error())
	}
	for _, one := range remaining {
		_ = tell(c, "not removed: "+one)
	}
	return len(remaining) == 0, tell(c, fmt.Sprintf("%s: removed %d of %d, revoked %d certificates", a.Path, removed, len(created), len(serials)))
}

// left is what a journal tells of: requests that created something, and
// certificates.
func left(l config.Loaded, a stack.Abandoned) (created []harness.Request, serials []stack.Entry) {
	for _, e := range a.Entries {
		if e.Serial != "" {
			serials = append(serials, e)
			continue
		}
		for _, endpoint := range l.Endpoints {
			if endpoint.Name == e.Endpoint {
				created = append(created, harness.Request{Mode: e.Mode, Unique: e.Unique, Endpoint: harness.Endpoint{
					Name: endpoint.Name, Path: endpoint.Path, Method: endpoint.Method, CleanUp: harness.CleanUp(endpoint.CleanUp),
				}})
			}
		}
	}
	return created, serials
}
