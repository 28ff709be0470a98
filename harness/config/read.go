package config

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/saved"
)

// Sources are what a configuration is read from, weakest first.
type Sources struct {
	Path    string   // of the file
	Environ []string // NAME=VALUE; CONFORMANCE_TARGET_URL overrides target.url
	Set     []string // path=value, of flags
}

// Loaded is one target's configuration, with what is known of each value.
type Loaded struct {
	File
	// Source is the file, Lookup what reads its references.
	Source string
	Lookup Lookup
	// Origins says, by path, where a value came from: staging.yaml:12, an
	// environment variable, --set, or default.
	Origins map[string]string
}

// Given reports whether anything was given at a path, or below it.
func (l Loaded) Given(path string) bool {
	for at, origin := range l.Origins {
		if origin != byDefault && (at == path || strings.HasPrefix(at, path+".") || strings.HasPrefix(at, path+"[")) {
			return true
		}
	}
	return false
}

// byDefault is the origin of what was left out.
const byDefault = "default"

// targetsKey is the one key that is not File's: a list of files, each read over
// what stands beside it.
const targetsKey = "targets"

// Load reads a configuration: one Loaded for each target. What is wrong with it
// is Problems.
func Load(s Sources) ([]Loaded, error) {
	text, err := saved.File(s.Path)
	if errors.Is(err, saved.ErrUTF16) {
		return nil, Problems{{At: filepath.Base(s.Path), What: err.Error()}}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w: conformance init writes one", err)
	}
	root, problem := parse(filepath.Base(s.Path), text)
	if problem != nil {
		return nil, Problems{*problem}
	}
	shared, targets := split(root)
	base := s.begin()
	base.read(shared, "")
	if len(targets) == 0 {
		return finish(s, []draft{base})
	}
	var all []draft
	for i, node := range targets {
		one := base.clone()
		one.read([]ast.Node{node}, fmt.Sprintf("%s[%d]", targetsKey, i))
		all = append(all, one)
	}
	return finish(s, all)
}

// parse parses a file. The library's own message quotes the file, which may hold
// a secret: only its heading is told.
func parse(path string, text []byte) (ast.Node, *Problem) {
	documents, err := saved.Documents(text, parser.AllowDuplicateMapKey())
	if err != nil {
		p := Problem{At: path, What: "it is no YAML", Do: "look there for a bracket or a quote that is not closed, and for an indent that fits nothing above"}
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			p.At = place(path, syntax.Token)
			if lines := bytes.Split(text, []byte("\n")); bytes.HasPrefix(bytes.TrimLeft(lines[min(syntax.Token.Position.Line, len(lines))-1], " "), []byte("\t")) {
				p.What, p.Do = "a tab indents the line", "indent by spaces"
			}
		}
		return nil, &p
	}
	if len(documents) != 1 {
		return nil, &Problem{At: path, What: fmt.Sprintf("want one document with keys, got %d", len(documents)), Do: "conformance init writes one"}
	}
	return documents[0], nil
}

func place(path string, t *token.Token) string {
	return fmt.Sprintf("%s:%d:%d", path, t.Position.Line, t.Position.Column)
}

// split takes the list of targets out of a document.
func split(root ast.Node) (shared, targets []ast.Node) {
	m, ok := root.(*ast.MappingNode)
	if !ok {
		return []ast.Node{root}, nil
	}
	i := slices.IndexFunc(m.Values, func(v *ast.MappingValueNode) bool { return keyName(v) == targetsKey })
	if i < 0 {
		return []ast.Node{root}, nil
	}
	list, ok := m.Values[i].Value.(*ast.SequenceNode)
	if !ok { // the reader says what is wrong
		return []ast.Node{root}, nil
	}
	rest := *m
	rest.Values = slices.Delete(slices.Clone(m.Values), i, i+1)
	if len(rest.Values) == 0 {
		return nil, list.Values
	}
	return []ast.Node{&rest}, list.Values
}

// draft is a configuration that is being read.
type draft struct {
	file   File
	reader reader
	prefix string // of the paths in problems: targets[1]
}

func (s Sources) begin() draft {
	return draft{reader: reader{source: filepath.Base(s.Path), lines: true, origins: map[string]string{}}}
}

func (d *draft) clone() draft {
	next := *d
	next.reader.origins = map[string]string{}
	for path, origin := range d.reader.origins {
		next.reader.origins[path] = origin
	}
	next.reader.problems = nil
	return next
}

func (d *draft) read(nodes []ast.Node, prefix string) {
	d.prefix = prefix
	for _, n := range nodes {
		d.reader.read(n, reflect.ValueOf(&d.file).Elem(), "", "")
	}
}

