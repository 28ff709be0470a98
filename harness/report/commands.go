package report

import (
	"cmp"
	"net/url"
	"regexp"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// sent is a request as evidence writes it: method, path and credential.
var sent = regexp.MustCompile(`^([A-Z]+) (\S+) with (.+)$`)

// rawly are requests that no HTTP client sends.
var rawly = regexp.MustCompile(`(?i)handshake|session ticket|resum|early data|PROXY|HTTP/0\.9|` +
	`smuggl|trailer|chunk|pieces|without its key|one connection`)

// commands are a request again, as a shell sends it: what must not be shown is a variable,
// which the first line explains. Nothing where evidence is of no request.
func commands(r signoff.Record, e harness.Evidence) []string {
	m := sent.FindStringSubmatch(e.Request)
	if m == nil {
		return nil
	}
	c := curl{record: r, shown: e, method: m[1], path: m[2], with: m[3]}
	if rawly.MatchString(e.Variant) || rawly.MatchString(c.with) {
		return c.openssl()
	}
	return c.lines()
}

type curl struct {
	record             signoff.Record
	shown              harness.Evidence
	method, path, with string
}

// target is the face that was called, as a URL or a variable.
func (c curl) target() string {
	if at := c.record.Target.URLs[c.shown.Mode]; at != "" {
		return at
	}
	return "$TARGET"
}

func (c curl) certified() bool { return c.shown.Mode == harness.MTLS && !anonymous.MatchString(c.with) }

// anonymous are credentials that are none.
var anonymous = regexp.MustCompile(`^(no credential|no identity header|identity header of .*)$`)

// claims reports a request that says itself who sends it.
func (c curl) claims() bool {
	return strings.Contains(c.shown.Variant+c.with, "identity header") || strings.Contains(c.shown.Variant, "claiming to be")
}

func (c curl) header() string { return c.record.Target.Profile.Header() }

// explained says what the variables are, as a comment.
func (c curl) explained() string {
	var says []string
	if c.target() == "$TARGET" {
		says = append(says, "TARGET: scheme and host of the "+string(c.shown.Mode)+" face")
	}
	switch {
	case c.certified():
		says = append(says, "CERT, KEY: "+c.with)
	case c.bears():
		says = append(says, "TOKEN: "+c.with)
	}
	if c.claims() {
		says = append(says, "NAME: the enrolled client's")
	}
	if v := c.shown.Variant; v != "" && v != c.with {
		says = append(says, "sent as: "+v)
	}
	return "# " + strings.Join(says, "; ")
}

// bears reports a request with a token.
func (c curl) bears() bool {
	return c.shown.Mode == harness.OIDC && !anonymous.MatchString(c.with)
}

func (c curl) lines() []string {
	words := []string{"curl", "-sS", "-i", "-X", c.method}
	add := func(more ...string) { words = append(words, more...) }
	path := c.path
	if at, err := url.Parse(path); err == nil && at.Scheme != "" { // absolute form
		add("--request-target", quoted(path))
		path = at.EscapedPath()
	} else if strings.ContainsAny(path, "%;?#") || strings.Contains(path, "/.") || strings.Contains(path, "//") {
		add("--path-as-is")
	}
	if c.shown.TLS == "TLS 1.2" {
		add("--tls-max", "1.2")
	}
	if c.certified() {
		add("--cert", `"$CERT"`, "--key", `"$KEY"`)
	}
	if c.claims() {
		add("-H", `"`+c.header()+`: $NAME"`)
	}
	switch {
	case c.bears() && strings.Contains(c.with, "in the query"):
		path += "?access_token=$TOKEN"
	case c.bears():
		add("-H", `"Authorization: Bearer $TOKEN"`)
	}
	if c.method != "GET" && c.method != "HEAD" {
		add("-H", "'Content-Type: application/json'", "-d", `"$BODY"`)
	}
	add(`"` + inDouble(c.target()+path) + `"`)
	return c.explain(strings.Join(words, " "))
}

// openssl is what a person sends by hand, after a handshake.
func (c curl) openssl() []string {
	host, name := "$HOST:443", "$HOST"
	if at, err := url.Parse(c.record.Target.URLs[c.shown.Mode]); err == nil && at.Host != "" {
		name = at.Hostname()
		host = name + ":" + cmp.Or(at.Port(), "443")
	}
	line := `openssl s_client -quiet -connect "` + inDouble(host) + `" -servername "` + inDouble(name) + `"`
	if c.certified() {
		line += ` -cert "$CERT" -key "$KEY"`
	}
	return c.explain(line)
}

// explain puts the comment before a command, where there is anything to explain.
func (c curl) explain(line string) []string {
	if why := c.explained(); why != "# " {
		return []string{why, line}
	}
	return []string{line}
}

// quoted is a text between single quotes of a shell's.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// inDouble is a text of a target's as it may stand between double quotes of a shell's: our
// own variables stay.
func inDouble(text string) string {
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`").Replace(text)
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$TARGET" || found == "$TOKEN" || found == "$HOST" {
			return found
		}
		return `\` + found
	})
}

var variable = regexp.MustCompile(`\$[A-Z]*`)
