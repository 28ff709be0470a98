package rotation

import (
	"context"
	"fmt"
	"slices"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/keyset"
	"aegis.test/conformance/harness/token"
)

// Further classes of callers, each of one rotation or two.
const (
	ClassOldKey       = "old key"
	ClassNewKey       = "new key"
	ClassReissued     = "re-issued"
	ClassIntermediate = "re-issued, CA below"
	ClassFirstCA      = "first CA"
	ClassSecondCA     = "second CA"
	ClassFirstHTTP3   = "first CA, HTTP/3" // where it is spoken
	ClassResumed12    = "first CA, resumed 1.2"
	ClassResumed13    = "first CA, resumed 1.3"
	ClassAdded        = "added"
	ClassRemoved      = "removed"
	ClassHeld1        = "held open, HTTP/1.1"
	ClassHeld2        = "held open, HTTP/2"
	ClassShort        = "short-lived"
	ClassShortToken   = "short-lived token"
)

// Moments of rotations, by name.
const (
	KeyPublished  = "the new key is published"
	KeyWithdrawn  = "the old key is withdrawn"
	DeployedAnew  = "the service is deployed anew"
	Reissued      = "the certificate is issued anew"
	BothTrusted   = "both authorities are trusted"
	ServerRenewed = "the ingress has a new certificate"
	FirstDropped  = "the first authority is dropped"
	VersionBumped = "a new version is written"
	TakenOff      = "the client is taken off the list"
	Expires       = "the short life ends"
	LeaseOver     = "the first lease ends"
)

// SigningKey replaces a signing key, with an overlap (ROT-001).
func SigningKey() harness.Stimulus {
	return harness.Stimulus{
		Words: "under steady traffic publish a new signing key beside the old ones, call with tokens of both, and once the new key's are " +
			"accepted withdraw the old one",
		Needs: []harness.Capability{harness.ControlJWKS, harness.MintTokens}, Modes: probe.OIDCOnly,
		Effect: harness.Disruptive,
		Act: underTraffic("a signing key is replaced, with an overlap", probe.NewKeyBound, func(ctx context.Context, t *traffic) error {
			s := t.scene()
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			t.begin(harness.OIDC, ClassOldKey, t.by(token.Sound()))
			t.mix(harness.OIDC)
			if err := t.rounds(ctx); err != nil {
				return err
			}
			if err := t.change(KeyPublished, func() error { return s.Publish(ctx, key) }); err != nil {
				return err
			}
			t.begin(harness.OIDC, ClassNewKey, t.by(token.SignedBy(keyset.OfNewKey, key)))
			if err := t.settle(ctx, true, ClassNewKey); err != nil {
				return err
			}
			if err := t.rounds(ctx); err != nil {
				return err
			}
			// Their tokens are valid no longer: JWKS-002 and ROT-002 are about them.
			if err := t.end(ctx, ClassOldKey); err != nil {
				return err
			}
			if err := t.change(KeyWithdrawn, func() error { return s.Withdraw(ctx, key) }); err != nil {
				return err
			}
			if err := s.Digested(ctx); err != nil {
				return err
			}
			return t.rounds(ctx)
		}),
	}
}

// KeyRemoval withdraws a signing key at once, and deploys the service anew, which
// is how an operator forces it (ROT-002).
func KeyRemoval() harness.Stimulus {
	return harness.Stimulus{
		Words: "under steady traffic put a new signing key in the place of the old one, and wait until tokens of the old are refused; then, " +
			"where that is granted, deploy the service anew",
		Needs: []harness.Capability{harness.ControlJWKS, harness.MintTokens}, Modes: probe.OIDCOnly,
		Effect: harness.Disruptive,
		Act: underTraffic("a signing key is withdrawn at once", probe.RemovedKeyBound, func(ctx context.Context, t *traffic) error {
			s := t.scene()
			key, err := token.NewKey()
			if err != nil {
				return err
			}
			t.begin(harness.OIDC, ClassOldKey, t.by(token.Sound()))
			t.mix(harness.OIDC)
			if err := t.rounds(ctx); err != nil {
				return err
			}
			if err := t.change(KeyWithdrawn, func() error { return s.Withdraw(ctx, key) }); err != nil {
				return err
			}
			t.begin(harness.OIDC, ClassNewKey, t.by(token.SignedBy(keyset.OfNewKey, key)))
			if err := t.settle(ctx, false, ClassOldKey); err != nil {
				return err
			}
			if err := t.settleIn(ctx, probe.NewKeyBound(t.target.Profile), true, ClassNewKey); err != nil {
				return err
			}
			if t.target.Grants(harness.RollOut) {
				if err := t.deploy(ctx, harness.OIDC); err != nil {
					return err
				}
			}
			return t.rounds(ctx)
		}),
	}
}

