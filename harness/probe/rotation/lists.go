package rotation

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/keyset"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// Dropping makes the ingress trust a second authority in the place of the first,
// whose client holds sessions (ROT-008).
func Dropping() harness.Stimulus {
	return harness.Stimulus{
		Words: "make the ingress trust two authorities, and take session tickets as a client of the first; under steady traffic drop the " +
			"first, and call with clients of both, in full handshakes and by those tickets, and where it is spoken by HTTP/3",
		Needs: []harness.Capability{harness.IngressControlled, harness.ClientCAKey, harness.GivenClientCerts}, Modes: probe.MTLSOnly,
		Unsuited: clientcert.Unlisted,
		Effect:   harness.Disruptive,
		Act: underTraffic("a client authority is dropped", probe.Propagation, func(ctx context.Context, t *traffic) error {
			t.finally(t.target.Control.Ingress.Restore)
			second, both, err := t.authorities()
			if err != nil {
				return err
			}
			if err := t.trust(ctx, both); err != nil {
				return err
			}
			if err := t.arrived(ctx, of(second, "certificate of the second authority", nil)); err != nil {
				return err
			}
			for class, version := range map[string]uint16{ClassResumed12: tls.VersionTLS12, ClassResumed13: tls.VersionTLS13} {
				if err := t.resume(ctx, class, version); err != nil {
					return err
				}
			}
			gone := []string{ClassFirstCA, ClassResumed12, ClassResumed13}
			if t.overQUIC(ctx) {
				gone = append(gone, ClassFirstHTTP3)
				t.begin(harness.MTLS, ClassFirstHTTP3, t.byHTTP3(clientcert.Enrolled()))
			}
			t.begin(harness.MTLS, ClassFirstCA, t.with(clientcert.Enrolled()))
			t.begin(harness.MTLS, ClassSecondCA, t.with(of(second, "certificate of the second authority", nil)))
			t.begin(harness.MTLS, ClassExpired, t.with(of(second, "expired certificate of the second authority", func(_ *harness.Target,
				l *certs.Leaf) {
				l.NotBefore, l.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(-time.Hour)
			})))
			t.begin(harness.MTLS, ClassUnenrolled, t.with(of(second, "unenrolled client of the second authority", func(t *harness.Target,
				l *certs.Leaf) {
				l.CommonName = t.Certs.UnenrolledCN
			})))
			if err := t.rounds(ctx); err != nil {
				return err
			}
			if err := t.change(FirstDropped, func() error { return t.trust(ctx, second.RootPEM()) }); err != nil {
				return err
			}
			if err := t.settle(ctx, false, gone...); err != nil {
				return err
			}
			return t.rounds(ctx)
		}),
	}
}

// overQUIC reports whether the enrolled client is served by HTTP/3.
func (t *traffic) overQUIC(ctx context.Context) bool {
	change, err := t.byHTTP3(clientcert.Enrolled())()
	if err != nil {
		return false
	}
	r := probe.Plain(t.target, harness.MTLS, probe.Harmless(t.target.Endpoints)[0])
	change(&r)
	return t.target.Profile.Accepts(t.client.Send(ctx, r).Observation.Status)
}

// byHTTP3 is a certificate that is presented by HTTP/3.
func (t *traffic) byHTTP3(recipe clientcert.Recipe) credential {
	return func() (probe.Edit, error) {
		change, err := t.with(recipe)()
		return func(r *harness.Request) { change(r); r.Protocol = wire.H3 }, err
	}
}

// arrived waits until a client is served.
func (t *traffic) arrived(ctx context.Context, recipe clientcert.Recipe) error {
	certificate, err := recipe.Make(t.target)
	if err != nil {
		return err
	}
	served := false
	probe.Until(ctx, t.client, t.bound, func() bool {
		r := probe.Plain(t.target, harness.MTLS, probe.Harmless(t.target.Endpoints)[0])
		probe.SetCertificate(&r, recipe.Name, certificate)
		served = t.target.Profile.Accepts(t.client.Send(ctx, r).Observation.Status)
		return served
	})
	if !served {
		return fmt.Errorf("waiting for a %s to be served: %w: it was not within %s", recipe.Name, harness.ErrUnseen, t.bound)
	}
	return nil
}

// resume takes a session ticket as the enrolled client, and begins a class whose
// every call offers that one.
func (t *traffic) resume(ctx context.Context, class string, version uint16) error {
	certificate, err := clientcert.Enrolled().Make(t.target)
	if err != nil {
		return err
	}
	tickets := &wire.Tickets{}
	dress := func(r *harness.Request, sessions tls.ClientSessionCache) {
		probe.SetCertificate(r, "certificate, or a session ticket, of the first authority's client", certificate)
		r.Sessions, r.MinTLS, r.MaxTLS = sessions, version, version
	}
	r := probe.Plain(t.target, harness.MTLS, probe.Harmless(t.target.Endpoints)[0])
	dress(&r, tickets)
	if o := t.client.Send(ctx, r).Observation; !t.target.Profile.Accepts(o.Status) {
		return fmt.Errorf("taking a session ticket: %w: the answer was %d %s", harness.ErrUnseen, o.Status, o.Transport)
	}
	t.begin(harness.MTLS, class, func() (probe.Edit, error) {
		return func(r *harness.Request) { dress(r, tickets.Frozen()) }, nil
	})
	return nil
}

