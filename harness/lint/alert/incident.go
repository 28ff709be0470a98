package alert

import (
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Incident is what happens to the series that rules look at.
type Incident int

// Incidents.
const (
	Calm   Incident = iota // a call a minute is refused, as on any day
	Spike                  // a thousand calls a second are refused, for half an hour
	Silent                 // no replica answers for half an hour, and its container is started over and over
	Gone                   // there is no replica: no series of its own
)

// The time of an incident. What was before has no beginning.
var begins = time.Unix(1_700_000_000, 0).UTC()

const (
	lasts    = 30 * time.Minute
	before   = 15 * time.Minute // that rules are tried before an incident
	after    = 15 * time.Minute
	scraped  = 30 * time.Second
	patience = 10 * time.Second // for one expression
	most     = 6000             // samples of one series
)

// Tried is what an alert does in an incident.
type Tried struct {
	Fires bool
	For   time.Duration // the longest that its expression held
	Known bool          // every series that it asks for is one that is known here
}

var engine = promql.NewEngine(promql.EngineOpts{
	MaxSamples: 10_000_000, Timeout: patience, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
	NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() }, Parser: language,
})

// Try runs an alert through an incident, with the recording rules of all files.
func (r Rule) Try(all []Rule, in Incident) (Tried, error) {
	w := &world{incident: in, base: shared(r, all), known: true}
	needs := r.Metrics(all)
	for _, other := range all {
		if other.Record != "" && needs[other.Record] {
			if err := w.record(other); err != nil {
				return Tried{}, err
			}
		}
	}
	matrix, err := w.query(r.Expr, cmpOr(r.Interval, scraped))
	if err != nil {
		return Tried{}, err
	}
	t := Tried{Known: w.known}
	for _, series := range matrix {
		t.For = max(t.For, longest(series, cmpOr(r.Interval, scraped)))
		t.Fires = t.Fires || len(series.Floats)+len(series.Histograms) > 0 && t.For >= r.For
	}
	return t, nil
}

func cmpOr(a, b time.Duration) time.Duration {
	if a > 0 {
		return a
	}
	return b
}

// longest is the longest time that a series was there without a gap.
func longest(s promql.Series, step time.Duration) time.Duration {
	var most, first, last int64
	for i, p := range s.Floats {
		if i == 0 || p.T-last > step.Milliseconds() {
			first = p.T
		}
		last = p.T
		most = max(most, last-first)
	}
	return time.Duration(most) * time.Millisecond
}

// world is all series in an incident, made as they are asked for.
type world struct {
	incident Incident
	base     map[string]string // labels that all series have
	recorded []storage.Series
	known    bool
}

// query evaluates an expression at every step.
func (w *world) query(expr string, step time.Duration) (promql.Matrix, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q, err := engine.NewRangeQuery(ctx, w, nil, expr, begins.Add(-before), begins.Add(lasts+after), step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	kept := make(promql.Matrix, len(matrix)) // what the query holds is used again once it is closed
	for i, s := range matrix {
		kept[i] = promql.Series{Metric: s.Metric.Copy(), Floats: slices.Clone(s.Floats)}
	}
	return kept, nil
}

// record keeps what a recording rule gives.
func (w *world) record(r Rule) error {
	matrix, err := w.query(r.Expr, cmpOr(r.Interval, scraped))
	if err != nil {
		return err
	}
	for _, s := range matrix {
		b := labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, r.Record)
		for name, value := range r.labels {
			b.Set(name, value)
		}
		var list []chunks.Sample
		for _, p := range s.Floats {
			list = append(list, sample{p.T, p.F})
		}
		w.recorded = append(w.recorded, storage.NewListSeries(b.Labels(), list))
	}
	return nil
}

// shared are labels that all series of a rule have, so that they can be joined: those
// that it asks for by their value, and those of one replica.
func shared(r Rule, all []Rule) map[string]string {
	base := map[string]string{"job": "aegis", "instance": "aegis-0:8080", "namespace": "aegis", "pod": "aegis-0", "container": "aegis",
		"service": "aegis"}
	asked, needs := selectors(r.parsed), r.Metrics(all)
	for _, other := range all {
		if other.Record != "" && needs[other.Record] {
			asked = append(asked, selectors(other.parsed)...)
		}
	}
	for _, s := range asked {
		for _, m := range s.LabelMatchers {
			if _, known := base[m.Name]; known {
				if value, ok := matching(m); ok {
					base[m.Name] = value
				}
			}
		}
	}
	return base
}

