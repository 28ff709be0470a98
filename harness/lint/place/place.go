// Package place says where in a user's files something stands.
package place

import (
	"errors"
	"fmt"
)

// Place is a point of a file. Line and Column count from 1; 0 is not known.
type Place struct {
	File   string `json:"file"` // as the user named it, or below what was named
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String is file:line:column, as compilers write it; what is not known is left out.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Error is what could not be read, where, and what to do about it.
type Error struct {
	Place
	What string
}

func (e *Error) Error() string { return e.Place.String() + ": " + e.What }

// Errorf makes an Error.
func Errorf(at Place, format string, args ...any) *Error {
	return &Error{Place: at, What: fmt.Sprintf(format, args...)}
}

// Of is err as an Error of a file, which it may be already.
func Of(file string, err error) *Error {
	if told, ok := errors.AsType[*Error](err); ok {
		return told
	}
	return &Error{Place: Place{File: file}, What: err.Error()}
}

// Nesting is how deep brackets may be nested in a text: parsers descend by recursion.
const Nesting = 200

// Shallow says whether a text's brackets are nested no deeper than Nesting, and where
// they are. Brackets in texts and comments are counted, too: none of ours has so many.
func Shallow(file string, text []byte) error {
	depth, line := 0, 1
	for _, c := range text {
		switch c {
		case '\n':
			line++
		case '{', '[', '(':
			if depth++; depth > Nesting {
				return Errorf(Place{File: file, Line: line}, "brackets are nested deeper than %d: it is not read", Nesting)
			}
		case '}', ']', ')':
			depth = max(0, depth-1)
		}
	}
	return nil
}
