package replica

import (
	"context"
	"errors"
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Who calls a replica before and after it has lost Vault.
const (
	EnrolledBefore = "enrolled client, with Vault"
	OutsiderBefore = "client on no list, with Vault"
	EnrolledAfter  = "enrolled client, without Vault"
	OutsiderAfter  = "client on no list, without Vault"
	NobodyAfter    = "nobody, without Vault"
)

// inVain is how often a replica has asked for a lost Vault until it is called
// for the last time.
const inVain = 3

// VaultLoss starts a replica in mtls mode, takes Vault from it, and calls it at
// once and after it has asked for Vault in vain (ENR-009).
func VaultLoss() harness.Stimulus {
	return harness.Stimulus{
		Words: "start a replica in mode mtls and take its Vault away; call it as the enrolled client, as another and as nobody: before, at " +
			"once, and after it has asked for Vault in vain",
		Needs: []harness.Capability{harness.RestartService, harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: probe.MTLSOnly,
		OwnControl: true, // the calls before
		Act:        vaultLoss,
	}
}

func vaultLoss(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	profile := client.Target().Profile
	replica, err := probe.Launch(ctx, client, harness.Launch{Mode: harness.MTLS, HoldVault: true})
	if err != nil {
		return trace, err
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	callers := []caller{{EnrolledBefore, client.Target().Certs.EnrolledCN}, {OutsiderBefore, clientcert.Coin(client.Target(), "client-"+token.Random(4))}}
	trace.Exchanges = callReplica(ctx, client, replica, callers)
	if err := replica.Cut(ctx); err != nil {
		return trace, fmt.Errorf("taking Vault away: %w", err)
	}
	callers[0].variant, callers[1].variant = EnrolledAfter, OutsiderAfter
	callers = append(callers, caller{NobodyAfter, ""})
	trace.Exchanges = append(trace.Exchanges, callReplica(ctx, client, replica, callers)...)
	waiting, cancel := context.WithTimeout(ctx, probe.Bound(profile.Propagation, harness.DefaultPropagation))
	defer cancel()
	if err := replica.TurnedAway(waiting, inVain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return trace, err // one that never asks again is called all the same
	}
	trace.Exchanges = append(trace.Exchanges, callReplica(ctx, client, replica, callers)...)
	return trace, nil
}

// caller is somebody whom the ingress would name; nobody has no name.
type caller struct{ variant, name string }

// callReplica calls every endpoint of a replica in mtls mode as each caller, as
// the ingress would hand it on.
func callReplica(ctx context.Context, client harness.Client, replica harness.Replica, callers []caller) []harness.Exchange {
	t, face := client.Target(), replica.URL()
	var requests []harness.Request
	for _, c := range callers {
		for _, endpoint := range t.Endpoints {
			r := probe.At(t, harness.MTLS, face, endpoint)
			r.Variant, r.Credential = c.variant, "no identity header"
			if probe.Forward(t, &r, c.name); c.name == "" {
				r.Remove(t.Profile.Header())
			} else {
				r.Credential = "identity header of a client"
			}
			requests = append(requests, r)
		}
	}
	return client.SendAll(ctx, requests)
}
