package harness_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"aegis.test/conformance/harness"
)

func TestSoughtIsFoundInEveryForm(t *testing.T) {
	const value = "canary-7f3a+/=&\"9c"
	sought := harness.Sought{"the canary": value, "another": "something-else", "too short to tell": "abc"}
	for name, text := range map[string]string{
		"plain":            "before " + value + " after",
		"JSON":             `{"a":"canary-7f3a+/=&\"9c"}`,
		"hex":              hex.EncodeToString([]byte(value)),
		"upper hex":        strings.ToUpper(hex.EncodeToString([]byte(value))),
		"percent":          "?q=" + url.QueryEscape(value),
		"base64":           base64.StdEncoding.EncodeToString([]byte(value)),
		"base64url":        base64.RawURLEncoding.EncodeToString([]byte(value)),
		"base64, 1 before": base64.StdEncoding.EncodeToString([]byte("x" + value + "yz")),
		"base64, 2 before": base64.StdEncoding.EncodeToString([]byte("xy" + value + "z")),
		"base64, 3 before": base64.StdEncoding.EncodeToString([]byte("xyz" + value + "after")),
	} {
		if got := sought.In(text); !slices.Equal(got, []string{"the canary"}) {
			t.Errorf("%s: found %q", name, got)
		}
		if hidden := sought.Hide(text); len(sought.In(hidden)) > 0 {
			t.Errorf("%s: still there once hidden: %q", name, hidden)
		}
	}
	for _, text := range []string{"", "abc", "canary-7f3a and no more", base64.StdEncoding.EncodeToString([]byte("canary-7f3"))} {
		if got := sought.In(text); len(got) > 0 {
			t.Errorf("%q: found %q", text, got)
		}
	}
}

func TestSoughtPEMIsFoundByALine(t *testing.T) {
	sought := harness.Sought{"key": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\nabc=\n-----END PUBLIC KEY-----\n"}
	if got := sought.In("key is MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"); len(got) != 1 {
		t.Errorf("found %q", got)
	}
	if got := sought.In("-----BEGIN PUBLIC KEY-----"); len(got) != 0 {
		t.Errorf("a frame of PEM: found %q", got)
	}
}

func TestScanFindsOverTheEndsOfReads(t *testing.T) {
	sought := harness.Sought{"the canary": "canary-7f3a99c0", "another": "something-else", "too short": "abc"}
	text := strings.Repeat("abc ", 1000) + hex.EncodeToString([]byte("canary-7f3a99c0")) + " end"
	for name, from := range map[string]io.Reader{"whole": strings.NewReader(text), "by bytes": iotest.OneByteReader(strings.NewReader(text))} {
		if got, err := sought.Scan(from); err != nil || !slices.Equal(got, []string{"the canary"}) {
			t.Errorf("%s: found %q, %v", name, got, err)
		}
	}
	if got, err := sought.Scan(iotest.ErrReader(io.ErrUnexpectedEOF)); err == nil || len(got) > 0 {
		t.Errorf("a read that fails: %q, %v", got, err)
	}
}
