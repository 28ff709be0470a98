package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

func soakCommand() *cobra.Command {
	runs, runtime := 100, string(stack.Embedded)
	c := &cobra.Command{
		Use: "soak", Short: "judge the same stack over and over: every run must give the same verdicts", Args: none,
		Long: `soak starts a stack, judges every expectation and ends it, as often as asked,
and compares the lists of verdicts. One that differs is a defect of the harness,
or of the stack it started.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := stack.Known(stack.Runtime(runtime)); err != nil {
				return usage{err}
			}
			if runs < 2 {
				return usage{fmt.Errorf("--runs %d: want 2 or more", runs)}
			}
			return soak(c, stack.Runtime(runtime), runs)
		},
	}
	c.Flags().IntVar(&runs, "runs", runs, "how often")
	c.Flags().StringVar(&runtime, "runtime", runtime, "where the stack is placed: auto, containers or embedded")
	return c
}

func soak(c *cobra.Command, runtime stack.Runtime, runs int) error {
	began := time.Now()
	var first []harness.Finding
	differing := 0
	for i := range runs {
		findings, err := judgeOnce(c.Context(), runtime)
		if err != nil {
			return err
		}
		if c.Context().Err() != nil {
			return status(exitIncomplete)
		}
		if first == nil {
			first = findings
		}
		if told := differences(first, findings); len(told) > 0 {
			differing++
			_ = tell(c, fmt.Sprintf("run %d differs: %v", i+1, told))
		}
	}
	_ = tell(c, fmt.Sprintf("%d runs of %d expectations in %s: %d gave other verdicts than the first", runs, len(first), time.Since(began).Round(time.Second), differing))
	if differing > 0 {
		return status(exitFail)
	}
	return nil
}

func judgeOnce(ctx context.Context, runtime stack.Runtime) ([]harness.Finding, error) {
	started, err := stack.Start(ctx, stack.Spec{Runtime: runtime, Run: run.NewID()})
	if err != nil {
		return nil, err
	}
	defer func() { _ = started.Stop(context.WithoutCancel(ctx)) }()
	engine := run.New(started.Target, run.Options{})
	defer engine.Close()
	return engine.All(ctx, suites.All(), nil), nil
}

// differences are the verdicts that two runs do not share.
func differences(a, b []harness.Finding) []string {
	var told []string
	for _, f := range b {
		i := slices.IndexFunc(a, func(g harness.Finding) bool { return g.ID == f.ID })
		if i < 0 || a[i].Verdict != f.Verdict || a[i].Bucket != f.Bucket {
			told = append(told, fmt.Sprintf("%s %s: %s", f.ID, f.Verdict, f.Reason))
		}
	}
	return told
}
