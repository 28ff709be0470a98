package probe

import (
	"bytes"
	"net/http"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// oversize is one byte more than the body that a service takes in at most, as
// services are usually set up: 1 MiB.
const oversize = 1<<20 + 1

// Mistakes are calls with a valid credential that fail for another reason: no
// such path, no such method, a body that is no JSON, and one that is too large.
func Mistakes() Calls {
	var variants []Variant
	for _, mode := range bothModes {
		for _, m := range []struct {
			name   string
			change Change
		}{
			{"a path that is none", func(r *harness.Request) { r.Path = "/conformance-" + token.Random(6) }},
			{"a method that is none of its own", func(r *harness.Request) { r.Method = http.MethodDelete }},
			{"a body that is no JSON", func(r *harness.Request) { r.Body = []byte(`{"inputs":`) }},
			{"a body of 1 MiB and a byte", func(r *harness.Request) { r.Body = bytes.Repeat([]byte(" "), oversize) }},
		} {
			variants = append(variants, Variant{Name: m.name, Mode: mode, Needs: held(mode),
				Prepare: func(t *harness.Target) (Change, error) {
					credential, err := Credential(t, mode)
					if err != nil {
						return nil, err
					}
					return func(r *harness.Request) { credential(r); m.change(r) }, nil
				}})
		}
	}
	return Call("a valid credential and a path that is none, another method, a body that is no JSON, and one of 1 MiB and a byte", variants...).On("inference")
}

// held is what a valid credential of a mode needs.
func held(mode harness.Mode) []harness.Capability {
	if mode == harness.OIDC {
		return token.Sound().Needs
	}
	return Enrolled().Needs
}
