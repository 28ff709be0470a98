package harness

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/echo"
)

const someToken = "c2lnbmF0dXJl-X7h3k_Lq9vPz0RtYwB2mNcD5sFgJ8aQeUoI1xKi4T6MlZbVyH-pWd0SrC_nGuE9jOaXf2QkBtL7h"

// TestWritings: whole, in part, and among other text.
func TestWritings(t *testing.T) {
	for name, write := range echo.Writings {
		for where, part := range map[string]string{"whole": someToken, "its middle": someToken[20:60], "its end": someToken[len(someToken)-30:]} {
			text := `{"error": "invalid_token", "got": "` + write(part) + `", "at": 12}`
			if Writing(text, someToken) == "" {
				t.Errorf("%s, %s: not found in %q", name, where, text)
			}
		}
	}
}

// TestOrdinaryTextIsNoWriting: what a service says of itself and of a call.
func TestOrdinaryTextIsNoWriting(t *testing.T) {
	for _, text := range []string{
		"", "unauthorized", `{"error":"invalid_token","error_description":"The token expired at 2026-11-30T10:52:37Z"}`,
		`{"probe":"20261130-101823-2a53e6-858b2eef54a2","trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}`,
		strings.Repeat("x", 4000), strings.Repeat("0", 4000), strings.Repeat("The quick brown fox jumps over the lazy dog. ", 80),
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00\x01\x02", 400))), hex.EncodeToString([]byte(strings.Repeat("another value altogether", 40))),
	} {
		if how := Writing(text, someToken); how != "" {
			t.Errorf("%.60q is taken for a token, %s", text, how)
		}
	}
}

// BenchmarkWriting reads a usual answer in every way.
func BenchmarkWriting(b *testing.B) {
	token := strings.Repeat(someToken, 8)
	for b.Loop() {
		if Writing(`{"error":"invalid_token","probe":"20261130-101823-2a53e6-858b2eef54a2"}`, token) != "" {
			b.Fatal("found")
		}
	}
}

// BenchmarkWritingLong reads as much as evidence looks at.
func BenchmarkWritingLong(b *testing.B) {
	text := strings.Repeat(`{"error":"invalid_token","probe":"20261130-101823-2a53e6-858b2eef54a2"}`, 55)
	for b.Loop() {
		if Writing(text, someToken) != "" {
			b.Fatal("found")
		}
	}
}

// TestSoughtTokensShowInAnyWriting: what must not show is looked for as well.
func TestSoughtTokensShowInAnyWriting(t *testing.T) {
	token := "eyJhbGciOiJub25lIn0." + someToken + "." + someToken
	for name, write := range echo.Writings {
		if found := (Sought{"the token": Secret(token)}).In("got " + write(token)); len(found) != 1 {
			t.Errorf("%s: found %v", name, found)
		}
	}
}
