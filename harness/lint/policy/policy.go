// Package policy reads Vault policies, by the parser of HCL that Vault itself has,
// and roles of Vault's Kubernetes auth, as they are written to its API.
package policy

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/parser"
	"github.com/hashicorp/hcl/hcl/token"
	json "github.com/hashicorp/hcl/json/parser"

	"aegis.test/conformance/harness/lint/place"
)

// Policy is one policy.
type Policy struct {
	At     place.Place
	Name   string // of its file, without the ending: what vault policy write is told, as a rule
	Grants []Grant
}

// Grant is what a policy says of one path.
type Grant struct {
	At           place.Place
	Path         string // as it is written, without a * at its end
	Prefix       bool   // a * stands at its end
	Capabilities []Capability
}

// Capability is one capability of a grant.
type Capability struct {
	At   place.Place
	Name string
}

// String is the path as the policy has it.
func (g Grant) String() string {
	if g.Prefix {
		return g.Path + "*"
	}
	return g.Path
}

// Can says whether the grant gives a capability.
func (g Grant) Can(name string) bool {
	return slices.ContainsFunc(g.Capabilities, func(c Capability) bool { return c.Name == name })
}

// Denies says whether the grant takes everything away: deny goes before all else.
func (g Grant) Denies() bool { return g.Can("deny") }

// Covers says whether the grant speaks of a path of Vault's: + stands for one segment,
// and a * at the end for all that begins so.
func (g Grant) Covers(path string) bool {
	pattern, rest := strings.Split(g.Path, "/"), strings.Split(path, "/")
	if len(rest) < len(pattern) || !g.Prefix && len(rest) != len(pattern) {
		return false
	}
	for i, segment := range pattern {
		last := i == len(pattern)-1
		switch {
		case segment == "+" || segment == rest[i]:
		case last && g.Prefix && strings.HasPrefix(rest[i], segment):
		default:
			return false
		}
	}
	return true
}

// Capabilities are those that Vault knows.
var Capabilities = []string{"create", "read", "update", "patch", "delete", "list", "sudo", "deny", "subscribe", "recover"}

// older are the policies of Vault before 0.5, which it still takes.
var older = map[string][]string{
	"deny": {"deny"}, "read": {"read", "list"}, "write": {"create", "read", "update", "patch", "delete", "list"},
	"sudo": {"create", "read", "update", "patch", "delete", "list", "sudo"},
}

// keys are what a path's block may hold.
var keys = []string{
	"capabilities", "policy", "comment", "allowed_parameters", "denied_parameters", "required_parameters", "min_wrapping_ttl",
	"max_wrapping_ttl",
	"mfa_methods", "control_group", "subscribe_event_types", "list_scan_response_keys_filter_path", "pagination_limit",
}

// ErrOther is the error of a text in HCL that is no policy.
var ErrOther = errors.New("it is no policy of Vault's: it has no path")

// hclLine is how the parser of HCL says where: At 3:12: …, or 1:1: ….
var hclLine = regexp.MustCompile(`(?i)^(?:error parsing: )?(?:at )?(\d+):(\d+):? `)

// Read reads a policy, in HCL or in its JSON form.
func Read(file string, text []byte) (*Policy, error) {
	if err := place.Shallow(file, text); err != nil {
		return nil, err
	}
	r := reader{file: file}
	parse := parser.Parse
	if strings.HasSuffix(file, ".json") {
		parse = json.Parse
	}
	tree, err := parse(text)
	if err != nil {
		at := place.Place{File: file, Line: 1}
		what := err.Error()
		if found := hclLine.FindStringSubmatch(what); found != nil {
			at.Line, _ = strconv.Atoi(found[1])
			at.Column, _ = strconv.Atoi(found[2])
			what = what[len(found[0]):]
		}
		if strings.Contains(string(text), "{{") && !strings.Contains(string(text), "{{identity.") {
			what = "it is a template: render it, and give what comes out (" + what + ")"
		}
		return nil, place.Errorf(at, "it is no HCL: %s", what)
	}
	root, ok := tree.Node.(*ast.ObjectList)
	if !ok {
		return nil, ErrOther
	}
	name := filepath.Base(file)
	p := &Policy{At: place.Place{File: file, Line: 1, Column: 1}, Name: strings.TrimSuffix(name, filepath.Ext(name))}
	paths := root.Filter("path")
	if len(paths.Items) == 0 {
		return nil, ErrOther
	}
	for _, item := range root.Items {
		if key := r.key(item, 0); key != "path" && key != "name" {
			return nil, place.Errorf(r.at(item.Pos()), "a policy has no %q: want path", key)
		}
	}
	for _, item := range paths.Items {
		if err := r.path(p, item); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// reader turns a tree of HCL into grants.
type reader struct{ file string }

func (r reader) at(p token.Pos) place.Place {
	return place.Place{File: r.file, Line: max(p.Line, 1), Column: p.Column}
}

// key is an item's key, without its quotes.
func (r reader) key(item *ast.ObjectItem, i int) string {
	if i >= len(item.Keys) {
		return ""
	}
	text, _ := item.Keys[i].Token.Value().(string)
	return text
}

// path reads a path and its block; in JSON the paths may stand together under one key.
func (r reader) path(p *Policy, item *ast.ObjectItem) error {
	block, ok := item.Val.(*ast.ObjectType)
	if !ok {
		return place.Errorf(r.at(item.Val.Pos()), "path wants a block with capabilities")
	}
	if len(item.Keys) == 0 {
		for _, below := range block.List.Items {
			if err := r.path(p, below); err != nil {
				return err
			}
		}
		return nil
	}
	at := r.at(item.Keys[0].Pos())
	g := Grant{At: at, Path: strings.TrimPrefix(r.key(item, 0), "/")}
	if g.Path, g.Prefix = strings.CutSuffix(g.Path, "*"); strings.Contains(g.Path, "+*") || strings.Contains(g.Path, "*") {
		return place.Errorf(at, "path %q: a * stands at the end only, and not behind a +", g.String())
	}
	for _, field := range block.List.Items {
		if err := r.field(&g, field); err != nil {
			return err
		}
	}
	p.Grants = append(p.Grants, g)
	return nil
}

// field reads one field of a path's block.
func (r reader) field(g *Grant, field *ast.ObjectItem) error {
	at := r.at(field.Keys[0].Pos())
	switch name := r.key(field, 0); {
	case name == "capabilities":
		list, ok := field.Val.(*ast.ListType)
		if !ok {
			return place.Errorf(at, "capabilities wants a list of texts")
		}
		for _, one := range list.List {
			text, ok := literal(one)
			if !ok || !slices.Contains(Capabilities, text) {
				return place.Errorf(r.at(one.Pos()), "capability %q is not known: want %s", text, strings.Join(Capabilities, ", "))
			}
			g.Capabilities = append(g.Capabilities, Capability{r.at(one.Pos()), text})
		}
	case name == "policy":
		text, _ := literal(field.Val)
		given, ok := older[text]
		if !ok {
			return place.Errorf(r.at(field.Val.Pos()), "policy %q is not known: want capabilities", text)
		}
		for _, one := range given {
			g.Capabilities = append(g.Capabilities, Capability{r.at(field.Val.Pos()), one})
		}
	case !slices.Contains(keys, name):
		return place.Errorf(at, "a path has no %q: want capabilities", name)
	}
	return nil
}

func literal(n ast.Node) (string, bool) {
	l, ok := n.(*ast.LiteralType)
	if !ok || l.Token.Type != token.STRING && l.Token.Type != token.HEREDOC {
		return "", false
	}
	text, ok := l.Token.Value().(string)
	return text, ok
}
