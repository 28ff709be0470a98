package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"net"
	"net/url"
	"slices"
	"strings"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// Versions are the versions of HTTP that can be spoken from here.
func Versions() []Change {
	return []Change{
		Alter("by HTTP/1.1", func(*harness.Target, *harness.Request) {}),
		Alter("by HTTP/2", func(_ *harness.Target, r *harness.Request) { r.Protocol = wire.H2 }),
	}
}

// InHTTP3 is what is added to the name of what goes by HTTP/3.
const InHTTP3 = " by HTTP/3"

// ByHTTP3 calls the first endpoint by HTTP/3, at the face's port of UDP: in mode mtls with an
// enrolled, an unenrolled and an untrusted certificate, and with none and a claim to be the
// enrolled client, which an entry that asks for no certificate there hands on; in mode oidc,
// where tokens are granted, with one and without. A call of mode oidc by TCP holds what is
// announced.
func ByHTTP3() Calls {
	quic := Alter("by HTTP/3", func(_ *harness.Target, r *harness.Request) { r.Protocol = wire.H3 })
	mtls := Presenting(clientcert.Enrolled(), clientcert.Unenrolled(), clientcert.Untrusted()).And(In(harness.MTLS, "", ClaimEnrolled()))
	oidc := Bearer(token.Sound())
	all := mtls.And(oidc, NoCredential(harness.OIDC)).Each(quic).And(oidc).Once()
	all.words = "by HTTP/3 an enrolled, an unenrolled and an untrusted certificate, none with the enrolled client's identity header, " +
		"and in mode oidc a valid token and none"
	for i, v := range all.variants {
		if v.Mode == harness.OIDC {
			all.variants[i].Needs, all.variants[i].Where = nil, harness.GivenTokens
		}
	}
	return all
}

// Pieces are the ways to cut a ClientHello.
func Pieces() []Change {
	return []Change{
		Alter("in segments", func(_ *harness.Target, r *harness.Request) { r.Split = harness.SplitSegments }),
		Alter("in records", func(_ *harness.Target, r *harness.Request) { r.Split = harness.SplitRecords }),
	}
}

// LegacyTLS are the versions that RFC 8996 ends.
func LegacyTLS() []Change {
	var ways []Change
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		ways = append(ways, Alter("over "+tls.VersionName(version), func(_ *harness.Target, r *harness.Request) {
			r.MinTLS, r.MaxTLS = version, version
		}))
	}
	return ways
}

// Names of the offers of Offers.
const (
	OfferRSA    = "offering RSA key exchange only"
	Offer3DES   = "offering 3DES only"
	OfferCBC    = "offering CBC only"
	OfferTLS12  = "offering TLS 1.2 only"
	OfferHybrid = "offering hybrid key exchange only"
)

// Offers are what a client may offer of cipher suites and of key exchanges (RFC 9325
// sections 4.1 and 4.2; RFC 7627; draft-ietf-tls-ecdhe-mlkem).
func Offers() []Change {
	offer := func(name string, version uint16, suites []uint16, groups ...tls.CurveID) Change {
		return Alter(name, func(_ *harness.Target, r *harness.Request) {
			r.MinTLS, r.MaxTLS, r.Suites, r.Groups = version, version, suites, groups
		})
	}
	return []Change{
		offer(OfferRSA, tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256}),
		offer(Offer3DES, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}),
		offer(OfferCBC, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256}),
		offer(OfferTLS12, tls.VersionTLS12, nil),
		offer(OfferHybrid, tls.VersionTLS13, nil, tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024),
	}
}

// Names are odd ways to name the server in SNI. crypto/tls takes a dot from the
// end of a name, and then sends an address as it is.
func Names() []Change {
	host := func(r *harness.Request) string {
		name, _, err := net.SplitHostPort(r.Get("Host"))
		if err != nil {
			name = r.Get("Host")
		}
		return name
	}
	return []Change{
		Alter("without SNI", func(_ *harness.Target, r *harness.Request) { r.SNI = harness.NoSNI }),
		Alter("with SNI in upper case", func(_ *harness.Target, r *harness.Request) { r.SNI = strings.ToUpper(host(r)) }),
		Alter("with an address for SNI", func(_ *harness.Target, r *harness.Request) { r.SNI = "127.0.0.1." }),
		Alter("with SNI of nobody", func(_ *harness.Target, r *harness.Request) { r.SNI = "nobody-" + token.Random(4) + ".test" }),
	}
}

