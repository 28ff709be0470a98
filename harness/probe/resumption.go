package probe

import (
	"context"
	"crypto/tls"
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/wire"
)

// Steady calls several times on one connection, of each TLS version, as the
// unenrolled client, who claims to be the enrolled one after his first call; on
// another, of TLS 1.2, he asks for a second handshake.
func Steady() harness.Stimulus {
	return harness.Stimulus{
		Words: "call every critical endpoint as the unenrolled client, again with the enrolled client's identity header, and again without, " +
			"on one connection of each TLS version; ask for a second handshake on one of TLS 1.2",
		Needs: []harness.Capability{harness.GivenClientCerts}, Effect: harness.AuthFailures, Modes: MTLSOnly,
		Act: steady,
	}
}

func steady(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	certificate, err := clientcert.Unenrolled().Make(t)
	if err != nil {
		return trace, err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var calls []harness.Request
		for _, endpoint := range t.Endpoints {
			for _, claims := range []bool{false, true, false} {
				r := Plain(t, harness.MTLS, endpoint)
				SetCertificate(&r, clientcert.Unenrolled().Name, certificate)
				r.Variant, r.MinTLS, r.MaxTLS = "one connection over "+tls.VersionName(version), version, version
				if claims {
					r.Variant += ", claiming to be the enrolled client"
					r.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
				}
				calls = append(calls, r)
			}
		}
		trace.Exchanges = append(trace.Exchanges, client.SendTogether(ctx, calls)...)
	}
	again := Plain(t, harness.MTLS, t.Endpoints[0])
	SetCertificate(&again, clientcert.Unenrolled().Name, certificate)
	again.Variant, again.Renegotiate = "a second handshake", true
	trace.Exchanges = append(trace.Exchanges, client.Send(ctx, again))
	return trace, nil
}

// EarlyDataOffers calls as the enrolled client, and reads the session tickets that come
// with the answer: whether they allow early data stands in each (RFC 8446 section 4.6.1),
// and none is sent.
func EarlyDataOffers() harness.Stimulus {
	return harness.Stimulus{
		Words: "call the first critical endpoint as the enrolled client, and read off the session tickets how much early data they allow",
		Needs: []harness.Capability{harness.GivenClientCerts}, Effect: harness.ReadOnly, Modes: MTLSOnly,
		Tells: []harness.Key{harness.TicketsGiven, harness.EarlyDataAllowed}, Act: earlyDataOffers,
	}
}

func earlyDataOffers(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	certificate, err := clientcert.Enrolled().Make(t)
	if err != nil {
		return trace, err
	}
	tickets := &wire.Tickets{}
	call := Plain(t, harness.MTLS, t.Endpoints[0])
	SetCertificate(&call, clientcert.Enrolled().Name, certificate)
	call.Variant, call.Sessions = "reading the session tickets", tickets
	trace.Exchanges = append(trace.Exchanges, client.Send(ctx, call))
	given, most, err := tickets.EarlyData()
	if err != nil {
		return trace, fmt.Errorf("%w: %w", harness.ErrUnseen, err)
	}
	trace.Facts = append(trace.Facts, harness.TicketsGiven.Was(given), harness.EarlyDataAllowed.Was(int(most)))
	return trace, nil
}

// TicketOfOpenHost takes a session ticket where no client certificate is asked for, and
// offers it to the protected host.
func TicketOfOpenHost() harness.Stimulus {
	return otherHost{"a host that asks for no certificate",
		func(t *harness.Target) *harness.Face { return t.Open },
		func(*harness.Target) (*tls.Certificate, error) { return nil, nil }}.resumed(harness.SecondHost)
}

// TicketOfForeignHost takes it where another authority's clients are let in, as
// one of them.
func TicketOfForeignHost() harness.Stimulus {
	return otherHost{"a host that trusts another authority",
		func(t *harness.Target) *harness.Face { return t.Foreign },
		func(t *harness.Target) (*tls.Certificate, error) {
			certificate, err := clientcert.Foreigner().Make(t)
			return &certificate, err
		}}.resumed(harness.ForeignHost)
}

