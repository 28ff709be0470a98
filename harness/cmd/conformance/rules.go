package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/saved"
)

// readRules reads a rule file of Prometheus's, and finds at once what Prometheus would
// refuse after minutes: what is no rule file, a key it does not know, an expression
// that cannot be read.
func readRules(path string) ([]byte, error) {
	text, err := saved.File(path)
	if errors.Is(err, saved.ErrUTF16) {
		return nil, fmt.Errorf("%s:1: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	documents, err := saved.Documents(text)
	if err != nil {
		return nil, noRules(path, text, err)
	}
	if len(documents) != 1 {
		return nil, fmt.Errorf("%s:1: it holds %s, want one with groups", path, plural(len(documents), "document"))
	}
	r := rules{path: path}
	r.file(documents[0])
	return text, errors.Join(r.problems...)
}

// noRules says why a text is no YAML.
func noRules(path string, text []byte, err error) error {
	line, what := 1, "it is no YAML"
	if bad, ok := errors.AsType[yaml.Error](err); ok && bad.GetToken() != nil {
		line, what = bad.GetToken().Position.Line, "it is no YAML: "+bad.GetMessage()
	}
	if bytes.Contains(text, []byte("{{")) {
		what = "it is a template of Helm's, and no rule file: render it, with helm template, and give what is under spec"
	}
	return fmt.Errorf("%s:%d: %s", path, line, what)
}

// rules reads a rule file's nodes and gathers what is wrong.
type rules struct {
	path     string
	problems []error
}

// Keys of a rule file (Prometheus, recording and alerting rules).
var (
	groupKeys = []string{"name", "rules", "interval", "limit", "query_offset", "labels"}
	ruleKeys  = []string{"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
)

func (r *rules) wrong(n ast.Node, format string, args ...any) {
	line := n.GetToken().Position.Line
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		line = m.Values[0].Key.GetToken().Position.Line
	}
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %s", r.path, line, fmt.Sprintf(format, args...)))
}

// keys are a mapping's values by key; what is not known is wrong.
func (r *rules) keys(n ast.Node, what string, known []string) map[string]ast.Node {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.wrong(n, "want %s, with the keys %s", what, strings.Join(known, ", "))
		return nil
	}
	found := map[string]ast.Node{}
	for _, v := range m.Values {
		key := strings.Trim(v.Key.GetToken().Value, `"'`)
		if found[key] = v.Value; !slices.Contains(known, key) {
			r.wrong(v.Key, "%s has no key %q%s", what, key, orNearest(key, known))
		}
	}
	return found
}

func orNearest(key string, known []string) string {
	if near := harness.Nearest(key, known); near != "" {
		return fmt.Sprintf(": the nearest is %q", near)
	}
	return ": want " + strings.Join(known, ", ")
}

func (r *rules) list(n ast.Node, what string) []ast.Node {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(n, "want a list of %s", what)
		return nil
	}
	return list.Values
}

func (r *rules) file(n ast.Node) {
	if m, ok := n.(*ast.MappingNode); ok {
		if i := slices.IndexFunc(m.Values, func(v *ast.MappingValueNode) bool { return v.Key.GetToken().Value == "kind" }); i >= 0 {
			r.wrong(m.Values[i].Key, "it is an object of Kubernetes (%s), and no rule file: give what is under spec", m.Values[i].Value)
			return
		}
	}
	root := r.keys(n, "a rule file", []string{"groups"})
	if root == nil {
		return
	}
	groups, ok := root["groups"]
	if !ok {
		r.wrong(n, "there are no groups in it")
		return
	}
	for _, g := range r.list(groups, "groups") {
		group := r.keys(g, "a group", groupKeys)
		if group == nil {
			continue
		}
		if group["name"] == nil || group["rules"] == nil {
			r.wrong(g, "a group has a name and rules")
			continue
		}
		for _, one := range r.list(group["rules"], "rules") {
			r.rule(one)
		}
	}
}

func (r *rules) rule(n ast.Node) {
	rule := r.keys(n, "a rule", ruleKeys)
	if rule == nil {
		return
	}
	if (rule["alert"] == nil) == (rule["record"] == nil) {
		r.wrong(n, "a rule has alert or record, and one of them")
	}
	for _, key := range []string{"for", "keep_firing_for"} {
		if d := rule[key]; d != nil && !duration.MatchString(text(d)) {
			r.wrong(d, "%s: %q is no duration: write it as 5m or 1h30m", key, text(d))
		}
	}
	expr := rule["expr"]
	if expr == nil {
		r.wrong(n, "a rule has an expr")
	} else if what := unreadable(text(expr)); what != "" {
		r.wrong(expr, "expr: %s", what)
	}
}

