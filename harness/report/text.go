package report

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode"

	"aegis.test/conformance/harness/signoff"
)

// Line makes text that came from a target safe to show anywhere, on one line:
// what does not print (terminal escapes, direction overrides, control and
// zero-width characters, line breaks) is shown as an escape, invalid UTF-8 as
// U+FFFD. What Line made, Line leaves as it is.
func Line(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		default:
			fmt.Fprintf(&b, `\u{%x}`, c)
		}
	}
	return b.String()
}

// plain reports whether all of s is printable ASCII, as most text is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// inert is the record with every text in it made safe by Line. Each format
// starts from it, so that none can forget a field.
func inert(r signoff.Record) signoff.Record {
	return lined(reflect.ValueOf(r)).Interface().(signoff.Record)
}

// lined copies a value of the record's kinds: strings, structs, slices, pointers, and
// what holds no text of a target (numbers, times, counts by verdict).
func lined(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch {
	case v.Kind() == reflect.String:
		out.SetString(Line(v.String()))
	case v.Kind() == reflect.Slice:
		out = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(lined(v.Index(i)))
		}
	case v.Kind() == reflect.Map && !v.IsNil() && v.Type().Elem().Kind() == reflect.String:
		out = reflect.MakeMapWithSize(v.Type(), v.Len())
		for key, value := range v.Seq2() {
			out.SetMapIndex(lined(key), lined(value))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		out.Set(lined(v.Elem()).Addr())
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			out.Field(i).Set(lined(v.Field(i)))
		}
	default:
		return v
	}
	return out
}

// clip shortens text to at most n runes.
func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// Wrap breaks lines that are longer than width between words; what follows stands under the
// line's text. A command stays on one line, so that it can be copied, and so does a word.
func Wrap(text string, width int) string {
	if width <= 0 {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, end := strings.TrimSuffix(line, "\n"), ""
		if body != line {
			end = "\n"
		}
		if len([]rune(body)) <= width || command.MatchString(body) {
			b.WriteString(line)
			continue
		}
		b.WriteString(wrapped(body, width) + end)
	}
	return b.String()
}

// command is a line that somebody may copy.
var command = regexp.MustCompile(`^ *(again|rerun|replay|curl|openssl|go run|conformance)? +(#|curl|openssl|go run|conformance) `)

// label is what a line begins with before its text: spaces, or a label and spaces.
var label = regexp.MustCompile(`^ *(\S+ {2,}|\S{1,9} +)?`)

// trailing is the space that a break leaves.
var trailing = regexp.MustCompile(` +\n`)

// wrapped is one line, broken.
func wrapped(line string, width int) string {
	indent := len([]rune(label.FindString(line)))
	if indent > width/2 {
		indent = len(line) - len(strings.TrimLeft(line, " "))
	}
	var b strings.Builder
	at := 0
	for i, word := range strings.SplitAfter(line, " ") {
		n := len([]rune(strings.TrimRight(word, " ")))
		if i > 0 && n > 0 && at > indent && at+n > width {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		}
		b.WriteString(word)
		at += len([]rune(word))
	}
	return trailing.ReplaceAllString(b.String(), "\n")
}
