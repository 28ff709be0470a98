// Package strict reads YAML into structs and takes nothing that it does not know: an
// unknown key, a key twice, a value of another kind or an anchor is told with its place,
// all of them at once, and no value is told that could be a secret.
//
// Tags are the format: "yaml" names a key, "enum" lists the values it may have, "form"
// says what its text must be, "single" lets one item stand in the place of a list, and
// "plain" lets a number, true or false stand for text.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/saved"
)

// Reader reads nodes into values by their tags, and gathers what is wrong.
type Reader struct {
	Source   string            // what positions are in: a file, or an override
	Lines    bool              // lines are told
	Columns  bool              // columns as well
	Origins  map[string]string // by path, where each value came from
	Problems Problems
}

// Special is a kind of text with a form of its own; it is a type of string.
type Special interface {
	// Form says what is wanted, and what to write.
	Form() (wanted, remedy string)
	// Wrong says what is wrong with the text, or "".
	Wrong() string
}

// special is the zero value of a type with a form of its own.
func special(t reflect.Type) (Special, bool) {
	s, ok := reflect.Zero(t).Interface().(Special)
	return s, ok
}

// File reads a file into a struct: what one document holds, and where each value stood, by
// path. The error is Problems.
func File(source string, data []byte, into any) (origins map[string]string, err error) {
	text, err := saved.Text(data)
	if err != nil {
		return nil, Problems{{At: source + ":1", What: err.Error()}}
	}
	root, problem := Parse(source, text)
	if problem != nil {
		return nil, Problems{*problem}
	}
	r := Reader{Source: source, Lines: true, Origins: map[string]string{}}
	r.Read(root, reflect.ValueOf(into).Elem(), "", "")
	if len(r.Problems) > 0 {
		return r.Origins, r.Problems
	}
	return r.Origins, nil
}

// Parse parses a file that is one document. The library's own message quotes the file,
// which may hold a secret: only its heading is told.
func Parse(source string, text []byte) (ast.Node, *Problem) {
	documents, err := saved.Documents(text, parser.AllowDuplicateMapKey())
	if err != nil {
		p := Problem{
			At:   source,
			What: "it is no YAML",
			Do:   "look there for a bracket or a quote that is not closed, and for an indent that fits nothing above",
		}
		if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok && syntax.Token != nil {
			at := syntax.Token.Position
			p.At = fmt.Sprintf("%s:%d:%d", source, at.Line, at.Column)
			if lines := bytes.Split(text, []byte("\n")); bytes.HasPrefix(bytes.TrimLeft(lines[min(at.Line, len(lines))-1], " "), []byte("\t")) {
				p.What, p.Do = "a tab indents the line", "indent by spaces"
			}
		}
		return nil, &p
	}
	if len(documents) != 1 {
		return nil, &Problem{At: source, What: fmt.Sprintf("want one document with keys, got %d", len(documents))}
	}
	return documents[0], nil
}

// Wrong notes a mistake at a node.
func (r *Reader) Wrong(n ast.Node, path, what, do string) {
	r.Problems = append(r.Problems, Problem{At: r.at(n), Path: path, What: what, Do: do})
}

// at is the position of a node.
func (r *Reader) at(n ast.Node) string {
	if !r.Lines || n == nil || n.GetToken() == nil {
		return r.Source
	}
	p := n.GetToken().Position
	if v, ok := n.(*ast.MappingNode); ok && !v.IsFlowStyle && len(v.Values) > 0 { // its token is the first colon
		p = v.Values[0].Key.GetToken().Position
	}
	if !r.Columns {
		return fmt.Sprintf("%s:%d", r.Source, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", r.Source, p.Line, p.Column)
}

// Key is a field of a struct as the format has it.
type Key struct {
	Name  string
	Field reflect.StructField
	Index int
}

// Keys are the keys of a struct, in its order.
func Keys(t reflect.Type) []Key {
	var keys []Key
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			keys = append(keys, Key{name, t.Field(i), i})
		}
	}
	return keys
}

