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
func Steady() harness.Stimulus {
	return harness.Stimulus{
		Words: "call every critical endpoint as the unenrolled client, again with the enrolled client's identity header, and again without, on one connection of each TLS version; ask for a second handshake on one of TLS 1.2",
		Needs: []harness.Capability{harness.GivenClientCerts}, Effect: harness.AuthFailures, Modes: mtlsOnly,
		Act: steady,
	}
}

func steady(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
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
func ZeroRTT() harness.Stimulus {
	return harness.Stimulus{
		Words: "resume the enrolled client's session and send a call as early data",
		Needs: []harness.Capability{harness.EarlyData}, Effect: harness.AuthFailures, Modes: mtlsOnly,
		Act: func(context.Context, harness.Hands) (harness.Trace, error) {
			return harness.Trace{}, errors.New("sending early data: crypto/tls sends none over TCP")
		},
	}
}