// finish puts overrides over what the file says and defaults under it, and
// checks the whole.
func finish(s Sources, drafts []draft) ([]Loaded, error) {
	var problems Problems
	var all []Loaded
	for i := range drafts {
		d := &drafts[i]
		d.override(s)
		d.defaults(reflect.ValueOf(&d.file).Elem(), "")
		l := Loaded{
			File: d.file, Source: filepath.Base(s.Path), Origins: d.reader.origins,
			Lookup: Lookup{Getenv: getenv(s.Environ), Dir: filepath.Dir(s.Path)},
		}
		found := d.reader.problems
		if len(found) == 0 { // what is half read contradicts itself in any case
			found = l.check()
		}
		for _, p := range found {
			if d.prefix != "" {
				p.Path = join(d.prefix, p.Path)
			}
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
		all = append(all, l)
	}
	if problems = append(problems, sameName(all)...); len(problems) == 0 {
		problems = oneImage(all)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return all, nil
}

// oneImage finds an image beside others: the stack that is started for it is the
// only target.
func oneImage(all []Loaded) Problems {
	i := slices.IndexFunc(all, func(l Loaded) bool { return l.Service.Image != "" })
	if i < 0 || len(all) == 1 {
		return nil
	}
	const path = "service.image"
	return Problems{{At: all[i].Origins[path], Path: path, What: "a stack is started for it, and targets name what is there already", Do: "give the image a file of its own"}}
}

// sameName finds targets that a roll-up could not tell apart.
func sameName(all []Loaded) Problems {
	seen := map[string]bool{}
	for i, l := range all {
		if len(all) > 1 && (l.Target.Name == "" || seen[l.Target.Name]) {
			return Problems{{At: l.Source, Path: fmt.Sprintf("%s[%d].target.name", targetsKey, i), What: "each of several targets needs a name of its own", Do: "name it"}}
		}
		seen[l.Target.Name] = true
	}
	return nil
}

func getenv(environ []string) func(string) string {
	return func(name string) string {
		for _, line := range slices.Backward(environ) {
			if n, value, _ := strings.Cut(line, "="); n == name {
				return value
			}
		}
		return ""
	}
}

// defaults fills in what was left out.
func (d *draft) defaults(v reflect.Value, path string) {
	for _, k := range keysOf(v.Type()) {
		at, field := join(path, k.name), v.Field(k.index)
		switch {
		case field.Kind() == reflect.Struct:
			d.defaults(field, at)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				d.defaults(field.Index(i), fmt.Sprintf("%s[%d]", at, i))
			}
		case d.reader.origins[at] == "" && k.field.Tag.Get("default") != "":
			_, _ = set(field, k.field.Tag.Get("default"), k.field.Tag) // a test sets each
			d.reader.origins[at] = byDefault
		}
	}
}

// override puts the environment and then flags over what the file says.
func (d *draft) override(s Sources) {
	known := paths(reflect.TypeFor[File](), "")
	for _, line := range s.Environ {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(reserved, name) {
			continue
		}
		i := slices.IndexFunc(known, func(p string) bool { return variable(p) == name })
		if i < 0 {
			var names []string
			for _, p := range known {
				names = append(names, variable(p))
			}
			d.reader.problems = append(d.reader.problems, Problem{At: "environment", Path: name, What: "it overrides nothing", Do: near(name, names, "unset it")})
			continue
		}
		d.put(known[i], value, "environment "+name)
	}
	for _, text := range s.Set {
		path, value, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(known, path) {
			d.reader.problems = append(d.reader.problems, Problem{At: "--set", Path: path, What: "there is no such value to set", Do: near(path, known, "write --set path=value")})
			continue
		}
		d.put(path, value, "--set")
	}
}

func near(word string, known []string, otherwise string) string {
	if best := harness.Nearest(word, known); best != "" {
		return fmt.Sprintf("the nearest is %q", best)
	}
	return otherwise
}

// put reads one overriding value: text as it is, a list or keys as YAML.
func (d *draft) put(path, value, source string) {
	over := reader{source: source, origins: d.reader.origins}
	field, tag := locate(reflect.ValueOf(&d.file).Elem(), path)
	for at := range d.reader.origins { // what is replaced as a whole is forgotten as a whole
		if strings.HasPrefix(at, path+"[") {
			delete(d.reader.origins, at)
		}
	}
	if scalar(field.Type()) {
		if what, do := set(field, value, tag); what != "" {
			over.problems = Problems{{At: source, Path: path, What: what, Do: do}}
		}
		over.origins[path] = source
	} else if root, problem := parse(source, []byte(value)); problem != nil {
		over.problems = Problems{{At: source, Path: path, What: problem.What, Do: "write it as YAML"}}
	} else {
		over.read(root, field, path, tag)
	}
	d.reader.problems = append(d.reader.problems, over.problems...)
}

func scalar(t reflect.Type) bool {
	return t == reflect.TypeFor[time.Duration]() || t.Kind() != reflect.Struct && t.Kind() != reflect.Slice && t.Kind() != reflect.Map
}

// locate finds the field of a path.
func locate(v reflect.Value, path string) (reflect.Value, reflect.StructTag) {
	name, rest, more := strings.Cut(path, ".")
	for _, k := range keysOf(v.Type()) {
		if k.name == name && more {
			return locate(v.Field(k.index), rest)
		}
		if k.name == name {
			return v.Field(k.index), k.field.Tag
		}
	}
	panic("config: locate is asked for known paths only: " + path)
}

// paths are all that can be overridden: every value, and every list as a whole.
func paths(t reflect.Type, at string) []string {
	var all []string
	for _, k := range keysOf(t) {
		path := join(at, k.name)
		if k.field.Type.Kind() == reflect.Struct {
			all = append(all, paths(k.field.Type, path)...)
			continue
		}
		all = append(all, path)
	}
	return all
}

// variable is the environment variable that overrides a path.
func variable(path string) string {
	return prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}
