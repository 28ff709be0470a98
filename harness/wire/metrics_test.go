package wire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

func TestScrape(t *testing.T) {
	url := wiretest.Page(t, wiretest.Text(`# TYPE aegis_auth_failures_total counter
aegis_auth_failures_total{reason="expired"} 2
aegis_auth_failures_total{reason="a,b=\"c\"\nd"} 3
aegis_auth_failures_created 1.7e9
untyped_thing 7
`))
	families, err := Scrape(wiretest.Within(t, 20*time.Second), http.DefaultClient, url)
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
		"HTML":        wiretest.Text("<html><body>nothing here</body></html>"),
		"JSON":        wiretest.Text(`{"status":"ok"}`),
		"OpenMetrics without its end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0")
			_, _ = w.Write([]byte("# TYPE x counter\nx_total 1\n"))
		},
		"no UTF-8":    wiretest.Text("aegis_auth_failures_total{reason=\"\xff\"} 1\n"),
		"two values":  wiretest.Text("x{a=\"1\"} 1\nx{a=\"1\",a=\"2\"} 2\n"),
		"not numbers": wiretest.Text("aegis_auth_failures_total many\n"),
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
			families, err := Scrape(wiretest.Within(t, 20*time.Second), http.DefaultClient, wiretest.Page(t, serve))
			if families != nil || errors.Is(err, harness.ErrUnseen) == missing[name] || errors.Is(err, harness.ErrMissing) != missing[name] {
				t.Errorf("%d families, error %v; want none, and one that says that the page is missing: %v, or else that nothing was seen",
					len(families), err, missing[name])
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
	const classic = "# HELP aegis_auth_failures_total Refused.\n# TYPE aegis_auth_failures_total " +
		"counter\naegis_auth_failures_total{reason=\"expired\"} 5\n"
	const open = "# TYPE aegis_auth_failures counter\n# HELP aegis_auth_failures Refused.\naegis_auth_failures_total{reason=\"expired\"} " +
		"5 # {trace_id=\"a\"} 1 1.7e9\naegis_auth_failures_created{reason=\"expired\"} 1.7e9\n# EOF\n"
	kind, help, reason, five := dto.MetricType_COUNTER, "Refused.", "expired", 5.0
	name, label := "aegis_auth_failures_total", "reason"
	var binary bytes.Buffer
	if _, err := protodelim.MarshalTo(&binary, &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{
		{Label: []*dto.LabelPair{{Name: &label, Value: &reason}}, Counter: &dto.Counter{Value: &five}}}}); err != nil {
		t.Fatal(err)
	}
	for format, page := range map[string]string{
		"": classic, "text/plain": classic, "text/plain; version=0.0.4; charset=utf-8": classic, "text/plain; version=1.0.0; " +
			"escaping=allow-utf-8": classic,
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
