package leak

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// Variants of the exchanges of RenderedSecrets, beside those of every start.
const (
	WhileRendered = "as it is first rendered"
	OnceRotated   = "once the secret is rotated"
	Newcomer      = "a client who was added to the list"
)

// rotationBound is how long an agent may take to render a rotation, and the
// service to read it.
const rotationBound = 20 * time.Second

// InRenderedFiles starts a replica in mode mtls whose secrets an agent renders to
// files, rotates the list of clients, and looks at the files before and after
// (SEC-008). A driver that mounts secrets (runbook section 1, option B) is held by
// the same: files, their permissions, and that they are replaced whole.
func InRenderedFiles() harness.Stimulus {
	return harness.Stimulus{
		Words: "start a replica whose secrets Vault Agent renders to files, call it, add a client to the list, wait until it is served, and " +
			"look at the files before and after",
		Needs: []harness.Capability{harness.VaultAgent, harness.VaultWrite,
			harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: probe.MTLSOnly,
		OwnControl: true, // the replica's own sound call
		Act:        rendered,
	}
}

// rendered starts, calls, rotates and looks.
func rendered(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
	t := client.Target()
	limited, cancel := context.WithTimeout(ctx, probe.Bound(t.Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	replica, err := t.Control.Agent.Launch(limited, harness.Launch{Mode: harness.MTLS})
	if err != nil {
		return trace, err
	}
	defer func() { err = errors.Join(err, replica.Stop(context.WithoutCancel(ctx))) }()
	look := func(when string) error {
		files, err := replica.Files(ctx)
		slices.SortFunc(files, func(a, b harness.File) int { return strings.Compare(a.Path, b.Path) })
		trace.Rendered = append(trace.Rendered, harness.Rendering{When: when, User: replica.User(), Files: files})
		return err
	}
	face := replica.URL()
	credential, err := probe.DirectCredential(t, harness.MTLS)
	if err != nil {
		return trace, err
	}
	requests := probe.Direct(t, harness.MTLS, face, credential)
	var calls []harness.Exchange
	probe.Until(limited, client, probe.Bound(t.Profile.StartBound, harness.DefaultStartBound), func() bool {
		calls = client.SendAll(limited, requests)
		return !slices.ContainsFunc(calls, func(x harness.Exchange) bool { return x.Observation.Transport != harness.Answered })
	})
	trace.Exchanges = calls
	if err := look(WhileRendered); err != nil {
		return trace, err
	}
	added := clientcert.Coin(t, "client-"+token.Random(4))
	restore, err := probe.Rewrite(ctx, t, probe.Enrolling(t.Certs.EnrolledCN, added))
	if err != nil {
		return trace, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	var last harness.Exchange
	probe.Until(ctx, client, rotationBound, func() bool {
		r := probe.At(t, harness.MTLS, face, t.Endpoints[0])
		r.Variant, r.Credential = Newcomer, "identity header of a client who was added"
		probe.Forward(t, &r, added)
		last = client.Send(ctx, r)
		return t.Profile.Accepts(last.Observation.Status)
	})
	trace.Exchanges = append(trace.Exchanges, last)
	return trace, look(OnceRotated)
}

// InDeployment searches what the services were deployed as for values of
// aegis/runtime that are nobody's but Vault's, for their token of Vault, and for what
// the ingress proves itself with (SEC-007).
func InDeployment() harness.Stimulus {
	return harness.Stimulus{
		Words: "search what the services were started with, what was copied to them, and their images, for what aegis/runtime holds, their " +
			"token of Vault and the ingress's secret",
		Needs: []harness.Capability{harness.DeploymentRead, harness.VaultRead}, Effect: harness.ReadOnly, OwnControl: true,
		Tells: []harness.Key{harness.Searched, harness.Leaked},
		Act: func(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
			t := client.Target()
			var s search
			if s.sought, err = confidential(ctx, t); err != nil {
				return trace, err
			}
			err = t.Control.Deployment.Each(ctx, func(part string, content io.Reader) error {
				what, err := s.sought.Scan(content)
				s.facts = append(s.facts, harness.Searched.At(part))
				s.found(part, what)
				return err
			})
			trace.Facts = s.facts
			return trace, err
		},
	}
}
