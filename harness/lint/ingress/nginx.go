package ingress

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	crossplane "github.com/nginxinc/nginx-go-crossplane"

	"aegis.test/conformance/harness/lint/place"
)

// Open reads a file that a configuration includes, within the bounds of a run.
type Open func(path string) ([]byte, error)

// directive is a directive of nginx's, in the place where it takes effect.
type directive struct {
	at    place.Place
	name  string
	args  []string
	block []*directive
}

// arg is an argument; "" where there is none.
func (d *directive) arg(i int) string {
	if i < len(d.args) {
		return d.args[i]
	}
	return ""
}

// depth is how deep files may include each other.
const depth = 8

// maxFiles is how many files one configuration may include.
const maxFiles = 200

// nginxReader reads a file and what it includes.
type nginxReader struct {
	open  Open
	root  string // directory that relative names begin at
	files int
	vars  map[string]Origin // of the variables that map and set make, by name
	out   *Configuration
}

// ReadNginx reads a configuration of nginx: a whole one, or a part that others include.
func ReadNginx(file string, text []byte, open Open) (*Configuration, error) {
	r := &nginxReader{open: open, root: filepath.Dir(file), vars: map[string]Origin{}, out: &Configuration{File: file}}
	tree, err := r.parse(file, text, 0)
	if err != nil {
		return nil, err
	}
	r.variables(tree) // twice: a table may be of what a later one makes
	r.out.Maps = nil
	r.variables(tree)
	r.block(tree, scope{})
	return r.out, nil
}

// parse reads a text and puts what it includes in the includes' place.
func (r *nginxReader) parse(file string, text []byte, level int) ([]*directive, error) {
	if err := place.Shallow(file, text); err != nil {
		return nil, err
	}
	payload, err := crossplane.Parse(file, &crossplane.ParseOptions{
		SingleFile: true, SkipDirectiveContextCheck: true,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
	})
	if err != nil {
		return nil, place.Errorf(place.Place{File: file, Line: 1}, "it is no configuration of nginx's: %v", err)
	}
	if len(payload.Errors) > 0 {
		first := payload.Errors[0]
		at := place.Place{File: file, Line: 1}
		if first.Line != nil {
			at.Line = *first.Line
		}
		what := first.Error.Error()
		if told, ok := errors.AsType[*crossplane.ParseError](first.Error); ok {
			what = told.What
		}
		if bytes.Contains(text, []byte("{{")) {
			what = "it is a template: render it, and give what comes out (" + what + ")"
		}
		return nil, place.Errorf(at, "it is no configuration of nginx's: %s", what)
	}
	lines := bytes.Split(text, []byte("\n"))
	var tree []*directive
	for _, c := range payload.Config {
		below, err := r.placed(file, lines, c.Parsed, level)
		if err != nil {
			return nil, err
		}
		tree = append(tree, below...)
	}
	return tree, nil
}

// placed gives directives their places, and replaces what is included.
func (r *nginxReader) placed(file string, lines [][]byte, list crossplane.Directives, level int) ([]*directive, error) {
	var tree []*directive
	for _, d := range list {
		one := &directive{at: place.Place{File: file, Line: d.Line, Column: column(lines, d.Line, d.Directive)}, name: d.Directive, args: d.Args}
		if d.Directive == "include" && !d.IsMapBlockParameter {
			included, err := r.include(one, level)
			if err != nil {
				return nil, err
			}
			tree = append(tree, included...)
			continue
		}
		below, err := r.placed(file, lines, d.Block, level)
		if err != nil {
			return nil, err
		}
		one.block = below
		tree = append(tree, one)
	}
	return tree, nil
}

// column is where a word stands in a line, from 1; the first word's place otherwise.
func column(lines [][]byte, line int, word string) int {
	if line < 1 || line > len(lines) {
		return 0
	}
	if at := bytes.Index(lines[line-1], []byte(word)); at >= 0 {
		return at + 1
	}
	return 1 + len(lines[line-1]) - len(bytes.TrimLeft(lines[line-1], " \t"))
}

// plain are files that come with nginx and say nothing of certificates or headers.
var plain = regexp.MustCompile(`(^|/)(mime\.types|fastcgi_params|fastcgi\.conf|` +
	`scgi_params|uwsgi_params|koi-utf|koi-win|win-utf|modules-enabled/\*\.conf)$`)

// include reads what a directive includes; what is not among the files is noted.
func (r *nginxReader) include(d *directive, level int) ([]*directive, error) {
	pattern := d.arg(0)
	missing := func(why string) ([]*directive, error) {
		if !plain.MatchString(pattern) {
			r.out.Unresolved = append(r.out.Unresolved, Unresolved{d.at, "include " + pattern + ": " + why})
		}
		return nil, nil
	}
	if level >= depth {
		return missing("files include each other too deep, or in a circle")
	}
	if filepath.IsAbs(pattern) || !filepath.IsLocal(pattern) {
		return missing("it is not below the file's folder")
	}
	found, err := filepath.Glob(filepath.Join(r.root, pattern))
	if err != nil || len(found) == 0 {
		return missing("there is no such file here")
	}
	var tree []*directive
	for _, name := range found {
		if r.files++; r.files > maxFiles {
			return missing("it includes too many files")
		}
		text, err := r.open(name)
		if err != nil {
			return nil, place.Errorf(d.at, "including %s: %v", name, err)
		}
		r.out.Included = append(r.out.Included, name)
		below, err := r.parse(name, text, level+1)
		if err != nil {
			return nil, err
		}
		tree = append(tree, below...)
	}
	return tree, nil
}

