package stack

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"testing"

	"aegis.test/conformance/harness"
)

// callByHand calls an endpoint of a face by hand and gives the status.
func callByHand(t *testing.T, target *harness.Target, mode harness.Mode, header http.Header, pair *harness.CertPair) int {
	t.Helper()
	f := target.Faces[mode]
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(f.RootCAs)
	config := &tls.Config{RootCAs: roots, ServerName: f.Host, MinVersion: tls.VersionTLS12}
	if pair != nil {
		certificate, err := tls.X509KeyPair(pair.Chain, []byte(pair.Key.Reveal()))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	endpoint := target.Endpoints[0]
	request, err := http.NewRequestWithContext(t.Context(), endpoint.Method, f.URL+endpoint.Path, bytes.NewReader(endpoint.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = f.Host
	request.Header = header.Clone()
	request.Header.Set("Content-Type", endpoint.ContentType)
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// launched is a further replica, stopped with the test.
func launched(t *testing.T, target *harness.Target, launch harness.Launch) harness.Replica {
	t.Helper()
	r, err := target.Control.Launcher.Launch(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}
