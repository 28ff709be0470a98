package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
)

// watcher looks at a target again and again, and says what changed.
type watcher struct {
	session
	every, second time.Duration
	rounds        int
	history       string
	textfile      string
	webhook       config.Reference
	out           io.Writer
}

// Bounds of a watch: how often it may look, and how many sign-offs it keeps.
const (
	leastEvery = time.Minute
	keptLooks  = 200
)

func watchCommand() *cobra.Command {
	w := watcher{session: session{concurrency: 8}}
	c := &cobra.Command{
		Use: "watch", Short: "look at a live target again and again, and say only what changed", Args: none,
		Long: `watch holds a live target against the runbook every --every, and compares it with what
held before. What changed is looked at a second time: what stays so is drift, and is told;
what changes back is unstable, and is counted. The first look is what the next are compared with.

A word goes to the output and to --webhook, a POST of JSON with a text in it, which chats
understand. --textfile is written for Prometheus' node exporter after each look. The
history holds each sign-off, and index.html with the trend.

watch ends when it is interrupted, or after --rounds looks: with 1 where the last look
failed, 3 where it did not see all, 4 where there was none.`,
		Example: "  conformance watch --config staging.yaml --every 1h --history /var/lib/conformance\n" +
			"  conformance watch --config staging.yaml --rounds 1 --webhook env:CHAT_WEBHOOK --textfile /var/lib/node_exporter/conformance.prom",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			w.out = c.OutOrStdout()
			if w.every < leastEvery && w.rounds != 1 {
				return usage{fmt.Errorf("--every %v: want %v or more: each look is some hundred refused calls", w.every, leastEvery)}
			}
			if w.webhook != "" && !w.webhook.Is() {
				return usage{errors.New("--webhook: want a reference, env:NAME or file:PATH: who knows the URL may post to it")}
			}
			if w.console, err = newConsole(c, asText, false); err != nil {
				return err
			}
			w.console.out, w.console.terminal, w.console.quiet = io.Discard, false, true
			if w.allow != "" {
				w.from.set = append(w.from.set, "rails.allow="+w.allow)
			}
			all, err := w.from.load()
			if err != nil {
				return err
			}
			if len(all) != 1 || all[0].Service.Image != "" {
				return usage{errors.New("watch looks at one live target: the configuration names an image, or several")}
			}
			w.loaded = &all[0]
			return w.watch(c.Context())
		},
	}
	w.from.flags(c)
	f := c.Flags()
	f.DurationVar(&w.every, "every", time.Hour, "how long from the start of one look to that of the next")
	f.DurationVar(&w.second, "second-look", 30*time.Second, "how long after a change it is looked at again")
	f.IntVar(&w.rounds, "rounds", 0, "end after so many looks; 0 never ends")
	f.StringVar(&w.history, "history", "build/watch", "directory of the sign-offs, the trend and what is remembered")
	f.StringVar(&w.textfile, "textfile", "", "file to write for Prometheus' node exporter: its name ends in .prom")
	f.StringVar((*string)(&w.webhook), "webhook", "", "where the URL is that a word is posted to: env:NAME or file:PATH")
	f.StringVar(&w.allow, "allow", "", "the strongest effect on the target: auth-failures (the default), writes or disruptive")
	f.StringSliceVar(&w.only, "only", nil, "look at these only: IDs, areas, chapters, levels or effects")
	return c
}

// remembered is what a watch knows from one look to the next.
type remembered struct {
	Target  string             `json:"target"`
	Settled map[string]settled `json:"settled"` // by ID
	Points  []report.Point     `json:"points"`  // oldest first
	Changes int                `json:"changes"` // so far
	Unsaid  []word             `json:"unsaid"`  // what the webhook did not take
}

// settled is what an expectation was found to be, and stayed.
type settled struct {
	Verdict harness.Verdict `json:"verdict"`
	Bucket  harness.Bucket  `json:"bucket"`
}

// word is what is told of a change.
type word struct {
	Text     string          `json:"text"`
	Target   string          `json:"target"`
	Run      string          `json:"run"`
	Verdict  signoff.Verdict `json:"verdict"`
	Drift    []string        `json:"drift"`
	Unstable []string        `json:"unstable"`
}

const memory = "watch.json"

