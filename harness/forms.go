package harness

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Forms are the forms that a value may come to light in: as it is, in base64
// and base64url, also in the middle of a longer text (and so as part of a Basic
// credential), in hexadecimal and percent encoding, each as it is and as JSON, a
// quoted Go string and HTML write it.
func Forms(value string) []string {
	raw := []byte(value)
	hexed := hex.EncodeToString(raw)
	query, path := url.QueryEscape(value), url.PathEscape(value)
	found := []string{
		hexed, strings.ToUpper(hexed), percent(raw, "%%%02X"), percent(raw, "%%%02x"),
	}
	for _, text := range append(within64(raw), value, query, path, lowerEscapes(query), lowerEscapes(path)) {
		found = append(found, text, jsonText(text, true), jsonText(text, false), strings.Trim(strconv.Quote(text), `"`),
			html.EscapeString(text), strings.ReplaceAll(html.EscapeString(text), "+", "&#43;"))
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// within64 is what base64 makes of raw, wherever it stands among other text:
// after one, two or no bytes of others in a group of three, without the digits
// that it shares with its neighbours (RFC 4648 section 4). A form with padding
// begins with it.
func within64(raw []byte) []string {
	var found []string
	for before := range 3 {
		shared := (before*8 + 5) / 6 // digits that hold bits of what stands before
		whole := (before + len(raw)) * 8 / 6
		data := append(make([]byte, before), raw...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			found = append(found, encoding.EncodeToString(data)[shared:max(shared, whole)])
		}
	}
	return found
}

func percent(raw []byte, format string) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

var escape = regexp.MustCompile(`%[0-9A-F]{2}`)

// lowerEscapes writes percent escapes in lower case (RFC 3986 section 2.1 takes
// both for the same).
func lowerEscapes(text string) string { return escape.ReplaceAllStringFunc(text, strings.ToLower) }

// jsonText is text as it stands between the quotes of a JSON string, with what
// is special in HTML escaped or as it is.
func jsonText(text string, escapeHTML bool) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(escapeHTML)
	if encoder.Encode(text) != nil {
		return text
	}
	quoted := Printable(strings.TrimSuffix(b.String(), "\n"))
	return quoted[1 : len(quoted)-1]
}

// Printable is JSON with every rune that does not print escaped, so that it is
// safe to show on a terminal. They stand inside strings only, apart from the
// newlines of the indentation.
func Printable(document string) string {
	out := make([]byte, 0, len(document))
	for _, c := range document {
		switch {
		case c == '\n' || unicode.IsPrint(c):
			out = utf8.AppendRune(out, c)
		case c > 0xFFFF:
			high, low := utf16.EncodeRune(c)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return string(out)
}

// Sought is what must not show, by what it is: "the service's token of Vault".
type Sought map[string]Secret

// SoughtLength is how long a value must be to be told from ordinary text, bytes.
const SoughtLength = 8

// In names what of it shows in a text, in any form, sorted.
func (s Sought) In(text string) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if shows(text, s[name].Reveal()) {
			found = append(found, name)
		}
	}
	return found
}

// Scan names what of it shows in what is read, wherever the reads end, sorted.
func (s Sought) Scan(from io.Reader) ([]string, error) {
	forms, longest := map[string][][]byte{}, 0
	for name, value := range s {
		for _, form := range soughtForms(value.Reveal()) {
			forms[name] = append(forms[name], []byte(form))
			longest = max(longest, len(form))
		}
	}
	var found []string
	var kept []byte // the end of what was read: a form may have begun in it
	chunk := make([]byte, 1<<20)
	for {
		n, err := from.Read(chunk)
		text := append(kept, chunk[:n]...)
		for name, all := range forms {
			if slices.ContainsFunc(all, func(form []byte) bool { return bytes.Contains(text, form) }) {
				found = append(found, name)
				delete(forms, name)
			}
		}
		if err != nil {
			slices.Sort(found)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return found, err
		}
		kept = bytes.Clone(text[max(0, len(text)-longest+1):])
	}
}

// answerLength is how long a text is, at most, in which a token is looked for in every
// writing, bytes: an answer, and no log.
const answerLength = 8 << 10

func shows(text, value string) bool {
	if len(text) <= answerLength && jwt.MatchString(value) && Writing(text, strings.Join(Parts(value), " ")) != "" {
		return true
	}
	return slices.ContainsFunc(soughtForms(value), func(form string) bool { return strings.Contains(text, form) })
}

// Hide is a text with dots for whatever of it shows there.
func (s Sought) Hide(text string) string {
	for _, value := range s {
		for _, form := range soughtForms(value.Reveal()) {
			text = strings.ReplaceAll(text, form, dots)
		}
	}
	return text
}

func soughtForms(value string) []string {
	var forms []string
	for _, part := range Parts(value) {
		forms = append(forms, Forms(part)...)
	}
	return forms
}

// jwt is a token in compact form. Its header is no secret.
var jwt = regexp.MustCompile(`^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$`)

// Parts lists what of a value is secret on its own: the claims and the signature
// of a JWT, or the whole, and of several lines each that is no frame of PEM. What
// is shorter than SoughtLength is left out.
func Parts(value string) []string {
	value = strings.TrimSpace(value)
	if len(value) < SoughtLength {
		return nil
	}
	if segments := jwt.FindStringSubmatch(value); segments != nil {
		return slices.DeleteFunc(segments[1:], func(s string) bool { return len(s) < SoughtLength })
	}
	found := []string{value}
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if line != value && len(line) >= 2*SoughtLength && !strings.HasPrefix(line, "-----") {
			found = append(found, line)
		}
	}
	return found
}
