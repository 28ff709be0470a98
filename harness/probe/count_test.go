package probe

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"aegis.test/conformance/harness"
)

// page serves a metrics page.
func page(t *testing.T, serve http.HandlerFunc) string {
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return server.URL
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
}

func TestScrape(t *testing.T) {
	url := page(t, text(`# TYPE aegis_auth_failures_total counter
aegis_auth_failures_total{reason="expired"} 2
aegis_auth_failures_total{reason="a,b=\"c\"\nd"} 3
aegis_auth_failures_created 1.7e9
untyped_thing 7
`))
	families, err := Scrape(within(t, 20*time.Second), http.DefaultClient, url)
	if err != nil {
		t.Fatal(err)
	}
	if f := families["aegis_auth_failures_total"]; f.Type != "counter" || len(f.Series) != 2 || f.Sum() != 5 {
		t.Errorf("%+v, want two series that sum to 5", f)
	}
	if f := families["untyped_thing"]; f.Sum() != 7 {
		t.Errorf("%+v, want 7", f)
	}
}

// TestHostilePages: each is an error that says that nothing was seen, and none
// hangs or is read to its end.
func TestHostilePages(t *testing.T) {
	var sent atomic.Int64
	endless := func(w http.ResponseWriter, line string) {
		block := []byte(strings.Repeat(line, 1000))
		for {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil || sent.Load() > 256<<20 {
				return
			}
		}
	}
	missing := map[string]bool{"not there": true, "gone": true, "HTML": true, "JSON": true}
	for name, serve := range map[string]http.HandlerFunc{
		"not there":   http.NotFound,
		"gone":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
		"forbidden":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"unavailable": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"HTML":        text("<html><body>nothing here</body></html>"),
		"JSON":        text(`{"status":"ok"}`),
		"OpenMetrics without its end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0")
			_, _ = w.Write([]byte("# TYPE x counter\nx_total 1\n"))
		},
		"no UTF-8":    text("aegis_auth_failures_total{reason=\"\xff\"} 1\n"),
		"two values":  text("x{a=\"1\"} 1\nx{a=\"1\",a=\"2\"} 2\n"),
		"not numbers": text("aegis_auth_failures_total many\n"),
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("x 1\n"))
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) { endless(w, "x 1\n") },
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			zeros := make([]byte, 1<<20)
			for range 64 {
				if _, err := z.Write(zeros); err != nil {
					return
				}
			}
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			families, err := Scrape(within(t, 20*time.Second), http.DefaultClient, page(t, serve))
			if families != nil || errors.Is(err, harness.ErrUnseen) == missing[name] || errors.Is(err, harness.ErrMissing) != missing[name] {
				t.Errorf("%d families, error %v; want none, and one that says that the page is missing: %v, or else that nothing was seen", len(families), err, missing[name])
			}
		})
	}
	if sent.Load() > 64<<20 {
		t.Errorf("read %d MiB of an endless page", sent.Load()>>20)
	}
}

// TestFormats: the counter of auth failures is read alike in every format that a
// page may be served in.
func TestFormats(t *testing.T) {
	const classic = "# HELP aegis_auth_failures_total Refused.\n# TYPE aegis_auth_failures_total counter\naegis_auth_failures_total{reason=\"expired\"} 5\n"
	const open = "# TYPE aegis_auth_failures counter\n# HELP aegis_auth_failures Refused.\naegis_auth_failures_total{reason=\"expired\"} 5 # {trace_id=\"a\"} 1 1.7e9\naegis_auth_failures_created{reason=\"expired\"} 1.7e9\n# EOF\n"
	kind, help, reason, five := dto.MetricType_COUNTER, "Refused.", "expired", 5.0
	name, label := "aegis_auth_failures_total", "reason"
	var binary bytes.Buffer
	if _, err := protodelim.MarshalTo(&binary, &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{
		{Label: []*dto.LabelPair{{Name: &label, Value: &reason}}, Counter: &dto.Counter{Value: &five}}}}); err != nil {
		t.Fatal(err)
	}
	for format, page := range map[string]string{
		"": classic, "text/plain": classic, "text/plain; version=0.0.4; charset=utf-8": classic, "text/plain; version=1.0.0; escaping=allow-utf-8": classic,
		"application/octet-stream":                                                                     classic,
		"application/openmetrics-text":                                                                 open,
		"application/openmetrics-text; version=0.0.1; charset=utf-8":                                   open,
		"application/openmetrics-text; version=1.0.0; charset=utf-8":                                   open,
		"application/openmetrics-text; version=1.0.0; escaping=underscores":                            open,
		"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited": binary.String(),
	} {
		families, err := parsePage([]byte(page), http.Header{"Content-Type": {format}})
		f := families["aegis_auth_failures_total"]
		if err != nil || f.Type != "counter" || f.Help != "Refused." || f.Sum() != 5 || len(f.Series) != 1 {
			t.Errorf("%q: %+v, %v", format, f, err)
		}
	}
}

// labelled is a service whose counter has no series before it has refused, as a
// counter with labels of prometheus_client has none.
func labelled(t *testing.T, counts bool) *harness.Target {
	var refused atomic.Int64
	target := httpsFace(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}}
	target.Metrics = map[harness.Mode]string{harness.OIDC: page(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# TYPE aegis_auth_failures_total counter\n")
		if n := refused.Load(); n > 0 && counts {
			_, _ = fmt.Fprintf(w, "aegis_auth_failures_total{reason=\"missing\"} %d\n", n)
		}
	})}
	return target
}

// TestAbsentUntilTheFirst: a counter that is not there is asked for again after a
// refusal, which is made for it.
func TestAbsentUntilTheFirst(t *testing.T) {
	for _, counts := range []bool{true, false} {
		trace, err := FirstScrape().Act(within(t, 20*time.Second), on(labelled(t, counts)))
		if err != nil || len(trace.Tallies) != 1 {
			t.Fatalf("%+v, %v", trace.Tallies, err)
		}
		if tally := trace.Tallies[0]; tally.Calls != 1 || len(tally.Before.Series) != 0 || (len(tally.After.Series) == 1) != counts {
			t.Errorf("counts %v: %+v", counts, tally)
		}
	}
}

// TestReadAgain: a page whose count is not what was done is read again.
func TestReadAgain(t *testing.T) {
	var asked atomic.Int64
	target := labelled(t, true)
	target.Metrics[harness.OIDC] = page(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "aegis_auth_failures_total %d\n", asked.Add(1)%2)
	})
	trace, err := Count(NoCredential(harness.OIDC), 3).Act(within(t, 20*time.Second), on(target))
	if err != nil || len(trace.Tallies) != 1 || len(trace.Tallies[0].Again) != restless {
		t.Errorf("%+v, %v", trace.Tallies, err)
	}
}