// OpenName names the virtual host that asks for no certificate in SNI, and the
// protected one in Host.
func OpenName() Change {
	return Alter("with SNI of the open host", func(t *harness.Target, r *harness.Request) { r.SNI = t.Open.Host }).needing(harness.SecondHost)
}

// Cleartext sends plain HTTP to the port of TLS.
func Cleartext() Change {
	return Alter("in the clear", func(t *harness.Target, r *harness.Request) {
		face := t.Faces[r.Mode]
		face.URL = strings.Replace(face.URL, "https://", "http://", 1)
		r.Face = &face
	})
}

// Prefaces are headers of the PROXY protocol, of both versions; the second
// claims to have verified the enrolled client's certificate.
func Prefaces() []Change {
	return []Change{
		Alter("after a PROXY header of version 1", func(_ *harness.Target, r *harness.Request) {
			r.Preface = []byte("PROXY TCP4 127.0.0.1 127.0.0.1 40000 443\r\n")
		}),
		Alter("after a PROXY header of version 2 with the enrolled CN", func(t *harness.Target, r *harness.Request) {
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
func ClaimCertificate() []Change {
	enrolled := func(t *harness.Target) []byte {
		block, _ := pem.Decode(t.Certs.Enrolled.Chain)
		return block.Bytes
	}
	text := func(t *harness.Target) string {
		return url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: enrolled(t)})))
	}
	return []Change{
		Alter("with the enrolled certificate in ssl-client-cert", func(t *harness.Target, r *harness.Request) {
			r.Set("ssl-client-cert", text(t))
			r.Set("ssl-client-verify", "SUCCESS")
		}),
		Alter("with the enrolled certificate in Client-Cert", func(t *harness.Target, r *harness.Request) {
			r.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(enrolled(t))+":") // RFC 9440 section 2.1
		}),
	}
}

// BearerToo adds a valid token.
func BearerToo() Change {
	return Alter("with a valid token", func(t *harness.Target, r *harness.Request) {
		if value, err := token.Sound().Make(token.From(t)); err == nil {
			SetToken(r, r.Credential+" and a valid token", value)
		}
	}).needing(token.Sound().Needs...)
}

// OIDCWith calls in oidc mode without a token, with what mtls mode asks for; a target
// that shows no such mode is given a certificate and a name of ours.
func OIDCWith() Calls {
	name := func(t *harness.Target) string { return cmp.Or(t.Certs.EnrolledCN, "aegis-client") }
	claim := Alter("identity header, no token", func(t *harness.Target, r *harness.Request) { r.Set(t.Profile.Header(), clientcert.Claim(t, name(t))) })
	certificate := Change{Name: "enrolled certificate, no token", Prepare: func(t *harness.Target) (Edit, error) {
		shown := clientcert.Enrolled()
		if !t.Grants(harness.GivenClientCerts) {
			shown = clientcert.Foreign("certificate of ours", clientcert.Stranger, func(t *harness.Target, l *certs.Leaf) { l.CommonName = name(t) })
		}
		pair, err := shown.Make(t)
		return func(r *harness.Request) { SetCertificate(r, shown.Name+", no token", pair) }, err
	}}
	both := certificate.then(claim, "").named("enrolled certificate and identity header, no token")
	var variants []Variant
	for _, c := range []Change{certificate, claim, both} {
		variants = append(variants, Variant{Change: c.needing(clientcert.Enrolled().Needs...), Mode: harness.OIDC, Anyhow: true})
	}
	return Call("an enrolled certificate, an identity header, or both, and no token", variants...)
}

// BehindName is the name of a variant behind the ingress.
func BehindName(variant string) string { return variant + " behind the ingress" }

// AlsoBehind makes the calls to the service itself, too: a sound ingress hides what the
// service would do.
func (c Calls) AlsoBehind() harness.Stimulus {
	s := c.Build()
	s.Words += ", also behind the ingress"
	s.Needs = Union([]harness.Capability{harness.BackendPath}, s.Needs)
	s.Requests = func(t *harness.Target) ([]harness.Request, bool) {
		requests, ok := c.Build().Requests(t)
		for _, r := range requests {
			if face, granted := t.Backends[r.Mode]; granted {
				requests = append(requests, behind(t, r, face))
			}
		}
		return requests, ok
	}
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		trace, err := c.act(ctx, client)
		if err != nil {
			return trace, err
		}
		t := client.Target()
		var direct []harness.Request
		for _, x := range trace.Exchanges {
			if face, ok := t.Backends[x.Request.Mode]; ok {
				direct = append(direct, behind(t, x.Request, face))
			}
		}
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, direct)...)
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
