package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack"
)

// ingressAreas are the areas in which sound ingresses differ: what is judged
// on each but the first.
var ingressAreas = []string{"MTLS", "CHN", "HDR", "EPT"}

// each runs with every ingress that was asked for, one after the other. Each
// has a sign-off of its own, and there is a line for each at the end.
func (s *session) each(ctx context.Context) error {
	for _, name := range s.ingresses {
		if err := stack.KnownIngress(s.runtime, name); err != nil {
			return usage{err}
		}
	}
	if len(s.ingresses) == 0 {
		return usage{errors.New("--ingress: want one or more")}
	}
	if len(s.ingresses) > 1 && s.shard+s.done != "" {
		return usage{errors.New("--shard and --done are for a run with one --ingress")}
	}
	if len(s.ingresses) == 1 {
		s.ingress = s.ingresses[0]
		return s.run(ctx)
	}
	var lines []string
	worst := exitPass
	for i, name := range s.ingresses {
		one := session{
			runtime: s.runtime, ingress: name, service: s.service, config: s.config, rules: s.rules, ha: s.ha, out: filepath.Join(s.out, name), only: s.only,
			dry: s.dry, verbose: s.verbose, concurrency: s.concurrency, waivers: s.waivers, console: s.console, asked: s.asked, claim: s.claim, declared: s.declared,
		}
		if i > 0 && len(s.only) == 0 {
			one.only = ingressAreas
		}
		s.console.step("ingress " + name)
		line, code, err := one.of(ctx)
		if err != nil {
			return err
		}
		lines, worst = append(lines, line), max(worst, code)
	}
	for _, line := range lines {
		s.console.step(line)
	}
	if worst != exitPass {
		return status(worst)
	}
	return nil
}

// of runs with one ingress of several, and gives its line and its exit status.
// That of one on which not everything is judged is over what was judged.
func (s *session) of(ctx context.Context) (line string, code int, err error) {
	var said status
	if err := s.run(ctx); err != nil && !errors.As(err, &said) {
		return "", 0, err
	}
	n := s.record.Totals
	unclear := n[harness.Inconclusive] + n[harness.Error]
	line = fmt.Sprintf("%-15s %d passed, %d failed, %d inconclusive, %d not applicable; %s", s.ingress,
		n[harness.Pass], n[harness.Fail], unclear, n[harness.NotApplicable], filepath.Join(s.out, "signoff.html"))
	if s.record.Selection.Filter == strings.Join(ingressAreas, ",") && n[harness.Pass] > 0 && n[harness.Fail]+unclear == 0 && s.record.Interrupted == "" {
		return line, exitPass, nil
	}
	return line, int(said), nil
}