// Join is the path of a key below another.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Read reads a node into a value. A tag, an anchor or an alias is refused: what
// is written is what is meant.
func (r *Reader) Read(n ast.Node, into reflect.Value, path string, tag reflect.StructTag) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.Wrong(n, path, "anchors, aliases and tags are not read", "write the value out")
		return
	case *ast.NullNode:
		if into.Kind() == reflect.Struct { // a section in which everything is commented out
			return
		}
		r.Wrong(n, path, "nothing behind the key", "give a value, or leave the key out")
		return
	}
	switch {
	case into.Type() == reflect.TypeFor[time.Duration](),
		into.Kind() != reflect.Struct && into.Kind() != reflect.Slice && into.Kind() != reflect.Map:
		r.scalar(n, into, path, tag)
	case into.Kind() == reflect.Struct:
		r.mapping(n, into, path)
	case into.Kind() == reflect.Slice:
		r.sequence(n, into, path, tag)
	default:
		r.dictionary(n, into, path)
	}
}

// entries are a mapping's, each key once.
func (r *Reader) entries(n ast.Node, path string) ([]*ast.MappingValueNode, bool) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.Wrong(n, path, "got "+kind(n)+", want keys with values", "indent the keys below it")
		return nil, false
	}
	seen := map[string]bool{}
	var once []*ast.MappingValueNode
	for _, v := range values {
		name := KeyName(v)
		if seen[name] {
			r.Wrong(v.Key, Join(path, name), "the key stands here twice", "keep one")
			continue
		}
		seen[name] = true
		once = append(once, v)
	}
	return once, true
}

// KeyName is a key as it is written, quotes taken off.
func KeyName(v *ast.MappingValueNode) string {
	return strings.Trim(v.Key.GetToken().Value, `"'`)
}

func (r *Reader) mapping(n ast.Node, into reflect.Value, path string) {
	entries, ok := r.entries(n, path)
	if !ok {
		return
	}
	if path != "" {
		r.Origins[path] = r.at(n)
	}
	keys := Keys(into.Type())
	for _, v := range entries {
		name := KeyName(v)
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
		if i < 0 {
			r.Wrong(v.Key, Join(path, name), "there is no such key", advice(name, keys))
			continue
		}
		r.Read(v.Value, into.Field(keys[i].Index), Join(path, name), keys[i].Field.Tag)
	}
}

func advice(name string, keys []Key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	if near := harness.Nearest(name, names); near != "" {
		return fmt.Sprintf("the nearest is %q", near)
	}
	return "want one of " + strings.Join(names, ", ")
}

// sequence replaces a list as a whole. The tag is its items'; where it says "single",
// one item may stand by itself.
func (r *Reader) sequence(n ast.Node, into reflect.Value, path string, tag reflect.StructTag) {
	list, ok := n.(*ast.SequenceNode)
	values := []ast.Node{n}
	switch _, text := n.(*ast.StringNode); {
	case ok:
		values = list.Values
	case tag.Get("single") == "" || !text:
		r.Wrong(n, path, "got "+kind(n)+", want a list", "write each item behind a hyphen")
		return
	}
	r.Origins[path] = r.at(n)
	items := reflect.MakeSlice(into.Type(), len(values), len(values))
	for i, item := range values {
		at := path
		if ok {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		r.Read(item, items.Index(i), at, tag)
	}
	into.Set(items)
}

// dictionary replaces a map of text as a whole.
func (r *Reader) dictionary(n ast.Node, into reflect.Value, path string) {
	entries, ok := r.entries(n, path)
	if !ok {
		return
	}
	r.Origins[path] = r.at(n)
	all := reflect.MakeMap(into.Type())
	for _, v := range entries {
		value := reflect.New(into.Type().Elem()).Elem()
		r.Read(v.Value, value, Join(path, KeyName(v)), "")
		all.SetMapIndex(reflect.ValueOf(KeyName(v)), value)
	}
	into.Set(all)
}

// kind names what a node is.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	default:
		return "something else"
	}
}

