package wire

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire/wiretest"
)

// TestSecondHandshake asks OpenSSL's server for one, which begins it where it is told
// to, under either hash, and refuses it elsewhere; one of TLS 1.3 alone cannot be asked.
func TestSecondHandshake(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		want harness.Transport
	}{
		"allowed, SHA-256": {[]string{"-tls1_2", "-cipher", "ECDHE+AES128", "-client_renegotiation"}, harness.Answered},
		"allowed, SHA-384": {[]string{"-tls1_2", "-cipher", "ECDHE+AES256", "-client_renegotiation"}, harness.Answered},
		"as it is":         {[]string{"-tls1_2"}, harness.Alert},
		"TLS 1.3 alone":    {[]string{"-tls1_3"}, harness.Unoffered},
	} {
		face := opensslServer(t, row.args)
		seen := Send(t.Context(), &harness.Target{}, harness.Request{Face: &face, Renegotiate: true})
		if seen.Transport != row.want || seen.Status != 0 {
			t.Errorf("%s: got %q (%s), want %q", name, seen.Transport, seen.Detail, row.want)
		}
	}
}

// opensslServer is openssl s_server, which ends with the test.
func opensslServer(t *testing.T, args []string) harness.Face {
	t.Helper()
	a := wiretest.Authority(t)
	pair, err := a.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := pair.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "server.pem")
	if err := os.WriteFile(file, append(key, pair.ChainPEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "openssl", append([]string{"s_server", "-accept", at, "-cert", file}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe() // s_server ends at the end of its input
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		_ = c.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "ACCEPT") {
			go func() {
				for lines.Scan() {
				}
			}()
			return harness.Face{URL: "https://" + at, RootCAs: a.RootPEM()}
		}
	}
	t.Fatal("openssl s_server does not listen")
	return harness.Face{}
}
