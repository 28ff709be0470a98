package rotation

import (
	"context"
	"crypto/tls"
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// Outlived resumes the enrolled client's sessions once he is out of the list.
func Outlived() harness.Stimulus {
	return harness.Stimulus{
		Words: "take the enrolled client out of the list while he holds session tickets, wait until it shows, resume, call every critical " +
			"endpoint, and put the list back",
		Needs: []harness.Capability{harness.VaultWrite, harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: probe.MTLSOnly,
		Act: outlived,
	}
}

// outlived takes tickets, changes, waits, resumes and puts back.
func outlived(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	certificate, err := clientcert.Enrolled().Make(t)
	if err != nil {
		return trace, err
	}
	call := func(variant string, endpoint harness.Endpoint, version uint16, tickets tls.ClientSessionCache) harness.Request {
		r := probe.Plain(t, harness.MTLS, endpoint)
		r.Variant, r.Sessions, r.MinTLS, r.MaxTLS = variant, tickets, version, version
		probe.SetCertificate(&r, clientcert.Enrolled().Name, certificate)
		return r
	}
	versions := []uint16{tls.VersionTLS12, tls.VersionTLS13}
	tickets := []*wire.Tickets{{}, {}}
	for i, version := range versions {
		if o := client.Send(ctx, call("", t.Endpoints[0], version, tickets[i])).Observation; o.Transport != harness.Answered {
			return trace, fmt.Errorf("taking a session ticket: %w: %s", harness.ErrUnseen, o.Transport)
		}
	}
	witness := func() int { return client.Send(ctx, call("", t.Endpoints[0], 0, nil)).Observation.Status }
	before := witness()
	restore, err := probe.Rewrite(ctx, t, probe.Enrolling(clientcert.Coin(t, "other-"+token.Random(4))))
	if err != nil {
		return trace, err
	}
	limit := probe.Bound(t.Profile.Propagation, harness.DefaultPropagation)
	probe.Until(ctx, client, limit, func() bool { return witness() != before })
	var calls []harness.Request
	for i, version := range versions {
		for _, endpoint := range t.Endpoints {
			calls = append(calls, call("resumed session over "+tls.VersionName(version), endpoint, version, tickets[i].Frozen()))
		}
	}
	trace.Exchanges = client.SendAll(ctx, calls)
	if err := restore(); err != nil {
		return trace, err
	}
	probe.Until(ctx, client, limit, func() bool { return witness() == before })
	return trace, nil
}
