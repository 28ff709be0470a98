package signoff

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"aegis.test/conformance/harness"
)

// MaxWaiverDays is how far ahead a waiver may expire unless told otherwise: a
// quarter, so that each is looked at again.
const MaxWaiverDays = 90

// LongestWaiver is the most that may be told, in days: what nobody looks at for half
// a year is no exception any more.
const LongestWaiver = 180

// Grants says what a file of waivers is held against.
type Grants struct {
	File    string // its name, for messages
	Known   []string
	Today   time.Time
	MaxDays int // how far ahead a waiver may expire
}

// waiverKeys are the keys of one waiver; those that must be there come first.
var waiverKeys = []string{"expectation", "owner", "approver", "reason", "ticket", "expires", "expected", "scope"}

const waiversRequired = 6

// ReadWaivers reads waivers.yaml strictly. The error tells every mistake with
// its line: what cannot be read, what the catalogue does not know, what has
// expired or expires too far ahead.
func ReadWaivers(data []byte, g Grants) ([]Waiver, error) {
	s := &sheet{file: g.File}
	root := s.open(data, "waivers")
	var waivers []Waiver
	if list, ok := root["waivers"]; ok {
		for _, item := range s.items(list) {
			waivers = append(waivers, s.waiver(item, g, waivers))
		}
	} else if len(s.mistakes) == 0 {
		s.mistakes = append(s.mistakes, g.File+":1: want a list under the key waivers")
	}
	if len(s.mistakes) > 0 {
		return nil, s.mistakes
	}
	return waivers, nil
}

func (s *sheet) waiver(n ast.Node, g Grants, before []Waiver) Waiver {
	sound := len(s.mistakes)
	values := s.mapping(n, waiverKeys...)
	w := Waiver{At: s.at(n)}
	var missing []string
	for i, field := range []*string{&w.Expectation, &w.Owner, &w.Approver, &w.Reason, &w.Ticket, &w.Expires, &w.Expected} {
		if value, ok := values[waiverKeys[i]]; ok {
			*field = s.text(value)
		}
		if i < waiversRequired && *field == "" {
			missing = append(missing, waiverKeys[i])
		}
	}
	if len(missing) > 0 && len(s.mistakes) == sound {
		s.wrong(n, "the waiver of %q lacks %s", w.Expectation, listed(missing))
	}
	s.people(values, w)
	if scope, ok := values["scope"]; ok {
		s.scope(scope, &w)
	}
	s.known(values["expectation"], w, g, before)
	s.expiry(values["expires"], w, g)
	return w
}

// people wants names that can be read, and somebody else to approve than who owns.
func (s *sheet) people(values map[string]ast.Node, w Waiver) {
	for _, field := range []struct{ key, text string }{{"owner", w.Owner}, {"approver", w.Approver}, {"reason", w.Reason}, {"ticket", w.Ticket}} {
		if field.text != "" && !strings.ContainsFunc(field.text, readable(field.key == "ticket")) {
			s.wrong(values[field.key], "the %s is %q: nobody can read it, write it in letters", field.key, field.text)
		}
	}
	if name := plain(w.Owner); name != "" && name == plain(w.Approver) {
		s.wrong(values["approver"], "%q owns the failure and approves of it: somebody else must approve", w.Approver)
	}
}

// readable reports a letter that shows; a digit too, where numbers are names.
func readable(digits bool) func(rune) bool {
	// the fillers are letters that show nothing (Unicode: Default_Ignorable_Code_Point)
	return func(c rune) bool {
		return unicode.IsLetter(c) && !strings.ContainsRune("\u115f\u1160\u3164\uffa0", c) || digits && unicode.IsDigit(c)
	}
}

// plain is a name as it is read: its letters and digits, in lower case.
func plain(name string) string {
	return strings.ToLower(strings.Map(func(c rune) rune {
		if readable(true)(c) {
			return c
		}
		return -1
	}, name))
}

func (s *sheet) scope(n ast.Node, w *Waiver) {
	values := s.mapping(n, "target", "mode")
	if target, ok := values["target"]; ok {
		w.Target = s.text(target)
	}
	if mode, ok := values["mode"]; ok {
		w.Mode = harness.Mode(s.text(mode))
		if w.Mode != harness.OIDC && w.Mode != harness.MTLS {
			s.wrong(mode, "the mode is %q, want oidc or mtls", string(w.Mode))
		}
	}
}

// known wants an expectation of the catalogue, waived once for one scope.
func (s *sheet) known(n ast.Node, w Waiver, g Grants, before []Waiver) {
	if w.Expectation == "" {
		return
	}
	if !slices.Contains(g.Known, w.Expectation) {
		s.wrong(n, "the catalogue has no expectation %q: conformance list shows them", w.Expectation)
	}
	for _, other := range before {
		if other.Expectation == w.Expectation && other.Target == w.Target && other.Mode == w.Mode {
			s.wrong(n, "%s is waived already at %s", w.Expectation, other.At)
		}
	}
}

func (s *sheet) expiry(n ast.Node, w Waiver, g Grants) {
	if w.Expires == "" {
		return
	}
	last, err := time.Parse(day, w.Expires)
	today := g.Today.UTC().Truncate(24 * time.Hour)
	switch {
	case err != nil:
		s.wrong(n, "it expires on %q, want a date like %s", w.Expires, today.AddDate(0, 1, 0).Format(day))
	case last.Before(today):
		s.wrong(n, "the waiver of %s expired on %s: mend the failure, or have it granted anew", w.Expectation, w.Expires)
	case last.After(today.AddDate(0, 0, g.MaxDays)):
		s.wrong(n, "the waiver of %s expires on %s, more than %d days ahead: want %s at the latest",
			w.Expectation, w.Expires, g.MaxDays, today.AddDate(0, 0, g.MaxDays).Format(day))
	}
}

// lasting reports whether a waiver that was applied expires more than days
// after a moment.
func (w Waiver) lasting(from time.Time, days int) bool {
	return w.State == Applied && w.Expires > from.AddDate(0, 0, days).Format(day)
}

func (w Waiver) String() string {
	return fmt.Sprintf("%-9s until %s, owned by %s, approved by %s (%s): %s", w.Expectation, w.Expires, w.Owner, w.Approver, w.Ticket, w.Reason)
}
