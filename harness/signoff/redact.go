package signoff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"aegis.test/conformance/harness"
)

// Leak says that a file holds a secret. It never says which value.
type Leak struct {
	File string
	Kind string // of the secret: "bearer token"
}

func (l Leak) Error() string {
	return fmt.Sprintf("scanning %s: it holds a %s; nothing was published, please report this as a bug of the harness", l.File, l.Kind)
}

// Redactor knows every secret value a run has met, and finds them in what is
// about to be shown or published. The zero value knows none; it is safe for
// concurrent use.
type Redactor struct {
	mu    sync.Mutex
	known map[string]bool            // values, whole
	forms map[string]map[string]form // by the first prefixLength bytes, and by its text
}

// form is how a secret begins in one encoding, and how long it is in it, about.
type form struct {
	kind, text string
	whole      int
}

const (
	// prefixLength is how many bytes of a form index it.
	prefixLength = harness.SoughtLength
	// formLength is how much of a form is kept, bytes: so much of a secret is the
	// secret, and what was cut off is found too.
	formLength = 64
)

// Register makes value known, in every form that one of its parts may come to
// light in (harness.Parts, harness.Forms). Values shorter than
// harness.SoughtLength are ignored.
func (r *Redactor) Register(kind, value string) {
	value = strings.TrimSpace(value)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[value] {
		return
	}
	if r.known == nil {
		r.known, r.forms = map[string]bool{}, map[string]map[string]form{}
	}
	r.known[value] = true
	for _, part := range harness.Parts(value) {
		begin := part[:min(len(part), enough)]
		for _, text := range harness.Forms(begin) {
			r.add(kind, text, len(text)*len(part)/len(begin))
		}
	}
}

// enough of a secret gives every form whole: no encoding makes it shorter, and
// where a rune was cut is beyond what is kept.
const enough = formLength + utf8.UTFMax

func (r *Redactor) add(kind, text string, whole int) {
	if len(text) < prefixLength {
		return
	}
	f := form{kind, text[:min(len(text), formLength)], whole}
	alike := r.forms[text[:prefixLength]]
	if alike == nil {
		alike = map[string]form{}
		r.forms[text[:prefixLength]] = alike
	}
	if f.whole > alike[f.text].whole {
		alike[f.text] = f
	}
}

// find gives the first place from which text holds a registered value, and in
// which form; -1 when it holds none.
func (r *Redactor) find(text string) (at int, found form) {
	for i := 0; i+prefixLength <= len(text); i++ {
		alike := r.forms[text[i:i+prefixLength]]
		if alike == nil {
			continue
		}
		for length := min(formLength, len(text)-i); length >= prefixLength; length-- {
			if f, ok := alike[text[i:i+length]]; ok && f.whole > found.whole {
				found = f
			}
		}
		if found.whole > 0 {
			return i, found
		}
	}
	return -1, found
}

// Scan returns a Leak when data holds a registered value.
func (r *Redactor) Scan(name string, data []byte) error {
	return r.ScanReader(name, bytes.NewReader(data))
}

// chunkLength is how much is read at once, bytes.
var chunkLength = 256 << 10

// ScanReader returns a Leak when what is read holds a registered value, wherever
// the reads end.
func (r *Redactor) ScanReader(name string, from io.Reader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.forms) == 0 {
		return nil
	}
	var kept []byte // the end of what was read: a form may have begun in it
	chunk := make([]byte, chunkLength)
	for {
		n, err := from.Read(chunk)
		text := append(kept, chunk[:n]...)
		if at, f := r.find(string(text)); at >= 0 {
			return Leak{File: name, Kind: f.kind}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("scanning %s for secrets: %w", name, err)
		}
		kept = bytes.Clone(text[max(0, len(text)-formLength+1):])
	}
}

// Redact blots out registered values in text, each to the end of the word it
// ends in.
func (r *Redactor) Redact(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for {
		at, f := r.find(text)
		if at < 0 {
			return b.String() + text
		}
		b.WriteString(text[:at] + "••••")
		text = text[min(len(text), at+f.whole):]
		word := strings.IndexAny(text, " \t\r\n\"'<>")
		if word < 0 {
			return b.String()
		}
		text = text[word:]
	}
}

// Clean is a record with every registered value blotted out of what it quotes: a
// target may show anything, and is told of all the same.
func (r *Redactor) Clean(record Record) Record {
	clean := reflect.New(reflect.TypeFor[Record]()).Elem()
	clean.Set(r.clean(reflect.ValueOf(record)))
	return clean.Interface().(Record)
}

// clean is a copy of a value with its texts redacted.
func (r *Redactor) clean(v reflect.Value) reflect.Value {
	to := reflect.New(v.Type()).Elem()
	to.Set(v)
	switch v.Kind() {
	case reflect.String:
		to.SetString(r.Redact(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if to.Field(i).CanSet() {
				to.Field(i).Set(r.clean(v.Field(i)))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			to.Set(reflect.New(v.Type().Elem()))
			to.Elem().Set(r.clean(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			to.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				to.Index(i).Set(r.clean(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			to.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for _, key := range v.MapKeys() {
				to.SetMapIndex(r.clean(key), r.clean(v.MapIndex(key)))
			}
		}
	}
	return to
}

// Writer gives a writer that redacts line by line what is written to it, however
// it is cut, before it hands it on. Close hands on what is left.
func (r *Redactor) Writer(to io.Writer) io.WriteCloser { return &redacting{redactor: r, to: to} }

type redacting struct {
	redactor *Redactor
	to       io.Writer
	mu       sync.Mutex
	begun    []byte // of a line
}

func (w *redacting) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = append(w.begun, p...)
	end := bytes.LastIndexByte(w.begun, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	whole := string(w.begun[:end])
	w.begun = bytes.Clone(w.begun[end:])
	_, err := io.WriteString(w.to, w.redactor.Redact(whole))
	return len(p), err
}

func (w *redacting) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.to, w.redactor.Redact(string(w.begun)))
	w.begun = nil
	return err
}
