// Package challenge reads the challenges of WWW-Authenticate (RFC 9110 section 11.6.1).
package challenge

import (
	"fmt"
	"net/textproto"
	"strings"

	"aegis.test/conformance/harness"
)

// Challenge is one challenge of WWW-Authenticate (RFC 9110 section 11.6.1).
type Challenge struct {
	Scheme  string // in lower case
	Token68 string // "" where it has parameters
	Params  map[string]param
}

// param is a parameter of a challenge: its name is in lower case.
type param struct {
	Value  string
	Quoted bool
}

// Of reads every WWW-Authenticate field: several challenges may stand in
// one, each may have several parameters, and both lists are parted by commas. It
// gives what it has read when a field is no list of challenges, with an error.
func Of(x harness.Exchange) ([]Challenge, error) {
	var all []Challenge
	var trouble error
	for _, value := range x.Observation.Header[textproto.CanonicalMIMEHeaderKey("WWW-Authenticate")] {
		found, err := Parse(value)
		all = append(all, found...)
		if trouble == nil {
			trouble = err
		}
	}
	return all, trouble
}

// Parse reads one field's value.
func Parse(value string) ([]Challenge, error) {
	s := &scanner{rest: value}
	var found []Challenge
	for {
		s.skip(", \t") // elements of a list may be empty (RFC 9110 section 5.6.1.2)
		if s.rest == "" {
			return found, nil
		}
		word := s.token()
		switch name, isParam := s.assigned(word); {
		case word == "":
			return found, s.wrong("a scheme or a parameter")
		case isParam && (len(found) == 0 || found[len(found)-1].Token68 != ""):
			return found, s.wrong("a scheme before the parameter " + name)
		case isParam:
			if err := s.param(&found[len(found)-1], name); err != nil {
				return found, err
			}
		default:
			found = append(found, Challenge{Scheme: strings.ToLower(word), Params: map[string]param{}})
			if err := s.first(&found[len(found)-1]); err != nil {
				return found, err
			}
		}
		if s.skip(" \t"); s.rest != "" && s.rest[0] != ',' {
			return found, s.wrong("a comma")
		}
	}
}

// scanner reads a field from the left.
type scanner struct{ rest string }

func (s *scanner) wrong(want string) error {
	return fmt.Errorf("%.40q where %s should stand", s.rest, want)
}

func (s *scanner) skip(set string) { s.rest = strings.TrimLeft(s.rest, set) }

// while takes what consists of some characters.
func (s *scanner) while(in func(byte) bool) string {
	n := 0
	for n < len(s.rest) && in(s.rest[n]) {
		n++
	}
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	return taken
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// token reads a token (RFC 9110 section 5.6.2).
func (s *scanner) token() string {
	return s.while(func(c byte) bool { return alphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 })
}

// assigned reports whether a word just read is a parameter's name, and then takes
// the "=" behind it, with the white space that may stand there.
func (s *scanner) assigned(word string) (name string, is bool) {
	after, is := strings.CutPrefix(strings.TrimLeft(s.rest, " \t"), "=")
	if word == "" || !is {
		return "", false
	}
	s.rest = after
	return strings.ToLower(word), true
}

// first reads what stands behind a scheme: nothing, a token68, or a parameter.
func (s *scanner) first(c *Challenge) error {
	spaced := strings.HasPrefix(s.rest, " ")
	s.skip(" ")
	if s.skip("\t"); !spaced || s.rest == "" || s.rest[0] == ',' {
		return nil
	}
	before := *s
	if name, is := s.assigned(s.token()); is && s.rest != "" && s.rest[0] != '=' && s.rest[0] != ',' {
		return s.param(c, name)
	}
	*s = before
	c.Token68 = s.while(func(b byte) bool { return alphanumeric(b) || strings.IndexByte("-._~+/", b) >= 0 })
	if c.Token68 == "" {
		return s.wrong("a parameter")
	}
	c.Token68 += s.while(func(b byte) bool { return b == '=' })
	return nil
}

// param reads a parameter's value: a token, or a quoted string.
func (s *scanner) param(c *Challenge, name string) error {
	s.skip(" \t")
	if _, twice := c.Params[name]; twice {
		return fmt.Errorf("the parameter %q stands twice", name)
	}
	if strings.HasPrefix(s.rest, `"`) {
		value, err := s.quoted()
		c.Params[name] = param{value, true}
		return err
	}
	value := s.token()
	if value == "" {
		return s.wrong("the value of " + name)
	}
	c.Params[name] = param{value, false}
	return nil
}

// quoted reads a quoted string (RFC 9110 section 5.6.4).
func (s *scanner) quoted() (string, error) {
	var value strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return value.String(), nil
		case c < 0x20 && c != '\t' || c == 0x7f:
			return "", s.wrong("text without control characters")
		case c == '\\' && i+1 < len(s.rest):
			i++
			value.WriteByte(s.rest[i])
		default:
			value.WriteByte(c)
		}
	}
	return "", s.wrong("a quoted string that ends")
}

// Bearer is an answer's challenge for a bearer token; nil where there is
// none. The error says that a field is no list of challenges.
func Bearer(x harness.Exchange) (*Challenge, error) {
	all, err := Of(x)
	for i := range all {
		if all[i].Scheme == "bearer" {
			return &all[i], err
		}
	}
	return nil, err
}

// Says is a challenge's error attribute; "" where it has none, or is none.
func (c *Challenge) Says() string {
	if c == nil {
		return ""
	}
	return c.Params["error"].Value
}
