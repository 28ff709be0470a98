package probe

import (
	"compress/gzip"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
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
	if f := families[AuthFailures]; f.Type != "counter" || len(f.Series) != 2 || f.Sum() != 5 {
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
	for name, serve := range map[string]http.HandlerFunc{
		"not there":   http.NotFound,
		"HTML":        text("<html><body>nothing here</body></html>"),
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
			if !errors.Is(err, ErrUnseen) || families != nil {
				t.Errorf("%d families, error %v; want none, and one that says nothing was seen", len(families), err)
			}
		})
	}
	if sent.Load() > 64<<20 {
		t.Errorf("read %d MiB of an endless page", sent.Load()>>20)
	}
}
