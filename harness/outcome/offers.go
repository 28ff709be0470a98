package outcome

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// WeakRefused wants what a client offers of weak cipher suites and key exchanges to be
// refused in the handshake, and TLS 1.2 to bind its master secret to the handshake (RFC
// 9325 sections 3.5 and 4.1; RFC 7627). Each is the variant that it is named by; of the
// Recorded ones only what was negotiated is noted.
type WeakRefused struct {
	Refused, Bound, Recorded []string // variants
}

// Want says what is wanted.
func (WeakRefused) Want(harness.Profile) string {
	return "a refusal in TLS of RSA key exchange and of 3DES; an extended master secret in TLS 1.2"
}

// Judge judges.
func (w WeakRefused) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		o, variant := x.Observation, x.Request.Variant
		spoken := o.Status != 0 || o.TLSVersion != 0
		is := func(variants []string) bool {
			return slices.ContainsFunc(variants, func(v string) bool { return strings.HasSuffix(variant, v) })
		}
		switch {
		case !spoken && !inTLS(o) && o.Transport != harness.Alert: // of a version not spoken nothing is offered either
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: Answer(o), Want: w.Want(p)})
		case !spoken && is(w.Recorded):
			j.Notes = add(j.Notes, variant+": not offered")
		case spoken && is(w.Recorded):
			j.Notes = add(j.Notes, variant+": "+negotiated(o))
		case spoken && is(w.Bound):
			if o.Unbound {
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol, Exchange: i,
					Got: negotiated(o) + " without an extended master secret", Want: w.Want(p)})
			}
			j.Notes = add(j.Notes, variant+": "+negotiated(o))
		case spoken:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol, Exchange: i,
				Got: variant + ": " + negotiated(o), Want: w.Want(p)})
		}
	}
	return j
}

// negotiated is what a handshake ended in.
func negotiated(o harness.Observation) string {
	text := fmt.Sprintf("%s, %s", tls.VersionName(o.TLSVersion), tls.CipherSuiteName(o.CipherSuite))
	if o.Group != 0 {
		text += ", " + o.Group.String()
	}
	return text
}
