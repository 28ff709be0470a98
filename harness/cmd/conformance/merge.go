package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
)

func mergeCommand() *cobra.Command {
	var s session
	c := &cobra.Command{
		Use: "merge DIR...", Short: "make one sign-off of those of all shards", Args: someParts,
		Long: `merge reads the signoff.json in each directory, as run --shard i/n wrote it, and
writes the sign-off of the whole: its verdict is computed over the catalogue
again. Every part must be there once, of the same target, catalogue, harness and
configuration. A part that was interrupted, or whose target changed, makes the
whole INVALID.`,
		Example: "  conformance merge results/0 results/1 results/2 results/3 --out results/merged",
		RunE: func(c *cobra.Command, dirs []string) (err error) {
			if s.console, err = newConsole(c, s.output, false); err != nil {
				return usage{err}
			}
			parts, err := readParts(dirs)
			if err != nil {
				return usage{err}
			}
			merged, err := signoff.Merge(run.NewID(), parts)
			if err != nil {
				return usage{err}
			}
			if err := signoff.Writable(s.out); err != nil {
				return usage{err}
			}
			s.asked = true // each part has said so
			return s.publish(merged)
		},
	}
	c.Flags().StringVar(&s.out, "out", "build/signoff", "directory of the sign-off")
	s.output.flag(c)
	c.Flags().StringVar(&s.done, "done", "", "file that is written last, with the path of junit.xml in it")
	return c
}

// someParts is for arguments that are two directories or more.
func someParts(c *cobra.Command, args []string) error {
	if len(args) < 2 {
		return usage{fmt.Errorf("%s takes the directories of two shards or more, got %d", c.CommandPath(), len(args))}
	}
	return nil
}

func readParts(dirs []string) ([]signoff.Record, error) {
	var parts []signoff.Record
	for _, dir := range dirs {
		part, _, err := signoff.Load(filepath.Join(dir, signoff.RecordName))
		if err != nil {
			return nil, fmt.Errorf("reading the part in %s: %w; give the directories that run --shard wrote", dir, err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}
