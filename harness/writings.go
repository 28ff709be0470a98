package harness

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Writing says in which writing a text shows part of a value: in hexadecimal, say,
// with anything between the digits, or backwards; empty where it shows none. Eleven
// letters or digits in a row are a part. A text is read in every way that is known,
// backwards and in ROT13 too, and what that gives is read again, so that one writing
// inside another is found.
func Writing(text, value string) string {
	wanted := squeezed(value)
	if len(wanted) < window {
		return ""
	}
	wanted += " " + reversed(wanted) + " " + rot13(wanted) // inside of another writing
	for _, turned := range []func(string) string{same, reversed, rot13} {
		if writing := reading(turned(text), wanted, 3); writing != "" {
			return writing
		}
	}
	return ""
}

func same(text string) string { return text }

// window is how many letters or digits in a row are compared.
const window = 8

// reading is Writing, to a depth.
func reading(text, wanted string, depth int) string {
	if len(text) < window {
		return ""
	}
	if overlaps(squeezed(text), wanted) {
		return "as it is, or with something between"
	}
	for _, w := range readers {
		read := w.read(text)
		if read == text || depth == 0 {
			continue
		}
		if reading(read, wanted, depth-1) != "" {
			return w.name
		}
	}
	return ""
}

// squeezed is the letters and digits of a text, in lower case.
func squeezed(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		}
		return -1
	}, text)
}

// overlaps reports whether a squeezed text holds part of another. Every fourth window
// is looked at. What repeats three characters or fewer tells nothing.
func overlaps(text, wanted string) bool {
	for i := 0; i+window <= len(text); i += window / 2 {
		part := text[i : i+window]
		if strings.Contains(wanted, part) && varied(part) {
			return true
		}
	}
	return false
}

func varied(part string) bool {
	letters := []byte(part)
	slices.Sort(letters)
	return len(slices.Compact(letters)) > 3
}

// readers are the ways to read a text; what cannot be read is left out.
var readers = []struct {
	name string
	read func(string) string
}{
	{"in escapes", unescaped},
	{"in UTF-16", func(text string) string { return strings.ReplaceAll(text, "\x00", "") }},
	{"in hexadecimal", func(text string) string { return grouped(text, "0123456789abcdef", 4, true) }},
	{"in base64", func(text string) string {
		return grouped(text, standard64+"+/", 6, false) + " " + grouped(url64(text), standard64+"+/", 6, false)
	}},
	{"in base32", func(text string) string {
		return grouped(text, "abcdefghijklmnopqrstuvwxyz234567", 5, true) + " " + grouped(text, "0123456789abcdefghijklmnopqrstuv", 5, true)
	}},
	{"in base85", func(text string) string {
		return in85(text, adobe85) + " " + in85(text, rfc1924) + " " + in85(text, zeromq85)
	}},
	{"in numbers", func(text string) string { return numbers(text, 10) + " " + numbers(text, 8) }},
	{"in binary", func(text string) string { return grouped(text, "01", 1, false) }},
}

const (
	alphabet   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	standard64 = alphabet + "abcdefghijklmnopqrstuvwxyz0123456789"
)

// url64 is base64url as base64 has it (RFC 4648 section 5).
func url64(text string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(text) }

// escapes are the ways to write one character by its number: JSON's and JavaScript's,
// C's, those of URLs and of quoted-printable, Unicode's own and a hexadecimal number.
var escapes = regexp.MustCompile(`(?i)(?:\\u\{?0*|\\U0*|\\x\{?|\\0*x|%u00|%|=|U\+0*|0x|&#x0*)([0-9a-f]{2})(?:\}|;)?|\\([0-3][0-7]{2})`)