// matching is a value that a matcher takes.
func matching(m *labels.Matcher) (string, bool) {
	candidates := []string{m.Value}
	for _, one := range strings.Split(strings.Trim(m.Value, "^$()"), "|") {
		one = strings.Trim(one, "^$()")
		candidates = append(candidates, one, strings.NewReplacer(".*", "x", ".+", "x", "..", "01").Replace(one))
	}
	candidates = append(candidates, "aegis", "aegis-0", "prod", "staging", "x", "401", "403", "invalid_token", "")
	for _, c := range candidates {
		if m.Matches(c) {
			return c, true
		}
	}
	return "", false
}

// Querier is storage.Queryable's.
func (w *world) Querier(from, to int64) (storage.Querier, error) { return &querier{w, from, to}, nil }

type querier struct {
	*world
	from, to int64
}

func (*querier) Close() error { return nil }

func (*querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (*querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Select makes the series that matchers ask for.
func (q *querier) Select(_ context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	name := ""
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			name = m.Value
		}
	}
	var found []storage.Series
	for _, s := range q.recorded {
		if s.Labels().Get(model.MetricNameLabel) == name && matches(s.Labels(), matchers) {
			found = append(found, s)
		}
	}
	if len(found) > 0 {
		return &set{list: found, at: -1}
	}
	from, to := q.from, q.to
	if hints != nil {
		from, to = hints.Start, hints.End
	}
	for _, extra := range variants(name, matchers) {
		if s := q.series(name, extra, matchers, from, to); s != nil {
			found = append(found, s)
		}
	}
	return &set{list: found, at: -1}
}

func matches(l labels.Labels, matchers []*labels.Matcher) bool {
	return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(l.Get(m.Name)) })
}

// variants are the labels in which the series of one metric differ: refusals have
// reasons.
func variants(name string, matchers []*labels.Matcher) []map[string]string {
	if failures.MatchString(name) && !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return m.Name == "reason" }) {
		return []map[string]string{{"reason": "invalid_token"}, {"reason": "missing_credential"}}
	}
	return []map[string]string{nil}
}

// series makes one series; nil where no labels match, or it is not there.
func (q *querier) series(name string, extra map[string]string, matchers []*labels.Matcher, from, to int64) storage.Series {
	all := maps.Clone(q.base)
	maps.Copy(all, extra)
	for _, m := range matchers {
		if m.Matches(all[m.Name]) || m.Name == model.MetricNameLabel {
			continue
		}
		value, ok := matching(m)
		if !ok {
			q.known = false
			return nil
		}
		all[m.Name] = value
	}
	all[model.MetricNameLabel] = name
	value := q.value(name, all)
	if value == nil {
		return nil
	}
	step := max(scraped.Milliseconds(), (to-from)/most)
	var list []chunks.Sample
	for t := from - from%step; t <= to; t += step {
		if v, there := value(time.UnixMilli(t).Sub(begins)); there && t >= from {
			list = append(list, sample{t, v})
		}
	}
	if len(list) == 0 {
		return nil
	}
	return storage.NewListSeries(labels.FromMap(all), list)
}

// failures are counters of refusals by their name.
var failures = regexp.MustCompile(`(?i)auth\w*_(fail|denied|refus|reject|error)|(fail|denied|refused|rejected)\w*_auth|unauthori[sz]ed`)

// refused says whether a selector asks for refusals: by its metric's name, or by the
// status of answers.
func refused(s *parser.VectorSelector) bool {
	if failures.MatchString(metric(s)) {
		return true
	}
	return slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool {
		return statusLabel.MatchString(m.Name) && (m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp) && (m.Matches("401") ||
			m.Matches("403") || m.Value == "4xx")
	})
}

var statusLabel = regexp.MustCompile(`(?i)^(code|status|status_?code|http_status(_code)?)$`)

// lives are series that tell whether a service runs.
var lives = regexp.MustCompile(`^(up|probe_success|absent|scrape_samples_scraped|` +
	`kube_(pod|deployment|statefulset|daemonset|replicaset)_.*)$`)

// LooksAtFailures says whether an alert looks at refusals.
func (r Rule) LooksAtFailures(all []Rule) bool { return r.looks(all, refused, 0) }

// LooksAtLife says whether an alert looks at whether a service runs.
func (r Rule) LooksAtLife(all []Rule) bool {
	return r.looks(all, func(s *parser.VectorSelector) bool {
		return lives.MatchString(metric(s)) || strings.HasPrefix(metric(s), "aegis_")
	}, 0)
}

