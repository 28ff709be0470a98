package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/stack/live"
	"aegis.test/conformance/suites"
)

// isLive reports whether a run is told of a target of its own.
func (s *session) isLive(c *cobra.Command) bool {
	return c.Flags().Changed("config") || config.Read(os.Getenv, "").Config != ""
}

// live runs against the targets of a configuration.
func (s *session) live(ctx context.Context) error {
	if s.allow != "" {
		s.from.set = append(s.from.set, "rails.allow="+s.allow)
	}
	all, err := s.from.load()
	if err != nil {
		return err
	}
	if len(all) > 1 {
		return s.several(ctx, all)
	}
	if l := all[0]; l.Service.Image != "" {
		s.service, s.config, s.declared = stack.ServiceOf(l), configured(l), l.Claim
		return s.each(ctx)
	}
	s.loaded = &all[0]
	return s.run(ctx)
}

// liveHeap is from when on memory is freed sooner rather than faster, in bytes: with
// the program's own pages a run stays under 100 MiB. A smaller GOMEMLIMIT holds.
const liveHeap = 40 << 20

// judgeLive holds a target that was there before against the expectations. What
// the run created it removes, whatever became of it.
func (s *session) judgeLive(ctx context.Context, in *signoff.Input, selected []harness.Expectation) error {
	debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), liveHeap))
	l := *s.loaded
	in.Kind, in.Config = harness.Live, configured(l)
	journal, err := live.OpenJournal(l.Lookup.Path(l.Rails.JournalFiles), in.Run, l.Target)
	if err != nil {
		return &stack.EnvironmentError{Runtime: stack.Given, Err: err}
	}
	started, err := stack.Noted(ctx, l, in.Run, secrets.Register, journal)
	if err != nil {
		return errors.Join(err, journal.Close(journal.Empty()))
	}
	if err := misspoken(ctx, started.Target); err != nil {
		return errors.Join(usage{err}, journal.Close(s.stop(started) && journal.Empty()))
	}
	in.Target = started.Target
	suites.Register(&secrets, started.Target)
	engine := run.New(started.Target, railed(l, secrets.Register, journal))
	defer engine.Close()
	s.console.step(fmt.Sprintf("%s, effects up to %s, %v requests a second", started.Target.Name, started.Target.Limit, l.Rails.Rate))
	in.Start, in.Clock = identity(ctx, started.Target)
	s.console.begin(selected)
	s.console.coreFirst(selected)
	in.Findings = engine.All(ctx, selected, s.console.finding)
	in.Stopped, in.Conduct = engine.Stopped(), engine.Conduct()
	if ctx.Err() != nil {
		in.Interrupted = cause(ctx)
	}
	in.End, _ = identity(context.WithoutCancel(ctx), started.Target)
	clean := s.cleanUp(engine)
	clean = s.stop(started) && clean
	return journal.Close(clean)
}

// cleanUp removes what a run created; what it cannot remove is left to sweep.
func (s *session) cleanUp(engine *run.Engine) bool {
	ctx, cancel := context.WithTimeout(context.Background(), engine.CleanUpBound())
	defer cancel()
	removed, left := engine.CleanUp(ctx)
	if removed > 0 {
		s.console.step(fmt.Sprintf("removed %d things that the run created", removed))
	}
	for _, one := range left {
		s.console.step("not removed: " + one + " (conformance sweep --config tries again)")
	}
	return len(left) == 0
}

// railed are the options of a run against what is not ours.
func railed(l config.Loaded, met func(kind, value string), j *live.Journal) run.Options {
	r := l.Rails
	return run.Options{
		Concurrency: r.Concurrency, Rate: r.Rate, Burst: r.Burst, TimeOut: r.TimeOut, Met: met,
		StopAfter: r.StopAfter, RetryAfter: r.RetryAfter, RetryTotal: r.RetryTotal,
		Note: j.NoteCreated,
	}
}

// identity is what a target shows of itself now, and how its clock stands; nil
// when it does not answer.
func identity(ctx context.Context, t *harness.Target) (*signoff.Identity, signoff.Clock) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	seen, err := probe.Identify(ctx, t)
	if err != nil {
		return nil, signoff.Clock{}
	}
	clock := signoff.Clock{BoundMS: signoff.MaxClockOffset.Milliseconds()}
	if seen.Timed {
		clock.Measured, clock.OffsetMS, clock.Source = true, seen.Offset.Milliseconds(), "Date of an answer"
	}
	return &signoff.Identity{Version: seen.Version, Certificate: seen.Certificate, Server: seen.Server, At: seen.At}, clock
}

// configured identifies what a run was configured by: the values as they hold,
// without any secret.
func configured(l config.Loaded) *signoff.Config {
	sum := sha256.Sum256([]byte(l.Effective()))
	return &signoff.Config{File: l.Source, Digest: "sha256:" + hex.EncodeToString(sum[:])}
}
