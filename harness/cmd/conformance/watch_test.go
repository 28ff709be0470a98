package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

// TestWatch: a word is said of what changed and stayed so, and of nothing else; what changes
// back is unstable, and only counted.
func TestWatch(t *testing.T) {
	e := serve(t, "watched")
	var told []word
	refusing := true
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said word
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		if refusing {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		told = append(told, said)
	}))
	defer hook.Close()
	t.Setenv("WATCH_HOOK", hook.URL)
	history := t.TempDir()
	metrics := filepath.Join(t.TempDir(), "conformance.prom")
	look := func(what string, code int, says string) {
		t.Helper()
		stdout, stderr, got := conformance(t, "watch", "--config", e.config, "--rounds", "1", "--second-look", "0s", "--only", "OIDC-004,OIDC-005",
			"--history", history, "--textfile", metrics, "--webhook", "env:WATCH_HOOK")
		if got != code || says == "" && stdout != "" || !strings.Contains(stdout, says) {
			t.Errorf("%s: status %d, %q, %q; want %d and %q", what, got, stdout, stderr, code, says)
		}
		if strings.Contains(stdout+stderr, hook.URL) {
			t.Errorf("%s: the webhook's URL is shown", what)
		}
	}
	look("the first", exitPass, "first look")
	look("nothing changed", exitPass, "")
	e.open.Store(true)
	look("an expired token is served", exitFail, "OIDC-005 Expired token: was pass, is fail (security)")
	if len(told) != 0 {
		t.Errorf("the webhook refused, and took %v", told)
	}
	refusing = false
	look("it still is", exitFail, "")
	if len(told) != 1 || len(told[0].Drift) != 1 || told[0].Target != "watched" || !strings.Contains(told[0].Text, "drift") {
		t.Errorf("the webhook was told %+v; want the drift, after the next look", told)
	}
	e.open.Store(false)
	look("it is mended", exitPass, "was fail (security), is pass")
	e.flaky.Store(1)
	look("it is served once", exitFail, "")
	if len(told) != 2 {
		t.Errorf("the webhook was told %d times; want of the drift and of the mending", len(told))
	}
	var known remembered
	if data, err := os.ReadFile(filepath.Join(history, memory)); err != nil || json.Unmarshal(data, &known) != nil {
		t.Fatal(err)
	}
	if n := len(known.Points); n != 6 || strings.Join(known.Points[n-1].Unstable, " ") != "OIDC-005" || known.Changes != 2 {
		t.Errorf("it remembers %d looks, %d changes, the last unstable in %v", n, known.Changes, known.Points[n-1].Unstable)
	}
	if r, _, err := signoff.Load(filepath.Join(history, known.Points[2].Folder())); err != nil || r.Since == nil || r.Since.Old.Run != known.Points[1].Run {
		t.Errorf("the look's sign-off: %v, %+v", err, r.Since)
	}
	page, err := os.ReadFile(filepath.Join(history, "index.html"))
	if err != nil || strings.Count(string(page), "/signoff.html") != 6 {
		t.Errorf("the trend links %d looks: %v", strings.Count(string(page), "/signoff.html"), err)
	}
	collected(t, metrics, 1)
	e.Close()
	look("it is gone", exitEnvironment, "there was no look")
	look("it is still gone", exitEnvironment, "")
	collected(t, metrics, 0)
}

// collected reads the text file as node exporter does.
func collected(t *testing.T, path string, up float64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := families["aegis_conformance_up"].GetMetric()[0].GetGauge().GetValue(); got != up {
		t.Errorf("up is %v, want %v", got, up)
	}
	series := 0
	for _, family := range families {
		series += len(family.GetMetric())
	}
	if most := 20; series > most {
		t.Errorf("%d series of one target; want %d at most", series, most)
	}
}

// TestWatchRefuses what it cannot look at, and a history of another target.
func TestWatchRefuses(t *testing.T) {
	one, two := serve(t, "one"), serve(t, "two")
	history := t.TempDir()
	if _, stderr, code := conformance(t, "watch", "--config", one.config, "--rounds", "1", "--only", "OIDC-004", "--history", history); code != exitPass {
		t.Fatalf("status %d, %s", code, stderr)
	}
	for want, args := range map[string][]string{
		`is of "one", the configuration of "two"`: {"--config", two.config, "--rounds", "1", "--history", history},
		"want 1m0s or more":                       {"--config", one.config, "--every", "1s"},
		"want a reference, env:NAME":              {"--config", one.config, "--webhook", "https://hooks.example/secret"},
	} {
		if _, stderr, code := conformance(t, append([]string{"watch"}, args...)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%v: status %d, %q; want %q", args, code, stderr, want)
		}
	}
}

// TestTrendOfNothing renders a watch that never had a look.
func TestTrendOfNothing(t *testing.T) {
	if page, err := report.Trend("<b>x</b>", nil); err != nil || strings.Contains(string(page), "<b>x") {
		t.Errorf("%v\n%s", err, page)
	}
}
