package harness_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "aegis.test/conformance"

// door is what a room may not import, and why.
type door struct {
	room    string   // directory from the module's root; a last * stands for every directory there
	except  []string // directories that * does not stand for
	forbids []string // import paths, with all below them; "third-party" is all that is neither ours nor the standard library's
	uses    []string // package.Name selectors that may not be used
	through bool     // also not through other packages of ours
	because string
}

var doors = []door{
	{room: "harness", forbids: []string{"third-party", module + "/harness", module + "/fixtures", module + "/suites"}, through: true,
		because: "the vocabulary outlives the runner and the engine"},
	{room: "harness/stack", forbids: []string{"github.com/onsi"}, through: true,
		because: "what starts a target does not test it"},
	{room: "harness/wire", forbids: []string{"github.com/onsi", module + "/harness/probe", module + "/harness/outcome", module + "/harness/run"}, through: true,
		because: "what sends bytes knows no credential and no verdict"},
	{room: "harness/probe", forbids: []string{"github.com/onsi", module + "/harness/outcome", module + "/harness/run"}, through: true,
		because: "a probe observes and does not judge"},
	{room: "harness/probe/*", forbids: []string{"github.com/onsi", module + "/harness/outcome", module + "/harness/run"}, through: true,
		because: "a probe observes and does not judge"},
	{room: "harness/probe", forbids: slices.Concat(onMore, onCalls), because: "what acts on more than calls is made of calls"},
	{room: "harness/probe/replica", forbids: slices.Concat(onMore, without("replica", onCalls)), because: beside},
	{room: "harness/probe/edge", forbids: slices.Concat(onMore, without("edge", onCalls)), because: beside},
	{room: "harness/probe/keyset", forbids: slices.Concat(onMore, without("keyset", onCalls)), because: beside},
	{room: "harness/probe/leak", forbids: without("leak", onMore), because: beside},
	{room: "harness/probe/monitor", forbids: without("monitor", onMore), because: beside},
	{room: "harness/probe/rollout", forbids: without("rollout", onMore), because: beside},
	{room: "harness/probe/rotation", forbids: without("rotation", onMore), because: beside},
	{room: "harness/probe/vaultauth", forbids: slices.Concat(without("vaultauth", onMore), onCalls), because: beside},
	{room: "harness/outcome", forbids: []string{"net", "net/http", "os", module + "/harness/probe", module + "/harness/wire"},
		because: "an outcome judges and does not act"},
	{room: "harness/run", forbids: []string{"github.com/onsi", "github.com/testcontainers", module + "/harness/stack"}, through: true,
		because: "the same engine serves Ginkgo, the command and the fault suite"},
	{room: "harness/report", forbids: []string{"github.com/onsi", "github.com/testcontainers", module + "/harness/probe", module + "/harness/wire"}, through: true,
		because: "a report can be made from a file, years later"},
	{room: "harness/signoff", forbids: []string{"github.com/onsi", "github.com/testcontainers", module + "/harness/probe", module + "/harness/wire"}, through: true,
		because: "a report can be made from a file, years later"},
	{room: "harness/lint", forbids: []string{"net", "net/http", "os/exec", "github.com/onsi", module + "/harness/probe",
		module + "/harness/stack"},
		because: "lint reads files and asks nobody"},
	{room: "harness/lint/*", except: []string{"testdata"}, forbids: []string{"net", "net/http", "os/exec", "github.com/onsi",
		module + "/harness/probe", module + "/harness/outcome"},
		because: "a reader says what stands in a file, and judges nothing"},
	{room: "suites/*", except: []string{"faults"}, forbids: []string{"os", "net"},
		uses: []string{"http.Get", "http.Head", "http.Post", "http.PostForm", "http.Client", "http.DefaultClient", "http.NewRequest",
			"http.NewRequestWithContext", "http.Transport", "tls.Client", "tls.Dial", "tls.DialWithDialer", "tls.Dialer"},
		because: "a requirement has no hands"},
	{room: "harness/stack/live", forbids: []string{"github.com/onsi", "github.com/testcontainers", module + "/harness/run"}, through: true,
		because: "what connects to a target starts none, and does not test it"},
	{room: "harness/stack", uses: freeClients, because: ownClients},
	{room: "harness/stack/live", uses: freeClients, because: ownClients},
	{room: "harness/run", uses: freeClients, because: ownClients},
	{room: "harness/cmd/conformance", uses: freeClients, because: ownClients},
	{room: "harness/cmd/conformance", forbids: []string{"github.com/c2sp/wycheproof"}, through: true,
		because: "all of its vectors are 110 MB in the program: harness/token/wycheproof keeps the two files that are about tokens"},
	{room: "fixtures/vault", uses: freeClients, because: ownClients},
	{room: "fixtures/awssecrets", uses: freeClients, because: ownClients},
	{room: "fixtures/monitoring", uses: freeClients, because: ownClients},
	{room: "fixtures/*", forbids: []string{"github.com/onsi", module + "/harness/run", module + "/suites"}, through: true,
		because: "what a target is made of does not know it is tested"},
}

// Rooms of probe: onCalls act on one thing by calls, onMore on several.
var (
	onCalls = []string{module + "/harness/probe/replica", module + "/harness/probe/edge", module + "/harness/probe/keyset"}
	onMore  = []string{module + "/harness/probe/leak", module + "/harness/probe/monitor", module + "/harness/probe/rollout",
		module + "/harness/probe/rotation", module + "/harness/probe/vaultauth"}
)

// beside is why rooms that stand beside one another do not meet.
const beside = "what two rooms share stands below both"

