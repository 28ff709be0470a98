package edge

import (
	"context"
	"errors"
	"fmt"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
)

// WithoutAuthority takes the authorities of clients from the ingress: no file at
// all, then one that is no certificate. Clients whom it must never believe call
// meanwhile; the enrolled one does, too, where the ingress took that.
func WithoutAuthority() harness.Stimulus {
	return harness.Stimulus{
		Words: "take the client authority's file from the ingress, then garble it, call every critical endpoint each time, and put it back",
		Needs: []harness.Capability{harness.IngressControlled, harness.GivenClientCerts}, Modes: probe.MTLSOnly,
		Effect: harness.Disruptive, // nobody is served meanwhile, or so it must be
		Tells:  []harness.Key{harness.AuthoritiesTaken},
		Act:    withoutAuthority,
	}
}

// withoutAuthority takes, calls and puts back.
func withoutAuthority(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
	ingress := client.Target().Control.Ingress
	defer func() {
		if restoreErr := ingress.Restore(context.WithoutCancel(ctx)); restoreErr != nil && err == nil {
			err = fmt.Errorf("putting the ingress's configuration back: %w", restoreErr)
		}
	}()
	for _, bundle := range []struct {
		name string
		text []byte
	}{{"no file", nil}, {"a garbled file", []byte("-----BEGIN CERTIFICATE-----\ngarbled\n-----END CERTIFICATE-----\n")}} {
		refusal := ingress.TrustOnly(ctx, bundle.text)
		if errors.Is(refusal, harness.ErrUnseen) {
			return trace, refusal
		}
		taken, answer := false, "refused"
		if refusal == nil {
			if taken, err = bites(ctx, client); err != nil {
				return trace, err
			}
			answer = map[bool]string{true: "taken", false: "passed over: what was trusted before still is"}[taken]
		}
		trace.Facts = append(trace.Facts, harness.AuthoritiesTaken.Was(answer).Of(bundle.name))
		calls, err := strangers(client.Target(), bundle.name, taken)
		if err != nil {
			return trace, err
		}
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, calls)...)
	}
	return trace, nil
}

// bites waits until the ingress, which was told so, believes nobody: the enrolled client
// is refused, or a stranger served. A hook may return before the ingress has read its
// configuration, and without a word where that refuses it: then nothing comes of it.
func bites(ctx context.Context, client harness.Client) (taken bool, err error) {
	t := client.Target()
	var calls []harness.Request
	for _, recipe := range []clientcert.Recipe{clientcert.Enrolled(), clientcert.Untrusted()} {
		certificate, err := recipe.Make(t)
		if err != nil {
			return false, fmt.Errorf("taking the %s: %w", recipe.Name, err)
		}
		r := probe.Plain(t, harness.MTLS, probe.Harmless(t.Endpoints)[0])
		r.Variant = "until the ingress believes nobody"
		probe.SetCertificate(&r, recipe.Name, certificate)
		calls = append(calls, r)
	}
	probe.Until(ctx, client, probe.Propagation(t.Profile), func() bool {
		seen := client.SendAll(ctx, calls)
		served := func(x harness.Exchange) bool { return t.Profile.Accepts(x.Observation.Status) }
		taken = !served(seen[0]) || served(seen[1])
		return taken
	})
	return taken, nil
}

// strangers are the calls of clients who are not to be believed, and of the
// enrolled one if he is not to be, either.
func strangers(t *harness.Target, variant string, enrolledToo bool) ([]harness.Request, error) {
	recipes := []clientcert.Recipe{clientcert.Untrusted()}
	if t.Grants(harness.SiblingClient) {
		recipes = append(recipes, clientcert.Sibling())
	}
	if t.Grants(harness.PublicClient) {
		recipes = append(recipes, clientcert.Public())
	}
	if enrolledToo {
		recipes = append(recipes, clientcert.Enrolled())
	}
	var calls []harness.Request
	for _, recipe := range recipes {
		certificate, err := recipe.Make(t)
		if err != nil {
			return nil, fmt.Errorf("taking the %s: %w", recipe.Name, err)
		}
		for _, endpoint := range t.Endpoints {
			r := probe.Plain(t, harness.MTLS, endpoint)
			r.Variant = "with " + variant + " of authorities"
			probe.SetCertificate(&r, recipe.Name, certificate)
			calls = append(calls, r)
		}
	}
	return calls, nil
}
