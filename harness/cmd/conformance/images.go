package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness/stack"
)

func imagesCommand() *cobra.Command {
	var build, pull, asJSON bool
	c := &cobra.Command{
		Use: "images [NAME...]", Short: "show how each image is had, or have some, or all", Args: knownImages,
		Long: `images shows for each image whether it is at the engine, and how it would be
had. With --pull public images are pulled by digest; with --build what cannot
be pulled is built from Go modules and Debian's packages, with no registry. A
run needs vault, nginx and fixture; --ingress haproxy and caddy their own.`,
		Example: "  conformance images\n  conformance images --pull --build vault nginx fixture",
		RunE: func(c *cobra.Command, names []string) error {
			if build || pull {
				return haveImages(c, names, images.Options{Pull: pull, Build: build, Progress: func(line string) { _ = tell(c, line) }})
			}
			list, err := images.List(c.Context())
			if err != nil {
				return &stack.EnvironmentError{Err: err}
			}
			if asJSON {
				return tellJSON(c, map[string]any{"images": list})
			}
			for _, s := range list {
				state := "absent"
				if s.Present {
					state = "present"
				}
				if err := tell(c, fmt.Sprintf("%-8s %-8s %s (%s)", s.Name, state, s.Reference, s.Build)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&build, "build", false, "build what is absent")
	c.Flags().BoolVar(&pull, "pull", false, "pull what is absent, by digest")
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

// knownImages is for arguments that name images.
func knownImages(_ *cobra.Command, args []string) error {
	known := imageNames()
	for _, name := range args {
		if !slices.Contains(known, name) {
			return usage{fmt.Errorf("there is no image %q: want some of %s", name, strings.Join(known, ", "))}
		}
	}
	return nil
}

func imageNames() []string {
	var names []string
	for _, image := range images.All {
		names = append(names, image.Name)
	}
	return names
}

func haveImages(c *cobra.Command, names []string, o images.Options) error {
	if len(names) == 0 {
		names = imageNames()
	}
	have, err := images.Ensure(c.Context(), names, o)
	if err != nil {
		return &stack.EnvironmentError{Err: err}
	}
	for _, name := range names {
		if err := tell(c, fmt.Sprintf("%-8s %-8s %s %s", name, have[name].Origin, have[name].Reference, have[name].Version)); err != nil {
			return err
		}
	}
	return nil
}
