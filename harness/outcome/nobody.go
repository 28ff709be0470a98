package outcome

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/url"

	"aegis.test/conformance/harness"
)

// nobodys reports an answer under a name that is nobody's which is not the service's: it
// is the one that is given at any other path under that name, and carries nothing of what
// an accepted call is answered (strangers A3; Caddy as installed answers 200 with nothing
// in it). Nobody was served.
func nobodys(x harness.Exchange) bool {
	o := x.Observation
	if o.Beside == nil || o.Reached != nil && o.Reached.Handled > 0 || !sameAnywhere(x) {
		return false
	}
	if o.Status < 200 || o.Status > 299 {
		return true
	}
	if o.Reached != nil && o.Reached.Complete {
		return true // no handler ran, by the service's own log
	}
	served := o.Beside.Accepted
	return served.Status != 0 && !alike(o, served)
}

func nobodysWords(x harness.Exchange) string {
	words := Answer(x.Observation)
	if len(x.Observation.Body) == 0 {
		words += " with an empty body"
	}
	return words + ", as at any path under a name that is nobody's: nobody was served"
}

// sameAnywhere reports whether the answer is the one that a path gets which nobody has,
// but for what of the call it repeats.
func sameAnywhere(x harness.Exchange) bool {
	o, there := x.Observation, x.Observation.Beside.Nowhere
	plain := func(o harness.Observation, text []byte, path string) string {
		names := []string{path, o.ProbeID}
		if u, err := url.Parse(path); err == nil && u.Host != "" {
			names = append(names, u.Path) // of a target in absolute form
		}
		for _, own := range names {
			if len(own) > 1 {
				text = bytes.ReplaceAll(text, []byte(own), nil)
			}
		}
		return string(text)
	}
	same := func(a, b []byte) bool {
		return plain(o, a, x.Request.Path) == plain(there, b, o.Beside.At)
	}
	return there.Transport == harness.Answered && there.Status == o.Status && same(o.Body, there.Body) &&
		same([]byte(o.Header.Get("Location")), []byte(there.Header.Get("Location")))
}

// alike reports whether an answer could be one of the service's, as far as an accepted one
// tells: both empty, text of the same kind, or JSON that shares a member.
func alike(o, served harness.Observation) bool {
	if len(o.Body) == 0 || len(served.Body) == 0 {
		return len(o.Body) == len(served.Body)
	}
	var here, there any
	if json.Unmarshal(o.Body, &here) == nil && json.Unmarshal(served.Body, &there) == nil {
		a, isObject := here.(map[string]any)
		b, areObjects := there.(map[string]any)
		if !isObject || !areObjects {
			return isObject == areObjects
		}
		for name := range a {
			if _, ok := b[name]; ok {
				return true
			}
		}
		return false
	}
	return kindOf(o) == kindOf(served)
}

func kindOf(o harness.Observation) string {
	kind, _, _ := mime.ParseMediaType(o.Header.Get("Content-Type"))
	return kind
}
