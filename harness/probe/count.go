package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"aegis.test/conformance/harness"
)

// AuthFailures is the counter the runbook asks for (section 5).
const AuthFailures = "aegis_auth_failures_total"

// Counting reads the counter of auth failures before and after calls.
type Counting struct {
	Calls
	times    int
	apart    bool // variants and endpoints are counted one by one
	readings int  // between rounds
}

// Count repeats every call some times and counts.
func Count(calls Calls, times int) Counting { return Counting{Calls: calls, times: times} }

// Apart counts every variant at every endpoint by itself.
func (c Counting) Apart() Counting {
	c.apart = true
	return c
}

// Watched reads the counter some times after every round of calls.
func (c Counting) Watched(readings int) Counting {
	c.readings = readings
	return c
}

// Words says what is done.
func (c Counting) Words() string {
	words := fmt.Sprintf("read %s, %s, %d times each, and read it again", AuthFailures, c.Calls.Words(), c.times)
	if c.apart {
		words += ", for each of these at each endpoint"
	}
	if c.readings > 0 {
		words += fmt.Sprintf("; read it %d times after every round", c.readings)
	}
	return words
}

// Needs is a metrics page, and what the calls need.
func (c Counting) Needs() []harness.Capability {
	return union([]harness.Capability{harness.Metrics}, c.Calls.Needs())
}

// Counts is true: others' calls would be counted too.
func (c Counting) Counts() bool { return true }

// Controlled is false: a control between the readings would be counted.
func (c Counting) Controlled() bool { return false }

// Requests are the calls, as often as they are repeated, where there is a page
// to read before and after.
func (c Counting) Requests(t *harness.Target) ([]harness.Request, bool) {
	var all []harness.Request
	for _, mode := range c.Modes() {
		if t.Metrics[mode] == "" {
			continue
		}
		only := c.Calls
		only.variants = ofMode(c.variants, mode)
		requests, ok := only.Requests(t)
		if !ok {
			return nil, false
		}
		all = append(all, slices.Repeat(requests, c.times)...)
	}
	return all, true
}

// Act reads, calls and reads.
func (c Counting) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	for _, mode := range c.Modes() {
		if hands.Target().Metrics[mode] == "" {
			continue
		}
		for _, part := range c.parts(hands.Target(), mode) {
			if err := part.tally(ctx, hands, mode, &trace); err != nil {
				return trace, err
			}
		}
	}
	return trace, nil
}

// parts are what is counted by itself.
func (c Counting) parts(t *harness.Target, mode harness.Mode) []Counting {
	whole := c
	whole.variants = ofMode(c.variants, mode)
	if !c.apart {
		return []Counting{whole}
	}
	var parts []Counting
	for _, v := range whole.variants {
		for _, endpoint := range c.pick(t) {
			part := c
			part.variants, part.endpoints, part.everywhere = []Variant{v}, []string{endpoint.Name}, false
			parts = append(parts, part)
		}
	}
	return parts
}

// tally counts the calls of one mode.
func (c Counting) tally(ctx context.Context, hands harness.Hands, mode harness.Mode, trace *harness.Trace) error {
	url := hands.Target().Metrics[mode]
	before, err := hands.Scrape(ctx, url)
	if err != nil {
		return err
	}
	tally := harness.Tally{Mode: mode, Name: AuthFailures, Before: before[AuthFailures]}
	if c.apart {
		tally.Of = c.variants[0].Name + " at " + c.endpoints[0]
	}
	calls, rounds := c.Calls, c.times
	if c.readings == 0 && !calls.together { // nothing is read between the rounds
		calls.variants, rounds = slices.Repeat(calls.variants, rounds), 1
	}
	for range rounds {
		round, err := calls.Act(ctx, hands)
		if err != nil {
			return err
		}
		trace.Exchanges = append(trace.Exchanges, round.Exchanges...)
		tally.Calls += len(round.Exchanges)
		for range c.readings {
			page, err := hands.Scrape(ctx, url)
			if err != nil {
				return err
			}
			tally.Between = append(tally.Between, page[AuthFailures])
		}
	}
	after, err := hands.Scrape(ctx, url)
	if err != nil {
		return err
	}
	tally.After = after[AuthFailures]
	trace.Tallies = append(trace.Tallies, tally)
	return nil
}

