package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Way is a way to send a request, whatever it presents.
type Way struct {
	Name   string
	Needs  []harness.Capability
	Change func(t *harness.Target, r *harness.Request)
}

// Each repeats every variant in each of some ways.
func (c Calls) Each(ways ...Way) Calls {
	var all []Variant
	var names []string
	for _, way := range ways {
		names = append(names, way.Name)
		for _, v := range c.variants {
			changed := v.then(way.Change)
			changed.Name += " " + way.Name
			changed.Needs = union(v.Needs, way.Needs)
			all = append(all, changed)
		}
	}
	c.variants = all
	c.words += ", " + strings.Join(names, ", ")
	return c
}

func manner(name string, change func(*harness.Target, *harness.Request)) Way {
	return Way{Name: name, Change: change}
}

// Versions are the versions of HTTP that can be spoken from here.
func Versions() []Way {
	return []Way{
		manner("by HTTP/1.1", func(*harness.Target, *harness.Request) {}),
		manner("by HTTP/2", func(_ *harness.Target, r *harness.Request) { r.Protocol = h2 }),
	}
}

// Pieces are the ways to cut a ClientHello.
func Pieces() []Way {
	return []Way{
		manner("in segments", func(_ *harness.Target, r *harness.Request) { r.Split = harness.SplitSegments }),
		manner("in records", func(_ *harness.Target, r *harness.Request) { r.Split = harness.SplitRecords }),
	}
}

// LegacyTLS are the versions that RFC 8996 ends.
func LegacyTLS() []Way {
	var ways []Way
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		ways = append(ways, manner("over "+tls.VersionName(version), func(_ *harness.Target, r *harness.Request) {
			r.MinTLS, r.MaxTLS = version, version
		}))
	}
	return ways
}

// Names are odd ways to name the server in SNI. crypto/tls takes a dot from the
// end of a name, and then sends an address as it is.
func Names() []Way {
	host := func(r *harness.Request) string {
		name, _, err := net.SplitHostPort(r.Get("Host"))
		if err != nil {
			name = r.Get("Host")
		}
		return name
	}
	return []Way{
		manner("without SNI", func(_ *harness.Target, r *harness.Request) { r.SNI = harness.NoSNI }),
		manner("with SNI in upper case", func(_ *harness.Target, r *harness.Request) { r.SNI = strings.ToUpper(host(r)) }),
		manner("with an address for SNI", func(_ *harness.Target, r *harness.Request) { r.SNI = "127.0.0.1." }),
		manner("with SNI of nobody", func(_ *harness.Target, r *harness.Request) { r.SNI = "nobody-" + token.Random(4) + ".test" }),
	}
}

// OpenName names the virtual host that asks for no certificate in SNI, and the
// protected one in Host.
func OpenName() Way {
	return Way{Name: "with SNI of the open host", Needs: []harness.Capability{harness.SecondHost},
		Change: func(t *harness.Target, r *harness.Request) { r.SNI = t.Open.Host }}
}

// Cleartext sends plain HTTP to the port of TLS.
func Cleartext() Way {
	return manner("in the clear", func(t *harness.Target, r *harness.Request) {
		face := t.Faces[r.Mode]
		face.URL = strings.Replace(face.URL, "https://", "http://", 1)
		r.Face = &face
	})
}

// Prefaces are headers of the PROXY protocol, of both versions; the second
// claims to have verified the enrolled client's certificate.
func Prefaces() []Way {
	return []Way{
		manner("after a PROXY header of version 1", func(_ *harness.Target, r *harness.Request) {
			r.Preface = []byte("PROXY TCP4 127.0.0.1 127.0.0.1 40000 443\r\n")
		}),
		manner("after a PROXY header of version 2 with the enrolled CN", func(t *harness.Target, r *harness.Request) {
			r.Preface = proxyHeader(t.Certs.EnrolledCN)
		}),
	}
}

