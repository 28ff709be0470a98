package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protodelim"

	"aegis.test/conformance/harness"
)

// maxPage bounds a metrics page, bytes.
const maxPage = 8 << 20

// Scrape reads a metrics page in the format that it is served in: Prometheus's text
// or protocol buffers, or OpenMetrics. Its errors are ErrUnseen, or ErrMissing where
// another page is served, or none.
func Scrape(ctx context.Context, client *http.Client, url string) (map[string]harness.Family, error) {
	page, header, err := readPage(ctx, client, url)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	families, err := parsePage(page, header)
	switch {
	case err == nil:
		return families, nil
	case noMetrics(page):
		return nil, fmt.Errorf("reading metrics: %w: %s answers with a page that is none of metrics: %w", harness.ErrMissing, url, err)
	default:
		return nil, fmt.Errorf("reading metrics: %w: %w", harness.ErrUnseen, err)
	}
}

// noMetrics reports a page that is HTML, or JSON.
func noMetrics(page []byte) bool {
	page = bytes.TrimSpace(page)
	return len(page) > 0 && (page[0] == '<' || page[0] == '[' || page[0] == '{' && bytes.HasSuffix(page, []byte("}")))
}

// parsePage reads a page by its Content-Type; what has none that is known is text,
// as Prometheus has always read it.
func parsePage(page []byte, header http.Header) (map[string]harness.Family, error) {
	families := map[string]harness.Family{}
	format := expfmt.ResponseFormat(header)
	if format.FormatType() == expfmt.TypeUnknown {
		format = expfmt.FmtText
	}
	decode := decoderOf(page, format)
	for {
		var family dto.MetricFamily
		switch err := decode(&family); {
		case errors.Is(err, io.EOF):
			return families, nil
		case err != nil:
			return nil, err
		}
		families[sampled(&family, format)] = summarise(&family)
	}
}

// decoderOf reads the families of a page one after the other. Of protocol buffers expfmt
// makes room for whatever length a page says to have: here it is the page's at most.
func decoderOf(page []byte, format expfmt.Format) func(*dto.MetricFamily) error {
	if format.FormatType() == expfmt.TypeProtoDelim {
		in, bounded := bytes.NewReader(page), protodelim.UnmarshalOptions{MaxSize: int64(len(page))}
		return func(family *dto.MetricFamily) error { return bounded.UnmarshalFrom(in, family) }
	}
	decoder := expfmt.NewDecoder(bytes.NewReader(page), format.WithEscapingScheme(model.NoEscaping))
	return func(family *dto.MetricFamily) error { return decoder.Decode(family) }
}

// sampled is the name that a family's samples have. In OpenMetrics a counter's
// end in _total, which its family does not.
func sampled(family *dto.MetricFamily, format expfmt.Format) string {
	name := family.GetName()
	if format.FormatType() == expfmt.TypeOpenMetrics && family.GetType() == dto.MetricType_COUNTER && !strings.HasSuffix(name, "_total") {
		name += "_total"
	}
	return name
}

func readPage(ctx context.Context, client *http.Client, url string) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", harness.ErrUnseen, err)
	}
	request.Header.Set("User-Agent", "aegis-conformance/"+harness.Version)
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", harness.ErrUnseen, err)
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, nil, fmt.Errorf("%w: %s answered %d, want 200", harness.ErrMissing, url, response.StatusCode)
	default:
		return nil, nil, fmt.Errorf("%w: %s answered %d, want 200", harness.ErrUnseen, url, response.StatusCode)
	}
	page, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	switch {
	case len(page) > maxPage:
		return nil, nil, fmt.Errorf("%w: %s answered more than %d bytes", harness.ErrUnseen, url, maxPage)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", harness.ErrUnseen, err)
	}
	return page, response.Header, nil
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
