package ingress

import (
	"path/filepath"
	"slices"
	"strings"

	"aegis.test/conformance/harness/lint/place"
)

// Caddy's own parser is in Caddy's module, with some 140 packages behind it: the words
// of a Caddyfile are split here, by its documentation ("Caddyfile concepts"), and a test
// in a module of its own may hold them to Caddy's.

// caddyWord is a word of a Caddyfile.
type caddyWord struct {
	at     place.Place
	text   string
	quoted bool
}

// caddyWords splits a text into words: quotes, backquotes and heredocs keep spaces.
func caddyWords(file string, text []byte) ([]caddyWord, error) {
	var words []caddyWord
	line, column := 1, 0
	for i := 0; i < len(text); {
		c := text[i]
		column++
		at := place.Place{File: file, Line: line, Column: column}
		switch {
		case c == '\n':
			line, column = line+1, 0
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '\\' && i+1 < len(text) && text[i+1] == '\n': // the line goes on
			words = append(words, caddyWord{at: at, text: "\\\n"})
			line, column = line+1, 0
			i += 2
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		default:
			word, n, err := caddyWordAt(text[i:], at)
			if err != nil {
				return nil, err
			}
			words = append(words, word)
			if lines := strings.Count(string(text[i:i+n]), "\n"); lines > 0 {
				line += lines
				column = n - strings.LastIndexByte(string(text[i:i+n]), '\n') - 1
			} else {
				column += n - 1
			}
			i += n
		}
	}
	return words, nil
}

// caddyWordAt is the word that a text begins with, and its length.
func caddyWordAt(text []byte, at place.Place) (caddyWord, int, error) {
	if c := text[0]; c == '"' || c == '`' {
		var word strings.Builder
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == c:
				return caddyWord{at, word.String(), true}, i + 1, nil
			case text[i] == '\\' && c == '"' && i+1 < len(text) && text[i+1] == '"':
				i++
				word.WriteByte(text[i])
			default:
				word.WriteByte(text[i])
			}
		}
		return caddyWord{}, 0, place.Errorf(at, "it is no Caddyfile: a quote is not closed")
	}
	n := 0
	for n < len(text) && !strings.ContainsRune(" \t\r\n", rune(text[n])) {
		n++
	}
	word := string(text[:n])
	mark, heredoc := strings.CutPrefix(word, "<<")
	if !heredoc || mark == "" {
		return caddyWord{at, word, false}, n, nil
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	begun := len(text) - len(rest)
	for _, l := range strings.SplitAfter(rest, "\n") {
		if strings.TrimSpace(l) == mark || strings.HasPrefix(strings.TrimSpace(l), mark+" ") {
			end := begun + strings.Index(l, mark) + len(mark)
			return caddyWord{at, string(text[n:end]), true}, end, nil
		}
		begun += len(l)
	}
	return caddyWord{}, 0, place.Errorf(at, "it is no Caddyfile: the text behind %s is not ended", word)
}

// caddyDirective is a line of a Caddyfile, with the block behind it.
type caddyDirective struct {
	at    place.Place
	words []string
	block []*caddyDirective
	open  bool
}

func (d *caddyDirective) word(i int) string {
	if i < len(d.words) {
		return d.words[i]
	}
	return ""
}

// caddyTree puts words into lines and blocks.
func caddyTree(words []caddyWord) ([]*caddyDirective, error) {
	root := &caddyDirective{}
	stack := []*caddyDirective{root}
	var line *caddyDirective
	last, goesOn := 0, false
	for _, w := range words {
		top := stack[len(stack)-1]
		if w.text == "\\\n" && !w.quoted {
			goesOn = true
			continue
		}
		if w.at.Line != last && !goesOn {
			line = nil
		}
		last, goesOn = w.at.Line+strings.Count(w.text, "\n"), false
		switch {
		case w.text == "{" && !w.quoted:
			if line == nil {
				line = &caddyDirective{at: w.at}
				top.block = append(top.block, line)
			}
			line.open = true
			stack = append(stack, line)
			line = nil
		case w.text == "}" && !w.quoted:
			if len(stack) == 1 {
				return nil, place.Errorf(w.at, "it is no Caddyfile: a brace closes nothing")
			}
			stack = stack[:len(stack)-1]
			line = nil
		case line == nil:
			line = &caddyDirective{at: w.at, words: []string{w.text}}
			top.block = append(top.block, line)
		default:
			line.words = append(line.words, w.text)
		}
		if strings.HasSuffix(w.text, ",") && len(stack) == 1 {
			goesOn = true // addresses of a site go on in the next line
		}
	}
	if len(stack) > 1 {
		return nil, place.Errorf(stack[len(stack)-1].at, "it is no Caddyfile: a brace is not closed")
	}
	return root.block, nil
}

