package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"aegis.test/conformance/harness"
)

// reader reads YAML nodes into values by their tags, and gathers what is wrong.
type reader struct {
	source   string            // what positions are in: a file, or an override
	lines    bool              // positions are told
	origins  map[string]string // by path, where each value came from
	problems Problems
}

func (r *reader) wrong(n ast.Node, path, what, do string) {
	r.problems = append(r.problems, Problem{At: r.at(n), Path: path, What: what, Do: do})
}

// at is the position of a node.
func (r *reader) at(n ast.Node) string {
	if !r.lines || n == nil || n.GetToken() == nil {
		return r.source
	}
	p := n.GetToken().Position
	if v, ok := n.(*ast.MappingNode); ok && !v.IsFlowStyle && len(v.Values) > 0 { // its token is the first colon
		p = v.Values[0].Key.GetToken().Position
	}
	return fmt.Sprintf("%s:%d:%d", r.source, p.Line, p.Column)
}

// key is a field of a struct as the format has it.
type key struct {
	name  string
	field reflect.StructField
	index int
}

func keysOf(t reflect.Type) []key {
	var keys []key
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			keys = append(keys, key{name, t.Field(i), i})
		}
	}
	return keys
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// read reads a node into a value. A tag, an anchor or an alias is refused: what
// is written is what is meant.
func (r *reader) read(n ast.Node, into reflect.Value, path string, tag reflect.StructTag) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.wrong(n, path, "anchors, aliases and tags are not read", "write the value out")
		return
	case *ast.NullNode:
		if into.Kind() == reflect.Struct { // a section in which everything is commented out
			return
		}
		r.wrong(n, path, "nothing behind the key", "give a value, or leave the key out")
		return
	}
	switch {
	case into.Type() == reflect.TypeFor[time.Duration](), into.Kind() != reflect.Struct && into.Kind() != reflect.Slice && into.Kind() != reflect.Map:
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
func (r *reader) entries(n ast.Node, path string) ([]*ast.MappingValueNode, bool) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.wrong(n, path, "got "+kind(n)+", want keys with values", "indent the keys below it")
		return nil, false
	}
	seen := map[string]bool{}
	var once []*ast.MappingValueNode
	for _, v := range values {
		name := keyName(v)
		if seen[name] {
			r.wrong(v.Key, join(path, name), "the key stands here twice", "keep one")
			continue
		}
		seen[name] = true
		once = append(once, v)
	}
	return once, true
}

func keyName(v *ast.MappingValueNode) string {
	return strings.Trim(v.Key.GetToken().Value, `"'`)
}

func (r *reader) mapping(n ast.Node, into reflect.Value, path string) {
	entries, ok := r.entries(n, path)
	if !ok {
		return
	}
	if path != "" {
		r.origins[path] = r.at(n)
	}
	keys := keysOf(into.Type())
	for _, v := range entries {
		name := keyName(v)
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i < 0 {
			r.wrong(v.Key, join(path, name), "there is no such key", advice(name, keys))
			continue
		}
		r.read(v.Value, into.Field(keys[i].index), join(path, name), keys[i].field.Tag)
	}
}

func advice(name string, keys []key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
	}
	if near := harness.Nearest(name, names); near != "" {
		return fmt.Sprintf("the nearest is %q", near)
	}
	return "want one of " + strings.Join(names, ", ")
}

// sequence replaces a list as a whole. The tag is its items'; where it says "single",
// one item may stand by itself.
func (r *reader) sequence(n ast.Node, into reflect.Value, path string, tag reflect.StructTag) {
	list, ok := n.(*ast.SequenceNode)
	values := []ast.Node{n}
	switch _, text := n.(*ast.StringNode); {
	case ok:
		values = list.Values
	case tag.Get("single") == "" || !text:
		r.wrong(n, path, "got "+kind(n)+", want a list", "write each item behind a hyphen")
		return
	}
	r.origins[path] = r.at(n)
	items := reflect.MakeSlice(into.Type(), len(values), len(values))
	for i, item := range values {
		at := path
		if ok {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		r.read(item, items.Index(i), at, tag)
	}
	into.Set(items)
}

// dictionary replaces a map of text as a whole.
func (r *reader) dictionary(n ast.Node, into reflect.Value, path string) {
	entries, ok := r.entries(n, path)
	if !ok {
		return
	}
	r.origins[path] = r.at(n)
	all := reflect.MakeMap(into.Type())
	for _, v := range entries {
		value := reflect.New(into.Type().Elem()).Elem()
		r.read(v.Value, value, join(path, keyName(v)), "")
		all.SetMapIndex(reflect.ValueOf(keyName(v)), value)
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

func (r *reader) scalar(n ast.Node, into reflect.Value, path string, tag reflect.StructTag) {
	text, ok := "", false
	switch s := n.(type) {
	case *ast.StringNode:
		text, ok = s.Value, into.Kind() == reflect.String || into.Type() == reflect.TypeFor[time.Duration]()
	case *ast.LiteralNode:
		text, ok = s.Value.Value, into.Kind() == reflect.String
	case *ast.BoolNode:
		text, ok = s.GetToken().Value, into.Kind() == reflect.Bool
	case *ast.IntegerNode:
		text, ok = s.GetToken().Value, into.Kind() == reflect.Int || into.Kind() == reflect.Float64
	case *ast.FloatNode:
		text, ok = s.GetToken().Value, into.Kind() == reflect.Float64
	}
	if !ok {
		r.wrong(n, path, fmt.Sprintf("got %s, want %s", kind(n), wanted(into.Type())), remedy(into.Type()))
		return
	}
	if what, do := set(into, text, tag); what != "" {
		r.wrong(n, path, what, do)
		return
	}
	r.origins[path] = r.at(n)
}

func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t == reflect.TypeFor[Reference]():
		return "a reference"
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
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "write it with its unit, as 30s or 5m"
	case t == reflect.TypeFor[Reference]():
		return "write env:NAME, file:PATH or vault:PATH#FIELD"
	case t.Kind() == reflect.String:
		return "put it between quotes"
	case t.Kind() == reflect.Bool:
		return "write true or false, without quotes"
	default:
		return "write a number, without quotes"
	}
}

// set sets a value from its text: from a file, an override or a default. What is
// wrong is said without a text that could be a secret.
func set(into reflect.Value, text string, tag reflect.StructTag) (what, do string) {
	t := into.Type()
	switch {
	case t == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return told(text) + " is no duration", remedy(t)
		}
		into.SetInt(int64(d))
	case t == reflect.TypeFor[Reference]():
		if what := Reference(text).wellFormed(); what != "" {
			return what + ", " + redacted(text), remedy(t)
		}
		into.SetString(text)
	case t.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return told(text) + " is neither true nor false", remedy(t)
		}
		into.SetBool(b)
	case t.Kind() == reflect.Int:
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 {
			return told(text) + " is no whole number from 0", remedy(t)
		}
		into.SetInt(int64(i))
	case t.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f < 0 {
			return told(text) + " is no number from 0", remedy(t)
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
		return told(text) + " is none of the values it may have", do
	}
	switch tag.Get("form") {
	case "url":
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return told(text) + " is no URL of http or https", "write it as https://aegis.staging.example, without user, query or fragment"
		}
	case "hostport":
		if host, port, err := net.SplitHostPort(text); err != nil || host == "" || port == "" {
			return told(text) + " is no host with a port", "write it as 10.0.0.1:443"
		}
	case "regexp":
		if _, err := regexp.Compile(text); err != nil {
			return told(text) + " is no regular expression", "see the syntax of Go's regexp"
		}
	}
	return "", ""
}
