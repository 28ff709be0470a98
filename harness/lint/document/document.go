// Package document reads the documents of a YAML or JSON file twice: as Kubernetes
// does, for what they say, and as nodes, for where it stands.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	strict "sigs.k8s.io/yaml"

	"aegis.test/conformance/harness/lint/place"
)

// Document is one document of a file.
type Document struct {
	File string
	JSON []byte // what it says, by the rules of Kubernetes: YAML 1.1, each key once
	root *yaml.Node
	skip int // lines of the file before it
}

var (
	separator = regexp.MustCompile(`^---(\s|$)`)
	yamlLine  = regexp.MustCompile(`line (\d+)`)
	// helm is what only a template of Helm's holds: templates of Vault Agent and of
	// Prometheus stand in sound files, as text.
	helm = regexp.MustCompile(`\{\{[^}]*(\.(Values|Release|Chart|Capabilities|Files)\b|\b(include|tpl|toYaml)\s)`)
)

// ErrTemplate is the error of a file that is to be rendered before it is read.
var ErrTemplate = errors.New("it is a template of Helm's: render it, with helm template, and give what comes out")

// Read splits a text at its separators and reads each document that holds anything.
func Read(file string, text []byte) ([]*Document, error) {
	if err := place.Shallow(file, text); err != nil {
		return nil, err
	}
	var found []*Document
	begun, skip := 0, 0
	lines := bytes.SplitAfter(text, []byte("\n"))
	add := func(end int) error {
		part := bytes.Join(lines[begun:end], nil)
		d, err := one(file, part, skip)
		if err == nil && d != nil {
			found = append(found, d)
		}
		return err
	}
	for i, line := range lines {
		if !separator.Match(line) {
			continue
		}
		if err := add(i); err != nil {
			return nil, err
		}
		begun, skip = i, i
	}
	return found, add(len(lines))
}

// one reads one document; nil where it holds nothing.
func one(file string, text []byte, skip int) (*Document, error) {
	if rest := bytes.TrimSpace(text); len(rest) == 0 || bytes.HasPrefix(rest, []byte("%YAML")) {
		return nil, nil
	}
	said, err := strict.YAMLToJSONStrict(text)
	if err != nil {
		return nil, unreadable(file, text, skip, err)
	}
	if string(said) == "null" {
		return nil, nil
	}
	d := &Document{File: file, JSON: said, skip: skip, root: &yaml.Node{}}
	if err := yaml.Unmarshal(text, d.root); err != nil {
		return nil, unreadable(file, text, skip, err)
	}
	if at, found := d.template(d.root, 0); found {
		return nil, &place.Error{Place: at, What: ErrTemplate.Error()}
	}
	return d, nil
}

// unreadable tells of a text that is no YAML; one with a template's marks is a template.
func unreadable(file string, text []byte, skip int, err error) error {
	at := place.Place{File: file, Line: 1 + skip}
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		line, _ := strconv.Atoi(found[1])
		at.Line = line + skip
	}
	if open := bytes.Index(text, []byte("{{")); open >= 0 {
		at.Line = 1 + skip + bytes.Count(text[:open], []byte("\n"))
		return &place.Error{Place: at, What: ErrTemplate.Error()}
	}
	what := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	what = strings.TrimPrefix(what, "yaml: ")
	return place.Errorf(at, "it is no YAML: %s", strings.ReplaceAll(what, "\n", " "))
}

// template is where a scalar stands that only Helm understands.
func (d *Document) template(n *yaml.Node, depth int) (place.Place, bool) {
	if n.Kind == yaml.ScalarNode && helm.MatchString(n.Value) {
		return d.at(n), true
	}
	if depth > place.Nesting {
		return place.Place{}, false
	}
	for _, below := range n.Content {
		if at, found := d.template(below, depth+1); found {
			return at, true
		}
	}
	return place.Place{}, false
}

// at is where a node stands.
func (d *Document) at(n *yaml.Node) place.Place {
	return place.Place{File: d.File, Line: n.Line + d.skip, Column: n.Column}
}

// Top is where the document begins.
func (d *Document) Top() place.Place { return d.At() }

// At is where the value under a path stands, a string for a key and an int for an
// item: the key of a mapping, the first word of an item. Where the path ends early, it
// is the last that is there, which is where what is missing should be.
func (d *Document) At(path ...any) place.Place {
	n := resolved(d.root)
	for n != nil && n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = resolved(n.Content[0])
	}
	at := d.at(n)
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			if i := key(n, step); i >= 0 {
				at, next = d.at(n.Content[i]), resolved(n.Content[i+1])
			}
		case int:
			if n.Kind == yaml.SequenceNode && step < len(n.Content) {
				next = resolved(n.Content[step])
				at = d.at(next)
			}
		default:
			panic(fmt.Sprintf("a path has keys and indices: %T", step))
		}
		if next == nil {
			return at
		}
		n = next
	}
	return at
}

// key is the index of a mapping's key: in its own spelling, or as protobuf's JSON spells
// it too (trustedCa of trusted_ca); -1 where it has none.
func key(n *yaml.Node, name string) int {
	other := -1
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == name {
			return i
		}
		if strings.EqualFold(n.Content[i].Value, strings.ReplaceAll(name, "_", "")) {
			other = i
		}
	}
	return other
}

// resolved is what an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// Keys are the keys at the document's top; none where it is no mapping.
func (d *Document) Keys() map[string]bool {
	var top map[string]json.RawMessage
	if json.Unmarshal(d.JSON, &top) != nil {
		return nil
	}
	keys := map[string]bool{}
	for key := range top {
		keys[key] = true
	}
	return keys
}

var pathStep = regexp.MustCompile(`\[(\d+)\]|([^.\[\]]+)`)

// Path splits a path as Kubernetes writes it: spec.containers[0].image.
func Path(text string) []any {
	var path []any
	for _, step := range pathStep.FindAllStringSubmatch(text, -1) {
		if step[1] != "" {
			index, _ := strconv.Atoi(step[1])
			path = append(path, index)
		} else {
			path = append(path, step[2])
		}
	}
	return path
}
