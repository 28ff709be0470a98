package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

func diffCommand() *cobra.Command {
	format := "text"
	c := &cobra.Command{
		Use: "diff OLD NEW", Short: "say what changed from one record to another", Args: exactly(2, "two records, or the directories that hold them"),
		Long: `diff lists new failures, what was fixed, what is no longer judged, waivers and
expectations that came or went, and what took much longer than before.

Exit status: 0 nothing is worse, 1 a regression (a new failure that is not waived,
an expectation no longer judged, one that passed and is gone, a worse verdict), 2 usage. Slower is no regression.`,
		Example: "  conformance diff last/signoff.json build/signoff\n  conformance diff old new --format markdown",
		RunE: func(c *cobra.Command, args []string) error {
			render, ok := report.DiffFormats[format]
			if !ok {
				return usage{fmt.Errorf("--format %q: want text, markdown or json", format)}
			}
			old, _, err := signoff.Load(args[0])
			if err != nil {
				return usage{err}
			}
			now, _, err := signoff.Load(args[1])
			if err != nil {
				return usage{err}
			}
			d := signoff.Compare(old, now)
			data, err := render(d)
			if err != nil {
				return err
			}
			if _, err := c.OutOrStdout().Write(data); err != nil {
				return err
			}
			if d.Regressed() {
				return status(exitFail)
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", format, "text, markdown or json")
	return c
}
