package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// testsuites and what is below it are JUnit's XML, as CI servers read it.
type testsuites struct {
	XMLName  xml.Name    `xml:"testsuites"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"` // seconds
	Suites   []testsuite `xml:"testsuite"`
}

type testsuite struct {
	Name       string     `xml:"name,attr"`
	Tests      int        `xml:"tests,attr"`
	Failures   int        `xml:"failures,attr"`
	Errors     int        `xml:"errors,attr"`
	Skipped    int        `xml:"skipped,attr"`
	Time       string     `xml:"time,attr"` // seconds
	Timestamp  string     `xml:"timestamp,attr"`
	Hostname   string     `xml:"hostname,attr"`
	Properties []property `xml:"properties>property"`
	Cases      []testcase `xml:"testcase"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testcase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"` // seconds
	Failure *outcome `xml:"failure"`
	Error   *outcome `xml:"error"`
	Skipped *outcome `xml:"skipped"`
	// Out is what the common schema has no attribute for, a line each.
	Out string `xml:"system-out"`
}

type outcome struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit renders the record as JUnit XML, one test suite per chapter, as the schema of
// Jenkins' xUnit plugin (junit-10) has it: no properties of a test case. A fail is
// a <failure>; inconclusive is an <error>, as is a broken harness, so that no
// CI server shows it green; not exercised and not applicable are <skipped>.
func JUnit(r signoff.Record) ([]byte, error) {
	r = inert(r)
	all := testsuites{Name: "aegis-conformance " + string(r.Verdict), Time: seconds(r.Ended.Sub(r.Started))}
	of := byID(r)
	for _, c := range chapters(r) {
		s := suite(r, c, of)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Suites = append(all.Suites, s)
	}
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("rendering JUnit XML: %w", err)
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

func suite(r signoff.Record, c chapter, of map[string]card) testsuite {
	s := testsuite{
		Name:      c.Name,
		Tests:     len(c.Findings),
		Failures:  c.Of(harness.Fail),
		Errors:    c.Of(harness.Error) + c.Of(harness.Inconclusive),
		Skipped:   c.Of(harness.NotExercised) + c.Of(harness.NotApplicable),
		Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
		Hostname:  r.Who,
		Properties: properties("verdict", string(r.Verdict), "headline", r.Headline, "kind", string(r.Kind),
			"run", r.Run, "target", r.Target.Name),
	}
	var millis int64
	for _, f := range c.Findings {
		millis += f.Millis
		s.Cases = append(s.Cases, testCase(r, f, of[f.ID]))
	}
	s.Time = seconds(time.Duration(millis) * time.Millisecond)
	return s
}

func testCase(r signoff.Record, f signoff.Finding, c card) testcase {
	t := testcase{
		Name:  f.ID + " " + f.Title,
		Class: "suites." + f.Chapter,
		Time:  seconds(time.Duration(f.Millis) * time.Millisecond),
		Out: facts([]line{{"id", f.ID}, {"clause", strings.Join(f.Clauses, ", ")}, {"level", string(f.Level)},
			{"verdict", string(f.Verdict)}, {"bucket", string(f.Bucket)}, {"owner", string(f.Owner)}, {"waiver", waived(r, f)},
			{"source", f.Source}, {"rule", f.Rule}, {"at", f.At}}),
	}
	told := &outcome{Type: string(f.Verdict), Message: f.Reason, Text: detail(r, f, c)}
	switch f.Verdict {
	case harness.Pass:
	case harness.Fail:
		told.Type = string(f.Bucket)
		t.Failure = told
	case harness.NotExercised, harness.NotApplicable:
		t.Skipped = told
	default:
		t.Error = told
	}
	return t
}

// facts writes facts, a line each; empty ones are left out.
func facts(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		if l.value != "" {
			fmt.Fprintf(&b, "%s: %s\n", l.label, l.value)
		}
	}
	return b.String()
}

// detail is what a CI server shows below the message.
func detail(r signoff.Record, f signoff.Finding, c card) string {
	lines := []line{{"got", f.Got}, {"want", f.Want}, {"control", f.Control}, {"missing", join(f.Missing)}, {"waived", waived(r, f)}}
	lines = append(lines, c.advised()...)
	for _, clause := range clauses(r, f) {
		lines = append(lines, line{"runbook " + clause.ID, clause.Text})
	}
	for _, e := range f.Evidence {
		lines = append(lines, line{"evidence", exchange(e)})
	}
	if f.Verdict == harness.Fail {
		for _, command := range again(r, f) {
			lines = append(lines, line{"see it again", command})
		}
	}
	return facts(append(lines, line{"rerun", f.Rerun}))
}

// properties pairs names with values; empty values are left out.
func properties(pairs ...string) []property {
	var all []property
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, property{pairs[i], pairs[i+1]})
		}
	}
	return all
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
