package probe

import (
	"bytes"
	"strconv"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// Smuggled are messages whose length two parsers read differently, so that one
// of them sees a second request, which claims the enrolled identity (RFC 9112
// sections 6.1, 6.3 and 11.2; HDR-023).
func Smuggled() Calls {
	return hidden("a second request hidden in the first, which claims the enrolled identity", "", []hiding{
		{"CL.TE", func(r harness.Request, inner string) []byte {
			body := wire.Chunked(nil) + inner
			return wire.Message(r, lengths(strconv.Itoa(len(body)), "chunked"), body)
		}},
		{"CL.TE with a body", func(r harness.Request, inner string) []byte {
			body := wire.Chunked([]byte("{}")) + inner
			return wire.Message(r, lengths(strconv.Itoa(len(body)), "chunked"), body)
		}},
		{"TE.CL", func(r harness.Request, inner string) []byte {
			body := wire.Chunked([]byte(inner))
			return wire.Message(r, lengths(strconv.Itoa(bytes.IndexByte([]byte(body), '\n')+1), "chunked"), body)
		}},
		{"a disguised TE", func(r harness.Request, inner string) []byte {
			body := wire.Chunked(nil) + inner
			return wire.Message(r, lengths(strconv.Itoa(len(body)), "xchunked"), body)
		}},
		{"TE with a space before the colon", func(r harness.Request, inner string) []byte {
			body := wire.Chunked(nil) + inner
			return wire.Message(r, []harness.Field{{Name: "Content-Length", Value: strconv.Itoa(len(body))}, {Name: "Transfer-Encoding ",
				Value: "chunked"}}, body)
		}},
		{"two lengths", func(r harness.Request, inner string) []byte {
			return wire.Message(r, []harness.Field{{Name: "Content-Length", Value: "0"}, {Name: "Content-Length",
				Value: strconv.Itoa(len(inner))}}, inner)
		}},
		{"a length with a sign", func(r harness.Request, inner string) []byte {
			return wire.Message(r, []harness.Field{{Name: "Content-Length", Value: "+" + strconv.Itoa(len(inner))}}, inner)
		}},
	})
}

// SmuggledH2 are messages of HTTP/2 that an ingress which translates them without
// care makes two of for the service (RFC 9113 sections 8.1.1, 8.2.1 and 8.2.2;
// HDR-023).
func SmuggledH2() Calls {
	return hidden("the same in HTTP/2", wire.H2, []hiding{
		{"H2.CL", func(r harness.Request, inner string) []byte {
			return wire.Framed(r, []harness.Field{{Name: "content-length", Value: "0"}}, []byte(inner))
		}},
		{"H2.TE", func(r harness.Request, inner string) []byte {
			return wire.Framed(r, []harness.Field{{Name: "transfer-encoding", Value: "chunked"}}, []byte(wire.Chunked(nil)+inner))
		}},
		{"H2 with lines in a value", func(r harness.Request, inner string) []byte {
			return wire.Framed(r, []harness.Field{{Name: "x-conformance", Value: "a\r\n\r\n" + inner}}, nil)
		}},
		{"H2 with lines in a name", func(r harness.Request, inner string) []byte {
			return wire.Framed(r, []harness.Field{{Name: "x-conformance: a\r\n\r\n" + inner + "x", Value: "a"}}, nil)
		}},
		{"H2 with lines in the path", func(r harness.Request, inner string) []byte {
			r.Path += " HTTP/1.1\r\nhost: a\r\n\r\n" + inner
			return wire.Framed(r, nil, nil)
		}},
	})
}

// hiding is a way to hide a second request in the bytes of a first.
type hiding struct {
	name string
	make func(r harness.Request, inner string) []byte
}

// hidden hides, in each way, a request that claims the enrolled identity: once
// without a certificate, and once with an unenrolled one.
func hidden(words, protocol string, forms []hiding) Calls {
	var changes []Change
	for _, form := range forms {
		hide := Alter(form.name, func(t *harness.Target, r *harness.Request) {
			inner := *r
			inner.Fields = append([]harness.Field{{Name: t.Profile.Header(), Value: clientcert.Claim(t, t.Certs.EnrolledCN)}}, r.Fields...)
			r.Raw, r.Protocol = form.make(*r, string(wire.Encode(inner, true))), protocol
		}).needing(harness.GivenClientCerts)
		for _, by := range []Change{bare(harness.MTLS).Change, Certified(clientcert.Unenrolled())} {
			changes = append(changes, by.then(hide, ", "))
		}
	}
	return In(harness.MTLS, words, changes...)
}

func lengths(length, coding string) []harness.Field {
	return []harness.Field{{Name: "Content-Length", Value: length}, {Name: "Transfer-Encoding", Value: coding}}
}

// InTrailer claims the enrolled identity in the trailer of a chunked message
// (RFC 9110 section 6.5.1; HDR-025).
func InTrailer() Calls {
	claim := Alter("a claim in the trailer", func(t *harness.Target, r *harness.Request) {
		header := t.Profile.Header()
		r.Raw = wire.Message(*r, []harness.Field{{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Trailer", Value: header}, wire.Closing},
			wire.Chunked(r.Body, harness.Field{Name: header, Value: clientcert.Claim(t, t.Certs.EnrolledCN)}))
	})
	return In(harness.MTLS, "an unenrolled certificate and a claim of the enrolled identity in the trailer",
		Certified(clientcert.Unenrolled()).then(claim, ", "))
}

// Names of the variants of Odd.
const (
	ValidThenNone = "a valid token, then none, in one write"
	NoneThenValid = "none, then a valid token, in one write"
	NoHost        = "HTTP/1.0 without a Host"
	HTTP09        = "HTTP/0.9"
	LowerCase     = "the method in lower case"
)

// Odd are old and odd ways to speak HTTP (RFC 9112 sections 2.3 and 9.3.2;
// EPT-017).
func Odd() Calls {
	c := Twisted("in old and odd HTTP",
		Alter(NoHost, func(_ *harness.Target, r *harness.Request) {
			r.Remove("Host")
			r.Raw = bytes.Replace(wire.Encode(*r, true), []byte(" HTTP/1.1\r\n"), []byte(" HTTP/1.0\r\n"), 1)
		}),
		Alter(HTTP09, func(_ *harness.Target, r *harness.Request) { r.Raw = []byte("GET " + r.Path + "\r\n") }),
		Alter(LowerCase, func(_ *harness.Target, r *harness.Request) { r.Method = string(bytes.ToLower([]byte(r.Method))) }),
	)
	for _, name := range []string{ValidThenNone, NoneThenValid} {
		both := Alter("", func(_ *harness.Target, r *harness.Request) {
			none := *r
			none.Fields = append([]harness.Field(nil), r.Fields...)
			none.Remove("Authorization")
			if name == ValidThenNone {
				r.Raw = append(wire.Encode(*r, false), wire.Encode(none, true)...)
			} else {
				r.Raw = append(wire.Encode(none, false), wire.Encode(*r, true)...)
			}
		})
		valid := bearers([]token.Recipe{token.Sound()})[0].then(both, "").named(name)
		c.variants = append(c.variants, Variant{Change: valid, Mode: harness.OIDC})
	}
	c.words += "; two calls in one write, one of them with a valid token"
	return c
}