// unescaped is a text with its escapes as what they stand for, HTML's among them, and
// letters of full width as common ones.
func unescaped(text string) string {
	text = escapes.ReplaceAllStringFunc(text, func(found string) string {
		parts := escapes.FindStringSubmatch(found)
		if code, err := strconv.ParseUint(parts[1], 16, 8); err == nil {
			return string([]byte{byte(code)})
		}
		code, _ := strconv.ParseUint(parts[2], 8, 8)
		return string([]byte{byte(code)})
	})
	return strings.Map(func(c rune) rune {
		if c >= 0xff01 && c <= 0xff5e { // FULLWIDTH EXCLAMATION MARK to TILDE
			return c - 0xff01 + '!'
		}
		return c
	}, html.UnescapeString(text))
}

func reversed(text string) string {
	letters := []byte(text)
	slices.Reverse(letters)
	return string(letters)
}

func rot13(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return 'a' + (c-'a'+13)%26
		case c >= 'A' && c <= 'Z':
			return 'A' + (c-'A'+13)%26
		}
		return c
	}, text)
}

// grouped reads the digits of an alphabet, each of some bits, whatever stands between
// them and wherever the first of a byte is.
func grouped(text, digits string, bits int, folded bool) string {
	var values []byte
	for i := range len(text) {
		c := text[i]
		if folded && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if at := strings.IndexByte(digits, c); at >= 0 {
			values = append(values, byte(at))
		}
	}
	var read strings.Builder
	for first := 0; first < 8/gcd(bits) && first < len(values); first++ {
		read.WriteString(telling(joined(values[first:], bits)))
		read.WriteByte(' ')
	}
	return read.String()
}

// gcd is the greatest number that divides 8 and the bits of a digit.
func gcd(bits int) int {
	for n := bits; ; n-- {
		if bits%n == 0 && 8%n == 0 {
			return n
		}
	}
}

// joined is the bytes that digits of some bits make in a row.
func joined(values []byte, bits int) []byte {
	var out []byte
	held, have := 0, 0
	for _, v := range values {
		held, have = (held<<bits|int(v))&0xffff, have+bits
		if have >= 8 {
			have -= 8
			out = append(out, byte(held>>have))
		}
	}
	return out
}

// telling is the runs of printable characters in what was read, NUL apart: anything
// else was never a credential.
func telling(read []byte) string {
	var all strings.Builder
	var run []byte
	end := func() {
		if len(run) >= window {
			all.Write(run)
			all.WriteByte(' ')
		}
		run = run[:0]
	}
	for _, c := range read {
		switch {
		case c == 0:
		case c >= ' ' && c < utf8.RuneSelf, c == '\n', c == '\r', c == '\t':
			run = append(run, c)
		default:
			end()
		}
	}
	end()
	return all.String()
}

// The alphabets of base 85: Adobe's and btoa's, git's (RFC 1924) and ZeroMQ's.
const (
	adobe85  = `!"#$%&'()*+,-./0123456789:;<=>?@` + alphabet + "[\\]^_`abcdefghijklmnopqrstu"
	rfc1924  = "0123456789" + alphabet + "abcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
	zeromq85 = "0123456789abcdefghijklmnopqrstuvwxyz" + alphabet + ".-:+=^!/*?&<>()[]{}@%$#"
)

// in85 reads groups of five digits of base 85, wherever the first begins.
func in85(text, digits string) string {
	var values []uint32
	for i := range len(text) {
		if at := strings.IndexByte(digits, text[i]); at >= 0 {
			values = append(values, uint32(at))
		}
	}
	var read strings.Builder
	for first := range 5 {
		var out []byte
		for i := first; i+5 <= len(values); i += 5 {
			n := uint64(0)
			for _, v := range values[i : i+5] {
				n = n*85 + uint64(v)
			}
			out = append(out, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		}
		read.WriteString(telling(out))
		read.WriteByte(' ')
	}
	return read.String()
}

var digitsOf = regexp.MustCompile(`[0-9]{2,3}`)

// numbers reads a list of numbers, each a byte.
func numbers(text string, base int) string {
	var out []byte
	for _, n := range digitsOf.FindAllString(text, -1) {
		if code, err := strconv.ParseUint(n, base, 8); err == nil {
			out = append(out, byte(code))
		}
	}
	return telling(out)
}
