package suites_test

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// BenchmarkRun measures a run from the start of the stack to the last finding:
// stack-ms is the start's share of it, findings the expectations judged.
func BenchmarkRun(b *testing.B) {
	for _, runtime := range []stack.Runtime{stack.Embedded, stack.Containers} {
		b.Run(string(runtime), func(b *testing.B) {
			for b.Loop() {
				judgeOnce(b, runtime)
			}
		})
	}
}

func judgeOnce(b *testing.B, runtime stack.Runtime) {
	began := time.Now()
	started, err := stack.Start(b.Context(), stack.Spec{Runtime: runtime, Run: run.NewID()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = started.Stop(b.Context()) }()
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "stack-ms")
	engine := run.New(started.Target, run.Options{})
	defer engine.Close()
	judged := 0
	for _, f := range engine.All(b.Context(), suites.All(), nil) {
		if f.Verdict == harness.Fail || f.Verdict == harness.Inconclusive || f.Verdict == harness.Error {
			b.Errorf("%s: %s: %s", f.ID, f.Verdict, f.Reason)
		}
		judged++
	}
	b.ReportMetric(float64(judged), "findings")
}
