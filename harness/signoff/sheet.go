package signoff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"aegis.test/conformance/harness/saved"
)

// Mistakes are all that is wrong with a file, each with its line.
type Mistakes []string

func (m Mistakes) Error() string { return strings.Join(m, "\n") }

// sheet reads a YAML file strictly and goes on after a mistake, so that all are
// told at once.
type sheet struct {
	file     string
	mistakes Mistakes
}

// open parses the file into its root mapping; nil when there is none.
func (s *sheet) open(data []byte, keys ...string) map[string]ast.Node {
	text, err := saved.Text(data)
	if err != nil {
		s.mistakes = append(s.mistakes, fmt.Sprintf("%s:1: %v", s.file, err))
		return nil
	}
	documents, err := saved.Documents(text)
	if err != nil {
		s.unparsable(err)
		return nil
	}
	if len(documents) != 1 {
		s.mistakes = append(s.mistakes, fmt.Sprintf("%s:1: %d documents hold anything, want one with %s", s.file, len(documents), listed(keys)))
		return nil
	}
	return s.mapping(documents[0], keys...)
}

func (s *sheet) unparsable(err error) {
	line, text := 1, err.Error()
	if bad, ok := errors.AsType[yaml.Error](err); ok {
		line, text = bad.GetToken().Position.Line, bad.GetMessage()
	}
	s.mistakes = append(s.mistakes, fmt.Sprintf("%s:%d: it is no YAML: %s", s.file, line, text))
}

// wrong notes a mistake at a node.
func (s *sheet) wrong(at ast.Node, format string, args ...any) {
	s.mistakes = append(s.mistakes, s.at(at)+": "+fmt.Sprintf(format, args...))
}

// at is where a node stands: file:line.
func (s *sheet) at(n ast.Node) string {
	if pair, ok := n.(*ast.MappingNode); ok && len(pair.Values) > 0 {
		n = pair.Values[0].Key // its own token is the first colon
	}
	return fmt.Sprintf("%s:%d", s.file, n.GetToken().Position.Line)
}

// mapping is a node's values by key; a key that is none of keys is a mistake.
func (s *sheet) mapping(n ast.Node, keys ...string) map[string]ast.Node {
	values := map[string]ast.Node{}
	whole, ok := n.(*ast.MappingNode)
	if !ok {
		s.wrong(n, "want a mapping with %s", listed(keys))
		return values
	}
	for _, pair := range whole.Values {
		key := pair.Key.GetToken().Value
		if !slices.Contains(keys, key) {
			s.wrong(pair.Key, "%q is no key here: want %s", key, listed(keys))
			continue
		}
		values[key] = pair.Value
	}
	return values
}

// items is a node's elements.
func (s *sheet) items(n ast.Node) []ast.Node {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		s.wrong(n, "want a list")
		return nil
	}
	return list.Values
}

// text is a scalar as it was written, quotes taken off.
func (s *sheet) text(n ast.Node) string {
	switch scalar := n.(type) {
	case *ast.StringNode:
		return strings.TrimSpace(scalar.Value)
	case *ast.LiteralNode:
		return strings.TrimSpace(scalar.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	case *ast.NullNode:
		return ""
	default:
		s.wrong(n, "want a text")
		return ""
	}
}

// word is a text that is one of known.
func word[T ~string](s *sheet, n ast.Node, known []T) T {
	w := T(s.text(n))
	if !slices.Contains(known, w) {
		s.wrong(n, "%q is none of %s", string(w), listed(known))
	}
	return w
}

// words is a list of texts, each of them one of known.
func words[T ~string](s *sheet, n ast.Node, known []T) []T {
	var chosen []T
	items := s.items(n)
	if list, ok := n.(*ast.SequenceNode); ok && len(list.Values) == 0 {
		s.wrong(n, "the list is empty, which nothing can satisfy: leave the key out, or name some of %s", listed(known))
	}
	for _, item := range items {
		chosen = append(chosen, word(s, item, known))
	}
	return chosen
}

// count is a whole number, zero or more.
func (s *sheet) count(n ast.Node) int {
	var number int
	if _, ok := n.(*ast.IntegerNode); !ok || yaml.NodeToValue(n, &number) != nil || number < 0 {
		s.wrong(n, "want a whole number, 0 or more")
	}
	return number
}

// duration is a time with its unit, more than none.
func (s *sheet) duration(n ast.Node) time.Duration {
	d, err := time.ParseDuration(s.text(n))
	if err != nil || d <= 0 {
		s.wrong(n, "want a duration with its unit, as 24h")
	}
	return d
}

func listed[T ~string](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}