// caddyReader reads sites.
type caddyReader struct {
	open     Open
	root     string
	files    int
	snippets map[string][]*caddyDirective
	vars     map[string]Origin
	out      *Configuration
}

// ReadCaddy reads a Caddyfile.
func ReadCaddy(file string, text []byte, open Open) (*Configuration, error) {
	r := &caddyReader{open: open, root: filepath.Dir(file), snippets: map[string][]*caddyDirective{}, vars: map[string]Origin{},
		out: &Configuration{File: file}}
	tree, err := r.parse(file, text)
	if err != nil {
		return nil, err
	}
	plain := false // auto_https off
	for _, d := range tree {
		if name, ok := strings.CutPrefix(d.word(0), "("); ok && d.open {
			r.snippets[strings.TrimSuffix(name, ")")] = d.block
		}
		if len(d.words) == 0 {
			for _, option := range d.block {
				plain = plain || option.word(0) == "auto_https" && option.word(1) == "off"
			}
		}
	}
	if tree, err = r.imported(tree, 0); err != nil {
		return nil, err
	}
	if len(tree) > 0 && !tree[0].open { // one site, without braces
		tree = []*caddyDirective{{at: tree[0].at, words: tree[0].words, block: tree[1:], open: true}}
	}
	for _, d := range tree {
		if d.open && len(d.words) > 0 && !strings.HasPrefix(d.word(0), "(") && !strings.HasPrefix(d.word(0), "&(") {
			r.site(d, plain)
		}
	}
	return r.out, nil
}

func (r *caddyReader) parse(file string, text []byte) ([]*caddyDirective, error) {
	if err := place.Shallow(file, text); err != nil {
		return nil, err
	}
	words, err := caddyWords(file, text)
	if err != nil {
		return nil, err
	}
	return caddyTree(words)
}

