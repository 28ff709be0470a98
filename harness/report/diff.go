package report

import (
	"fmt"
	"reflect"
	"strings"

	"aegis.test/conformance/harness/signoff"
)

// DiffFormats are the ways to tell what changed, by name.
var DiffFormats = map[string]func(signoff.Diff) ([]byte, error){
	"text":     diffText,
	"markdown": diffMarkdown,
	"json":     func(d signoff.Diff) ([]byte, error) { return indented(lined(reflect.ValueOf(d)).Interface()) },
}

// heap is the changes of one kind, a line each.
type heap struct {
	Title string
	Lines []string
}

// heaps are a comparison's changes, what matters most first; no empty ones.
func heaps(d signoff.Diff) []heap {
	all := []heap{
		{"Regressions", d.Regressions}, {"New failures", changed(d.Failures)}, {"No longer judged", changed(d.Unseen)},
		{"Fixed", changed(d.Fixed)}, {"Newly passed", changed(d.Seen)}, {"Waivers", waiverLines(d.Waivers)},
		{"Catalogue", catalogueLines(d)}, {"Slower", slowerLines(d.Slower)},
	}
	kept := all[:0]
	for _, h := range all {
		if len(h.Lines) > 0 {
			kept = append(kept, h)
		}
	}
	return kept
}

func changed(changes []signoff.Change) []string {
	var lines []string
	for _, c := range changes {
		is := string(c.Is)
		if c.Bucket != "" {
			is += " (" + string(c.Bucket) + ")"
		}
		if c.Waived {
			is += ", waived"
		}
		line := fmt.Sprintf("%s %s: was %s, is %s", c.ID, c.Title, orNew(string(c.Was)), is)
		if c.Reason != "" {
			line += ": " + clip(c.Reason, 200)
		}
		lines = append(lines, line)
	}
	return lines
}

func orNew(was string) string {
	if was == "" {
		return "not there"
	}
	return was
}

func waiverLines(changes []signoff.WaiverChange) []string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%s: was %s, is %s: %s", c.ID, orNew(string(c.Was)), orNew(string(c.Is)), c.Why))
	}
	return lines
}

func catalogueLines(d signoff.Diff) []string {
	var lines []string
	if len(d.Added) > 0 {
		lines = append(lines, fmt.Sprintf("%d added: %s", len(d.Added), strings.Join(d.Added, ", ")))
	}
	if len(d.Removed) > 0 {
		lines = append(lines, fmt.Sprintf("%d removed: %s", len(d.Removed), strings.Join(d.Removed, ", ")))
	}
	if lines == nil && d.Old.Catalogue != d.New.Catalogue {
		lines = append(lines, "the same expectations, worded or done otherwise")
	}
	return lines
}

func slowerLines(all []signoff.Slower) []string {
	var lines []string
	for _, s := range all {
		lines = append(lines, fmt.Sprintf("%s: %s, was %s", s.ID, spent(s.IsMS), spent(s.WasMS)))
	}
	return lines
}

// inAWord is a comparison in a sentence.
func inAWord(d signoff.Diff) string {
	if d.Regressed() {
		return "worse than before"
	}
	if len(heaps(d)) == 0 {
		return "nothing changed"
	}
	return "no regression"
}

func sideLine(s signoff.Side) string {
	return fmt.Sprintf("%s, run %s of %s (%s), %s", s.Verdict, s.Run, s.Target, s.Kind, moment(s.Ended))
}

func diffText(d signoff.Diff) ([]byte, error) {
	d = lined(reflect.ValueOf(d)).Interface().(signoff.Diff)
	var b strings.Builder
	fmt.Fprintf(&b, "old  %s\nnew  %s\n", sideLine(d.Old), sideLine(d.New))
	for _, h := range heaps(d) {
		fmt.Fprintf(&b, "\n%s\n", h.Title)
		for _, line := range h.Lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", inAWord(d))
	return []byte(b.String()), nil
}

func diffMarkdown(d signoff.Diff) ([]byte, error) {
	d = lined(reflect.ValueOf(d)).Interface().(signoff.Diff)
	m := &markdown{}
	m.line("# Aegis conformance: %s\n", md(inAWord(d)))
	m.line("- old: %s\n- new: %s\n", md(sideLine(d.Old)), md(sideLine(d.New)))
	for _, h := range heaps(d) {
		m.line("## %s\n", h.Title)
		for _, line := range h.Lines {
			m.line("- %s", md(line))
		}
		m.line("")
	}
	return []byte(m.b.String()), nil
}
