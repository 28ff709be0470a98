package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/saved"
	"aegis.test/conformance/harness/strict"
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
// is strict.Problems.
func Load(s Sources) ([]Loaded, error) {
	text, err := saved.File(s.Path)
	if errors.Is(err, saved.ErrUTF16) {
		return nil, refused(strict.Problem{At: filepath.Base(s.Path), What: err.Error()})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w: conformance init writes one", err)
	}
	root, problem := strict.Parse(filepath.Base(s.Path), text)
	if problem != nil {
		problem.Do = cmp.Or(problem.Do, "conformance init writes one")
		return nil, refused(*problem)
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

// refused is the error of a configuration with problems.
func refused(problems ...strict.Problem) error {
	return fmt.Errorf("reading the configuration: %w", strict.Problems(problems))
}

// split takes the list of targets out of a document.
func split(root ast.Node) (shared, targets []ast.Node) {
	m, ok := root.(*ast.MappingNode)
	if !ok {
		return []ast.Node{root}, nil
	}
	i := slices.IndexFunc(m.Values, func(v *ast.MappingValueNode) bool { return strict.KeyName(v) == targetsKey })
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
	reader strict.Reader
	prefix string // of the paths in problems: targets[1]
}

func (s Sources) begin() draft {
	return draft{reader: strict.Reader{Source: filepath.Base(s.Path), Lines: true, Columns: true, Origins: map[string]string{}}}
}

func (d *draft) clone() draft {
	next := *d
	next.reader.Origins = map[string]string{}
	for path, origin := range d.reader.Origins {
		next.reader.Origins[path] = origin
	}
	next.reader.Problems = nil
	return next
}

func (d *draft) read(nodes []ast.Node, prefix string) {
	d.prefix = prefix
	for _, n := range nodes {
		d.reader.Read(n, reflect.ValueOf(&d.file).Elem(), "", "")
	}
}

// finish puts overrides over what the file says and defaults under it, and
// checks the whole.
func finish(s Sources, drafts []draft) ([]Loaded, error) {
	var problems strict.Problems
	var all []Loaded
	for i := range drafts {
		d := &drafts[i]
		d.override(s)
		d.defaults(reflect.ValueOf(&d.file).Elem(), "")
		l := Loaded{
			File: d.file, Source: filepath.Base(s.Path), Origins: d.reader.Origins,
			Lookup: Lookup{Getenv: getenv(s.Environ), Dir: filepath.Dir(s.Path)},
		}
		found := d.reader.Problems
		if len(found) == 0 { // what is half read contradicts itself in any case
			found = l.check()
		}
		for _, p := range found {
			if d.prefix != "" {
				p.Path = strict.Join(d.prefix, p.Path)
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
		return nil, refused(problems...)
	}
	return all, nil
}

// oneImage finds an image beside others: the stack that is started for it is the
// only target.
func oneImage(all []Loaded) strict.Problems {
	i := slices.IndexFunc(all, func(l Loaded) bool { return l.Service.Image != "" })
	if i < 0 || len(all) == 1 {
		return nil
	}
	const path = "service.image"
	return strict.Problems{
		{
			At:   all[i].Origins[path],
			Path: path,
			What: "a stack is started for it, and targets name what is there already",
			Do:   "give the image a file of its own",
		},
	}
}

// sameName finds targets that a roll-up could not tell apart.
func sameName(all []Loaded) strict.Problems {
	seen := map[string]bool{}
	for i, l := range all {
		if len(all) > 1 && (l.Target.Name == "" || seen[l.Target.Name]) {
			return strict.Problems{
				{
					At:   l.Source,
					Path: fmt.Sprintf("%s[%d].target.name", targetsKey, i),
					What: "each of several targets needs a name of its own",
					Do:   "name it",
				},
			}
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
	for _, k := range strict.Keys(v.Type()) {
		at, field := strict.Join(path, k.Name), v.Field(k.Index)
		switch {
		case field.Kind() == reflect.Struct:
			d.defaults(field, at)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				d.defaults(field.Index(i), fmt.Sprintf("%s[%d]", at, i))
			}
		case d.reader.Origins[at] == "" && k.Field.Tag.Get("default") != "":
			_, _ = strict.Set(field, k.Field.Tag.Get("default"), k.Field.Tag) // a test sets each
			d.reader.Origins[at] = byDefault
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
			d.reader.Problems = append(d.reader.Problems,
				strict.Problem{At: "environment", Path: name, What: "it overrides nothing", Do: near(name, names, "unset it")})
			continue
		}
		d.put(known[i], value, "environment "+name)
	}
	for _, text := range s.Set {
		path, value, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(known, path) {
			d.reader.Problems = append(d.reader.Problems,
				strict.Problem{At: "--set", Path: path, What: "there is no such value to set", Do: near(path, known, "write --set path=value")})
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
	over := strict.Reader{Source: source, Origins: d.reader.Origins}
	field, tag := locate(reflect.ValueOf(&d.file).Elem(), path)
	for at := range d.reader.Origins { // what is replaced as a whole is forgotten as a whole
		if strings.HasPrefix(at, path+"[") {
			delete(d.reader.Origins, at)
		}
	}
	if scalar(field.Type()) {
		if what, do := strict.Set(field, value, tag); what != "" {
			over.Problems = strict.Problems{{At: source, Path: path, What: what, Do: do}}
		}
		over.Origins[path] = source
	} else if root, problem := strict.Parse(source, []byte(value)); problem != nil {
		over.Problems = strict.Problems{{At: source, Path: path, What: problem.What, Do: "write it as YAML"}}
	} else {
		over.Read(root, field, path, tag)
	}
	d.reader.Problems = append(d.reader.Problems, over.Problems...)
}

func scalar(t reflect.Type) bool {
	return t == reflect.TypeFor[time.Duration]() || t.Kind() != reflect.Struct && t.Kind() != reflect.Slice && t.Kind() != reflect.Map
}

// locate finds the field of a path.
func locate(v reflect.Value, path string) (reflect.Value, reflect.StructTag) {
	name, rest, more := strings.Cut(path, ".")
	for _, k := range strict.Keys(v.Type()) {
		if k.Name == name && more {
			return locate(v.Field(k.Index), rest)
		}
		if k.Name == name {
			return v.Field(k.Index), k.Field.Tag
		}
	}
	panic("config: locate is asked for known paths only: " + path)
}

// paths are all that can be overridden: every value, and every list as a whole.
func paths(t reflect.Type, at string) []string {
	var all []string
	for _, k := range strict.Keys(t) {
		path := strict.Join(at, k.Name)
		if k.Field.Type.Kind() == reflect.Struct {
			all = append(all, paths(k.Field.Type, path)...)
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
