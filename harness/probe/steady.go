package probe

import (
	"context"
	"crypto/tls"
	"errors"

	"aegis.test/conformance/harness"
)

// Steady calls several times on one connection, of each TLS version, as the
// unenrolled client, who claims to be the enrolled one after his first call; on
// another, of TLS 1.2, he asks for a second handshake.
type Steady struct{}

// Words says what is done.
func (Steady) Words() string {
	return "call every critical endpoint as the unenrolled client, again with the enrolled client's identity header, and again without, on one connection of each TLS version; ask for a second handshake on one of TLS 1.2"
}

// Needs is both clients.
func (Steady) Needs() []harness.Capability { return []harness.Capability{harness.GivenClientCerts} }

// Effect is that of refused calls.
func (Steady) Effect() harness.Effect { return harness.AuthFailures }

// Modes is mtls.
func (Steady) Modes() []harness.Mode { return []harness.Mode{harness.MTLS} }

// Controlled is true.
func (Steady) Controlled() bool { return true }

// Act calls.
func (Steady) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	t := hands.Target()
	certificate, err := Unenrolled().Make(t)
	if err != nil {
		return trace, err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var calls []harness.Request
		for _, endpoint := range t.Endpoints {
			for _, claims := range []bool{false, true, false} {
				r := plain(t, harness.MTLS, endpoint)
				present(&r, Unenrolled().Name, certificate)
				r.Variant, r.MinTLS, r.MaxTLS = "one connection over "+tls.VersionName(version), version, version
				if claims {
					r.Variant += ", claiming to be the enrolled client"
					r.Set(t.Profile.Header(), t.Certs.EnrolledCN)
				}
				calls = append(calls, r)
			}
		}
		trace.Exchanges = append(trace.Exchanges, hands.SendTogether(ctx, calls)...)
	}
	again := plain(t, harness.MTLS, t.Endpoints[0])
	present(&again, Unenrolled().Name, certificate)
	again.Variant, again.Renegotiate = "a second handshake", true
	trace.Exchanges = append(trace.Exchanges, hands.Send(ctx, again))
	return trace, nil
}

// ZeroRTT would send a call as early data. crypto/tls sends none over TCP, so
// that no target can grant what it needs.
type ZeroRTT struct{}

// Words says what is done.
func (ZeroRTT) Words() string {
	return "resume the enrolled client's session and send a call as early data"
}

// Needs is a client that can do that.
func (ZeroRTT) Needs() []harness.Capability { return []harness.Capability{harness.EarlyData} }

// Effect is that of a refused call.
func (ZeroRTT) Effect() harness.Effect { return harness.AuthFailures }

// Modes is mtls.
func (ZeroRTT) Modes() []harness.Mode { return []harness.Mode{harness.MTLS} }

// Controlled is true.
func (ZeroRTT) Controlled() bool { return true }

// Act is never asked for.
func (ZeroRTT) Act(context.Context, harness.Hands) (harness.Trace, error) {
	return harness.Trace{}, errors.New("sending early data: crypto/tls sends none over TCP")
}
