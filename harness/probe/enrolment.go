package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
)

// Client is a client certificate with the name its exchanges carry.
type Client struct {
	Name string
	CN   string
}

// RemoveClient takes the enrolled client out of the list.
func RemoveClient() harness.Stimulus {
	return enrolment("take the enrolled client out of the list", func(t *harness.Target) (string, []Client, error) {
		return ListOf(clientcert.Coin(t, "other-"+token.Random(4))), []Client{{"removed client", t.Certs.EnrolledCN}}, nil
	})
}

// EmptyList makes the list an explicit [].
func EmptyList() harness.Stimulus {
	return enrolment("make the list []", func(t *harness.Target) (string, []Client, error) {
		return "[]", []Client{{"client enrolled before", t.Certs.EnrolledCN}, {"client never enrolled", t.Certs.UnenrolledCN}}, nil
	})
}

// JSONList makes the list two new clients, in JSON.
func JSONList() harness.Stimulus {
	return enrolment("make the list a JSON list of two new clients", func(t *harness.Target) (string, []Client, error) {
		a, b := coined(t), coined(t)
		return ListOf(a, b), []Client{{"first member", a}, {"second member", b}, {"client outside the list", coined(t)}}, nil
	})
}

// lists gives a new value of the field, and the clients to call with in order; the first
// is the witness.
type lists func(t *harness.Target) (value string, clients []Client, err error)

// enrolment changes the list of allowed clients, waits until the change shows on a
// witness, calls, and puts the list back.
func enrolment(words string, list lists) harness.Stimulus {
	return harness.Stimulus{
		Words: words + ", wait until it shows, call every critical endpoint, and put the list back",
		Needs: []harness.Capability{harness.VaultWrite, harness.ClientCAKey}, Effect: harness.Disruptive, Modes: MTLSOnly,
		Act: list.act,
	}
}

func (l lists) act(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	list, clients, err := l(t)
	if err != nil {
		return trace, err
	}
	certificates, err := Issue(t, clients)
	if err != nil {
		return trace, err
	}
	witness := func() (harness.Exchange, error) {
		x, err := CallAs(ctx, client, clients[:1], certificates[:1], t.Endpoints[:1])
		if err != nil {
			return harness.Exchange{}, err
		}
		return x[0], nil
	}
	// Every endpoint is called once before the change, so that its control
	// stands before it too.
	earlier, err := CallAs(ctx, client, clients[:1], certificates[:1], t.Endpoints)
	if err != nil {
		return trace, err
	}
	before := earlier[0]
	restore, err := Rewrite(ctx, t, Setting(ListField, list))
	if err != nil {
		return trace, err
	}
	limit := Bound(t.Profile.Propagation, harness.DefaultPropagation)
	Until(ctx, client, limit, func() bool {
		x, err := witness()
		return err == nil && x.Observation.Status != before.Observation.Status
	})
	trace.Exchanges, err = CallAs(ctx, client, clients, certificates, t.Endpoints)
	if restoreErr := restore(); restoreErr != nil {
		return trace, restoreErr
	}
	Until(ctx, client, limit, func() bool {
		x, err := witness()
		return err == nil && x.Observation.Status == before.Observation.Status
	})
	return trace, err
}

