package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// asked is what the oracle of a live log answers of a probe.
func asked(t *testing.T, o *oracle, probe string) (harness.Reached, int) {
	t.Helper()
	w := httptest.NewRecorder()
	o.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+probe, nil))
	var reached harness.Reached
	if w.Code == http.StatusOK {
		if err := json.NewDecoder(w.Body).Decode(&reached); err != nil {
			t.Fatal(err)
		}
	}
	return reached, w.Code
}

// liveLog is the oracle of a log that a configuration names.
func liveLog(t *testing.T, grant string) *oracle {
	t.Helper()
	l := loaded(t, bothModesFile+"grants: {logs: {"+grant+", handled: 'handled as (?P<identity>\\S+)'}}\n")
	b := &builder{Loaded: l}
	return &oracle{lines: b.lines(time.Now()), handled: regexp.MustCompile(l.Grants.Logs.Handled)}
}

// wantReached wants a probe to have been seen twice and handled once, and another
// not to have come.
func wantReached(t *testing.T, o *oracle) {
	t.Helper()
	if got, code := asked(t, o, "run-1"); code != http.StatusOK || got.Seen != 2 || got.Handled != 1 || len(got.Identity) != 1 || got.Identity[0] != "client" {
		t.Errorf("status %d, %+v: want two lines, one of which was handled as the client", code, got)
	}
	if got, code := asked(t, o, "run-2"); code != http.StatusOK || got.Seen != 0 {
		t.Errorf("status %d, %+v: want no line of a probe that nobody sent", code, got)
	}
}

const twoLines = "probe=run-1 arrived\nprobe=run-1 handled as client\nprobe=run-3 handled as another\n"

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service.log")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	earlier := strings.Repeat("probe=run-1 of an earlier run\n", 20)
	write(earlier)
	o := liveLog(t, fmt.Sprintf("file: %q", path))
	write(earlier + twoLines)
	wantReached(t, o)
	write(twoLines) // it was rotated
	wantReached(t, o)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, code := asked(t, o, "run-1"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d of a log that is gone, want 503: nothing is told of it", code)
	}
}

func TestLogCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service.log")
	if err := os.WriteFile(path, []byte(twoLines), 0o600); err != nil {
		t.Fatal(err)
	}
	wantReached(t, liveLog(t, fmt.Sprintf(`command: ["sh", "-c", "grep -- \"$1\" \"$2\" || true", "sh", "{{probe}}", %q]`, path)))
	if _, code := asked(t, liveLog(t, `command: ["false"]`), "run-1"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d of a command that fails, want 503", code)
	}
}

// TestComponentLogs: each component's command is its own.
func TestComponentLogs(t *testing.T) {
	logs := printing{"ingress": {"echo", "of the ingress"}, "service-oidc": {"false"}}
	if text, err := logs.Read(t.Context(), "ingress"); err != nil || text != "of the ingress\n" {
		t.Errorf("%v: got %q, want what the command prints", err, text)
	}
	for _, component := range []string{"service-oidc", "service-mtls"} {
		if _, err := logs.Read(t.Context(), component); err == nil || !strings.Contains(err.Error(), component) {
			t.Errorf("got %v, want an error that names %s", err, component)
		}
	}
}

// TestLoki answers as Loki's query_range does: no Loki can be had here, this stands
// in for one.
func TestLoki(t *testing.T) {
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.URL.Path != "/loki/api/v1/query_range" || query.Get("start") == "" || !strings.HasPrefix(query.Get("query"), `{app="aegis"} |= "run-`) {
			t.Errorf("asked %s", r.URL)
		}
		var values [][2]string
		for line := range strings.Lines(twoLines) {
			if wanted := strings.Trim(strings.TrimPrefix(query.Get("query"), `{app="aegis"} |= `), `"`); strings.Contains(line, wanted) {
				values = append(values, [2]string{"1", strings.TrimSpace(line)})
			}
		}
		w.WriteHeader(status)
		answer := map[string]any{"status": "success", "data": map[string]any{"resultType": "streams", "result": []any{map[string]any{"stream": map[string]string{"app": "aegis"}, "values": values}}}}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	o := liveLog(t, fmt.Sprintf(`loki: {url: %q, query: '{app="aegis"}'}`, server.URL))
	status = http.StatusOK
	wantReached(t, o)
	status = http.StatusUnauthorized
	if _, code := asked(t, o, "run-1"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d of a Loki that refuses, want 503", code)
	}
}

// TestReloadHook: the command runs once the file is another, and what it says when
// it fails is told.
func TestReloadHook(t *testing.T) {
	dir := t.TempDir()
	trusted, seen := filepath.Join(dir, "trusted.pem"), filepath.Join(dir, "seen.pem")
	if err := os.WriteFile(trusted, []byte("sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	noted := 0
	i := &liveIngress{reload: []string{"cp", trusted, seen}, file: trusted,
		note: func(Entry) error { noted++; return nil }, keep: func([]byte) (string, error) { return "copy", nil }}
	wantSeen := func(want string) {
		t.Helper()
		got, err := os.ReadFile(seen)
		if err != nil || string(got) != want {
			t.Errorf("%v: the ingress has read %q, want %q", err, got, want)
		}
	}
	if err := i.TrustOnly(t.Context(), []byte("another")); err != nil {
		t.Fatal(err)
	}
	wantSeen("another")
	if err := i.TrustOnly(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "trusted.pem") {
		t.Errorf("got %v, want what cp says of a file that is gone", err)
	}
	if err := i.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSeen("sound")
	if noted == 0 {
		t.Error("the file was changed and nothing was noted")
	}
}
