package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// waiving says which waivers to read; no file means none.
type waiving struct {
	file string
	days int
}

func (w *waiving) flags(f *pflag.FlagSet) {
	f.StringVar(&w.file, "waivers", "", "file of waivers: failures to ship with all the same (conformance waivers --help)")
	w.within(f)
}

func (w *waiving) within(f *pflag.FlagSet) {
	f.IntVar(&w.days, "waiver-days", signoff.MaxWaiverDays, fmt.Sprintf("how many days ahead a waiver may expire, %d at most", signoff.LongestWaiver))
}

// read reads the file and holds it against the catalogue.
func (w *waiving) read() ([]signoff.Waiver, error) {
	if w.days < 1 || w.days > signoff.LongestWaiver {
		return nil, fmt.Errorf("--waiver-days %d: want 1 to %d", w.days, signoff.LongestWaiver)
	}
	if w.file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(w.file)
	if err != nil {
		return nil, fmt.Errorf("reading waivers: %w", err)
	}
	return signoff.ReadWaivers(data, signoff.Grants{File: filepath.Base(w.file), Known: catalogueIDs(), Today: time.Now(), MaxDays: w.days})
}

func catalogueIDs() []string {
	var ids []string
	for _, x := range suites.All() {
		ids = append(ids, x.ID)
	}
	return ids
}

// chapterNames are the catalogue's chapters, in its order.
func chapterNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, x := range suites.All() {
		if !seen[x.Chapter()] {
			seen[x.Chapter()] = true
			names = append(names, x.Chapter())
		}
	}
	return names
}

func waiversCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "waivers", Short: "failures to ship with all the same: what a file of them must say, and whether it still does",
		Long: `A waiver lets one expectation fail. It is granted by somebody, for a reason, and
it ends. The check runs all the same, and the record shows both.

  waivers:
    - expectation: OIDC-024          # an ID of the catalogue
      scope: {target: staging-eu, mode: oidc}   # optional: only there
      owner: team-identity           # who mends it
      approver: ciso                 # who gave leave: somebody else
      reason: the 401 of gateway 3 names its host until 3.2
      ticket: AEGIS-412
      expires: 2027-01-31            # the last day it holds, UTC
      expected: discloses            # optional: words the failure must hold

conformance run --waivers FILE applies them. A run is INVALID when a waiver is no
longer needed, or the failure is not the expected one. A request that was served
unauthorised (bucket security) is never waived.`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(waiversCheckCommand())
	return c
}

func waiversCheckCommand() *cobra.Command {
	var w waiving
	var record string
	c := &cobra.Command{
		Use: "check FILE", Short: "hold a file of waivers against the catalogue, without a target", Args: exactly(1, "a file of waivers"),
		Long: `check tells every mistake in a file of waivers with its line: unknown keys and
expectations, what is missing, what has expired or expires too far ahead. With
--record it also says what the waivers would do to that run.`,
		Example: "  conformance waivers check waivers.yaml\n  conformance waivers check waivers.yaml --record build/signoff",
		RunE: func(c *cobra.Command, args []string) error {
			w.file = args[0]
			waivers, err := w.read()
			if err != nil {
				return usage{err}
			}
			if record != "" {
				return againstRecord(c, waivers, record)
			}
			for _, granted := range waivers {
				if err := tell(c, granted.String()); err != nil {
					return err
				}
			}
			return tell(c, fmt.Sprintf("%d waivers, each of a known expectation and none expired", len(waivers)))
		},
	}
	w.within(c.Flags())
	c.Flags().StringVar(&record, "record", "", "the record of a run, or the directory that holds it")
	return c
}

// againstRecord says what waivers do to the findings of a run that was.
func againstRecord(c *cobra.Command, waivers []signoff.Waiver, path string) error {
	r, _, err := signoff.Load(path)
	if err != nil {
		return usage{err}
	}
	code := exitPass
	for _, w := range r.Settled(waivers) {
		if w.Wrong() {
			code = exitFail
		}
		if err := tell(c, fmt.Sprintf("%s: %-9s %-8s %s", w.At, w.Expectation, w.State, w.Why)); err != nil {
			return err
		}
	}
	if code != exitPass {
		return status(code)
	}
	return nil
}