// proxyHeader is a PROXY header of version 2 for a TCP connection over IPv4
// whose client certificate, of this CN, was verified (HAProxy PROXY protocol
// sections 2.2 and 2.2.6).
func proxyHeader(cn string) []byte {
	const ssl, commonName = 0x20, 0x22
	field := func(kind byte, value []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value))), value...) // #nosec G115 -- names are short
	}
	verified := []byte{0x01 | 0x02 | 0x04, 0, 0, 0, 0} // over TLS, with a certificate, which verified
	body := []byte{127, 0, 0, 1, 127, 0, 0, 1, 0x9c, 0x40, 0x01, 0xbb}
	body = append(body, field(ssl, append(verified, field(commonName, []byte(cn))...))...)
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, 0x11)
	return append(binary.BigEndian.AppendUint16(header, uint16(len(body))), body...) // #nosec G115 -- as above
}

// ClaimCertificate claims to hold the enrolled certificate, which is public, in
// the header fields in which ingresses forward one.
func ClaimCertificate() []Way {
	enrolled := func(t *harness.Target) []byte {
		block, _ := pem.Decode(t.Certs.Enrolled.Chain)
		return block.Bytes
	}
	text := func(t *harness.Target) string {
		return url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: enrolled(t)})))
	}
	return []Way{
		manner("with the enrolled certificate in ssl-client-cert", func(t *harness.Target, r *harness.Request) {
			r.Set("ssl-client-cert", text(t))
			r.Set("ssl-client-verify", "SUCCESS")
		}),
		manner("with the enrolled certificate in Client-Cert", func(t *harness.Target, r *harness.Request) {
			r.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(enrolled(t))+":") // RFC 9440 section 2.1
		}),
	}
}

// BearerToo adds a valid token.
func BearerToo() Way {
	return Way{Name: "with a valid token", Needs: token.Sound().Needs, Change: func(t *harness.Target, r *harness.Request) {
		if value, err := token.Sound().Make(token.From(t)); err == nil {
			bearer(r, r.Credential+" and a valid token", value)
		}
	}}
}

// OIDCWith calls in oidc mode without a token, with what mtls mode asks for; a target
// that shows no such mode is given a certificate and a name of ours.
func OIDCWith() Calls {
	name := func(t *harness.Target) string { return cmp.Or(t.Certs.EnrolledCN, "aegis-client") }
	claim := func(t *harness.Target, r *harness.Request) { r.Set(t.Profile.Header(), name(t)) }
	certificate := Variant{Name: "enrolled certificate, no token", Mode: harness.OIDC, Needs: Enrolled().Needs, Anyhow: true,
		Prepare: func(t *harness.Target) (Change, error) {
			shown := Enrolled()
			if !t.Grants(harness.GivenClientCerts) {
				shown = foreign("certificate of ours", stranger, func(t *harness.Target, l *certs.Leaf) { l.CommonName = name(t) })
			}
			pair, err := shown.Make(t)
			return func(r *harness.Request) { present(r, shown.Name+", no token", pair) }, err
		}}
	header := Variant{Name: "identity header, no token", Mode: harness.OIDC, Needs: Enrolled().Needs, Anyhow: true, Prepare: shaped(claim)}
	both := certificate.then(claim)
	both.Name = "enrolled certificate and identity header, no token"
	return Call("an enrolled certificate, an identity header, or both, and no token", certificate, header, both)
}

// BehindName is the name of a variant behind the ingress.
func BehindName(variant string) string { return variant + " behind the ingress" }

