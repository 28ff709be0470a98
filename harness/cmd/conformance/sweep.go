package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/stack/live"
)

func sweepCommand() *cobra.Command {
	var from sources
	c := &cobra.Command{
		Use: "sweep", Short: "remove what killed runs left at the engine, and at live targets", Args: none,
		Long: `sweep removes the containers and networks of runs whose process is dead. With
--config it also undoes, at the targets of that file, what killed runs noted in
their journals: it ends replicas that a hook started, puts back the secret and the
ingress's file of authorities as they were, removes what was created by each
endpoint's clean_up, and revokes certificates.

What somebody else has changed since, and a journal that is not understood, it leaves
as it is, says so with what to do by hand, and ends with status 3.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("config") || config.Read(os.Getenv, "").Config != "" {
				defer context.AfterFunc(c.Context(), endLate)()
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

// lateBound is how long what is under way may take once a sweep is told to end.
const lateBound = 5 * time.Second

// endLate ends a sweep that was told to end and waits for what does not heed that, a
// pipe that is read, say. Its journals stay.
func endLate() {
	time.Sleep(lateBound)
	os.Exit(exitIncomplete)
}

// sweepTargets undoes what killed runs left at the targets of a configuration.
func sweepTargets(c *cobra.Command, from sources) error {
	all, err := from.load()
	if err != nil {
		return err
	}
	byDir := map[string][]config.Loaded{}
	for _, l := range all {
		dir := filepath.Clean(l.Lookup.Path(l.Rails.JournalFiles))
		byDir[dir] = append(byDir[dir], l)
	}
	clean := true
	for dir, targets := range byDir {
		abandoned, err := live.FindAbandoned(dir)
		if err != nil {
			return &stack.EnvironmentError{Runtime: stack.Given, Err: err}
		}
		for _, a := range abandoned {
			left := sweepJournal(c, targets, a)
			clean = clean && len(left) == 0
			for _, one := range left {
				_ = tell(c, a.Path+": left: "+one)
			}
			if err := a.Close(len(left) == 0); err != nil {
				return &stack.EnvironmentError{Runtime: stack.Given, Err: err}
			}
		}
	}
	if !clean {
		_ = tell(c, "what is left is told above; its journals stay, and sweep tries again")
		return status(exitIncomplete)
	}
	return tell(c, "nothing is left of killed runs")
}

// sweepJournal undoes what one killed run left, as far as it is understood, and gives
// what is left.
func sweepJournal(c *cobra.Command, targets []config.Loaded, a live.Abandoned) []string {
	done, left := live.EndAll(a)
	left = append(left, a.Strange...)
	for _, l := range targets {
		if l.Target.Called() == a.Target && cmp.Or(a.URL, l.Target.URL) == l.Target.URL {
			back, changed := live.BringBack(c.Context(), l, a)
			done, left = append(done, back...), append(left, changed...)
			removed, created := sweepTarget(c.Context(), l, a)
			return tellDone(c, a, append(done, removed...), append(left, created...))
		}
	}
	if a.Target == "" { // which is among what is strange
		return tellDone(c, a, done, left)
	}
	return tellDone(c, a, done, append(left, fmt.Sprintf("it is of target %q at %q, which the configuration does not name: sweep by the one that does", a.Target, a.URL)))
}

// tellDone tells what was done, and gives what is left.
func tellDone(c *cobra.Command, a live.Abandoned, done, left []string) []string {
	for _, one := range done {
		_ = tell(c, a.Path+": "+one)
	}
	if err := c.Context().Err(); err != nil {
		left = append(left, "the sweep was interrupted")
	}
	return left
}

// sweepTarget removes what one killed run created, and revokes what it was issued.
func sweepTarget(ctx context.Context, l config.Loaded, a live.Abandoned) (done, left []string) {
	created, serials, strange := created(l, a)
	left = append(left, strange...)
	if len(created) > 0 {
		removed, remaining, err := remove(ctx, l, created)
		if err != nil {
			remaining = append(remaining, err.Error())
		}
		done, left = append(done, fmt.Sprintf("removed %d things that the run may have created, of %d", removed, len(created))), append(left, remaining...)
	}
	if len(serials) > 0 {
		if err := live.RevokeAll(ctx, l, serials); err != nil {
			return done, append(left, err.Error())
		}
		done = append(done, fmt.Sprintf("revoked %d certificates", len(serials)))
	}
	return done, left
}

// remove removes what a killed run may have created, by calls as a run makes them.
func remove(ctx context.Context, l config.Loaded, created []harness.Request) (removed int, left []string, err error) {
	live, err := stack.Live(ctx, l, run.NewID(), func(string, string) {})
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = live.Stop(context.WithoutCancel(ctx)) }()
	engine := run.New(live.Target, run.Options{Rate: l.Rails.Rate, Burst: l.Rails.Burst, TimeOut: l.Rails.TimeOut, RetryAfter: l.Rails.RetryAfter, RetryTotal: l.Rails.RetryTotal})
	defer engine.Close()
	removed, left = engine.Remove(ctx, created)
	return removed, left, nil
}

// created is what a journal tells of: requests that created something, and
// certificates. Strange is what the configuration does not know any more.
func created(l config.Loaded, a live.Abandoned) (requests []harness.Request, serials []live.Entry, strange []string) {
	unknown := map[string]int{}
	for _, e := range a.Entries {
		switch {
		case e.Serial != "" && e.Mount != l.Grants.Certificates.VaultPKI.Mount:
			unknown[fmt.Sprintf("of the certificates of mount %q, which grants.certificates.vault_pki does not name now", e.Mount)]++
		case e.Serial != "":
			serials = append(serials, e)
		case e.Unique != "":
			r, ok := requested(l, e)
			if !ok {
				unknown[fmt.Sprintf("of the things at endpoint %q, which the configuration does not name, or gives no clean_up", e.Endpoint)]++
				continue
			}
			requests = append(requests, r)
		}
	}
	for what, n := range unknown {
		strange = append(strange, fmt.Sprintf("%d %s", n, what))
	}
	return requests, serials, strange
}

// requested is the request that an entry tells of.
func requested(l config.Loaded, e live.Entry) (harness.Request, bool) {
	for _, endpoint := range l.Endpoints {
		if endpoint.Name == e.Endpoint && endpoint.CleanUp.Path != "" {
			return harness.Request{Mode: e.Mode, Unique: e.Unique, Endpoint: harness.Endpoint{
				Name: endpoint.Name, Path: endpoint.Path, Method: endpoint.Method, CleanUp: harness.CleanUp(endpoint.CleanUp),
			}}, true
		}
	}
	return harness.Request{}, false
}