// watch looks until it has looked often enough, or is interrupted.
func (w *watcher) watch(ctx context.Context) error {
	known, err := w.recall()
	if err != nil {
		return usage{err}
	}
	var last report.Point
	for round := 1; ; round++ {
		began := time.Now()
		last = w.round(ctx, &known)
		if ctx.Err() != nil {
			return status(exitIncomplete)
		}
		if err := w.keep(ctx, &known, last); err != nil {
			return err
		}
		if w.rounds > 0 && round >= w.rounds {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(began.Add(w.every))):
		}
	}
	switch {
	case last.Verdict == "":
		return status(exitEnvironment)
	case last.Totals[harness.Fail] > 0 && last.Verdict == signoff.Failed || last.Security > 0:
		return status(exitFail)
	case last.Verdict == signoff.Passed || last.Verdict == signoff.WithWaivers || len(w.only) > 0:
		return nil
	default:
		return status(exitIncomplete)
	}
}

// recall reads what an earlier watch of the target remembered.
func (w *watcher) recall() (remembered, error) {
	known := remembered{Target: w.loaded.Target.Called(), Settled: map[string]settled{}}
	data, err := os.ReadFile(filepath.Join(w.history, memory))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	var before remembered
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil {
		return known, fmt.Errorf("reading the history: %w: name another directory with --history", err)
	}
	if before.Target != known.Target {
		return known, fmt.Errorf("the history in %s is of %q, the configuration of %q: name another directory with --history",
			w.history, before.Target, known.Target)
	}
	return before, nil
}

// round is one look, and a second one at what changed.
func (w *watcher) round(ctx context.Context, known *remembered) report.Point {
	now, err := w.look(ctx, w.only)
	if err == nil {
		err = unjudged(now)
	}
	if err != nil {
		return report.Point{At: time.Now().UTC(), Totals: map[harness.Verdict]int{}, Error: secrets.Redact(report.Line(err.Error()))}
	}
	first := len(known.Settled) == 0
	changed := differing(now, known.Settled)
	point := report.Point{Run: now.Run, At: now.Ended, Verdict: now.Verdict, Totals: now.Totals, Security: now.Buckets[harness.Security]}
	if !first && len(changed) > 0 {
		point.Drift, point.Unstable = w.confirm(ctx, changed, known)
	}
	if first {
		for _, f := range now.Findings {
			known.Settled[f.ID] = settled{f.Verdict, f.Bucket}
		}
	}
	known.Changes += len(point.Drift)
	if n := len(known.Points); n > 0 {
		if last, _, err := signoff.Load(filepath.Join(w.history, "runs", known.Points[n-1].Run)); err == nil {
			diff := signoff.Compare(last, now)
			now.Since = &diff
		}
	}
	if err := w.publish(now); err != nil {
		point.Error = err.Error()
	}
	return point
}

// unjudged is why a look saw nothing of the target; nil where it passed or failed anything.
func unjudged(now signoff.Record) error {
	if now.Totals[harness.Pass]+now.Totals[harness.Fail] > 0 {
		return nil
	}
	for _, f := range now.Findings {
		if f.Verdict == harness.Inconclusive || f.Verdict == harness.Error {
			return fmt.Errorf("nothing was judged: %s: %s", f.ID, f.Reason)
		}
	}
	return errors.New("nothing was judged: conformance plan shows what the configuration grants")
}

// differing lists the expectations that are found otherwise than they were settled, or were
// not known.
func differing(now signoff.Record, before map[string]settled) []signoff.Finding {
	var found []signoff.Finding
	for _, f := range now.Findings {
		was, known := before[f.ID]
		if is := (settled{f.Verdict, f.Bucket}); known && is != was {
			found = append(found, f)
		} else if !known {
			before[f.ID] = is
		}
	}
	return found
}

// confirm looks a second time at what changed: what is as it was at the first look is drift,
// and is settled; else it is unstable.
func (w *watcher) confirm(ctx context.Context, changed []signoff.Finding, known *remembered) (drift, unstable []string) {
	select {
	case <-ctx.Done():
		return nil, nil
	case <-time.After(w.second):
	}
	var ids []string
	for _, f := range changed {
		ids = append(ids, f.ID)
	}
	second, err := w.look(ctx, ids)
	if err != nil {
		return nil, ids
	}
	for _, f := range changed {
		again, err := findings(second, []string{f.ID})
		is := settled{f.Verdict, f.Bucket}
		if err != nil || (settled{again[0].Verdict, again[0].Bucket}) != is {
			unstable = append(unstable, f.ID)
			continue
		}
		drift = append(drift, fmt.Sprintf("%s %s: was %s, is %s", f.ID, report.Line(f.Title), known.Settled[f.ID], is))
		known.Settled[f.ID] = is
	}
	return drift, unstable
}

func (s settled) String() string {
	if s.Bucket != "" {
		return fmt.Sprintf("%s (%s)", s.Verdict, s.Bucket)
	}
	return string(s.Verdict)
}

