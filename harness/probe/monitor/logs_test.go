package monitor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/wire/wiretest"
)

// written is a log that a test writes.
type written struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *written) Read(context.Context, string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String(), nil
}

func (w *written) line(format string, values ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&w.text, format+"\n", values...)
}

// TestRefusalsInAnIngressLog: a refusal is found in the log formats that ingresses have
// as they are installed, by the target or by the path alone, and not where none is.
func TestRefusalsInAnIngressLog(t *testing.T) {
	for name, row := range map[string]struct {
		log   func(w *written, r *http.Request)
		found bool
	}{
		"nginx, combined": {func(w *written, r *http.Request) {
			w.line(`127.0.0.1 - - [01/Oct/2026:10:00:00 +0000] "%s %s HTTP/1.1" 401 20 "-" "%s"`, r.Method, r.RequestURI, r.UserAgent())
		}, true},
		"the path alone": {func(w *written, r *http.Request) { w.line(`{"uri":%q,"status":401}`, r.URL.Path) }, true},
		"a header":       {func(w *written, r *http.Request) { w.line(`probe=%s 401`, r.Header.Get(harness.ProbeHeader)) }, true},
		"another status": {func(w *written, r *http.Request) { w.line(`{"uri":%q,"status":200}`, r.URL.Path) }, false},
		"nothing":        {func(*written, *http.Request) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &written{}
			w.line(`{"uri":"/predict","status":401} of another day`)
			target := wiretest.Serve(t, func(rw http.ResponseWriter, r *http.Request) {
				row.log(w, r)
				rw.WriteHeader(http.StatusUnauthorized)
			})
			target.Faces[harness.MTLS] = target.Faces[harness.OIDC]
			target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}}
			target.Certs.EnrolledCN, target.Control = "caller", &harness.Control{Logs: w}
			trace, err := RefusedByIngress(2).Act(t.Context(), probetest.On(target))
			if err != nil || len(trace.Records) != 4 {
				t.Fatalf("%d records, %v", len(trace.Records), err)
			}
			for _, record := range trace.Records {
				if found := len(record.Lines) == 1 && strings.Contains(record.Lines[0], "401"); found != row.found {
					t.Errorf("lines %q", record.Lines)
				}
			}
		})
	}
}