// AlsoBehind makes the calls to the service itself, too: a sound ingress hides what the
// service would do.
func (c Calls) AlsoBehind() harness.Stimulus {
	s := c.Build()
	s.Words += ", also behind the ingress"
	s.Needs = union([]harness.Capability{harness.BackendPath}, s.Needs)
	s.Requests = func(t *harness.Target) ([]harness.Request, bool) {
		requests, ok := c.Build().Requests(t)
		for _, r := range requests {
			if face, granted := t.Backends[r.Mode]; granted {
				requests = append(requests, behind(t, r, face))
			}
		}
		return requests, ok
	}
	s.Act = func(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
		trace, err := c.act(ctx, hands)
		if err != nil {
			return trace, err
		}
		t := hands.Target()
		var direct []harness.Request
		for _, x := range trace.Exchanges {
			if face, ok := t.Backends[x.Request.Mode]; ok {
				direct = append(direct, behind(t, x.Request, face))
			}
		}
		trace.Exchanges = append(trace.Exchanges, hands.SendAll(ctx, direct)...)
		return trace, nil
	}
	return s
}

// behind is a request as the ingress would hand it on, to the service itself.
func behind(t *harness.Target, r harness.Request, face harness.Face) harness.Request {
	r.Certificate, r.Fields = nil, slices.Clone(r.Fields)
	r.To(face)
	r.Set(harness.ProbeHeader, t.Run+"-"+token.Random(6))
	if t.ProxySecret != "" {
		r.Set(harness.ProxyHeader, t.ProxySecret.Reveal())
	}
	r.Variant = BehindName(r.Variant)
	return r
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
			certificate, err := given("", func(g harness.CertGrant) harness.CertPair { return g.Foreign }).Make(t)
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
		Words: "take a session ticket from " + h.name + ", and call every critical endpoint with it, with and without the enrolled client's identity header",
		Needs: []harness.Capability{granted}, Effect: harness.AuthFailures, Modes: mtlsOnly,
		Act: h.act,
	}
}

// act takes a ticket of each TLS version, and offers it.
func (h otherHost) act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	t := hands.Target()
	certificate, err := h.holds(t)
	if err != nil {
		return trace, fmt.Errorf("taking the certificate of %s: %w", h.name, err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		tickets := &Tickets{}
		first := hands.Send(ctx, h.visit(t, certificate, version, tickets))
		if o := first.Observation; o.Status != 200 {
			return trace, fmt.Errorf("taking a ticket from %s: %w: its answer was %d %s", h.name, harness.ErrUnseen, o.Status, o.Transport)
		}
		var calls []harness.Request
		for _, endpoint := range t.Endpoints {
			for _, claims := range []bool{false, true} {
				calls = append(calls, resumed(t, endpoint, certificate, version, tickets, claims))
			}
		}
		trace.Exchanges = append(trace.Exchanges, hands.SendAll(ctx, calls)...)
	}
	return trace, nil
}

// visit is the call that takes the ticket.
func (h otherHost) visit(t *harness.Target, certificate *tls.Certificate, version uint16, tickets *Tickets) harness.Request {
	visit := at(t, harness.MTLS, *h.face(t), harness.Endpoint{Name: "root", Method: "GET", Path: "/"})
	visit.Certificate, visit.Sessions = certificate, tickets
	visit.MinTLS, visit.MaxTLS = version, version
	return visit
}

// resumed is a call that offers a ticket.
func resumed(t *harness.Target, endpoint harness.Endpoint, certificate *tls.Certificate, version uint16, tickets *Tickets, claims bool) harness.Request {
	call := plain(t, harness.MTLS, endpoint)
	call.Variant = "ticket of another host over " + tls.VersionName(version)
	call.Credential, call.Certificate, call.Sessions = "a session ticket", certificate, tickets.Frozen()
	call.MinTLS, call.MaxTLS = version, version
	if claims {
		call.Variant += " with identity header of the enrolled client"
		call.Set(t.Profile.Header(), t.Certs.EnrolledCN)
	}
	return call
}