// text is a scalar's.
func text(n ast.Node) string {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value
	case *ast.LiteralNode:
		return s.Value.Value
	default:
		return n.String()
	}
}

var (
	duration = regexp.MustCompile(`^(0|([0-9]+(ms|[smhdwy]))+)$`)
	window   = regexp.MustCompile(`^\s*([0-9]+(ms|[smhdwy]?))+\s*(:\s*([0-9]+(ms|[smhdwy]?))*\s*)?$`)
	dangling = regexp.MustCompile(`(?i)(==|!=|>=|<=|=~|!~|[-+*/%^<>=,]|\b(and|or|unless|offset|bool))\s*$`)
	leading  = regexp.MustCompile(`(?i)^\s*(==|!=|>=|<=|[*/%^<>=,]|(and|or|unless|by|without|on)\b)`)
	// joinless is two values with no operator between them.
	joinless = regexp.MustCompile(`(?i)[)\]}]\s*(?:[0-9]|([a-z_:][a-z0-9_:]*))`)
	// byLabels is a list of labels behind a word that takes one.
	byLabels = regexp.MustCompile(`(?i)\b(on|ignoring|by|without|group_left|group_right)\s*\([^()]*\)`)
	lone     = regexp.MustCompile(`[^=!<>~]=([^=~]|$)`)
	links    = []string{"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "group_left", "group_right", "atan2"}
)

// unreadable says what is wrong with the form of an expression of PromQL: what is
// unclosed or dangling. What it means is Prometheus's to judge.
func unreadable(expr string) string {
	if strings.Contains(expr, "{{") {
		return "it holds a template: render the file first"
	}
	bare, what := outline(expr)
	switch {
	case what != "":
		return what
	case strings.TrimSpace(bare) == "":
		return "it is empty"
	case dangling.MatchString(bare):
		return "nothing stands behind its last operator"
	case leading.MatchString(bare):
		return "nothing stands before its first operator"
	case lone.MatchString(bare):
		return "= compares nothing outside of braces: write =="
	}
	for _, found := range joinless.FindAllStringSubmatch(byLabels.ReplaceAllString(bare, "$1"), -1) {
		if !slices.Contains(links, strings.ToLower(found[1])) {
			return fmt.Sprintf("no operator stands in %q", found[0])
		}
	}
	return ""
}

// outline is an expression without its texts, comments, matchers and windows, and what
// in it is not closed.
func outline(expr string) (bare, what string) {
	var out strings.Builder
	var open []int
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case c == '#':
			i += strings.IndexByte(expr[i:]+"\n", '\n')
		case strings.IndexByte("\"'`", c) >= 0:
			end := closing(expr[i+1:], c)
			if end < 0 {
				return "", fmt.Sprintf("a text is not closed: %q", expr[i:])
			}
			i += end + 1
			out.WriteByte('0')
		case strings.IndexByte("([{", c) >= 0:
			open = append(open, i)
			out.WriteByte(c)
		case strings.IndexByte(")]}", c) >= 0:
			if len(open) == 0 || strings.IndexByte("([{", expr[open[len(open)-1]]) != strings.IndexByte(")]}", c) {
				return "", fmt.Sprintf("%q at character %d closes nothing", c, i+1)
			}
			begun := open[len(open)-1]
			if inside := expr[begun+1 : i]; c == ']' && !window.MatchString(inside) {
				return "", fmt.Sprintf("%q is no length of time", inside)
			}
			if c != ')' { // what is inside is no expression
				kept := strings.TrimRight(out.String(), "\x00")
				out.Reset()
				out.WriteString(kept[:strings.LastIndexByte(kept, expr[begun])+1])
			}
			open = open[:len(open)-1]
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
	if len(open) > 0 {
		return "", fmt.Sprintf("%q at character %d is not closed", expr[open[len(open)-1]], open[len(open)-1]+1)
	}
	return out.String(), ""
}

// closing is where a text ends that a quote began; -1 where it does not.
func closing(text string, quote byte) int {
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && quote != '`' {
			i++
		} else if text[i] == quote {
			return i
		}
	}
	return -1
}