func (r *Reader) scalar(n ast.Node, into reflect.Value, path string, tag reflect.StructTag) {
	text, ok := "", false
	plain := into.Kind() == reflect.String && tag.Get("plain") != ""
	switch s := n.(type) {
	case *ast.StringNode:
		text, ok = s.Value, into.Kind() == reflect.String || into.Type() == reflect.TypeFor[time.Duration]()
	case *ast.LiteralNode:
		text, ok = s.Value.Value, into.Kind() == reflect.String
	case *ast.BoolNode:
		text, ok = s.GetToken().Value, into.Kind() == reflect.Bool || plain
	case *ast.IntegerNode:
		text, ok = s.GetToken().Value, into.Kind() == reflect.Int || into.Kind() == reflect.Float64 || plain
	case *ast.FloatNode:
		text, ok = s.GetToken().Value, into.Kind() == reflect.Float64 || plain
	}
	if !ok {
		r.Wrong(n, path, fmt.Sprintf("got %s, want %s", kind(n), wanted(into.Type())), remedy(into.Type()))
		return
	}
	if what, do := Set(into, text, tag); what != "" {
		r.Wrong(n, path, what, do)
		return
	}
	r.Origins[path] = r.at(n)
}

func wanted(t reflect.Type) string {
	if s, ok := special(t); ok {
		what, _ := s.Form()
		return what
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	default:
		return "text"
	}
}

func remedy(t reflect.Type) string {
	if s, ok := special(t); ok {
		_, do := s.Form()
		return do
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "write it with its unit, as 30s or 5m"
	case t.Kind() == reflect.String:
		return "put it between quotes"
	case t.Kind() == reflect.Bool:
		return "write true or false, without quotes"
	default:
		return "write a number, without quotes"
	}
}

// Set sets a value from its text: from a file, an override or a default. What is
// wrong is said without a text that could be a secret.
func Set(into reflect.Value, text string, tag reflect.StructTag) (what, do string) {
	t := into.Type()
	if _, ok := special(t); ok {
		into.SetString(text)
		if what := into.Interface().(Special).Wrong(); what != "" {
			into.SetZero()
			return what + ", " + Redacted(text), remedy(t)
		}
		return "", ""
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return Told(text) + " is no duration", remedy(t)
		}
		into.SetInt(int64(d))
	case t.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return Told(text) + " is neither true nor false", remedy(t)
		}
		into.SetBool(b)
	case t.Kind() == reflect.Int:
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 {
			return Told(text) + " is no whole number from 0", remedy(t)
		}
		into.SetInt(int64(i))
	case t.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f < 0 {
			return Told(text) + " is no number from 0", remedy(t)
		}
		into.SetFloat(f)
	default:
		if what, do := formed(text, tag); what != "" {
			return what, do
		}
		if scheme, rest, ok := strings.Cut(text, "://"); ok && tag.Get("form") == "url" {
			text = strings.ToLower(scheme) + "://" + rest // in any case (RFC 3986 section 3.1)
		}
		into.SetString(text)
	}
	return "", ""
}

// formed says what is wrong with text by its tag.
func formed(text string, tag reflect.StructTag) (what, do string) {
	if list := tag.Get("enum"); list != "" && !slices.Contains(strings.Split(list, ","), text) {
		do = "want " + strings.ReplaceAll(list, ",", ", ")
		if near := harness.Nearest(text, strings.Split(list, ",")); near != "" {
			do = fmt.Sprintf("the nearest is %q; %s", near, do)
		}
		return Told(text) + " is none of the values it may have", do
	}
	switch tag.Get("form") {
	case "url":
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return Told(text) + " is no URL of http or https", "write it as https://aegis.staging.example, without user, query or fragment"
		}
	case "hostport":
		if host, port, err := net.SplitHostPort(text); err != nil || host == "" || port == "" {
			return Told(text) + " is no host with a port", "write it as 10.0.0.1:443"
		}
	case "regexp":
		if _, err := regexp.Compile(text); err != nil {
			return Told(text) + " is no regular expression", "see the syntax of Go's regexp"
		}
	}
	return "", ""
}