// Outlived resumes the enrolled client's sessions once he is out of the list.
func Outlived() harness.Stimulus {
	return harness.Stimulus{
		Words: "take the enrolled client out of the list while he holds session tickets, wait until it shows, resume, call every critical endpoint, and put the list back",
		Needs: []harness.Capability{harness.VaultWrite, harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: mtlsOnly,
		Act: outlived,
	}
}

// outlived takes tickets, changes, waits, resumes and puts back.
func outlived(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	t := hands.Target()
	certificate, err := Enrolled().Make(t)
	if err != nil {
		return trace, err
	}
	call := func(variant string, endpoint harness.Endpoint, version uint16, tickets tls.ClientSessionCache) harness.Request {
		r := plain(t, harness.MTLS, endpoint)
		r.Variant, r.Sessions, r.MinTLS, r.MaxTLS = variant, tickets, version, version
		present(&r, Enrolled().Name, certificate)
		return r
	}
	versions := []uint16{tls.VersionTLS12, tls.VersionTLS13}
	tickets := []*Tickets{{}, {}}
	for i, version := range versions {
		if o := hands.Send(ctx, call("", t.Endpoints[0], version, tickets[i])).Observation; o.Transport != harness.Answered {
			return trace, fmt.Errorf("taking a session ticket: %w: %s", harness.ErrUnseen, o.Transport)
		}
	}
	witness := func() int { return hands.Send(ctx, call("", t.Endpoints[0], 0, nil)).Observation.Status }
	before := witness()
	restore, err := rewrite(ctx, t, enrolling("other-"+token.Random(4)))
	if err != nil {
		return trace, err
	}
	limit := bound(t.Profile.Propagation, harness.DefaultPropagation)
	until(ctx, hands, limit, func() bool { return witness() != before })
	var calls []harness.Request
	for i, version := range versions {
		for _, endpoint := range t.Endpoints {
			calls = append(calls, call("resumed session over "+tls.VersionName(version), endpoint, version, tickets[i].Frozen()))
		}
	}
	trace.Exchanges = hands.SendAll(ctx, calls)
	if err := restore(); err != nil {
		return trace, err
	}
	until(ctx, hands, limit, func() bool { return witness() == before })
	return trace, nil
}

// Interleaving calls as the enrolled and as the unenrolled client at once, so many times
// each, on connections that are kept: a pair of HTTP/1.1, and a pair of HTTP/2.
func Interleaving(each int) harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("call as the enrolled and as the unenrolled client at once, %d times each by HTTP/1.1 and by HTTP/2, on connections that are kept", each),
		Needs: []harness.Capability{harness.GivenClientCerts}, Modes: mtlsOnly,
		Effect: harness.AuthFailures, // the enrolled client's calls are of the kind that writes nothing
		Alone:  true,                 // others' calls would stand between these
		Act: func(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
			var trace harness.Trace
			var lots [][]harness.Request
			for _, protocol := range []string{"", h2} {
				for _, who := range []Certificate{Enrolled(), Unenrolled()} {
					certificate, err := who.Make(hands.Target())
					if err != nil {
						return trace, err
					}
					lots = append(lots, lot(hands.Target(), each, who.Name, certificate, protocol))
				}
			}
			trace.Exchanges = sendLots(ctx, hands, lots)
			return trace, nil
		},
	}
}

// sendLots sends some lots at once, each on a connection of its own; exchanges come
// in order.
func sendLots(ctx context.Context, hands harness.Hands, lots [][]harness.Request) []harness.Exchange {
	answers := make([][]harness.Exchange, len(lots))
	var wait sync.WaitGroup
	for i, lot := range lots {
		wait.Go(func() { answers[i] = hands.SendTogether(ctx, lot) })
	}
	wait.Wait()
	return slices.Concat(answers...)
}

// lot is what one client sends on one connection: to every endpoint in turn.
func lot(t *harness.Target, each int, name string, certificate tls.Certificate, protocol string) []harness.Request {
	var lot []harness.Request
	for i := range each {
		r := plain(t, harness.MTLS, t.Endpoints[i%len(t.Endpoints)])
		r.Variant, r.Protocol = name, protocol
		present(&r, name, certificate)
		lot = append(lot, r)
	}
	return lot
}
