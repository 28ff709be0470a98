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
	Skipped  int         `xml:"skipped,attr"`
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
	Name       string     `xml:"name,attr"`
	Class      string     `xml:"classname,attr"`
	Time       string     `xml:"time,attr"` // seconds
	File       string     `xml:"file,attr"`
	Line       string     `xml:"line,attr"`
	Properties []property `xml:"properties>property"`
	Failure    *outcome   `xml:"failure"`
	Error      *outcome   `xml:"error"`
	Skipped    *outcome   `xml:"skipped"`
}

type outcome struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit renders the record as JUnit XML, one test suite per chapter. A fail is
// a <failure>; inconclusive is an <error>, as is a broken harness, so that no
// CI server shows it green; not exercised and not applicable are <skipped>.
func JUnit(r signoff.Record) ([]byte, error) {
	r = inert(r)
	all := testsuites{Name: "aegis-conformance " + string(r.Verdict), Time: seconds(r.Ended.Sub(r.Started))}
	for _, c := range chapters(r) {
		s := suite(r, c)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		all.Suites = append(all.Suites, s)
	}
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("rendering JUnit XML: %w", err)
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

func suite(r signoff.Record, c chapter) testsuite {
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
		s.Cases = append(s.Cases, testCase(r, f))
	}
	s.Time = seconds(time.Duration(millis) * time.Millisecond)
	return s
}

func testCase(r signoff.Record, f signoff.Finding) testcase {
	file, line, _ := strings.Cut(f.At, ":")
	t := testcase{
		Name:  f.ID + " " + f.Title,
		Class: "suites." + f.Chapter,
		Time:  seconds(time.Duration(f.Millis) * time.Millisecond),
		File:  file, Line: line,
		Properties: properties("id", f.ID, "clause", strings.Join(f.Clauses, ", "), "level", string(f.Level),
			"verdict", string(f.Verdict), "bucket", string(f.Bucket), "owner", string(f.Owner), "waiver", waived(r, f),
			"source", f.Source, "rule", f.Rule),
	}
	told := &outcome{Type: string(f.Verdict), Message: f.Reason, Text: detail(r, f)}
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

// detail is what a CI server shows below the message.
func detail(r signoff.Record, f signoff.Finding) string {
	var b strings.Builder
	lines := [][2]string{{"got", f.Got}, {"want", f.Want}, {"control", f.Control}, {"missing", join(f.Missing)}, {"waived", waived(r, f)}}
	if f.Owner != "" {
		lines = append(lines, [2]string{"to be mended in", owner(f.Owner)})
	}
	for _, c := range clauses(r, f) {
		lines = append(lines, [2]string{"runbook " + c.ID, c.Text})
	}
	for _, line := range lines {
		if line[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
		}
	}
	for _, e := range f.Evidence {
		fmt.Fprintf(&b, "evidence: %s\n", exchange(e))
	}
	if f.Rerun != "" {
		fmt.Fprintf(&b, "rerun: %s\n", f.Rerun)
	}
	return b.String()
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
