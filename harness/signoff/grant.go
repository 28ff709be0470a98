package signoff

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/strict"
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

// waiverFile is waivers.yaml.
type waiverFile struct {
	Waivers []waiverEntry `yaml:"waivers"`
}

// waiverEntry is a waiver as it is written; those keys must be there that are required.
type waiverEntry struct {
	Expectation string      `yaml:"expectation" required:"yes" plain:"yes"`
	Owner       string      `yaml:"owner" required:"yes" plain:"yes"`
	Approver    string      `yaml:"approver" required:"yes" plain:"yes"`
	Reason      string      `yaml:"reason" required:"yes" plain:"yes"`
	Ticket      string      `yaml:"ticket" required:"yes" plain:"yes"`
	Expires     string      `yaml:"expires" required:"yes" plain:"yes"`
	Expected    string      `yaml:"expected" plain:"yes"`
	Scope       waiverScope `yaml:"scope"`
}

// waiverScope is where a waiver holds.
type waiverScope struct {
	Target string `yaml:"target" plain:"yes"`
	Mode   string `yaml:"mode" enum:"oidc,mtls"`
}

// ReadWaivers reads waivers.yaml strictly. The error tells every mistake with
// its line: what cannot be read, what the catalogue does not know, what has
// expired or expires too far ahead.
func ReadWaivers(data []byte, g Grants) ([]Waiver, error) {
	var file waiverFile
	origins, err := strict.File(g.File, data, &file)
	problems, half := errors.AsType[strict.Problems](err)
	c := claims{Grants: g, origins: origins, problems: problems}
	if !half && origins["waivers"] == "" {
		c.problems = strict.Problems{{At: g.File + ":1", What: "want a list under the key waivers"}}
	}
	var waivers []Waiver
	for i, entry := range file.Waivers {
		c.at = fmt.Sprintf("waivers[%d]", i)
		w := entry.waiver(origins[c.at])
		if !half {
			c.whole(entry)
		}
		c.people(w)
		c.known(w, waivers)
		c.expiry(w)
		waivers = append(waivers, w)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return waivers, nil
}

func (e waiverEntry) waiver(at string) Waiver {
	return Waiver{
		Expectation: strings.TrimSpace(e.Expectation), Owner: strings.TrimSpace(e.Owner), Approver: strings.TrimSpace(e.Approver),
		Reason: strings.TrimSpace(e.Reason), Ticket: strings.TrimSpace(e.Ticket), Expires: strings.TrimSpace(e.Expires),
		Expected: strings.TrimSpace(e.Expected), Target: strings.TrimSpace(e.Scope.Target), Mode: harness.Mode(e.Scope.Mode), At: at,
	}
}

// claims holds waivers against what is known.
type claims struct {
	Grants
	origins  map[string]string // by path, where each value stands
	at       string            // the path of the waiver that is held
	problems strict.Problems
}

// wrong notes a mistake at a key of the waiver, or at the waiver.
func (c *claims) wrong(key, format string, args ...any) {
	at := cmp.Or(c.origins[strict.Join(c.at, key)], c.origins[c.at])
	c.problems = append(c.problems, strict.Problem{At: at, What: fmt.Sprintf(format, args...)})
}

// whole wants every key that is required.
func (c *claims) whole(e waiverEntry) {
	var missing []string
	v := reflect.ValueOf(e)
	for _, k := range strict.Keys(v.Type()) {
		if k.Field.Tag.Get("required") != "" && strings.TrimSpace(v.Field(k.Index).String()) == "" {
			missing = append(missing, k.Name)
		}
	}
	if len(missing) > 0 {
		c.wrong("", "the waiver of %q lacks %s", e.Expectation, listed(missing))
	}
}

// people wants names that can be read, and somebody else to approve than who owns.
func (c *claims) people(w Waiver) {
	for _, field := range []struct{ key, text string }{{"owner", w.Owner}, {"approver", w.Approver}, {"reason", w.Reason}, {"ticket", w.Ticket}} {
		if field.text != "" && !strings.ContainsFunc(field.text, readable(field.key == "ticket")) {
			c.wrong(field.key, "the %s is %q: nobody can read it, write it in letters", field.key, field.text)
		}
	}
	if name := plain(w.Owner); name != "" && name == plain(w.Approver) {
		c.wrong("approver", "%q owns the failure and approves of it: somebody else must approve", w.Approver)
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

// known wants an expectation of the catalogue, waived once for one scope.
func (c *claims) known(w Waiver, before []Waiver) {
	if w.Expectation == "" {
		return
	}
	if !slices.Contains(c.Known, w.Expectation) {
		c.wrong("expectation", "the catalogue has no expectation %q: conformance list shows them", w.Expectation)
	}
	for _, other := range before {
		if other.Expectation == w.Expectation && other.Target == w.Target && other.Mode == w.Mode {
			c.wrong("expectation", "%s is waived already at %s", w.Expectation, other.At)
		}
	}
}

func (c *claims) expiry(w Waiver) {
	if w.Expires == "" {
		return
	}
	last, err := time.Parse(day, w.Expires)
	today := c.Today.UTC().Truncate(24 * time.Hour)
	switch {
	case err != nil:
		c.wrong("expires", "it expires on %q, want a date like %s", w.Expires, today.AddDate(0, 1, 0).Format(day))
	case last.Before(today):
		c.wrong("expires", "the waiver of %s expired on %s: mend the failure, or have it granted anew", w.Expectation, w.Expires)
	case last.After(today.AddDate(0, 0, c.MaxDays)):
		c.wrong("expires", "the waiver of %s expires on %s, more than %d days ahead: want %s at the latest",
			w.Expectation, w.Expires, c.MaxDays, today.AddDate(0, 0, c.MaxDays).Format(day))
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

func listed[T ~string](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}
