package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"words": words, "join": join[harness.Capability], "owner": owner, "identity": identity,
	"moment": moment, "symbol": symbol, "seconds": spent, "tone": tone, "named": named,
	"clip":  func(s string) string { return clip(s, 240) },
	"probe": func(id string) string { return id[strings.LastIndexByte(id, '-')+1:] },
	"few":   shownExchanges, "left": leftOut,
}).Parse(pageHTML))

// tone is the class of a verdict that has a colour of its own.
func tone(v signoff.Verdict) string {
	return map[signoff.Verdict]string{signoff.Passed: "passed", signoff.Failed: "failed", signoff.Invalid: "invalid"}[v]
}

// page is what the template shows: the record, and what is derived from it.
type page struct {
	signoff.Record
	Title      string
	Answer     string
	KindWords  string
	ClaimWords string
	Caveat     string
	BuildWords string
	ClockWords string
	// ConductWords is what the run met on its way; empty where there is nothing to tell.
	ConductWords string
	Next         []string
	Gained       bool
	Gains        []group
	StandIns     []harness.Component
	Duration     string
	Selected     string
	Modes        string
	Counts       []count
	Where        []string // URLs of a live target
	Unknown      bool     // which build it is
	SinceWords   string   // what changed, in a line
	LastWords    string   // what it is compared with
	Changes      []heap
	Cards        []card
	Worst        []card            // those of the first screen
	Further      string            // how many more there are
	Of           map[string]string // anchor of the card that tells a failure
	Broken       []signoff.Finding
	Unclear      []because
	Lackings     []lacking
	Beyond       []signoff.Finding
	ToWrite      string
	Chapters     []chapter
	Sections     []section
	Timelines    []drawing
	Timings      timings
	Digest       string // of the record
	Style        template.CSS
	Script       template.JS
	Policy       string // Content-Security-Policy
}

// count is one verdict with how many findings have it.
type count struct {
	Verdict harness.Verdict
	N       int
}

// failure is a finding beside the clauses it breaks.
type failure struct {
	signoff.Finding
	Runbook []signoff.Clause
	Waiver  *signoff.Waiver
	Leave   string // the waiver, in words
	Weight  string // its level, and whether it decides
}

// section is one section of the runbook, traced.
type section struct {
	Name    string
	Clauses []trace
}

// trace is one clause with the findings that hold to it.
type trace struct {
	signoff.Clause
	Findings []signoff.Finding
}

// Counts counts the clause's findings by verdict, zero counts left out.
func (t trace) Counts() []count {
	var counts []count
	for _, v := range harness.Verdicts {
		if n := (chapter{Findings: t.Findings}).Of(v); n > 0 {
			counts = append(counts, count{v, n})
		}
	}
	return counts
}

// HTML renders the record as one self-contained page: no request goes to
// anywhere, and nothing is lost without its script.
func HTML(r signoff.Record) ([]byte, error) {
	record, err := signoff.Encode(r)
	if err != nil {
		return nil, err
	}
	p := pageOf(inert(r))
	p.Digest = sha256Of(record)
	style := pageCSS + shares(p.Counts)
	p.Style = template.CSS(style)  //nolint:gosec // our own text and integers, nothing of the record's
	p.Script = template.JS(pageJS) //nolint:gosec // our own text
	p.Policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'",
		source(style), source(pageJS))
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("rendering the sign-off page: %w", err)
	}
	return b.Bytes(), nil
}

func pageOf(r signoff.Record) page {
	p := page{
		Record: r, Title: title(r), Answer: answer(r), KindWords: kind(r), ClaimWords: claim(r), Caveat: caveat(r), BuildWords: build(r), ClockWords: clock(r), ConductWords: conduct(r),
		Next: nextSteps(r), Gained: r.Kind == harness.Rehearsal, Gains: gains(r), StandIns: standIns(r),
		Duration: duration(r), Selected: selection(r), Modes: join(r.Target.Modes),
		Cards: cards(r), Of: map[string]string{}, Broken: r.ByVerdict(harness.Error), Unclear: unclear(r), Lackings: lackings(r),
		Chapters: chapters(r), Sections: sections(r), Timings: timed(r),
	}
	for _, v := range harness.Verdicts {
		p.Counts = append(p.Counts, count{v, r.Totals[v]})
	}
	p.first()
	for _, c := range p.Cards {
		for _, row := range c.Rows {
			p.Of[row.ID] = c.Anchor()
		}
	}
	if r.Kind != harness.Rehearsal {
		p.Beyond = r.OutOfReach()
	}
	if r.Kind == harness.Live {
		p.ToWrite, p.Unknown = toWrite(r, p.Lackings), !r.Known()
	}
	if r.Since != nil {
		p.Changes, p.SinceWords, p.LastWords = heaps(*r.Since), inAWord(*r.Since), sideLine(r.Since.Old)
	}
	for _, f := range r.Findings {
		p.Timelines = append(p.Timelines, drawings(f)...)
	}
	return p
}

// worst is how many causes the first screen names.
const worst = 5

// first fills in what the first screen says of the failures and the target.
func (p *page) first() {
	p.Worst = p.Cards[:min(worst, len(p.Cards))]
	if more := len(p.Cards) - len(p.Worst); more > 0 {
		p.Further = "and " + counted(more, "cause") + " more"
	}
	for _, mode := range p.Target.Modes {
		if at := p.Target.URLs[mode]; at != "" && !slices.Contains(p.Where, at) {
			p.Where = append(p.Where, at)
		}
	}
}

// Exchanges of an expectation that the page shows; the record has them all.
const shown = 3

// shownExchanges are the first few exchanges.
func shownExchanges(all []harness.Evidence) []harness.Evidence {
	return all[:min(shown, len(all))]
}

// leftOut says how many more there are.
func leftOut(all []harness.Evidence) string {
	if more := len(all) - shown; more > 0 {
		return fmt.Sprintf("and %s more in signoff.json", counted(more, "exchange"))
	}
	return ""
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// source is an inline text as the page's policy names it (CSP level 3, section
// 2.3.1).
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// shares gives each part of the totals bar its width. It stands in the style
// sheet because the page's policy allows no style attribute.
func shares(counts []count) string {
	var b strings.Builder
	for _, c := range counts {
		fmt.Fprintf(&b, ".bar .%s{flex-grow:%d}\n", c.Verdict, c.N)
	}
	return b.String()
}

func sections(r signoff.Record) []section {
	rows := map[string]signoff.Finding{}
	for _, f := range r.Findings {
		rows[f.ID] = f
	}
	var all []section
	last := ""
	for i, c := range r.Clauses {
		if i == 0 || last != c.Section {
			all = append(all, section{Name: sectionName(c.Section)})
			last = c.Section
		}
		t := trace{Clause: c}
		for _, id := range c.Expectations {
			t.Findings = append(t.Findings, rows[id])
		}
		s := &all[len(all)-1]
		s.Clauses = append(s.Clauses, t)
	}
	return all
}

// sectionName is a section's number as a heading.
func sectionName(number string) string {
	if number == "G" {
		return "Goal"
	}
	return "Section " + number
}

// symbol tells verdicts apart without colour.
func symbol(v harness.Verdict) string {
	return map[harness.Verdict]string{
		harness.Pass: "✓", harness.Fail: "✗", harness.Inconclusive: "?",
		harness.Error: "!", harness.NotExercised: "∅", harness.NotApplicable: "–",
	}[v]
}

func spent(millis int64) string { return fmt.Sprintf("%.2f s", float64(millis)/1000) }