// without is a list of rooms but one.
func without(name string, rooms []string) []string {
	return slices.DeleteFunc(slices.Clone(rooms), func(room string) bool { return strings.HasSuffix(room, "/"+name) })
}

// ownClients is why rooms that carry credentials make no client of their own.
const ownClients = "a credential goes nowhere but where the configuration says: harness/outbound makes the clients"

// freeClients follow redirects wherever these lead.
var freeClients = []string{"http.Get", "http.Head", "http.Post", "http.PostForm", "http.DefaultClient"}

func TestDoors(t *testing.T) {
	for _, d := range doors {
		broken, rooms := d.check(t, "..")
		if rooms == 0 {
			t.Errorf("%s: no such room", d.room)
		}
		for _, b := range broken {
			t.Error(b)
		}
	}
}

// TestDoorsBite seeds each forbidden thing into a copy of a room and wants the
// room and the reason named.
func TestDoorsBite(t *testing.T) {
	for _, d := range doors {
		for _, seed := range d.seeds() {
			t.Run(d.room+" "+seed.what, func(t *testing.T) {
				tree := t.TempDir()
				room := strings.Replace(d.room, "*", "seeded", 1)
				write(t, filepath.Join(tree, room, "seed.go"), "package seeded\n\n"+seed.code)
				broken, _ := d.check(t, tree)
				if len(broken) != 1 || !strings.Contains(broken[0], room) || !strings.Contains(broken[0], d.because) {
					t.Errorf("seeding %s: %q, want one message that names %s and %q", seed.what, broken, room, d.because)
				}
			})
		}
		if d.through {
			t.Run(d.room+" through another room", func(t *testing.T) { d.bitesThrough(t) })
		}
	}
}

// bitesThrough seeds a room that imports a package of ours that imports the
// forbidden one.
func (d door) bitesThrough(t *testing.T) {
	tree := t.TempDir()
	room := strings.Replace(d.room, "*", "seeded", 1)
	write(t, filepath.Join(tree, room, "seed.go"), "package seeded\n\nimport _ \""+module+"/between\"\n")
	write(t, filepath.Join(tree, "between", "between.go"), "package between\n\n"+d.seeds()[0].code)
	if broken, _ := d.check(t, tree); len(broken) != 1 || !strings.Contains(broken[0], module+"/between") {
		t.Errorf("got %q, want one message that names the way through", broken)
	}
}

type seed struct{ what, code string }

func (d door) seeds() []seed {
	var seeds []seed
	for _, path := range d.forbids {
		if path == "third-party" {
			path = "example.org/anything"
		}
		seeds = append(seeds, seed{path, fmt.Sprintf("import _ %q\n", path)})
	}
	for _, use := range d.uses {
		pkg := map[string]string{"http": "net/http", "tls": "crypto/tls"}[strings.Split(use, ".")[0]]
		seeds = append(seeds, seed{use, fmt.Sprintf("import %q\n\nvar _ = %s\n", pkg, use)})
	}
	return seeds
}

// check reads the rooms a door stands before, in the tree at root.
func (d door) check(t *testing.T, root string) (broken []string, rooms int) {
	t.Helper()
	matches, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(d.room)))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range matches {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || slices.Contains(d.except, filepath.Base(dir)) {
			continue
		}
		rooms++
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		broken = append(broken, d.imports(t, root, filepath.ToSlash(rel))...)
		broken = append(broken, d.selectors(t, root, filepath.ToSlash(rel))...)
	}
	return broken, rooms
}

// imports walks from a room to what it imports; through says whether the
// packages of ours that it imports are walked too.
func (d door) imports(t *testing.T, root, room string) (broken []string) {
	ways := map[string]string{room: room}
	for queue := []string{room}; len(queue) > 0; queue = queue[1:] {
		for _, path := range importsOf(t, filepath.Join(root, filepath.FromSlash(queue[0]))) {
			if d.forbidden(path) {
				broken = append(broken, fmt.Sprintf("%s may not import %s, because %s (by way of %s)", room, path, d.because, ways[queue[0]]))
				continue
			}
			ours, ok := strings.CutPrefix(path, module+"/")
			if _, walked := ways[ours]; ok && d.through && !walked {
				ways[ours] = ways[queue[0]] + " → " + path
				queue = append(queue, ours)
			}
		}
	}
	return broken
}

func (d door) forbidden(path string) bool {
	for _, f := range d.forbids {
		standard := !strings.Contains(strings.Split(path, "/")[0], ".")
		switch {
		case f == "third-party":
			if !standard && path != module && !strings.HasPrefix(path, module+"/") {
				return true
			}
		case path == f, !standardLibrary(f) && strings.HasPrefix(path, f+"/"):
			return true
		}
	}
	return false
}

func standardLibrary(path string) bool { return !strings.Contains(strings.Split(path, "/")[0], ".") }

// selectors finds the selectors a room may not use.
func (d door) selectors(t *testing.T, root, room string) (broken []string) {
	for _, file := range filesOf(t, filepath.Join(root, filepath.FromSlash(room))) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && slices.Contains(d.uses, pkg.Name+"."+s.Sel.Name) {
					broken = append(broken, fmt.Sprintf("%s may not use %s.%s, because %s", room, pkg.Name, s.Sel.Name, d.because))
				}
			}
			return true
		})
	}
	return broken
}

func importsOf(t *testing.T, dir string) []string {
	var paths []string
	for _, file := range filesOf(t, dir) {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// filesOf parses a directory's Go files, its tests left out.
func filesOf(t *testing.T, dir string) []*ast.File {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
