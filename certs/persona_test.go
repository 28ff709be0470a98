package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestPersonasAtAServerThatRequiresAndVerifies(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	server := must(authority.Server("localhost"))(t)
	for _, p := range must(Personas(authority, "aegis-client", "other-client"))(t) {
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(p.Name+" "+name, func(t *testing.T) {
				err := handshake(t, authority, server, p.Pair, version)
				if got, want := reason(err), reasons[p.Name]; got != want {
					t.Errorf("got %s (%v), want %s", got, err, want)
				}
				if (err == nil) != (p.Expect != Refused) {
					t.Errorf("got error %v, want %s", err, p.Expect)
				}
			})
		}
	}
}

// reasons are why crypto/x509 refuses each persona: the one it was spoilt for.
var reasons = map[string]string{
	"enrolled":            "accepted",
	"unenrolled":          "accepted",
	"via-intermediate":    "accepted",
	"expired":             "outside its validity",
	"not-yet-valid":       "outside its validity",
	"self-signed":         "unknown authority",
	"untrusted-authority": "unknown authority",
	"rogue-authority":     "unknown authority, wrong signature",
	"corrupt-signature":   "unknown authority, wrong signature",
	"wrong-eku":           "wrong usage",
	"unrelated-eku":       "wrong usage",

	"unknown-critical-extension": "unhandled critical extension",
}

func reason(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var unhandled x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &unhandled):
		return "unhandled critical extension"
	case err == nil:
		return "accepted"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "outside its validity"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "wrong usage"
	case errors.As(err, &unknown) && strings.Contains(err.Error(), "verification failure"):
		return "unknown authority, wrong signature"
	case errors.As(err, &unknown):
		return "unknown authority"
	}
	return "something else"
}

// handshake is one over loopback; the server's word counts, since in TLS 1.3 a
// client has ended its handshake before its certificate is looked at.
func handshake(t *testing.T, a *Authority, server, client Pair, version uint16) error {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer func() { _ = listener.Close() }()
	verdict := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			verdict <- err
			return
		}
		defer func() { _ = conn.Close() }()
		verdict <- tls.Server(conn, &tls.Config{
			Certificates: []tls.Certificate{server.TLS()},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    roots(a),
			MinVersion:   version,
			MaxVersion:   version,
		}).Handshake()
	}()
	conn := must(net.Dial("tcp", listener.Addr().String()))(t)
	defer func() { _ = conn.Close() }()
	presented := client.TLS()
	_ = tls.Client(conn, &tls.Config{
		RootCAs:    roots(a),
		ServerName: "localhost",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &presented, nil
		},
	}).Handshake()
	return <-verdict
}

func TestPersonasAreWhatTheIssueNames(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	personas := must(Personas(authority, "aegis-client", "other-client"))(t)
	var names []string
	for _, p := range personas {
		names = append(names, p.Name)
		want := "aegis-client"
		if p.Name == "unenrolled" {
			want = "other-client"
		}
		if got := p.Pair.Certificate.Subject.CommonName; got != want || p.Says == "" {
			t.Errorf("%s: got common name %q and sentence %q, want %q and one", p.Name, got, p.Says, want)
		}
	}
	for _, want := range []string{
		"enrolled", "unenrolled", "expired", "not-yet-valid", "self-signed", "rogue-authority", "wrong-eku", "via-intermediate",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("got no persona %q", want)
		}
	}
}

func TestPersonasOfAnIntermediateSendIt(t *testing.T) {
	root := must(NewAuthority("Test Authority"))(t)
	between := must(root.Intermediate("Between"))(t)
	for _, p := range must(Personas(between, "a", "b"))(t) {
		want := 1
		switch p.Name {
		case "via-intermediate":
			want = 2
		case SelfSigned.Name, UntrustedAuthority.Name:
			want = 0
		}
		if got := len(p.Pair.Chain); got != want {
			t.Errorf("%s: got %d intermediates to send, want %d", p.Name, got, want)
		}
		err := verify(root, p.Pair, x509.ExtKeyUsageClientAuth)
		if (err == nil) != (p.Expect != Refused) {
			t.Errorf("%s: got error %v, want %s", p.Name, err, p.Expect)
		}
	}
}

func TestPersonasRefuse(t *testing.T) {
	authority := must(NewAuthority("Test Authority"))(t)
	_, err := Personas(authority, "same", "same")
	wantError(t, err, "give two that differ")
	_, err = Personas(authority, "", "other")
	wantError(t, err, "no common name")
}
