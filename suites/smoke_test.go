package suites_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/suites"
)

// smoke are the expectations that make the twelve checks which a team would write
// itself: valid, expired, none and garbage, at each of three endpoints.
var smoke = []string{"OIDC-001", "OIDC-002", "OIDC-003", "OIDC-004", "OIDC-005", "OIDC-013"}

// BenchmarkSmoke measures those rows, from the target to a sign-off in every format,
// beside a plain client that sends the twelve requests and looks at the status: what a
// script would do. x-plain is how many times as long the rows take.
func BenchmarkSmoke(b *testing.B) {
	started, err := stack.Start(b.Context(), stack.Spec{Runtime: stack.Embedded, Run: run.NewID()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = started.Stop(b.Context()) }()
	var plain, rows time.Duration
	for b.Loop() {
		began := time.Now()
		callPlainly(b, started.Target)
		plain += time.Since(began)
		began = time.Now()
		judgeSmoke(b, started.Target)
		rows += time.Since(began)
	}
	b.ReportMetric(float64(plain.Milliseconds())/float64(b.N), "plain-ms")
	b.ReportMetric(float64(rows.Milliseconds())/float64(b.N), "rows-ms")
	b.ReportMetric(float64(rows)/float64(plain), "x-plain")
}

func judgeSmoke(b *testing.B, t *harness.Target) {
	engine := run.New(t, run.Options{})
	defer engine.Close()
	in := suites.Input(harness.Rehearsal, run.NewID(), time.Now())
	in.Target = t
	var chosen []harness.Expectation
	for _, id := range smoke {
		x, ok := suites.Find(id)
		if !ok {
			b.Fatalf("there is no %s", id)
		}
		chosen = append(chosen, x)
	}
	in.Selected, in.Findings = smoke, engine.All(b.Context(), chosen, nil)
	for _, f := range in.Findings {
		if f.Verdict != harness.Pass {
			b.Fatalf("%s %s: %s", f.ID, f.Verdict, f.Reason)
		}
	}
	if _, err := report.Files(signoff.Conclude(in)); err != nil {
		b.Fatal(err)
	}
}

// callPlainly makes the twelve calls one after the other, on connections that are kept.
func callPlainly(b *testing.B, t *harness.Target) {
	face := t.Faces[harness.OIDC]
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(face.RootCAs)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: face.Host, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	valid, expired := minted(b, t, 0), minted(b, t, -20*time.Minute)
	for _, endpoint := range t.Endpoints[:3] {
		for credential, want := range map[string]int{"Bearer " + valid: 200, "Bearer " + expired: 401, "": 401, "Bearer garbage": 401} {
			body := bytes.ReplaceAll(endpoint.Body, []byte("{{unique}}"), []byte(token.Random(6)))
			request, err := http.NewRequestWithContext(b.Context(), endpoint.Method, face.URL+endpoint.Path, bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			request.Host = face.Host
			request.Header.Set("Content-Type", endpoint.ContentType)
			if credential != "" {
				request.Header.Set("Authorization", credential)
			}
			response, err := client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode != want {
				b.Fatalf("%s with %q: %d, want %d", endpoint.Path, strings.SplitN(credential, ".", 2)[0], response.StatusCode, want)
			}
		}
	}
}

// minted is a token as it would have been made some time ago.
func minted(b *testing.B, t *harness.Target, ago time.Duration) string {
	source := token.From(t)
	source.Now = source.Now.Add(ago)
	draft, err := source.Draft()
	if err != nil {
		b.Fatal(err)
	}
	compact, err := draft.Compact()
	if err != nil {
		b.Fatal(err)
	}
	return compact
}