func ofMode(variants []Variant, mode harness.Mode) []Variant {
	var kept []Variant
	for _, v := range variants {
		if v.Mode == mode {
			kept = append(kept, v)
		}
	}
	return kept
}

// FirstScrape reads the counter from each service, and from a replica that has
// just started where one may be.
type FirstScrape struct{}

// Words says what is done.
func (FirstScrape) Words() string {
	return "read the metrics page of each service, and of a replica that has just started"
}

// Needs is a metrics page.
func (FirstScrape) Needs() []harness.Capability { return []harness.Capability{harness.Metrics} }

// Effect is none.
func (FirstScrape) Effect() harness.Effect { return harness.ReadOnly }

// Modes are both.
func (FirstScrape) Modes() []harness.Mode { return []harness.Mode{harness.OIDC, harness.MTLS} }

// Controlled is false: nothing is refused.
func (FirstScrape) Controlled() bool { return false }

// Act reads the pages.
func (FirstScrape) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	t := hands.Target()
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		if url := t.Metrics[mode]; url != "" {
			page, err := hands.Scrape(ctx, url)
			if err != nil {
				return trace, err
			}
			trace.Tallies = append(trace.Tallies, harness.Tally{Mode: mode, Name: AuthFailures, Before: page[AuthFailures], After: page[AuthFailures]})
		}
		if t.Shows(mode) && t.Grants(harness.RestartService) {
			tally, err := scrapeFresh(ctx, hands, mode)
			if err != nil {
				return trace, err
			}
			trace.Tallies = append(trace.Tallies, tally)
		}
	}
	return trace, nil
}

func scrapeFresh(ctx context.Context, hands harness.Hands, mode harness.Mode) (harness.Tally, error) {
	t := hands.Target()
	tally := harness.Tally{Mode: mode, Name: AuthFailures, Fresh: true}
	ctx, cancel := context.WithTimeout(ctx, bound(t.Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	replica, err := t.Control.Launcher.Launch(ctx, harness.Launch{Mode: mode})
	if err != nil {
		return tally, fmt.Errorf("starting a replica to read its metrics: %w", err)
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	for {
		page, err := hands.Scrape(ctx, replica.URL().URL+"/metrics")
		if err == nil {
			tally.Before, tally.After = page[AuthFailures], page[AuthFailures]
			return tally, nil
		}
		if !pause(ctx, 20e6) {
			return tally, fmt.Errorf("reading the metrics of a replica that has just started: %w", err)
		}
	}
}

// maxPage bounds a metrics page, bytes.
const maxPage = 8 << 20

// ErrUnseen marks what a target did not show: no verdict on it, and no defect
// of the harness.
var ErrUnseen = errors.New("not seen")

// Scrape reads a metrics page in the Prometheus text format. Its errors are
// ErrUnseen.
func Scrape(ctx context.Context, client *http.Client, url string) (map[string]harness.Family, error) {
	page, err := readPage(ctx, client, url)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w: %w", ErrUnseen, err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w: %w", ErrUnseen, err)
	}
	families := map[string]harness.Family{}
	for name, family := range parsed {
		families[name] = summarise(family)
	}
	return families, nil
}

func readPage(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "aegis-conformance/"+harness.Version)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d, want 200", url, response.StatusCode)
	}
	page, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if len(page) > maxPage {
		return nil, fmt.Errorf("%s answered more than %d bytes", url, maxPage)
	}
	return page, err
}

func summarise(family *dto.MetricFamily) harness.Family {
	f := harness.Family{Type: strings.ToLower(family.GetType().String()), Help: family.GetHelp(), Series: map[string]float64{}}
	for _, m := range family.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		f.Series[strings.Join(labels, ",")] += value(m)
	}
	return f
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	default:
		return m.GetUntyped().GetValue()
	}
}
