package ingress

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aegis.test/conformance/harness/lint/place"
)

// haproxyLine is one line of HAProxy's: its words, and where each begins. HAProxy's own
// parser for Go (client-native) keeps no lines, so the words are split here, by section
// 2.2 of its manual.
type haproxyLine struct {
	at    place.Place
	words []string
}

// word is a word; "" where there is none.
func (l haproxyLine) word(i int) string {
	if i >= 0 && i < len(l.words) {
		return l.words[i]
	}
	return ""
}

// after is the word behind another; "" where it does not stand there.
func (l haproxyLine) after(name string) string {
	if i := slices.Index(l.words, name); i >= 0 {
		return l.word(i + 1)
	}
	return ""
}

// has says whether a word stands in the line.
func (l haproxyLine) has(name string) bool { return slices.Contains(l.words, name) }

// section is a section of HAProxy's: its first line, and those in it.
type section struct {
	haproxyLine
	lines []haproxyLine
}

// sections are the words that begin one.
var sections = []string{
	"global", "defaults", "frontend", "backend", "listen", "resolvers", "peers", "userlist", "mailers", "program", "http-errors", "ring",
	"cache", "fcgi-app", "log-forward", "crt-store", "traces", "log-profile", "acme",
}

// ReadHAProxy reads a configuration of HAProxy.
func ReadHAProxy(file string, text []byte) (*Configuration, error) {
	var all []section
	for i, raw := range strings.Split(string(text), "\n") {
		at := place.Place{File: file, Line: i + 1, Column: 1 + len(raw) - len(strings.TrimLeft(raw, " \t"))}
		words, err := haproxyWords(raw)
		switch {
		case err != "":
			return nil, place.Errorf(at, "it is no configuration of HAProxy's: %s", err)
		case len(words) == 0:
			continue
		case slices.Contains(sections, words[0]):
			all = append(all, section{haproxyLine: haproxyLine{at, words}})
			continue
		case strings.HasPrefix(words[0], "."): // a condition of the preprocessor
			return nil, place.Errorf(at, "%s is a condition of the preprocessor: give what comes out", words[0])
		case len(all) == 0:
			return nil, place.Errorf(at, "it is no configuration of HAProxy's: %q stands in no section", words[0])
		}
		last := &all[len(all)-1]
		last.lines = append(last.lines, haproxyLine{at, words})
	}
	c := &Configuration{File: file}
	backends := map[string][]haproxyLine{}
	for _, s := range all {
		if s.words[0] == "backend" {
			backends[s.word(1)] = s.lines
		}
	}
	for _, s := range all {
		if s.words[0] == "frontend" || s.words[0] == "listen" {
			c.Servers = append(c.Servers, frontend(s, backends)...)
		}
	}
	return c, nil
}

// haproxyWords splits a line: a space parts words, quotes and backslashes keep it.
func haproxyWords(line string) (words []string, wrong string) {
	var word strings.Builder
	begun := false
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != '\'' && c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			begun = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == '#':
			i = len(line)
		case c == ' ' || c == '\t' || c == '\r':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, "a quote is not closed"
	}
	if begun {
		words = append(words, word.String())
	}
	return words, ""
}

// frontend is one server for each of a frontend's binds: rules may ask for TLS.
func frontend(s section, backends map[string][]haproxyLine) []Server {
	var servers []Server
	for _, l := range s.lines {
		if l.words[0] != "bind" {
			continue
		}
		one := Server{At: l.at, Syntax: "HAProxy", Name: s.word(1), TLS: l.has("ssl"), VerifyAt: l.at, CA: l.after("ca-file")}
		one.Verify = haproxyVerification(l)
		one.Says = "no verify"
		if l.after("verify") != "" {
			one.Says = "verify " + l.after("verify")
		}
		if one.Verify == Unverified {
			one.Says += " with errors ignored"
		}
		if v := l.after("ssl-min-ver"); slices.Contains([]string{"SSLv3", "TLSv1.0", "TLSv1.1"}, v) {
			one.Old = append(one.Old, Word{l.at, "ssl-min-ver " + v})
		}
		one.Routes = haproxyRoutes(s, backends, one)
		servers = append(servers, one)
	}
	return servers
}

