package signoff

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
)

// Topic is what several expectations are about: what is wrong where they do not hold, why
// it matters, how it is mended, and where other catalogues ask for the same.
type Topic struct {
	Name string // in identifiers
	Rows string // expectations, by ID; HDR-001..003 is a range
	// With is the credential, or the variant, of a request that shows this whatever the
	// expectation was about; nil where none does.
	With  *regexp.Regexp
	Mode  harness.Mode // that With is of; empty: any
	Says  string       // what is wrong, where somebody was served
	Why   string       // it matters: one sentence
	Owner Layer        // where somebody was served; empty: as the answer tells
	Mend  []Remedy
	Elsewhere
}

// Elsewhere is where other catalogues ask for the same: numbers, as each writes them.
type Elsewhere struct {
	CWE     string // CWE-287
	ASVS    string // of 5.0.0
	RFC9700 string // sections; empty where it does not speak of it
	NIST    string // controls of SP 800-53, revision 5
}

// Remedy is what to change in a product; Anything where it is the same in all.
type Remedy struct{ Product, Do string }

// Anything is the product of a remedy that holds everywhere.
const Anything = "anywhere"

// TopicOf is the topic of an expectation.
func TopicOf(id string) Topic {
	if found := TopicsOf(id); len(found) > 0 {
		return found[0]
	}
	return Topic{Name: "other", Says: "a rule of the runbook does not hold", Why: "The runbook asks for it."}
}

// TopicsOf lists every topic that names an expectation: one, in a sound list.
func TopicsOf(id string) []Topic {
	var found []Topic
	for _, t := range Topics {
		if t.covers(id) {
			found = append(found, t)
		}
	}
	return found
}

// topicNamed is the topic of a name.
func topicNamed(name string) Topic {
	return Topics[slices.IndexFunc(Topics, func(t Topic) bool { return t.Name == name })]
}

// covers reports whether an expectation is one of the topic's.
func (t Topic) covers(id string) bool {
	area, number, _ := strings.Cut(id, "-")
	for row := range strings.FieldsSeq(t.Rows) {
		of, span, _ := strings.Cut(row, "-")
		first, last, ranged := strings.Cut(span, "..")
		if !ranged {
			last = first
		}
		if of == area && len(number) == len(first) && first <= number && number <= last {
			return true
		}
	}
	return false
}

// topic is the topic of a finding: by the request that it tells, where that is served and
// shows a topic of its own, else by its expectation.
func (f Finding) topic() Topic {
	if told, ok := f.told(); ok && f.served() {
		for _, t := range Topics {
			if t.With != nil && (t.Mode == "" || t.Mode == told.Mode) && (t.With.MatchString(told.Request) || t.With.MatchString(told.Variant)) {
				return t
			}
		}
	}
	return TopicOf(f.ID)
}

// served reports whether the finding is that a request was served which must not be, judged
// or not.
func (f Finding) served() bool {
	return f.Bucket == harness.Security || f.Verdict == harness.Inconclusive && strings.HasPrefix(f.Reason, "got 2")
}

// SecuritySeverity is how grave a failure is, 0 to 10, as code scanning sorts by: critical
// from 9, high from 7, medium from 4.
func (f Finding) SecuritySeverity() string {
	score := map[harness.Bucket]float64{harness.Security: 9.1, harness.Contract: 4.3, harness.Protocol: 3.1}[f.Bucket]
	if f.Bucket == "" {
		score = 4.0
	}
	if f.Bucket != harness.Security && !f.Decides() {
		score = min(score, 2.0)
	}
	return strconv.FormatFloat(score, 'f', 1, 64)
}

func (e Elsewhere) String() string {
	var parts []string
	for _, one := range [][2]string{{"", e.CWE}, {"ASVS 5.0.0 ", e.ASVS}, {"RFC 9700 section ", e.RFC9700}, {"NIST SP 800-53 ", e.NIST}} {
		if one[1] != "" {
			parts = append(parts, fmt.Sprint(one[0], one[1]))
		}
	}
	return strings.Join(parts, "; ")
}

// Products are those of a topic's remedies, in their order.
func (t Topic) Products() []string {
	var names []string
	for _, m := range t.Mend {
		if !slices.Contains(names, m.Product) {
			names = append(names, m.Product)
		}
	}
	return names
}
