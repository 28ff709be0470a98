package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// Point is one look of a watch at a target.
type Point struct {
	Run      string                  `json:"run"`
	At       time.Time               `json:"at"`      // its end, UTC
	Verdict  signoff.Verdict         `json:"verdict"` // empty where there was no look
	Totals   map[harness.Verdict]int `json:"totals"`
	Security int                     `json:"security"` // failures that served somebody
	Drift    []string                `json:"drift"`    // what changed and stayed so at a second look, in words
	Unstable []string                `json:"unstable"` // IDs that changed and changed back
	Error    string                  `json:"error"`    // why there was no look
}

// Folder is where a look's sign-off stands, beside the trend's page.
func (p Point) Folder() string { return "runs/" + p.Run }

// Failed is how many expectations failed.
func (p Point) Failed() int { return p.Totals[harness.Fail] }

//go:embed trend.html
var trendHTML string

var trendTemplate = template.Must(template.New("trend").Funcs(template.FuncMap{"moment": moment, "tone": tone, "words": words}).Parse(trendHTML))

// bar is one look as the drawing has it.
type bar struct {
	X, W, Pass, Fail, Rest, FailY, RestY int
	Says                                 string
}

// trendPage is what the trend's template shows.
type trendPage struct {
	Target string
	Latest Point
	Points []Point // newest first
	Bars   []bar   // oldest first
	Width  int
	Style  template.CSS
	Policy string
}

// The drawing's size, and how many looks it and the table show.
const (
	trendHeight = 100
	trendWidth  = 960
	trendShown  = 96
	trendTable  = 48
)

// Trend renders the looks of a watch at one target, the oldest first, as one page that loads
// nothing.
func Trend(target string, points []Point) ([]byte, error) {
	p := trendPage{Target: Line(target), Width: trendWidth, Style: template.CSS(pageCSS), //nolint:gosec // our own text
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; base-uri 'none'; form-action 'none'", source(pageCSS))}
	shown := points[max(0, len(points)-trendShown):]
	for i, point := range shown {
		p.Bars = append(p.Bars, barOf(i, point))
	}
	for i := len(points) - 1; i >= max(0, len(points)-trendTable); i-- {
		p.Points = append(p.Points, points[i])
	}
	if len(p.Points) > 0 {
		p.Latest = p.Points[0]
	}
	var b bytes.Buffer
	if err := trendTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("rendering the trend: %w", err)
	}
	return b.Bytes(), nil
}

func barOf(i int, p Point) bar {
	const width = trendWidth / trendShown
	all := 0
	for _, n := range p.Totals {
		all += n
	}
	b := bar{X: i * width, W: width - 1, Says: fmt.Sprintf("%s: %s", moment(p.At), or(string(p.Verdict), "no look: "+Line(p.Error)))}
	if all == 0 {
		return b
	}
	b.Pass = trendHeight * (p.Totals[harness.Pass] + p.Totals[harness.NotApplicable]) / all
	b.Fail = trendHeight * p.Totals[harness.Fail] / all
	if p.Totals[harness.Fail] > 0 {
		b.Fail = max(b.Fail, 12) // one of three hundred is to be seen
	}
	b.FailY = trendHeight - b.Fail
	b.Rest = max(0, trendHeight-b.Pass-b.Fail)
	b.RestY = b.FailY - b.Rest
	return b
}
