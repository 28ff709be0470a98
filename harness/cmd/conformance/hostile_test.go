package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// payload is what a terminal, a browser or an XML reader could be made to obey.
const payload = "\x1b[2J\x1b]0;owned\x07<script>alert('owned')</script><!--]]>\xff\xfe|owned`\u202eowned\r\n::error::owned\n"

// hostile are answers to whoever shows no valid token.
func hostile(elsewhere string) map[string]http.HandlerFunc {
	refuse := func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }
	return map[string]http.HandlerFunc{
		"markup, escapes and bad UTF-8": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Www-Authenticate", `Bearer realm="`+strings.NewReplacer("\r", "", "\n", "").Replace(payload)+`"`)
			refuse(w)
			_, _ = io.WriteString(w, payload)
		},
		"a body without an end": func(w http.ResponseWriter, r *http.Request) {
			refuse(w)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(payload, 100)); err != nil {
					return
				}
			}
		},
		"a flood of header fields": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 20_000 {
				w.Header().Set(fmt.Sprintf("X-Flood-%d", i), strings.Repeat("y", 100))
			}
			refuse(w)
		},
		"a byte at a time": func(w http.ResponseWriter, r *http.Request) {
			refuse(w)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, "\x1b"); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		},
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		},
		"a redirect to another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+payload, http.StatusPermanentRedirect)
		},
		"a broken chunk": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"+payload)
			_ = c.Close()
		},
		"a decompression bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			refuse(w)
			z := gzip.NewWriter(w)
			for range 64 {
				_, _ = z.Write(make([]byte, 1<<20))
			}
			_ = z.Close()
		},
	}
}

// TestHostileTargets holds the expectations against targets that answer what
// should break a harness: every run ends, what it says is small and inert in
// every format, and no credential goes where a redirect leads.
func TestHostileTargets(t *testing.T) {
	var strays atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strays.Add(1) }))
	t.Cleanup(other.Close)
	for name, answer := range hostile(other.URL + "/") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record := judgeHostile(t, answer, nil)
			files, err := report.Files(record)
			if err != nil {
				t.Fatal(err)
			}
			files["the console"] = []byte(report.Console(record, false))
			for file, data := range files {
				inert(t, file, data)
			}
		})
	}
	t.Cleanup(func() {
		if n := strays.Load(); n > 0 {
			t.Errorf("%d requests went where a redirect led", n)
		}
	})
}

const validToken = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjb250cm9sIn0.c2lnbmF0dXJlLW9mLXRoZS1jb250cm9s"

func judgeHostile(t *testing.T, answer http.HandlerFunc, met func(kind, value string)) signoff.Record {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+validToken {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	target := &harness.Target{
		Kind: harness.Live, Name: "hostile", Run: run.NewID(),
		Faces:     map[harness.Mode]harness.Face{harness.OIDC: {URL: server.URL}},
		Endpoints: []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", Body: []byte("{}"), Effect: harness.ReadOnly}},
		Tokens:    harness.TokenGrant{Valid: validToken},
	}
	engine := run.New(target, run.Options{TimeOut: 500 * time.Millisecond, Met: met})
	defer engine.Close()
	var chosen []harness.Expectation
	for _, id := range []string{"OIDC-001", "OIDC-004", "OIDC-006", "OIDC-013", "OIDC-021", "OIDC-023", "OIDC-024", "BRR-002"} {
		x, ok := suites.Find(id)
		if !ok {
			t.Fatalf("no expectation %s", id)
		}
		chosen = append(chosen, x)
	}
	in := suites.Input(harness.Live, target.Run, time.Now())
	in.Target, in.Findings = target, engine.All(t.Context(), chosen, nil)
	in.Ended = time.Now()
	judged := 0
	for _, f := range in.Findings {
		if f.Requests > 0 {
			judged++
		}
	}
	if judged < len(chosen)/2 {
		t.Errorf("%d of %d expectations sent anything: %v", judged, len(chosen), in.Findings)
	}
	return signoff.Conclude(in)
}

// inert wants a small text without anything to obey, and without the token.
func inert(t *testing.T, file string, data []byte) {
	t.Helper()
	if len(data) > 3<<20 {
		t.Errorf("%s has %d bytes", file, len(data))
	}
	if !utf8.Valid(data) {
		t.Errorf("%s is no UTF-8", file)
	}
	if i := bytes.IndexFunc(data, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == '\u202e' || r == 0x7f }); i >= 0 {
		t.Errorf("%s holds %q", file, data[max(0, i-30):min(len(data), i+30)])
	}
	for _, live := range []string{"<script>alert", "\n::error::owned", validToken} {
		if markup := live[0] == '<'; markup && json.Valid(data) {
			continue // what is JSON is no markup
		}
		if bytes.Contains(data, []byte(live)) {
			t.Errorf("%s holds %q", file, live)
		}
	}
}