// imported puts snippets and files in the place of what imports them.
func (r *caddyReader) imported(list []*caddyDirective, level int) ([]*caddyDirective, error) {
	var all []*caddyDirective
	for _, d := range list {
		if d.word(0) != "import" {
			below, err := r.imported(d.block, level)
			if err != nil {
				return nil, err
			}
			d.block = below
			all = append(all, d)
			continue
		}
		found, err := r.importOf(d, level)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (r *caddyReader) importOf(d *caddyDirective, level int) ([]*caddyDirective, error) {
	missing := func(why string) ([]*caddyDirective, error) {
		r.out.Unresolved = append(r.out.Unresolved, Unresolved{d.at, "import " + d.word(1) + ": " + why})
		return nil, nil
	}
	if r.files++; level >= depth || r.files > maxFiles {
		return missing("imports are too many, or in a circle")
	}
	if snippet, ok := r.snippets[d.word(1)]; ok {
		return r.imported(copied(snippet), level+1)
	}
	if !filepath.IsLocal(d.word(1)) {
		return missing("it is not below the file's folder")
	}
	found, err := filepath.Glob(filepath.Join(r.root, d.word(1)))
	if err != nil || len(found) == 0 {
		return missing("there is no such file here")
	}
	var all []*caddyDirective
	for _, name := range found {
		text, err := r.open(name)
		if err != nil {
			return nil, place.Errorf(d.at, "importing %s: %v", name, err)
		}
		r.out.Included = append(r.out.Included, name)
		tree, err := r.parse(name, text)
		if err != nil {
			return nil, err
		}
		if tree, err = r.imported(tree, level+1); err != nil {
			return nil, err
		}
		all = append(all, tree...)
	}
	return all, nil
}

// copied are directives of their own: what is imported twice is changed in each place.
func copied(list []*caddyDirective) []*caddyDirective {
	var all []*caddyDirective
	for _, d := range list {
		one := *d
		one.block = copied(d.block)
		all = append(all, &one)
	}
	return all
}

// site reads a site.
func (r *caddyReader) site(d *caddyDirective, plain bool) {
	s := Server{At: d.at, Syntax: "Caddy", Name: strings.Join(d.words, " "), VerifyAt: d.at, Says: "no client_auth"}
	for _, address := range d.words {
		address = strings.TrimSuffix(address, ",")
		named := !strings.HasPrefix(address, ":")
		s.TLS = s.TLS || !strings.HasPrefix(address, "http://") && !strings.HasSuffix(address, ":80") && named && !plain
	}
	for _, below := range d.block {
		switch below.word(0) {
		case "tls":
			s.TLS = s.TLS || !strings.HasPrefix(d.word(0), "http://")
			caddyTLS(&s, below)
		case "map":
			r.table(below)
		case "vars":
			r.vars["http.vars."+below.word(1)] = r.origin(below.word(2))
		}
	}
	r.routes(&s, d.block, nil, "/")
	r.out.Servers = append(r.out.Servers, s)
}

// caddyModes are what client_auth does.
var caddyModes = map[string]Verification{
	"request": Unverified, "require": Unverified, "verify_if_given": Optional, "require_and_verify": Required,
}

// caddyTLS reads a tls directive.
func caddyTLS(s *Server, d *caddyDirective) {
	for _, option := range d.block {
		switch option.word(0) {
		case "protocols":
			if v := option.word(1); v == "tls1.0" || v == "tls1.1" {
				s.Old = append(s.Old, Word{option.at, v})
			}
		case "client_auth":
			s.VerifyAt, s.Says = option.at, "client_auth"
			mode := ""
			for _, one := range option.block {
				switch one.word(0) {
				case "mode":
					mode = one.word(1)
					s.VerifyAt, s.Says = one.at, "mode "+mode
				case "trust_pool", "trusted_ca_cert_file", "trusted_ca_cert", "trusted_leaf_cert_file", "trusted_leaf_cert":
					s.CA = strings.Join(one.words, " ")
				}
			}
			s.Verify = caddyModes[mode]
			if mode == "" && s.CA != "" { // Caddy's default
				s.Verify = Required
			} else if mode == "" {
				s.Verify = Unverified
			}
		}
	}
}

// origin is where a value comes from.
func (r *caddyReader) origin(value string) Origin {
	switch {
	case strings.Contains(value, "{http.request.header.") || strings.Contains(value, "{header."):
		return Caller
	case strings.Contains(value, "{http.request.tls.client.") || strings.Contains(value, "{tls_client_"):
		return Subject
	}
	for name, from := range r.vars {
		if strings.Contains(value, "{"+name+"}") {
			return from
		}
	}
	return Literal
}

// table reads a map: its destinations are made of its source.
func (r *caddyReader) table(d *caddyDirective) {
	if len(d.words) < 3 {
		return
	}
	from := r.origin(d.word(1))
	for _, name := range d.words[2:] {
		r.vars[strings.Trim(name, "{}")] = from
	}
	for _, row := range d.block {
		if pattern, ok := strings.CutPrefix(row.word(0), "~"); ok && from == Subject {
			r.out.Maps = append(r.out.Maps, Map{At: row.at, Pattern: pattern, Gives: row.word(1)})
		}
	}
}

// routes are a site's ways to services; sets are what outer blocks do to headers.
func (r *caddyReader) routes(s *Server, list []*caddyDirective, sets []Header, path string) {
	for _, d := range list {
		if d.word(0) == "request_header" {
			sets = append(slices.Clone(sets), r.header(d, 1)...)
		}
	}
	for _, d := range list {
		at := path
		if strings.HasPrefix(d.word(1), "/") || strings.HasPrefix(d.word(1), "@") {
			at = d.word(1)
		}
		switch d.word(0) {
		case "handle", "handle_path", "route", "handle_errors":
			r.routes(s, d.block, sets, at)
		case "reverse_proxy", "php_fastcgi":
			r.proxy(s, d, sets, at)
		}
	}
}

// proxy reads a reverse_proxy.
func (r *caddyReader) proxy(s *Server, d *caddyDirective, sets []Header, path string) {
	var upstreams []string
	for _, w := range d.words[1:] {
		if w != path && w != "*" {
			upstreams = append(upstreams, strings.TrimPrefix(strings.TrimPrefix(w, "https://"), "http://"))
		}
	}
	route := Route{At: d.at, Path: path, Guarded: s.Verify == Required, Underscores: true, Headers: slices.Clone(sets)}
	for _, option := range d.block {
		switch option.word(0) {
		case "to":
			upstreams = append(upstreams, option.words[1:]...)
		case "header_up":
			if option.word(1) == "-*_*" {
				route.Underscores = false
			}
			route.Headers = append(route.Headers, r.header(option, 0)...)
		}
	}
	route.Upstream = strings.Join(upstreams, " ")
	s.Routes = append(s.Routes, route)
}

// header is what a header_up or request_header does: sets, adds, takes out, or replaces
// a part.
func (r *caddyReader) header(d *caddyDirective, matcher int) []Header {
	words := d.words[1:]
	if matcher > 0 && len(words) > 0 && (strings.HasPrefix(words[0], "/") || strings.HasPrefix(words[0], "@") || words[0] == "*") {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	h := Header{At: d.at, Name: words[0]}
	switch {
	case strings.HasPrefix(h.Name, "-"):
		h.Name, h.From = h.Name[1:], Nothing
	case strings.HasPrefix(h.Name, "+"), len(words) == 3: // beside the caller's, or made of it
		h.Name, h.From, h.Value = strings.TrimLeft(h.Name, "+"), Caller, strings.Join(words[1:], " ")
	case len(words) == 2:
		h.Value, h.From = words[1], r.origin(words[1])
	}
	return []Header{h}
}
