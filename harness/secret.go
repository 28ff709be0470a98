package harness

import (
	"fmt"
	"io"
)

// Secret is text that never prints: fmt and encoding/json show dots, only
// Reveal and encoding/gob give the value.
type Secret string

const dots = "••••"

// Reveal is the value.
func (s Secret) Reveal() string { return string(s) }

// String shows dots.
func (s Secret) String() string { return dots }

// Format shows dots, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, dots) }

// MarshalText shows dots.
func (s Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }
