// Package alert reads rule files of Prometheus's, by its own parser, and tries their
// alerts on incidents by its own engine: what they would have done is seen, not guessed.
package alert

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"aegis.test/conformance/harness/lint/document"
	"aegis.test/conformance/harness/lint/place"
)

// Rule is one rule of a file.
type Rule struct {
	At       place.Place // of its expression
	Alert    string      // its name; empty of a recording rule
	Record   string
	Expr     string
	For      time.Duration
	Interval time.Duration // of its group; 0 is Prometheus's own
	parsed   parser.Expr
	labels   map[string]string
}

// language is PromQL as Prometheus has it when it is started without features.
var language = parser.NewParser(parser.Options{})

// IsFile says whether a document is a rule file.
func IsFile(d *document.Document) bool {
	keys := d.Keys()
	return keys["groups"] && len(keys) <= 2
}

// IsTest says whether a document is promtool's test of rules.
func IsTest(d *document.Document) bool {
	keys := d.Keys()
	return keys["rule_files"] && keys["tests"]
}

// problem is how Prometheus says where: 4:7: …
var problem = regexp.MustCompile(`^(?:(\d+):(\d+): )?`)

// Read reads a rule file; lax is that of an object of the operator's, which may have
// fields of its own. Path is where the groups stand in the document.
func Read(d *document.Document, text []byte, lax bool, path ...any) ([]Rule, error) {
	groups, errs := rulefmt.Parse(text, lax, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, unreadable(d, text, errs[0], lax, path)
	}
	var all []Rule
	for i, g := range groups.Groups {
		for j, r := range g.Rules {
			at := append(append([]any{}, path...), "groups", i, "rules", j, "expr")
			parsed, err := language.ParseExpr(r.Expr)
			if err != nil {
				return nil, place.Errorf(d.At(at...), "expr: %v", err)
			}
			all = append(all, Rule{At: d.At(at...), Alert: r.Alert, Record: r.Record, Expr: r.Expr, For: time.Duration(r.For),
				Interval: time.Duration(g.Interval), parsed: parsed, labels: r.Labels})
		}
	}
	return all, nil
}

// soon is how Prometheus's parser tells of a duration, without saying where.
var soon = regexp.MustCompile(`not a valid duration string: "(.*)"`)

// unreadable tells what Prometheus's parser tells, and where.
func unreadable(d *document.Document, text []byte, err error, lax bool, path []any) error {
	at := d.At(path...)
	what := err.Error()
	found := problem.FindStringSubmatch(what)
	what = what[len(found[0]):]
	line, column := found[1], found[2]
	if line == "" {
		if found := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(what); found != nil {
			line, column = found[1], "0"
		} else if found := soon.FindStringSubmatch(what); found != nil {
			before, _, _ := bytes.Cut(text, []byte(": "+found[1]))
			line, column = strconv.Itoa(1+bytes.Count(before, []byte("\n"))), "0"
		}
	}
	if line != "" && line != "0" && !lax { // of an object, the lines are those of another text
		at.Line, _ = strconv.Atoi(line)
		at.Column, _ = strconv.Atoi(column)
	}
	return place.Errorf(at, "it is no rule file: %s", strings.ReplaceAll(what, "\n", " "))
}

// selectors are the series that an expression asks for.
func selectors(e parser.Expr) []*parser.VectorSelector {
	var all []*parser.VectorSelector
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			all = append(all, s)
		}
		return nil
	})
	return all
}

// metric is a selector's metric; "" where it names none.
func metric(s *parser.VectorSelector) string {
	if s.Name != "" {
		return s.Name
	}
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// Metrics are the metrics that a rule looks at, those behind recording rules too.
func (r Rule) Metrics(all []Rule) map[string]bool {
	found := map[string]bool{}
	r.metrics(all, found, 0)
	return found
}

func (r Rule) metrics(all []Rule, found map[string]bool, depth int) {
	for _, s := range selectors(r.parsed) {
		name := metric(s)
		if found[name] || depth > 8 {
			continue
		}
		found[name] = true
		for _, other := range all {
			if other.Record == name && name != "" {
				other.metrics(all, found, depth+1)
			}
		}
	}
}

// String is the rule as a report names it.
func (r Rule) String() string {
	if r.For > 0 {
		return fmt.Sprintf("alert %s (for %s)", r.Alert, model.Duration(r.For))
	}
	return "alert " + r.Alert
}