// scope is what a block hands down to those in it.
type scope struct {
	sets        []Header // proxy_set_header, which a block of its own replaces wholly
	underscores bool
	verify      Verification
	verifyAt    place.Place
	says, ca    string
	old         []Word
	guarded     bool
}

// variables notes what the variables of map and set are made of, and which tables make
// an identity of a subject.
func (r *nginxReader) variables(list []*directive) {
	for _, d := range list {
		switch {
		case d.name == "map" && len(d.args) == 2:
			r.vars[strings.TrimPrefix(d.arg(1), "$")] = r.origin(d.arg(0))
			r.table(d)
		case d.name == "set":
			r.vars[strings.TrimPrefix(d.arg(0), "$")] = r.origin(d.arg(1))
		}
		r.variables(d.block)
	}
}

// table reads a map from the certificate's subject.
func (r *nginxReader) table(d *directive) {
	if r.origin(d.arg(0)) != Subject {
		return
	}
	for _, row := range d.block {
		if pattern, ok := strings.CutPrefix(row.name, "~"); ok {
			r.out.Maps = append(r.out.Maps, Map{At: row.at, Pattern: strings.TrimPrefix(pattern, "*"), Gives: row.arg(0),
				Legacy: strings.Contains(d.arg(0), "legacy")})
		}
	}
}

// block reads the servers in a block, which inherit what it says.
func (r *nginxReader) block(list []*directive, s scope) {
	s = r.own(list, s)
	for _, d := range list {
		switch d.name {
		case "server":
			if d.block != nil { // in upstream it is an address
				r.server(d, s)
			}
		case "http":
			r.block(d.block, s)
		}
	}
}

// own are a block's own directives.
func (r *nginxReader) own(list []*directive, s scope) scope {
	var sets []Header
	for _, d := range list {
		switch d.name {
		case "proxy_set_header", "grpc_set_header":
			sets = append(sets, r.header(d))
		case "underscores_in_headers":
			s.underscores = d.arg(0) == "on"
		case "ssl_verify_client":
			s.verify, s.verifyAt, s.says = nginxVerification[d.arg(0)], d.at, "ssl_verify_client "+d.arg(0)
		case "ssl_client_certificate", "ssl_trusted_certificate":
			if s.ca == "" || d.name == "ssl_client_certificate" {
				s.ca = d.arg(0)
			}
		case "ssl_protocols":
			s.old = nil
			for _, name := range d.args {
				if slices.Contains([]string{"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"}, name) {
					s.old = append(s.old, Word{d.at, name})
				}
			}
		case "if":
			s.guarded = s.guarded || refusesUnverified(d)
		}
	}
	if sets != nil {
		s.sets = sets
	}
	return s
}

var nginxVerification = map[string]Verification{"on": Required, "optional": Optional, "optional_no_ca": Unverified}

// refusesUnverified says whether an if refuses whoever has no verified certificate.
func refusesUnverified(d *directive) bool {
	if len(d.args) != 3 || d.args[0] != "$ssl_client_verify" || !strings.HasPrefix(d.args[1], "!") ||
		strings.Trim(d.args[2], "^$") != "SUCCESS" {
		return false
	}
	return slices.ContainsFunc(d.block, func(b *directive) bool { return b.name == "return" && strings.HasPrefix(b.arg(0), "4") })
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z0-9_]+)`)

// origin is where a value comes from: what the caller says of itself goes before all.
func (r *nginxReader) origin(value string) Origin {
	from := Literal
	for _, found := range variable.FindAllStringSubmatch(value, -1) {
		name := found[1]
		made := r.vars[name]
		switch {
		case strings.HasPrefix(name, "http_") || made == Caller:
			return Caller
		case strings.HasPrefix(name, "ssl_client_") && name != "ssl_client_verify" || made == Subject:
			from = Subject
		}
	}
	return from
}

// header is what a directive does to a header.
func (r *nginxReader) header(d *directive) Header {
	h := Header{At: d.at, Name: strings.TrimPrefix(d.arg(0), "HTTP_"), Value: d.arg(1), From: r.origin(d.arg(1))}
	if h.Value == "" {
		h.From = Nothing
	}
	return h
}

// server reads a virtual host.
func (r *nginxReader) server(d *directive, s scope) {
	s = r.own(d.block, s)
	one := Server{At: d.at, Syntax: "nginx", Verify: s.verify, VerifyAt: s.verifyAt, Says: s.says, CA: s.ca, Old: s.old}
	if s.says == "" {
		one.VerifyAt, one.Says = d.at, "no ssl_verify_client"
	}
	for _, below := range d.block {
		switch below.name {
		case "listen":
			one.TLS = one.TLS || slices.Contains(below.args, "ssl") || slices.Contains(below.args, "quic")
		case "ssl": // before nginx 1.25
			one.TLS = one.TLS || below.arg(0) == "on"
		case "server_name":
			one.Name = strings.Join(below.args, " ")
		}
	}
	r.routes(&one, d.block, s, "/")
	r.out.Servers = append(r.out.Servers, one)
}

// routes are a server's ways to services, those in its locations too.
func (r *nginxReader) routes(to *Server, list []*directive, s scope, path string) {
	for _, d := range list {
		switch d.name {
		case "proxy_pass", "grpc_pass":
			to.Routes = append(to.Routes, Route{At: d.at, Path: path, Upstream: upstream(d.arg(0)), Headers: s.sets,
				Guarded: s.guarded || to.Verify == Required, Underscores: s.underscores})
		case "location":
			r.routes(to, d.block, r.own(d.block, s), d.arg(len(d.args)-1))
		case "if", "limit_except":
			r.routes(to, d.block, s, path)
		}
	}
}

// upstream is who a proxy_pass leads to, without scheme and path.
func upstream(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	host, _, _ := strings.Cut(address, "/")
	return host
}