// secrets is aegis/runtime, which is put back when the traffic has ended.
func (t *traffic) secrets(ctx context.Context) (map[string]string, error) {
	store := t.target.Control.Secrets
	original, err := store.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading aegis/runtime before it is changed: %w", err)
	}
	t.finally(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, t.bound+10*time.Second)
		defer cancel()
		if err := store.Write(ctx, original); err != nil {
			return fmt.Errorf("putting aegis/runtime back: %w", err)
		}
		probe.Settle(ctx, t.client)
		return nil
	})
	return maps.Clone(original), nil
}

func (t *traffic) write(ctx context.Context, fields map[string]string) error {
	if err := t.target.Control.Secrets.Write(ctx, fields); err != nil {
		return fmt.Errorf("changing aegis/runtime: %w", err)
	}
	return nil
}

func named(cn string) clientcert.Recipe {
	return clientcert.For("certificate of a client", func(*harness.Target) string { return cn })
}

// VersionBump writes a new version of aegis/runtime, with another list and another
// key set's address (ROT-010).
func VersionBump() harness.Stimulus {
	needs := []harness.Capability{harness.VaultWrite, harness.ClientCAKey, harness.GivenClientCerts}
	return harness.Stimulus{
		Words: "under steady traffic write a new version, in which a second client is on the list beside the enrolled one, and, where a key " +
			"set of ours can be named, the key set is that one; call with all until the new version is in force",
		Needs: needs, Modes: probe.BothModes,
		Effect:  harness.Disruptive,
		NeedsOn: whereNoMTLS(needs, harness.OutOfBand, harness.MintTokens),
		Act: underTraffic("a new version of aegis/runtime is written", probe.Propagation, func(ctx context.Context, t *traffic) error {
			fields, err := t.secrets(ctx)
			if err != nil {
				return err
			}
			added, key := clientcert.Coin(t.target, "client-"+token.Random(4)), harness.SigningKey{}
			if t.target.Shows(harness.MTLS) {
				fields[probe.ListField] = probe.ListOf(t.target.Certs.EnrolledCN, added)
				t.begin(harness.MTLS, ClassValid, t.with(clientcert.Enrolled()))
				t.begin(harness.MTLS, ClassAdded, t.with(named(added)))
				t.mix(harness.MTLS)
			}
			if t.target.Shows(harness.OIDC) && t.target.Grants(harness.OutOfBand) && t.target.Grants(harness.MintTokens) {
				if key, fields[probe.JWKSField], err = t.keySet(ctx); err != nil {
					return err
				}
				t.mix(harness.OIDC)
			}
			if err := t.rounds(ctx); err != nil {
				return err
			}
			if err := t.change(VersionBumped, func() error { return t.write(ctx, fields) }); err != nil {
				return err
			}
			if key.ID != "" {
				t.begin(harness.OIDC, ClassNewKey, t.by(token.SignedBy(keyset.OfNewKey, key)))
				err = t.settleIn(ctx, t.bound+probe.NewKeyBound(t.target.Profile), true, ClassNewKey)
			}
			if t.target.Shows(harness.MTLS) {
				err = errors.Join(err, t.settle(ctx, true, ClassAdded))
			}
			return errors.Join(err, t.rounds(ctx))
		}),
	}
}

// keySet serves a key set of one new key, and gives its address.
func (t *traffic) keySet(ctx context.Context) (key harness.SigningKey, uri string, err error) {
	if key, err = token.NewKey(); err != nil {
		return key, "", err
	}
	public, err := token.Public(key)
	if err != nil {
		return key, "", err
	}
	spot, err := t.target.Control.Outside.Listen(ctx, "bump-"+token.Random(8), token.KeySet(public))
	if err != nil {
		return key, "", fmt.Errorf("listening out of band: %w", err)
	}
	return key, spot.URL + "/jwks", nil
}

// HeldOpen takes the enrolled client off the list while he keeps connections open
// (ROT-012).
func HeldOpen() harness.Stimulus {
	return harness.Stimulus{
		Words: "call as the enrolled client over connections that stay open, of HTTP/1.1 and HTTP/2; under steady traffic put another on " +
			"the list in his place, and go on calling over these and new ones",
		Needs: []harness.Capability{harness.VaultWrite, harness.ClientCAKey, harness.GivenClientCerts}, Modes: probe.MTLSOnly,
		Effect: harness.Disruptive,
		Act: underTraffic("a client with open connections is taken off the list", probe.Propagation, func(ctx context.Context, t *traffic) error {
			fields, err := t.secrets(ctx)
			if err != nil {
				return err
			}
			added := clientcert.Coin(t.target, "client-"+token.Random(4))
			t.begin(harness.MTLS, ClassAdded, t.with(named(added)))
			t.begin(harness.MTLS, ClassRemoved, t.with(clientcert.Enrolled()))
			t.hold(harness.MTLS, ClassHeld1, "", t.with(clientcert.Enrolled()))
			t.hold(harness.MTLS, ClassHeld2, wire.H2, t.with(clientcert.Enrolled()))
			t.mix(harness.MTLS)
			if err := t.rounds(ctx); err != nil {
				return err
			}
			fields[probe.ListField] = probe.ListOf(added)
			if err := t.change(TakenOff, func() error { return t.write(ctx, fields) }); err != nil {
				return err
			}
			err = t.settle(ctx, false, ClassRemoved, ClassHeld1, ClassHeld2)
			return errors.Join(err, t.settle(ctx, true, ClassAdded), t.rounds(ctx))
		}),
	}
}
