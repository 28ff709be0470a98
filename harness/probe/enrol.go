package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// client is a client certificate with the name its exchanges carry.
type client struct {
	name string
	cn   string
}

// RemoveClient takes the enrolled client out of the list.
func RemoveClient() harness.Stimulus {
	return enrolment("take the enrolled client out of the list", func(t *harness.Target) (string, []client, error) {
		return listed("other-" + token.Random(4)), []client{{"removed client", t.Certs.EnrolledCN}}, nil
	})
}

// EmptyList makes the list an explicit [].
func EmptyList() harness.Stimulus {
	return enrolment("make the list []", func(t *harness.Target) (string, []client, error) {
		return "[]", []client{{"client enrolled before", t.Certs.EnrolledCN}, {"client never enrolled", t.Certs.UnenrolledCN}}, nil
	})
}

// JSONList makes the list two new clients, in JSON.
func JSONList() harness.Stimulus {
	return enrolment("make the list a JSON list of two new clients", func(*harness.Target) (string, []client, error) {
		a, b := "client-"+token.Random(4), "client-"+token.Random(4)
		return listed(a, b), []client{{"first member", a}, {"second member", b}, {"client outside the list", "client-" + token.Random(4)}}, nil
	})
}

// lists gives a new value of the field, and the clients to call with in order; the first
// is the witness.
type lists func(t *harness.Target) (value string, clients []client, err error)

// enrolment changes the list of allowed clients, waits until the change shows on a
// witness, calls, and puts the list back.
func enrolment(words string, list lists) harness.Stimulus {
	return harness.Stimulus{
		Words: words + ", wait until it shows, call every critical endpoint, and put the list back",
		Needs: []harness.Capability{harness.VaultWrite, harness.ClientCAKey}, Effect: harness.Disruptive, Modes: mtlsOnly,
		Act: list.act,
	}
}

func (l lists) act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	t := hands.Target()
	list, clients, err := l(t)
	if err != nil {
		return trace, err
	}
	certificates, err := issue(t, clients)
	if err != nil {
		return trace, err
	}
	witness := func() (harness.Exchange, error) {
		x, err := callAs(ctx, hands, clients[:1], certificates[:1], t.Endpoints[:1])
		if err != nil {
			return harness.Exchange{}, err
		}
		return x[0], nil
	}
	// Every endpoint is called once before the change, so that its control
	// stands before it too.
	earlier, err := callAs(ctx, hands, clients[:1], certificates[:1], t.Endpoints)
	if err != nil {
		return trace, err
	}
	before := earlier[0]
	restore, err := rewrite(ctx, t, setting(ListField, list))
	if err != nil {
		return trace, err
	}
	limit := bound(t.Profile.Propagation, harness.DefaultPropagation)
	until(ctx, hands, limit, func() bool {
		x, err := witness()
		return err == nil && x.Observation.Status != before.Observation.Status
	})
	trace.Exchanges, err = callAs(ctx, hands, clients, certificates, t.Endpoints)
	if restoreErr := restore(); restoreErr != nil {
		return trace, restoreErr
	}
	until(ctx, hands, limit, func() bool {
		x, err := witness()
		return err == nil && x.Observation.Status == before.Observation.Status
	})
	return trace, err
}

// issue makes a sound certificate for each client.
func issue(t *harness.Target, clients []client) ([]tls.Certificate, error) {
	var certificates []tls.Certificate
	for _, c := range clients {
		certificate, err := CertificateFor(c.name, func(*harness.Target) string { return c.cn }).Make(t)
		if err != nil {
			return nil, fmt.Errorf("making the certificate of %s: %w", c.name, err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

func callAs(ctx context.Context, hands harness.Hands, clients []client, certificates []tls.Certificate, endpoints []harness.Endpoint) ([]harness.Exchange, error) {
	var requests []harness.Request
	for i, c := range clients {
		for _, endpoint := range endpoints {
			r := plain(hands.Target(), harness.MTLS, endpoint)
			r.Variant = c.name
			present(&r, c.name, certificates[i])
			requests = append(requests, r)
		}
	}
	return hands.SendAll(ctx, requests), nil
}

// until asks often whether something has come true, for as long as limit.
func until(ctx context.Context, hands harness.Hands, limit time.Duration, came func() bool) {
	over := hands.Patience(limit)
	for !came() && !over() && pause(ctx, 20*time.Millisecond) {
	}
}