// deploy puts a new replica in the place of a mode's service.
func (t *traffic) deploy(ctx context.Context, mode harness.Mode) error {
	rollout := t.target.Control.Rollout
	t.finally(rollout.Restore)
	return t.change(DeployedAnew, func() error {
		ready, err := rollout.Deploy(ctx, harness.Launch{Mode: mode})
		if err == nil && !ready {
			err = fmt.Errorf("deploying the service anew: %w: the replica never became ready", harness.ErrUnseen)
		}
		return err
	})
}

// Reissue issues the enrolled client's certificate anew, with another key and
// serial number (ROT-003).
func Reissue() harness.Stimulus {
	return harness.Stimulus{
		Words: "under steady traffic issue the enrolled client another certificate, and where intermediates are declared, and no " +
			"revocation, one of an intermediate, and call with these and the former one",
		Needs: []harness.Capability{harness.ClientCAKey, harness.GivenClientCerts}, Modes: probe.MTLSOnly,
		Effect: harness.AuthFailures,
		Act: underTraffic("a client's certificate is issued anew", nil, func(ctx context.Context, t *traffic) error {
			t.begin(harness.MTLS, ClassValid, t.with(clientcert.Enrolled()))
			t.mix(harness.MTLS)
			if err := t.rounds(ctx); err != nil {
				return err
			}
			t.mark(Reissued)
			t.begin(harness.MTLS, ClassReissued, t.with(clientcert.For("certificate issued anew",
				func(t *harness.Target) string { return t.Certs.EnrolledCN })))
			if t.target.Profile.Intermediates && clientcert.Unlisted(t.target) == "" {
				t.begin(harness.MTLS, ClassIntermediate, t.with(clientcert.ViaIntermediate()))
			}
			return t.rounds(ctx)
		}),
	}
}

// authorities are the one that is trusted, and another, as bundles.
func (t *traffic) authorities() (second *certs.Authority, both []byte, err error) {
	if second, err = certs.NewAuthority("Second Client Authority"); err != nil {
		return nil, nil, err
	}
	return second, slices.Concat(t.target.Certs.Authority.Chain, second.RootPEM()), nil
}

// trust makes the ingress trust the authorities of a bundle.
func (t *traffic) trust(ctx context.Context, bundle []byte) error {
	if err := t.target.Control.Ingress.TrustOnly(ctx, bundle); err != nil {
		return fmt.Errorf("changing the authorities of clients: %w", err)
	}
	return nil
}

// of is a certificate of an authority for a name.
func of(authority *certs.Authority, name string, change func(*harness.Target, *certs.Leaf)) clientcert.Recipe {
	return clientcert.Foreign(name, func(*harness.Target) (*certs.Authority, error) { return authority, nil }, change)
}

// Overlapping makes the ingress trust a second authority beside the first, and
// renews its own certificate (ROT-007).
func Overlapping() harness.Stimulus {
	return harness.Stimulus{
		Words: "under steady traffic make the ingress trust a second authority beside the first, and call with clients of both; then, where " +
			"that can be done, give the ingress a new certificate of its own",
		Needs: []harness.Capability{harness.IngressControlled, harness.ClientCAKey, harness.GivenClientCerts}, Modes: probe.MTLSOnly,
		Unsuited: clientcert.Unlisted,
		Effect:   harness.Disruptive,
		Act: underTraffic("a second client authority is trusted", probe.Propagation, func(ctx context.Context, t *traffic) error {
			ingress := t.target.Control.Ingress
			t.finally(ingress.Restore)
			second, both, err := t.authorities()
			if err != nil {
				return err
			}
			t.begin(harness.MTLS, ClassFirstCA, t.with(clientcert.Enrolled()))
			t.begin(harness.MTLS, ClassSecondCA, t.with(of(second, "certificate of the second authority", nil)))
			t.mix(harness.MTLS)
			if err := t.rounds(ctx); err != nil {
				return err
			}
			if err := t.change(BothTrusted, func() error { return t.trust(ctx, both) }); err != nil {
				return err
			}
			if err := t.settle(ctx, true, ClassSecondCA); err != nil {
				return err
			}
			if renewer, ok := ingress.(harness.Renewer); ok {
				if err := t.change(ServerRenewed, func() error { return renewer.Renew(ctx) }); err != nil {
					return err
				}
			}
			return t.rounds(ctx)
		}),
	}
}