// otherHost is a virtual host beside the protected one.
type otherHost struct {
	name  string
	face  func(t *harness.Target) *harness.Face
	holds func(t *harness.Target) (*tls.Certificate, error) // what is presented at both
}

// resumed offers a ticket of that host, which must be granted, to the protected one.
func (h otherHost) resumed(granted harness.Capability) harness.Stimulus {
	return harness.Stimulus{
		Words: "take a session ticket from " + h.name + ", and call every critical endpoint with it, with and without the enrolled client's " +
			"identity header",
		Needs: []harness.Capability{granted}, Effect: harness.AuthFailures, Modes: MTLSOnly,
		Act: h.act,
	}
}

// act takes a ticket of each TLS version, and offers it.
func (h otherHost) act(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	certificate, err := h.holds(t)
	if err != nil {
		return trace, fmt.Errorf("taking the certificate of %s: %w", h.name, err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		tickets := &wire.Tickets{}
		first := client.Send(ctx, h.visit(t, certificate, version, tickets))
		if o := first.Observation; o.Status != 200 {
			return trace, fmt.Errorf("taking a ticket from %s: %w: its answer was %d %s", h.name, harness.ErrUnseen, o.Status, o.Transport)
		}
		var calls []harness.Request
		for _, endpoint := range t.Endpoints {
			for _, claims := range []bool{false, true} {
				calls = append(calls, resumed(t, endpoint, certificate, version, tickets, claims))
			}
		}
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, calls)...)
	}
	return trace, nil
}

// visit is the call that takes the ticket.
func (h otherHost) visit(t *harness.Target, certificate *tls.Certificate, version uint16, tickets *wire.Tickets) harness.Request {
	visit := At(t, harness.MTLS, *h.face(t), harness.Endpoint{Name: "root", Method: "GET", Path: "/"})
	visit.Certificate, visit.Sessions = certificate, tickets
	visit.MinTLS, visit.MaxTLS = version, version
	return visit
}

// resumed is a call that offers a ticket.
func resumed(t *harness.Target, endpoint harness.Endpoint, certificate *tls.Certificate, version uint16, tickets *wire.Tickets,
	claims bool) harness.Request {
	call := Plain(t, harness.MTLS, endpoint)
	call.Variant = "ticket of another host over " + tls.VersionName(version)
	call.Credential, call.Certificate, call.Sessions = "a session ticket", certificate, tickets.Frozen()
	call.MinTLS, call.MaxTLS = version, version
	if claims {
		call.Variant += " with identity header of the enrolled client"
		call.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
	}
	return call
}

// Interleaving calls as the enrolled and as the unenrolled client at once, so many times
// each, on connections that are kept: a pair of HTTP/1.1, and a pair of HTTP/2.
func Interleaving(each int) harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("call as the enrolled and as the unenrolled client at once, %d times each by HTTP/1.1 and by HTTP/2, on "+
			"connections that are kept", each),
		Needs: []harness.Capability{harness.GivenClientCerts}, Modes: MTLSOnly,
		Effect: harness.AuthFailures, // the enrolled client's calls are of the kind that writes nothing
		Alone:  true,                 // others' calls would stand between these
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			var lots [][]harness.Request
			for _, protocol := range []string{"", wire.H2} {
				for _, who := range []clientcert.Recipe{clientcert.Enrolled(), clientcert.Unenrolled()} {
					certificate, err := who.Make(client.Target())
					if err != nil {
						return trace, err
					}
					lots = append(lots, callsOf(client.Target(), each, who.Name, certificate, protocol))
				}
			}
			trace.Exchanges = SendLots(ctx, client, lots)
			return trace, nil
		},
	}
}

// callsOf is what one client sends on one connection: to every endpoint in turn.
func callsOf(t *harness.Target, each int, name string, certificate tls.Certificate, protocol string) []harness.Request {
	var lot []harness.Request
	for i := range each {
		r := Plain(t, harness.MTLS, t.Endpoints[i%len(t.Endpoints)])
		r.Variant, r.Protocol = name, protocol
		SetCertificate(&r, name, certificate)
		lot = append(lot, r)
	}
	return lot
}