func haproxyVerification(l haproxyLine) Verification {
	ignored := l.has("crt-ignore-err") || l.has("ca-ignore-err")
	switch verify := l.after("verify"); {
	case verify != "required" && verify != "optional":
		return Unasked
	case ignored:
		return Unverified
	case verify == "optional":
		return Optional
	default:
		return Required
	}
}

// haproxyRoutes are the ways from a bind to backends; none where every request is
// refused or sent elsewhere.
func haproxyRoutes(s section, backends map[string][]haproxyLine, to Server) []Route {
	names := map[string]place.Place{}
	if s.words[0] == "listen" {
		names[""] = s.at
	}
	for _, l := range s.lines {
		if l.words[0] == "default_backend" || l.words[0] == "use_backend" {
			names[l.word(1)] = l.at
		}
	}
	var routes []Route
	for _, name := range sortedKeys(names) {
		lines := slices.Concat(s.lines, backends[name])
		upstream := name
		var servers []string
		for _, l := range lines {
			if l.words[0] == "server" {
				servers = append(servers, l.word(2))
			}
		}
		if len(servers) > 0 {
			upstream = strings.Join(servers, " ")
		}
		rules := haproxyRules{lines: lines}
		rules.conditions()
		if rules.ends(request{tls: to.TLS, used: to.Verify != Unasked}) {
			continue
		}
		r := Route{At: names[name], Upstream: upstream, Headers: rules.headers(), Underscores: rules.underscores()}
		r.Guarded = to.Verify == Required || to.Verify == Optional && rules.ends(request{tls: to.TLS}) ||
			to.Verify == Unverified && rules.ends(request{tls: to.TLS}) && rules.ends(request{tls: to.TLS, used: true, verify: 10})
		routes = append(routes, r)
	}
	return routes
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// request is what rules look at of a request that is tried on them.
type request struct {
	tls    bool
	used   bool // a client certificate was sent
	verify int  // the error of its verification
}

// haproxyRules are the rules that a request meets, in their order.
type haproxyRules struct {
	lines []haproxyLine
	acls  map[string][][]string // by name, the words of each line behind it
}

func (r *haproxyRules) conditions() {
	r.acls = map[string][][]string{}
	for _, l := range r.lines {
		if l.words[0] == "acl" {
			r.acls[l.word(1)] = append(r.acls[l.word(1)], l.words[min(2, len(l.words)):])
		}
	}
}

// ends says whether a request is surely refused, answered or sent elsewhere.
func (r *haproxyRules) ends(q request) bool {
	for _, l := range r.lines {
		ending := l.words[0] == "redirect" || (l.words[0] == "http-request" || l.words[0] == "tcp-request") &&
			(slices.Contains([]string{"deny", "reject", "return", "redirect", "tarpit", "silent-drop"}, l.word(1)) || l.word(2) == "reject")
		if ending && r.holds(l, q) == yes {
			return true
		}
	}
	return false
}

// answer is what is known of a condition.
type answer int

// Answers.
const (
	unknown answer = iota
	yes
	no
)

func not(a answer) answer { return map[answer]answer{yes: no, no: yes}[a] }

// holds says whether a rule's condition holds of a request.
func (r *haproxyRules) holds(l haproxyLine, q request) answer {
	if i := slices.Index(l.words, "if"); i >= 0 {
		return r.any(l.words[i+1:], q)
	}
	if i := slices.Index(l.words, "unless"); i >= 0 {
		return not(r.any(l.words[i+1:], q))
	}
	return yes
}

// any is a condition: terms that stand side by side must all hold, or parts them.
func (r *haproxyRules) any(words []string, q request) answer {
	result := no
	for len(words) > 0 {
		n := slices.IndexFunc(words, func(w string) bool { return w == "or" || w == "||" })
		if n < 0 {
			n = len(words)
		}
		switch r.all(words[:n], q) {
		case yes:
			return yes
		case unknown:
			result = unknown
		}
		words = words[min(len(words), n+1):]
	}
	return result
}

// all are terms that must all hold: names of ACLs, or samples in braces.
func (r *haproxyRules) all(words []string, q request) answer {
	result := yes
	for i := 0; i < len(words); i++ {
		word := strings.TrimPrefix(words[i], "!")
		negated := word != words[i]
		if word == "" && i+1 < len(words) { // ! { … }
			i++
			word = words[i]
		}
		var one answer
		if word == "{" {
			end := slices.Index(words[i:], "}")
			if end < 0 {
				return unknown
			}
			one = sample(words[i+1:i+end], q)
			i += end
		} else {
			one = r.named(word, q)
		}
		if negated {
			one = not(one)
		}
		switch {
		case one == no:
			return no
		case one == unknown:
			result = unknown
		}
	}
	return result
}

// named is an ACL: it holds where one of its lines does.
func (r *haproxyRules) named(name string, q request) answer {
	switch name {
	case "TRUE":
		return yes
	case "FALSE":
		return no
	}
	lines, given := r.acls[name]
	if !given {
		return unknown
	}
	result := no
	for _, words := range lines {
		switch sample(words, q) {
		case yes:
			return yes
		case unknown:
			result = unknown
		}
	}
	return result
}

// sample is what is fetched from a request and held against values.
func sample(words []string, q request) answer {
	if len(words) == 0 {
		return unknown
	}
	is := func(b bool) answer { return map[bool]answer{true: yes, false: no}[b] }
	switch words[0] {
	case "ssl_fc":
		return is(q.tls)
	case "ssl_c_used", "ssl_fc_has_crt":
		return is(q.used)
	case "ssl_c_verify":
		return compared(q.verify, words[1:])
	default:
		return unknown
	}
}

// compared holds a number against values, of which one must match.
func compared(n int, words []string) answer {
	operator := "eq"
	for _, w := range words {
		v, err := strconv.Atoi(w)
		if err != nil {
			operator = w
			continue
		}
		if map[string]bool{"eq": n == v, "gt": n > v, "ge": n >= v, "lt": n < v, "le": n <= v}[operator] {
			return yes
		}
	}
	return no
}

var (
	haproxySubject = regexp.MustCompile(`\bssl_c_(s_dn|i_dn|der|serial|sha1|notbefore)`)
	haproxyCaller  = regexp.MustCompile(`\b(req\.)?f?hdr(_val|_ip)?\(`)
)

// headers are what the rules do to headers: what is set under a condition only is the
// caller's where that does not hold, unless it was taken out before.
func (r *haproxyRules) headers() []Header {
	var all []Header
	clean := map[string]bool{}
	for _, l := range r.lines {
		if l.words[0] != "http-request" {
			continue
		}
		name := strings.ToLower(l.word(2))
		always := !l.has("if") && !l.has("unless")
		h := Header{At: l.at, Name: l.word(2), Value: l.word(3)}
		switch {
		case haproxyCaller.MatchString(h.Value):
			h.From = Caller
		case haproxySubject.MatchString(h.Value):
			h.From = Subject
		}
		switch l.word(1) {
		case "del-header":
			if always && l.after("-m") == "" {
				clean[name] = true
				all = slices.DeleteFunc(all, func(h Header) bool { return strings.EqualFold(h.Name, name) })
				all = append(all, Header{At: l.at, Name: l.word(2), From: Nothing})
			}
		case "set-header":
			if always {
				clean[name] = true
				all = slices.DeleteFunc(all, func(h Header) bool { return strings.EqualFold(h.Name, name) })
			}
			all = append(all, h)
		case "add-header", "replace-header", "replace-value":
			all = append(all, h)
		}
	}
	var dirty []Header
	for _, h := range all {
		if !clean[strings.ToLower(h.Name)] && h.From != Caller {
			dirty = append(dirty, Header{At: h.At, Name: h.Name, Value: "set under a condition, or added to what was there", From: Caller})
		}
	}
	return append(all, dirty...)
}

// underscores says whether a name with underscores passes: whether no rule takes out all
// that are spelt so.
func (r *haproxyRules) underscores() bool {
	for _, l := range r.lines {
		if l.words[0] != "http-request" || l.word(1) != "del-header" || l.has("if") || l.has("unless") {
			continue
		}
		switch l.after("-m") {
		case "sub":
			if l.word(2) == "_" {
				return false
			}
		case "reg":
			if pattern, err := regexp.Compile(l.word(2)); err == nil && pattern.MatchString("x_ssl_client_cn") {
				return false
			}
		}
	}
	return true
}