// publish writes a look's sign-off into the history.
func (w *watcher) publish(now signoff.Record) error {
	files, err := report.Files(secrets.Clean(now))
	if err != nil {
		return err
	}
	dir := filepath.Join(w.history, "runs", now.Run)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return signoff.Publish(dir, files, &secrets)
}

// keep says what changed, and writes what is remembered, the trend and the text file.
func (w *watcher) keep(ctx context.Context, known *remembered, last report.Point) error {
	said := w.says(known, last)
	known.Points = append(known.Points, last)
	for len(known.Points) > keptLooks {
		if old := known.Points[0]; old.Run != "" {
			if err := os.RemoveAll(filepath.Join(w.history, "runs", old.Run)); err != nil {
				return fmt.Errorf("forgetting an old look: %w", err)
			}
		}
		known.Points = known.Points[1:]
	}
	if said.Text != "" {
		_, _ = fmt.Fprintln(w.out, said.Text)
		if w.webhook != "" && len(known.Points) > 1 {
			known.Unsaid = append(known.Unsaid, said)
		}
	}
	w.deliver(ctx, known)
	return w.write(known, last)
}

// says is what there is to say of a look: nothing, where nothing changed.
func (w *watcher) says(known *remembered, last report.Point) word {
	said := word{Target: known.Target, Run: last.Run, Verdict: last.Verdict, Drift: last.Drift, Unstable: last.Unstable}
	at := last.At.UTC().Format("2006-01-02 15:04:05Z")
	before := report.Point{}
	if n := len(known.Points); n > 0 {
		before = known.Points[n-1]
	}
	switch {
	case last.Verdict == "" && (before.Verdict != "" || len(known.Points) == 0):
		said.Text = fmt.Sprintf("%s %s: there was no look: %s", at, known.Target, last.Error)
	case last.Verdict == "":
	case len(known.Points) == 0:
		said.Text = fmt.Sprintf("%s %s: first look: %s, %d failed", at, known.Target, last.Verdict, last.Totals[harness.Fail])
	case len(last.Drift) > 0:
		said.Text = fmt.Sprintf("%s %s: %s, drift:\n  %s", at, known.Target, last.Verdict, strings.Join(last.Drift, "\n  "))
	case before.Verdict == "":
		said.Text = fmt.Sprintf("%s %s: it is looked at again: %s", at, known.Target, last.Verdict)
	}
	return said
}

// deliver posts what was not yet taken; what is not taken now is kept for the next look.
func (w *watcher) deliver(ctx context.Context, known *remembered) {
	for len(known.Unsaid) > 0 {
		if err := w.post(ctx, known.Unsaid[0]); err != nil {
			_, _ = fmt.Fprintln(w.console.answer, secrets.Redact("telling the webhook: "+err.Error()+"; it is told after the next look"))
			return
		}
		known.Unsaid = known.Unsaid[1:]
	}
}

func (w *watcher) post(ctx context.Context, said word) error {
	at, err := w.loaded.Lookup.Value(w.webhook)
	if err != nil {
		return err
	}
	secrets.Register("webhook", at.Reveal())
	data, err := json.Marshal(said)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.Reveal(), strings.NewReader(secrets.Redact(string(data))))
	if err != nil {
		return errors.New("what is referred to is no URL")
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := outbound.Client(outbound.Options{}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}

// write puts the memory, the trend and the text file in their places, each at once.
func (w *watcher) write(known *remembered, last report.Point) error {
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	page, err := report.Trend(known.Target, known.Points)
	if err != nil {
		return err
	}
	files := map[string][]byte{filepath.Join(w.history, memory): append(data, '\n'), filepath.Join(w.history, "index.html"): page}
	if w.textfile != "" {
		files[w.textfile] = report.Textfile(known.Target, last, known.Changes)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := secrets.Scan(filepath.Base(name), files[name]); err != nil {
			return err
		}
		if err := replace(name, files[name]); err != nil {
			return &stack.EnvironmentError{Runtime: stack.Given, Err: fmt.Errorf("writing the history: %w", err)}
		}
	}
	return nil
}

// replace writes a file aside and renames it: a reader sees the old one or the new.
func replace(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	aside, err := os.CreateTemp(filepath.Dir(name), ".watch-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(aside, bytes.NewReader(data))
	err = cmp.Or(err, aside.Chmod(0o644), aside.Close())
	if err == nil {
		err = os.Rename(aside.Name(), name)
	}
	if err != nil {
		_ = os.Remove(aside.Name())
	}
	return err
}