func (r Rule) looks(all []Rule, at func(*parser.VectorSelector) bool, depth int) bool {
	for _, s := range selectors(r.parsed) {
		recorded := false // then it is what the recording rule looks at
		for _, other := range all {
			if other.Record == "" || other.Record != metric(s) {
				continue
			}
			recorded = true
			if depth < 8 && other.looks(all, at, depth+1) {
				return true
			}
		}
		if !recorded && at(s) {
			return true
		}
	}
	return false
}

// valued is a series' value at a time since an incident has begun, and whether it is
// there.
type valued func(since time.Duration) (float64, bool)

// during is how long an incident has lasted at a time.
func during(since time.Duration) float64 { return min(max(since, 0), lasts).Seconds() }

// years is where counters begin, so that they are above zero.
const years = 3 * 365 * 24 * time.Hour

// counter grows by so many a second, and by more in the incident.
func counter(always, more float64) valued {
	return func(since time.Duration) (float64, bool) {
		return math.Floor(always*(years+since).Seconds() + more*during(since)), true
	}
}

// gauge has a value, and another one in the incident.
func gauge(always, then float64) valued {
	return func(since time.Duration) (float64, bool) {
		if since >= 0 && since < lasts {
			return then, true
		}
		return always, true
	}
}

// value is what a series shows; nil where it is never there.
func (q *querier) value(name string, all map[string]string) valued {
	down := q.incident == Silent || q.incident == Gone
	is := func(yes bool, v float64) float64 {
		if yes {
			return v
		}
		return 0
	}
	spike := is(q.incident == Spike, 1)
	switch {
	case failures.MatchString(name):
		return q.own(counter(1.0/60, 1000*spike))
	case name == "up" || name == "probe_success":
		if q.incident == Gone {
			return q.own(gauge(1, 1))
		}
		return gauge(1, is(!down, 1))
	case name == "aegis_auth_mode_info":
		if all["mode"] == "none" {
			return nil
		}
		return q.own(gauge(1, 1))
	case strings.HasPrefix(name, "kube_"):
		return kube(name, all, down)
	case strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum") ||
		strings.HasSuffix(name, "_bucket"):
		for label, value := range all {
			if statusLabel.MatchString(label) && (value == "401" || value == "403" || value == "4xx") {
				return q.own(counter(1.0/60, 1000*spike))
			}
		}
		return q.own(counter(50, 2000*spike))
	default:
		q.known = false
		return nil
	}
}

// own is a series of the service's own: it ends with its last replica.
func (q *querier) own(v valued) valued {
	return func(since time.Duration) (float64, bool) {
		if (q.incident == Silent || q.incident == Gone) && since >= 0 && since < lasts {
			return 0, false
		}
		return v(since)
	}
}

// kube is what kube-state-metrics shows of a Deployment of one replica, which starts
// over and over.
func kube(name string, all map[string]string, down bool) valued {
	up, bad := gauge(1, 1), gauge(0, 0)
	if down {
		up, bad = gauge(1, 0), gauge(0, 1)
	}
	switch {
	case strings.HasSuffix(name, "_restarts_total"):
		if down {
			return counter(0, 1.0/60)
		}
		return counter(0, 0)
	case strings.HasSuffix(name, "_waiting_reason"):
		if reason := all["reason"]; reason != "" && reason != "CrashLoopBackOff" {
			return nil
		}
		return onlyThen(down)
	case strings.HasSuffix(name, "_terminated_reason"), strings.HasSuffix(name, "_terminated_exitcode"):
		if reason := all["reason"]; reason != "" && reason != "Error" {
			return nil
		}
		return onlyThen(down)
	case strings.Contains(name, "unavailable"), strings.HasSuffix(name, "_waiting"), strings.HasSuffix(name, "_unready"):
		return bad
	case strings.Contains(name, "available"), strings.HasSuffix(name, "_ready"), strings.HasSuffix(name, "_running"):
		return up
	default: // what is wanted: replicas, containers
		return gauge(1, 1)
	}
}

// onlyThen is a series that is there in an incident only.
func onlyThen(down bool) valued {
	return func(since time.Duration) (float64, bool) { return 1, down && since >= 0 && since < lasts }
}

// set is a list of series.
type set struct {
	list []storage.Series
	at   int
}

func (s *set) Next() bool {
	s.at++
	return s.at < len(s.list)
}

func (s *set) At() storage.Series              { return s.list[s.at] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

// sample is one sample of a series.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                    { return s.t }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.f }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

// String names an incident, as a report does.
func (in Incident) String() string {
	return [...]string{
		"a calm day", "a spike of a thousand refusals a second for half an hour", "half an hour without an answer, and restarts",
		"half an hour without any replica",
	}[in]
}

var _ fmt.Stringer = Calm
