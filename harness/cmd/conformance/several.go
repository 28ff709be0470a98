package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/signoff"
)

// rolled is one target's line of a roll-up.
type rolled struct {
	Target  string                  `json:"target"`
	Verdict signoff.Verdict         `json:"verdict"` // empty when there is no sign-off
	Totals  map[harness.Verdict]int `json:"totals"`
	SignOff string                  `json:"signoff"` // path of the record
	Error   string                  `json:"error"`   // why there is none

	code int
}

func (r rolled) String() string {
	if r.Error != "" {
		return fmt.Sprintf("%-20s %s", r.Target, r.Error)
	}
	return fmt.Sprintf("%-20s %-10s %d passed, %d failed, %d inconclusive, %d not exercised; %s", r.Target, r.Verdict,
		r.Totals[harness.Pass], r.Totals[harness.Fail], r.Totals[harness.Inconclusive]+r.Totals[harness.Error], r.Totals[harness.NotExercised], r.SignOff)
}

// several runs against several targets at once: a sign-off of each, and a
// roll-up of all.
func (s *session) several(ctx context.Context, all []config.Loaded) error {
	lines := make([]rolled, len(all))
	out := &shared{out: s.console.out}
	var wait sync.WaitGroup
	for i, l := range all {
		wait.Go(func() { lines[i] = s.rolled(ctx, l, out) })
	}
	wait.Wait()
	data, err := json.MarshalIndent(map[string]any{"targets": lines}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.out, "rollup.json"), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the roll-up: %w", err)
	}
	worst := exitPass
	for _, line := range lines {
		s.console.step(line.String())
		worst = max(worst, line.code)
	}
	s.console.step("roll-up: " + filepath.Join(s.out, "rollup.json"))
	if worst != exitPass {
		return status(worst)
	}
	return nil
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// rolled runs against one of several targets.
func (s *session) rolled(ctx context.Context, l config.Loaded, out *shared) rolled {
	one := session{
		runtime: s.runtime, out: filepath.Join(s.out, unfit.ReplaceAllString(l.Target.Name, "-")), only: s.only, dry: s.dry,
		concurrency: s.concurrency, waivers: s.waivers, from: s.from, loaded: &l, claim: s.claim,
		console: s.console,
	}
	said := &prefixed{name: l.Target.Name, to: out}
	one.console.out, one.console.answer, one.console.output, one.console.terminal, one.console.colour = said, said, asText, false, false
	line := rolled{Target: l.Target.Name}
	var code status
	err := one.run(ctx)
	if err != nil && !errors.As(err, &code) {
		line.Error, line.code = err.Error(), exitEnvironment
		return line
	}
	line.Verdict, line.Totals, line.SignOff, line.code = one.record.Verdict, one.record.Totals, filepath.Join(one.out, signoff.RecordName), int(code)
	return line
}

// shared is a writer of several at once.
type shared struct {
	mu  sync.Mutex
	out io.Writer
}

// prefixed writes whole lines with a name before them.
type prefixed struct {
	name string
	to   *shared
	rest string
}

func (p *prefixed) Write(data []byte) (int, error) {
	p.to.mu.Lock()
	defer p.to.mu.Unlock()
	p.rest += string(data)
	for {
		line, rest, whole := strings.Cut(p.rest, "\n")
		if !whole {
			return len(data), nil
		}
		p.rest = rest
		if _, err := fmt.Fprintf(p.to.out, "[%s] %s\n", p.name, line); err != nil {
			return 0, err
		}
	}
}
