package signoff

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"aegis.test/conformance/harness"
)

// places are where a secret may come to light, and how it is written there.
var places = map[string]func(secret string) string{
	"a header":           func(s string) string { return "Authorization: Bearer " + s + "\r\nX-Next: 1" },
	"a Basic credential": func(s string) string { return basic("client", s) },
	"a Basic credential of a longer user": func(s string) string {
		return basic("client-7", s)
	},
	"a Basic credential of another length": func(s string) string { return basic("client-77", s) },
	"as the user of one":                   func(s string) string { return basic(s, "password") },
	"base64 of text around it": func(s string) string {
		return base64.URLEncoding.EncodeToString([]byte(`{"token":"` + s + `"}`))
	},
	"a body in JSON": func(s string) string { return string(marshalled(map[string]string{"client_secret": s, "next": "1"})) },
	"a URL's query": func(s string) string {
		return "https://idp.test/token?" + url.Values{"secret": {s}, "x": {"1"}}.Encode()
	},
	"a URL's path": func(s string) string { return "https://idp.test/" + url.PathEscape(s) + "/x" },
	"lower percents": func(s string) string {
		return "secret=" + escape.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower) + "&x"
	},
	"every percent": func(s string) string {
		return strings.TrimPrefix(strings.ReplaceAll(fmt.Sprintf("% x", " "+s), " ", "%"), "20")
	},
	"hexadecimal":    func(s string) string { return "0x" + hex.EncodeToString([]byte(s)) },
	"HEXADECIMAL":    func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"a quoted error": func(s string) string { return fmt.Sprintf("reading %q: no such file", s) },
	"a log line":     func(s string) string { return `level=error msg="login of ` + s + ` refused"` + "\nnext line" },
	"a page":         func(s string) string { return "<td>" + html.EscapeString(s) + "</td>" },
	"a JUnit message": func(s string) string {
		return `<failure message="` + strings.ReplaceAll(html.EscapeString(s), "+", "&#43;") + `"/>`
	},
	"a finding's reason": func(s string) string {
		return recordWith(func(f *harness.Finding) { f.Reason = "got " + s + ", want 401" })
	},
	"evidence": func(s string) string {
		return recordWith(func(f *harness.Finding) { f.Evidence = []harness.Evidence{{Body: `{"error":"` + s + `"}`}} })
	},
	"a note": func(s string) string { return recordWith(func(f *harness.Finding) { f.Notes = []string{s} }) },
}

var escape = regexp.MustCompile(`%[0-9A-F]{2}`)

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return "Authorization: " + r.Header.Get("Authorization")
}

func marshalled(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// recordWith is the record of a run with a failure, changed.
func recordWith(change func(*harness.Finding)) string {
	in := sound()
	in.Findings[1] = finding("OIDC-005", harness.Fail)
	change(&in.Findings[1])
	data, err := Encode(Conclude(in))
	if err != nil {
		panic(err)
	}
	return string(data)
}

// tellable reports whether a secret can be told from ordinary text at all, and
// is one that somebody could have been given: printable, and not in what
// surrounds it here anyway.
func tellable(secret string) bool {
	if len(secret) < prefixLength+1 || strings.TrimSpace(secret) != secret || strings.Contains(strings.Join(surroundings(), "\n"), secret[:prefixLength]) {
		return false
	}
	return !strings.ContainsFunc(secret, func(c rune) bool { return c == unicode.ReplacementChar || !unicode.IsPrint(c) })
}

func surroundings() []string {
	var all []string
	for _, place := range places {
		all = append(all, place(""))
	}
	return all
}

// FuzzLeaksAreFound plants a secret in every place, across the border of any two
// reads: the scan must find it and must not say it, and redaction blots it out.
func FuzzLeaksAreFound(f *testing.F) {
	whole := chunkLength
	chunkLength = 1 << 10 // so that a border of two reads is near
	f.Cleanup(func() { chunkLength = whole })
	for _, seed := range []string{
		"hunter2hunter2", `s3cr+t/"v<lue&\ok?~`, "pass word with spaces", "hvs.CAESIJ1-_token", "ключ-от-склада", "💎💎💎💎", "%2F%2F%2F%2F%2F",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.", "a\u2028b\u2029cdefgh'`'", strings.Repeat("0123456789abcdef", 20), "........=", "\\\\\\\\\\\\\\\\\\",
	} {
		f.Add(seed, 7)
	}
	f.Fuzz(func(t *testing.T, secret string, shift int) {
		if !tellable(secret) {
			return
		}
		var redactor Redactor
		redactor.Register("client secret", secret)
		if len(redactor.forms) == 0 { // a JWT of short segments
			return
		}
		for name, place := range places {
			text := place(secret)
			hidden := strings.Repeat(" ", chunkLength-1-magnitude(shift)%600) + text
			var leak Leak
			if err := redactor.ScanReader("x", strings.NewReader(hidden)); !errors.As(err, &leak) || leak.Kind != "client secret" {
				t.Errorf("%q in %s is not found (%v): %s", secret, name, err, text)
				continue
			}
			if strings.Contains(leak.Error(), secret) {
				t.Errorf("the error says %q", secret)
			}
			if redacted := redactor.Redact(text); redactor.Scan("x", []byte(redacted)) != nil || strings.Contains(redacted, secret) {
				t.Errorf("%q in %s is left after redaction: %s", secret, name, redacted)
			}
		}
	})
}

func magnitude(n int) int { return max(n, -(n + 1)) }

// TestLeaksAcrossReads: it does not matter where a read ends.
func TestLeaksAcrossReads(t *testing.T) {
	const secret = "hunter2hunter2"
	var redactor Redactor
	redactor.Register("bearer token", secret)
	text := "before " + secret + " after"
	for name, from := range map[string]io.Reader{
		"byte by byte": iotest.OneByteReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text)),
		"with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		if err := redactor.ScanReader("x", from); !errors.As(err, &Leak{}) {
			t.Errorf("%s: error %v, want a Leak", name, err)
		}
	}
	if err := redactor.ScanReader("x", iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v; want the read's own", err)
	}
}

