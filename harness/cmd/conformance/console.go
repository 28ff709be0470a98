package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// output is what a run prints.
type output string

// Outputs. JSON prints the record alone; progress is then beside it.
const (
	asText   output = "text"
	asJSON   output = "json"
	asGitHub output = "github"
)

// flag lets the user say what is printed.
func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVar((*string)(o), "output", string(asText), "what is printed: text; json, the record alone; github, text with annotations and the job's summary")
	complete(c, map[string]completion{"output": oneOf(string(asText), string(asJSON), string(asGitHub))})
}

// console tells a run's progress, chapter by chapter: a moving line on a
// terminal, single lines elsewhere, and in CI only what is wrong.
type console struct {
	out      io.Writer // progress, and the summary
	answer   io.Writer // what --output asks for
	output   output
	terminal bool
	colour   bool
	quiet    bool
	verbose  bool
	began    time.Time // the run
	judging  time.Time
	all      int
	done     int
	chapters map[string]*progress
	core     *progress // told of once it is done; nil where it is not judged first
}

// progress is how far a chapter is.
type progress struct {
	all, done int
	counts    map[harness.Verdict]int
}

func newConsole(c *cobra.Command, o output, verbose bool) (console, error) {
	told := console{out: c.OutOrStdout(), answer: c.OutOrStdout(), output: o, verbose: verbose, began: time.Now(), quiet: os.Getenv("CI") != ""}
	switch o {
	case asText, asGitHub:
	case asJSON:
		told.out = c.ErrOrStderr()
	default:
		return told, fmt.Errorf("--output %q: want text, json or github", o)
	}
	if f, ok := told.out.(*os.File); ok {
		told.terminal = !told.quiet && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	}
	told.colour = told.terminal && os.Getenv("NO_COLOR") == ""
	return told, nil
}

// width is how many columns there are to print on: those of the terminal, or what COLUMNS
// says; 0 where neither is known, and nothing is broken.
func (c *console) width() int {
	return columns(c.out)
}

func columns(out io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := out.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// step tells of one step, without a newline in it.
func (c *console) step(line string) {
	c.wipe()
	_, _ = fmt.Fprintln(c.out, report.Wrap(report.Line(line), c.width()))
}

func (c *console) begin(selected []harness.Expectation) {
	c.all, c.done, c.judging = len(selected), 0, time.Now()
	c.chapters = map[string]*progress{}
	for _, x := range selected {
		if c.chapters[x.Chapter()] == nil {
			c.chapters[x.Chapter()] = &progress{counts: map[harness.Verdict]int{}}
		}
		c.chapters[x.Chapter()].all++
	}
	c.step(fmt.Sprintf("judging %d expectations", c.all))
}

// coreFirst tells of core as soon as it is done, before the rest.
func (c *console) coreFirst(selected []harness.Expectation) {
	c.core = &progress{counts: map[harness.Verdict]int{}}
	for _, x := range selected {
		if x.Tiered() == harness.Core {
			c.core.all++
		}
	}
}

// finding tells of one finding: a failure in a line, a pass only by the count.
// The summary tells failures at length.
func (c *console) finding(x harness.Expectation, f harness.Finding) {
	chapter := c.chapters[x.Chapter()]
	c.done++
	chapter.done++
	chapter.counts[f.Verdict]++
	c.wipe()
	if c.verbose || f.Verdict != harness.Pass && f.Verdict != harness.NotApplicable && f.Verdict != harness.NotExercised {
		_, _ = fmt.Fprintln(c.out, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", f.Verdict, x.ID, report.Line(f.Reason)), ": "))
	}
	if chapter.done == chapter.all && !c.quiet {
		c.step(fmt.Sprintf("  %-10s %s", x.Chapter(), chapter))
	}
	if c.core != nil && x.Tiered() == harness.Core {
		c.core.done++
		c.core.counts[f.Verdict]++
		if c.core.done == c.core.all && c.done < c.all {
			c.step(fmt.Sprintf("core, after %s: %s", time.Since(c.judging).Round(time.Second), c.core))
		}
	}
	if c.terminal && c.done < c.all {
		_, _ = fmt.Fprint(c.out, "\r"+c.moving(x.Chapter(), time.Since(c.judging)))
	}
}

// moving is the line of what is under way.
func (c *console) moving(chapter string, elapsed time.Duration) string {
	p := c.chapters[chapter]
	return fmt.Sprintf("  %d of %d, %s gone, about %s left, %s %d of %d", c.done, c.all,
		elapsed.Round(time.Second), remaining(elapsed, c.done, c.all), chapter, p.done, p.all)
}

// remaining guesses the time that is left from the time that is gone.
func remaining(elapsed time.Duration, done, all int) time.Duration {
	return (elapsed * time.Duration(all-done) / time.Duration(max(done, 1))).Round(time.Second)
}

// String counts a chapter's findings in words.
func (p *progress) String() string {
	var parts []string
	for _, v := range harness.Verdicts {
		if n := p.counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}

// wipe clears the moving line.
func (c *console) wipe() {
	if c.terminal {
		_, _ = fmt.Fprint(c.out, "\r\x1b[K")
	}
}

// conclude tells the sign-off, as it was asked for. Where all that was selected holds,
// that is told in its place; where an earlier sign-off was kept, that it was.
func (c *console) conclude(r signoff.Record, dir, held string, kept bool) error {
	c.wipe()
	if held == "" {
		_, _ = fmt.Fprint(c.out, report.Wrap(report.Console(r, c.colour), c.width()))
	}
	c.written(dir, held, kept)
	switch c.output {
	case asJSON:
		data, err := signoff.Encode(r)
		if err != nil {
			return err
		}
		_, err = c.answer.Write(data)
		return err
	case asGitHub:
		if held != "" {
			_, err := fmt.Fprintln(c.answer, "::notice title=Aegis conformance::"+held)
			return err
		}
		if _, err := fmt.Fprint(c.answer, report.GitHub(r)); err != nil {
			return err
		}
		return summarise(r, os.Getenv("GITHUB_STEP_SUMMARY"))
	}
	return nil
}

// written says where the sign-off is, or that there is none of this run.
func (c *console) written(dir, held string, kept bool) {
	switch {
	case held != "":
		c.step(held)
		return
	case kept:
		c.step(fmt.Sprintf("nothing was written: the sign-off in %s is of the whole catalogue, and stays", dir))
		return
	}
	c.step(fmt.Sprintf("sign-off: %s (in %s: %s, %s), after %s", filepath.Join(dir, "signoff.html"), dir, signoff.RecordName, artefacts(),
		time.Since(c.began).Round(100*time.Millisecond)))
}

// summarise adds the step summary to the file that GitHub names; none is no
// GitHub job.
func summarise(r signoff.Record, path string) error {
	if path == "" {
		return nil
	}
	summary, err := report.StepSummary(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("adding to the job's summary: %w", err)
	}
	_, err = f.Write(summary)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// artefacts are the files made from a record.
func artefacts() string {
	var files []string
	for _, f := range report.Formats {
		files = append(files, f.File)
	}
	return strings.Join(files, ", ")
}

// clauseText quotes the clauses an expectation holds to.
func clauseText(x harness.Expectation) []string {
	var texts []string
	for _, id := range x.Clauses {
		for _, c := range suites.Runbook {
			if c.ID == id {
				texts = append(texts, fmt.Sprintf("runbook %s: %s", c.ID, c.Text()))
			}
		}
	}
	return texts
}
