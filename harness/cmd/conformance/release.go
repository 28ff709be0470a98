package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

func releaseCommand() *cobra.Command {
	var s session
	var image, policy, catalogue, linted string
	var live []string
	c := &cobra.Command{
		Use: "release --image RECORD --live RECORD...", Short: "make one sign-off of the image's run and staging's: may this build go to production?", Args: none,
		Long: `release makes one record of the run with the team's image and of those against live
targets, of which each must be given: several regions are all held. They must be of
one catalogue, of one build, and young enough. Row by row, a fail anywhere is a fail;
what passed in one of them passed, with its source named, and core must have passed in
every live target. What they say both ways stands first. The release claims full
unless the policy says otherwise; sign and verify work as for any other record.

policy.yaml (conformance signoff --help has the rest of it):

  claim: full
  max_age: 24h                 # how long ago each run may have ended (default 168h)
  build: {label: org.opencontainers.image.revision}

build says by what a live target and the image are compared: what the target says of
itself (target.version in its configuration) must be that label of the image, or,
without build, the image's digest. A build that is not known is refused.

Exit status: 0 pass, 1 something failed, 2 usage, or records that are no one release,
3 something is missing.`,
		Example: "  conformance release --image image/signoff.json --live eu/signoff.json --live us/signoff.json --policy policy.yaml --out build/release\n" +
			"  conformance sign build/release --key signoff.key && conformance verify build/release --key signoff.pub --kind release",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if s.console, err = newConsole(c, s.output, false); err != nil {
				return usage{err}
			}
			of := signoff.ReleaseOf{Run: run.NewID(), Now: time.Now()}
			of.Who = suites.Input("", of.Run, of.Now).Who
			if of.Policy, err = readPolicy(policy); err != nil {
				return usage{err}
			}
			if of.Image, of.Live, err = partsOf(image, live); err != nil {
				return usage{err}
			}
			if of.Committed, err = committed(linted); err != nil {
				return usage{err}
			}
			known, err := knownCatalogue(catalogue)
			if err != nil {
				return usage{err}
			}
			for _, part := range append([]signoff.Given{of.Image}, of.Live...) {
				if err := known.Holds(part.Record); err != nil {
					return usage{fmt.Errorf("run %s: %w", part.Record.Run, err)}
				}
			}
			released, err := signoff.Release(of)
			if err != nil {
				return usage{err}
			}
			if err := signoff.Writable(s.out); err != nil {
				return usage{err}
			}
			if err := s.publish(released); err != nil {
				return err
			}
			return weigh(c, released, of.Policy, known)
		},
	}
	f := c.Flags()
	f.StringVar(&image, "image", "", "record of the run with the image, or the directory that holds it")
	f.StringArrayVar(&live, "live", nil, "record of a run against a live target; give one for each")
	f.StringVar(&linted, "lint", "", "what conformance lint --format json wrote of the release's files: a part of the record, which no row is judged by")
	f.StringVar(&policy, "policy", "", "what is required, in YAML")
	f.StringVar(&catalogue, "catalogue", "", catalogueText)
	f.StringVar(&s.out, "out", "build/release", "directory of the sign-off")
	s.output.flag(c)
	return c
}

// partsOf reads the records of a release.
func partsOf(image string, live []string) (of signoff.Given, others []signoff.Given, err error) {
	if image == "" || len(live) == 0 {
		return of, nil, errors.New("want --image and --live: a release is of the image's run and of staging's")
	}
	if of.Record, of.Data, err = signoff.Load(image); err != nil {
		return of, nil, fmt.Errorf("--image: %w", err)
	}
	for _, path := range live {
		var other signoff.Given
		if other.Record, other.Data, err = signoff.Load(path); err != nil {
			return of, nil, fmt.Errorf("--live: %w", err)
		}
		others = append(others, other)
	}
	return of, others, nil
}