// TestWriterRedacts writes a secret in pieces.
func TestWriterRedacts(t *testing.T) {
	const secret = "hunter2hunter2"
	var redactor Redactor
	redactor.Register("bearer token", secret)
	for size := 1; size < 20; size++ {
		var out bytes.Buffer
		w := redactor.Writer(&out)
		for rest := "login of " + secret + " refused\nagain " + secret; rest != ""; rest = rest[min(size, len(rest)):] {
			if _, err := io.WriteString(w, rest[:min(size, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != "login of •••• refused\nagain ••••" {
			t.Errorf("in pieces of %d: %q", size, out.String())
		}
	}
}

// TestWhatStandsInTheDirectoryIsScanned: a file that some other part left there
// is as public as ours.
func TestWhatStandsInTheDirectoryIsScanned(t *testing.T) {
	const secret = "hunter2hunter2"
	var redactor Redactor
	redactor.Register("bearer token", secret)
	dir := t.TempDir()
	publish(t, dir, "earlier")
	below := filepath.Join(dir, "logs")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(below, "ingress.log")
	if err := os.WriteFile(log, []byte("GET /?token="+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	var leak Leak
	if err := Publish(dir, set("later"), &redactor); !errors.As(err, &leak) || leak.File != "logs/ingress.log" || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v; want a Leak that names the file", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, RecordName)); err != nil || string(data) != "earlier" {
		t.Errorf("the earlier sign-off is %q, %v", data, err)
	}
	if err := os.RemoveAll(below); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, RecordName), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Publish(dir, set("later"), &redactor); err != nil {
		t.Errorf("a leak of an earlier program, about to be replaced: %v", err)
	}
	holds(t, dir, "later")
}

// BenchmarkRegister makes a new token known: what a run does some thousand times.
func BenchmarkRegister(b *testing.B) {
	var redactor Redactor
	for n := 0; b.Loop(); n++ {
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"jti":"%d","aud":"aegis","sub":"%s"}`, n, strings.Repeat("x", 200)))
		redactor.Register("bearer token", "eyJhbGciOiJSUzI1NiJ9."+claims+"."+strings.Repeat("s", 342))
	}
}

// BenchmarkScan scans a megabyte with a thousand tokens known.
func BenchmarkScan(b *testing.B) {
	var redactor Redactor
	for n := range 1000 {
		redactor.Register("bearer token", fmt.Sprintf("eyJhbGciOiJSUzI1NiJ9.claims%04d%s.%04d%s", n, strings.Repeat("x", 60), n, strings.Repeat("s", 342)))
	}
	data := bytes.Repeat([]byte("a line of a report, as reports are: 401 for an expired token\n"), 1<<20/62)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := redactor.Scan("x", data); err != nil {
			b.Fatal(err)
		}
	}
}
