package probe

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
)

// The modes that stimuli address.
var (
	BothModes = []harness.Mode{harness.OIDC, harness.MTLS}
	OIDCOnly  = BothModes[:1:1]
	MTLSOnly  = BothModes[1:]
)

// Answered reports that somebody speaks the face's scheme.
func Answered(o harness.Observation) bool { return o.Transport == harness.Answered && o.Status != 0 }

// Sound is the request a target must accept at an endpoint: the control, and
// the request that every variant changes in one property.
func Sound(t *harness.Target, mode harness.Mode, endpoint harness.Endpoint) (harness.Request, error) {
	change, err := Credential(t, mode)
	if err != nil {
		return harness.Request{}, err
	}
	return With(t, mode, endpoint, change), nil
}

// With is the sound request with a credential of Credential's.
func With(t *harness.Target, mode harness.Mode, endpoint harness.Endpoint, credential Edit) harness.Request {
	r := Plain(t, mode, endpoint)
	r.Control = true
	credential(&r)
	return r
}

// Credential makes the credential of a control.
func Credential(t *harness.Target, mode harness.Mode) (Edit, error) {
	if mode == harness.OIDC {
		value, err := token.Sound().Make(token.From(t))
		if err != nil {
			return nil, fmt.Errorf("making a valid token: %w", err)
		}
		return func(r *harness.Request) { SetToken(r, token.Sound().Name, value) }, nil
	}
	pair, err := clientcert.Enrolled().Make(t)
	if err != nil {
		return nil, fmt.Errorf("taking the enrolled certificate: %w", err)
	}
	return func(r *harness.Request) { SetCertificate(r, clientcert.Enrolled().Name, pair) }, nil
}

// unique stands for an identifier, in a body or a path.
const unique = "{{unique}}"

// Removal is the sound request that removes what a request created; false where
// nothing is known to remove it.
func Removal(t *harness.Target, created harness.Request, credential Edit) (harness.Request, bool) {
	call := created.Endpoint.CleanUp
	if call.Path == "" || created.Unique == "" {
		return harness.Request{}, false
	}
	endpoint := created.Endpoint
	endpoint.Method, endpoint.Path, endpoint.Body = call.Method, strings.ReplaceAll(call.Path, unique, created.Unique), nil
	return With(t, created.Mode, endpoint, credential), true
}

// Plain is the request without a credential.
func Plain(t *harness.Target, mode harness.Mode, endpoint harness.Endpoint) harness.Request {
	r := harness.Request{
		Mode: mode, Endpoint: endpoint,
		Method: endpoint.Method, Path: endpoint.Path, Body: endpoint.Body, Origin: origin(t.Faces[mode]),
	}
	if bytes.Contains(r.Body, []byte(unique)) {
		r.Unique = "conformance-" + token.Random(8)
		r.Body = bytes.ReplaceAll(r.Body, []byte(unique), []byte(r.Unique))
	}
	r.Add("Host", t.Faces[mode].Authority())
	r.Add("User-Agent", "aegis-conformance/"+harness.Version+" (run "+t.Run+")")
	r.Add(harness.ProbeHeader, t.Run+"-"+token.Random(6))
	r.Add("Accept", "application/json")
	if endpoint.ContentType != "" && len(r.Body) > 0 {
		r.Add("Content-Type", endpoint.ContentType)
	}
	r.Credential = "no credential"
	return r
}

// At is a request without a credential, at another face than the mode's own.
func At(t *harness.Target, mode harness.Mode, face harness.Face, endpoint harness.Endpoint) harness.Request {
	r := Plain(t, mode, endpoint)
	r.To(face)
	return r
}

// origin is a face's scheme, host and port, as its clients name them.
func origin(face harness.Face) string {
	scheme, _, _ := strings.Cut(face.URL, "://")
	return scheme + "://" + face.Authority()
}

// SetToken presents a token, by its name.
func SetToken(r *harness.Request, name, value string) {
	r.Credential = name
	r.Set("Authorization", "Bearer "+value)
}

// SetCertificate presents a client certificate, by its name.
func SetCertificate(r *harness.Request, name string, certificate tls.Certificate) {
	r.Credential = name
	r.Certificate = &certificate
}

// ModesOf are the modes a target shows.
func ModesOf(t *harness.Target) []harness.Mode {
	var modes []harness.Mode
	for _, mode := range []harness.Mode{harness.OIDC, harness.MTLS} {
		if t.Shows(mode) {
			modes = append(modes, mode)
		}
	}
	return modes
}

// Harmless are the endpoints at which an accepted call leaves nothing behind, or
// all where there is no such.
func Harmless(all []harness.Endpoint) []harness.Endpoint {
	reading := slices.DeleteFunc(slices.Clone(all), func(e harness.Endpoint) bool { return e.Effect != harness.ReadOnly })
	if len(reading) == 0 {
		return all
	}
	return reading
}
