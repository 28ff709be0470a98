package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

func reportCommand() *cobra.Command {
	var formats []string
	var out string
	c := &cobra.Command{
		Use: "report RECORD", Short: "render a record again, in any format", Args: exactly(1, "a record, or the directory that holds it"),
		Long:    "report renders a record: the same record gives the same bytes, years later.\nFormats:\n" + formatsText() + "\nWithout --out they are written beside the record; --out - prints one of them.",
		Example: "  conformance report build/signoff\n  conformance report signoff.json --format html,markdown,junit --out /tmp/report\n  conformance report signoff.json --format markdown --out -",
		RunE: func(c *cobra.Command, args []string) error {
			chosen, err := report.Choose(formats)
			if err != nil {
				return usage{err}
			}
			r, _, err := signoff.Load(args[0])
			if err != nil {
				return usage{err}
			}
			files, err := report.Render(r, chosen)
			if err != nil {
				return fmt.Errorf("rendering the sign-off: %w", err)
			}
			if out == "-" {
				return printOne(c, chosen, files)
			}
			return publishReport(c, args[0], out, chosen, files)
		},
	}
	c.Flags().StringSliceVar(&formats, "format", nil, "formats, by name; none means all")
	complete(c, map[string]completion{"format": oneOf(report.Names()...)})
	c.Flags().StringVar(&out, "out", "", "directory to write to; - prints one format (default: beside the record)")
	return c
}

func formatsText() string {
	var b strings.Builder
	for _, f := range report.Formats {
		fmt.Fprintf(&b, "  %-13s %-16s %s\n", f.Name, f.File, f.Says)
	}
	return b.String()
}

func printOne(c *cobra.Command, chosen []report.Format, files map[string][]byte) error {
	if len(chosen) != 1 {
		return usage{errors.New("--out - prints one format: name it with --format")}
	}
	_, err := c.OutOrStdout().Write(files[chosen[0].File])
	return err
}

func publishReport(c *cobra.Command, record, out string, chosen []report.Format, files map[string][]byte) error {
	if out == "" {
		out = folder(record)
	}
	if err := signoff.SameSet(out, folder(record)); err != nil {
		return usage{err}
	}
	if err := signoff.Publish(out, files, nil); err != nil {
		return err
	}
	for _, f := range chosen {
		if err := tell(c, fmt.Sprintf("%-13s %s", f.Name, filepath.Join(out, f.File))); err != nil {
			return err
		}
	}
	return nil
}

// folder is the directory a record stands in, whichever of the two was given.
func folder(record string) string {
	if info, err := os.Stat(record); err == nil && info.IsDir() {
		return record
	}
	return filepath.Dir(record)
}