// Issue makes a sound certificate for each client.
func Issue(t *harness.Target, clients []Client) ([]tls.Certificate, error) {
	var certificates []tls.Certificate
	for _, c := range clients {
		certificate, err := clientcert.For(c.Name, func(*harness.Target) string { return c.CN }).Make(t)
		if err != nil {
			return nil, fmt.Errorf("making the certificate of %s: %w", c.Name, err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

// CallAs calls endpoints as some clients, each by his certificate.
func CallAs(ctx context.Context, client harness.Client, clients []Client, certificates []tls.Certificate,
	endpoints []harness.Endpoint) ([]harness.Exchange, error) {
	var requests []harness.Request
	for i, c := range clients {
		for _, endpoint := range endpoints {
			r := Plain(client.Target(), harness.MTLS, endpoint)
			r.Variant = c.Name
			SetCertificate(&r, c.Name, certificates[i])
			requests = append(requests, r)
		}
	}
	return client.SendAll(ctx, requests), nil
}

// Names that the clients of a changed list carry.
const (
	Member   = "member"
	Outsider = "client outside the list"
	Stranger = "client whose name only looks like a member"
)

// AddClient puts a new client on the list, beside the enrolled one (ENR-002).
func AddClient() harness.Stimulus {
	return enrolment("put a new client on the list", func(t *harness.Target) (string, []Client, error) {
		added := coined(t)
		return ListOf(t.Certs.EnrolledCN, added), []Client{{Member, added}, {Member, t.Certs.EnrolledCN}}, nil
	})
}

// NewlineList makes the list one name a line, with each end of line there is,
// lines that are blank, and none at the end (ENR-004).
func NewlineList() harness.Stimulus {
	return enrolment("make the list one of lines: LF, CRLF, blank ones, no last LF", func(t *harness.Target) (string, []Client, error) {
		a, b, c := coined(t), coined(t), coined(t)
		return a + "\n" + b + "\r\n\r\n\n" + c, []Client{{Member, a}, {Member, b}, {Member, c}, {Outsider, coined(t)}}, nil
	})
}

// MixedList makes the list one with members that are no texts (ENR-008).
func MixedList() harness.Stimulus {
	return enrolment("make the list one of a number, null, true and a name", func(t *harness.Target) (string, []Client, error) {
		a := clientcert.Coin(t, "client-"+letters(token.Random(4))) // no 1 in it: a part of a name is ENR-014's
		list := fmt.Sprintf(`[1,null,true,%q]`, a)
		clients := []Client{{Member, a}}
		for _, name := range []string{"1", "None", "null", "True", "true"} {
			clients = append(clients, Client{Stranger, name})
		}
		return list, clients, nil
	})
}

// letters writes digits as letters.
func letters(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return c - '0' + 'g'
		}
		return c
	}, text)
}

// WildcardList makes the list one with a star on it (ENR-010).
func WildcardList() harness.Stimulus {
	return enrolment("make the list one with * on it", func(t *harness.Target) (string, []Client, error) {
		a := coined(t)
		return fmt.Sprintf(`["*",%q]`, a), []Client{{Member, a}, {Outsider, coined(t)}, {Outsider, clientcert.Coin(t, "x")}}, nil
	})
}

// PartsOfMember calls with parts of a member's name, and with what is a part of
// the list's text (ENR-014).
func PartsOfMember() harness.Stimulus {
	return enrolment("make the list one of a single name", func(t *harness.Target) (string, []Client, error) {
		a := coined(t)
		return fmt.Sprintf(`[%q]`, a), []Client{{Member, a}, {Stranger, a[:3]}, {Stranger, a[len(a)-3:]}, {Stranger, a + `"`}, {Stranger, `"`},
			{Stranger, "-"}}, nil
	})
}

// SelfEnrolment calls enrolment as a client who is not enrolled, for his own
// name, and then every endpoint (ENR-012); the name is also a marker that may
// not be found in the list afterwards (ENR-013).
func SelfEnrolment() harness.Stimulus {
	return harness.Stimulus{
		Words: "as a client who is not enrolled, and as nobody, enrol that client's own name; then call every critical endpoint, twice, and " +
			"read the list",
		Needs: []harness.Capability{harness.ClientCAKey, harness.VaultRead}, Effect: harness.AuthFailures, Modes: MTLSOnly,
		Endpoints: []string{"enrollment"}, Tells: []harness.Key{harness.MarkerFound}, Act: selfEnrolment,
	}
}

func selfEnrolment(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	name := clientcert.Coin(t, marker())
	certificates, err := Issue(t, []Client{{Outsider, name}})
	if err != nil {
		return trace, err
	}
	for _, endpoint := range slices.Concat(t.Endpoints, t.Others) {
		if endpoint.Name != "enrollment" {
			continue
		}
		for _, text := range []string{`{"client":%q}`, `{"client":%q,"id":%[1]q,"allowed":[%[1]q]}`} {
			r := Plain(t, harness.MTLS, endpoint)
			r.Variant, r.Body = Outsider, fmt.Appendf(nil, text, name)
			SetCertificate(&r, Outsider, certificates[0])
			trace.Exchanges = append(trace.Exchanges, client.Send(ctx, r))
		}
	}
	for range 2 {
		calls, err := CallAs(ctx, client, []Client{{Outsider, name}}, certificates, t.Endpoints)
		if err != nil {
			return trace, err
		}
		trace.Exchanges = append(trace.Exchanges, calls...)
	}
	fields, err := t.Control.Secrets.Read(ctx)
	if err != nil {
		return trace, fmt.Errorf("reading the list: %w", err)
	}
	if strings.Contains(fields[ListField], name) {
		trace.Facts = append(trace.Facts, harness.MarkerFound.Was(name))
	}
	return trace, nil
}

// DeniedMarkers enrols a name of its own without a credential, and with one
// that is refused, in every mode, and reads the list (ENR-013).
func DeniedMarkers() harness.Stimulus {
	return harness.Stimulus{Words: "enrol a marker without a credential in each mode, and read the list",
		Needs: []harness.Capability{harness.VaultRead, harness.Logs}, Endpoints: []string{"enrollment"},
		Modes: BothModes, Effect: harness.AuthFailures,
		Tells: []harness.Key{harness.MarkerFound},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			t := client.Target()
			name := marker()
			var requests []harness.Request
			for _, mode := range ModesOf(t) {
				for _, endpoint := range slices.Concat(t.Endpoints, t.Others) {
					if endpoint.Name != "enrollment" {
						continue
					}
					r := Plain(t, mode, endpoint)
					r.Variant, r.Body = "a marker, no credential", fmt.Appendf(nil, `{"client":%q}`, name)
					requests = append(requests, r)
				}
			}
			trace.Exchanges = client.SendAll(ctx, requests)
			fields, err := t.Control.Secrets.Read(ctx)
			if err != nil {
				return trace, fmt.Errorf("reading the list: %w", err)
			}
			if strings.Contains(fields[ListField], name) {
				trace.Facts = append(trace.Facts, harness.MarkerFound.Was(name))
			}
			return trace, nil
		}}
}

// coined is the name of a client whom nobody knows.
func coined(t *harness.Target) string { return clientcert.Coin(t, "client-"+token.Random(4)) }

// marker is a name that an enrolment leaves behind, if it is made.
func marker() string { return "conformance-marker-" + token.Random(8) }
