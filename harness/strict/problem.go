package strict

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	At   string // file:line:column, or the override that brought it
	Path string // of the key: target.url; empty for the file as a whole
	What string // what is wrong, without any value
	Do   string // what to do
}

// String is one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.At + ": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.What)
	if p.Do != "" {
		b.WriteString(": " + p.Do)
	}
	return b.String()
}

// Problems are all that is wrong with a file.
type Problems []Problem

// Error is one line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	if len(p) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d problems\n  %s", len(p), strings.Join(lines, "\n  "))
}

// secretive are the signs of a secret in the wrong place: a URL that names a user or has
// a query, a token, PEM, or many characters without a word's end.
var secretive = regexp.MustCompile(`[@?=]|eyJ|\bhv[sbr]\.|-----|[A-Za-z0-9+/_-]{20,}`)

// Told is a value as an error tells it: as it is, unless it looks like a secret.
func Told(text string) string {
	if len(text) > 100 || secretive.MatchString(text) {
		return Redacted(text)
	}
	return strconv.Quote(text)
}

// Redacted stands for a value that is not shown: it could be a secret in the
// wrong place.
func Redacted(text string) string {
	return fmt.Sprintf("•••• (%d characters)", len([]rune(text)))
}
