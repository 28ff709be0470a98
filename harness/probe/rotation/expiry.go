package rotation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// maxOffset is how far a target's clock may be from ours for what is about time to
// be told at all (rulings 0.6).
const maxOffset = 30 * time.Second

// shortLife is how long what is short-lived lives, and how much earlier or later
// than by our clock it may expire. The clock of a stack of our own is ours; that
// of another target is read from an answer, which tells seconds.
func (t *traffic) shortLife(ctx context.Context) (life, early, late time.Duration, err error) {
	if t.target.Kind != harness.Live {
		return 2 * time.Second, 0, time.Second, nil
	}
	r, err := probe.Sound(t.target, probe.ModesOf(t.target)[0], probe.Harmless(t.target.Endpoints)[0])
	if err != nil {
		return 0, 0, 0, err
	}
	o := t.client.Send(ctx, r).Observation
	there, err := http.ParseTime(o.Header.Get("Date"))
	if err != nil {
		return 0, 0, 0, fmt.Errorf("reading the target's clock: %w: no answer with a Date", harness.ErrUnseen)
	}
	offset := there.Sub(o.At).Abs() + time.Second
	if offset > maxOffset {
		return 0, 0, 0, fmt.Errorf("reading the target's clock: %w: it is %s from ours", harness.ErrUnseen, offset.Round(time.Second))
	}
	return 10*time.Second + 2*offset, offset, offset, nil
}

// Expiring holds a certificate and a token until they have expired, and after
// (ROT-004).
func Expiring() harness.Stimulus {
	needs := []harness.Capability{harness.ClientCAKey, harness.GivenClientCerts}
	return harness.Stimulus{
		Words: "issue the enrolled client a certificate, and mint a token, of a short life; under steady traffic call with them until they " +
			"have expired, and on: on new connections, and with the certificate on connections that stay open, of HTTP/1.1 and HTTP/2",
		Needs: needs, Modes: probe.BothModes,
		Unsuited: func(t *harness.Target) string {
			if t.Shows(harness.MTLS) || t.Profile.Leeway > 0 {
				return ""
			}
			return "no certificates are in use, and profile.leeway declares no bound for the end of tokens: OIDC-005 is about those"
		},
		Effect:  harness.AuthFailures,
		NeedsOn: whereNoMTLS(needs, harness.MintTokens),
		Act: underTraffic("a certificate and a token expire", nil, func(ctx context.Context, t *traffic) error {
			life, early, late, err := t.shortLife(ctx)
			if err != nil {
				return err
			}
			t.within(early + late + max(t.target.Profile.Leeway, t.target.Profile.ConnectionAge))
			end := time.Now().Truncate(time.Second).Add(life) // a certificate knows no less than seconds
			if err := t.shortLived(end); err != nil {
				return err
			}
			if err := t.rounds(ctx); err != nil {
				return err
			}
			t.markAt(Expires, end.Add(-early))
			if !probe.Pause(ctx, time.Until(end)) {
				return ctx.Err()
			}
			age := t.target.Profile.ConnectionAge
			for _, one := range []struct {
				class  string
				within time.Duration
				judged bool
			}{
				{ClassShort, late, true}, {ClassShortToken, late + t.target.Profile.Leeway, true},
				{ClassHeld1, late + age, age > 0}, {ClassHeld2, late + age, age > 0},
			} {
				if one.judged && t.has(one.class) {
					if err := t.settleIn(ctx, one.within, false, one.class); err != nil {
						return err
					}
				}
			}
			return t.rounds(ctx)
		}),
	}
}

// shortLived begins the callers whose credentials expire, each with the same one
// for as long as he calls.
func (t *traffic) shortLived(end time.Time) error {
	if t.target.Shows(harness.MTLS) {
		certificate, err := clientcert.Issued("short-lived certificate", func(_ *harness.Target,
			l *certs.Leaf) {
			l.NotAfter = end
		}).Make(t.target)
		if err != nil {
			return err
		}
		same := func() (probe.Edit, error) {
			return func(r *harness.Request) { probe.SetCertificate(r, "short-lived certificate", certificate) }, nil
		}
		t.begin(harness.MTLS, ClassShort, same)
		t.hold(harness.MTLS, ClassHeld1, "", same)
		t.hold(harness.MTLS, ClassHeld2, wire.H2, same)
		t.begin(harness.MTLS, ClassValid, t.with(clientcert.Enrolled()))
		t.mix(harness.MTLS)
	}
	if t.target.Shows(harness.OIDC) && t.target.Grants(harness.MintTokens) && t.target.Profile.Leeway > 0 {
		value, err := token.Until(end).Make(token.From(t.target))
		if err != nil {
			return err
		}
		t.begin(harness.OIDC, ClassShortToken, func() (probe.Edit, error) {
			return func(r *harness.Request) { probe.SetToken(r, "short-lived token", value) }, nil
		})
		t.mix(harness.OIDC)
	}
	return nil
}

// Outlasting runs a replica for longer than its token of Vault lives, and then
// changes the list (ROT-013).
func Outlasting() harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("start a replica in mode mtls whose token of Vault lives %s and can be renewed, and call it until it has run for "+
			"longer; then put a client on the list, and call on until he is served", harness.VaultLease),
		Needs: []harness.Capability{harness.RestartService, harness.VaultWrite, harness.VaultControlled,
			harness.GivenClientCerts}, Modes: probe.MTLSOnly,
		Effect: harness.Disruptive,
		Act: underTraffic("a replica outlasts the lease of its Vault token", probe.Propagation, func(ctx context.Context, t *traffic) error {
			fields, err := t.secrets(ctx)
			if err != nil {
				return err
			}
			lease, err := t.target.Control.Vault.Token(ctx, harness.LeasedVaultToken)
			if err != nil {
				return fmt.Errorf("making a token of Vault: %w", err)
			}
			tended := t.tend(ctx, lease)
			replica, err := probe.Launch(ctx, t.client, harness.Launch{Mode: harness.MTLS, Env: map[string]string{"VAULT_TOKEN": lease.Reveal()}})
			ends := tended()
			if err != nil {
				return err
			}
			t.finally(replica.Stop)
			added := clientcert.Coin(t.target, "client-"+token.Random(4))
			for class, name := range map[string]string{
				ClassValid: t.target.Certs.EnrolledCN, ClassUnenrolled: clientcert.Coin(t.target, "client-"+token.Random(4)), ClassAdded: added, ClassNobody: "",
			} {
				t.begin(harness.MTLS, class, t.past(replica.URL(), name))
			}
			if err := t.rounds(ctx); err != nil {
				return err
			}
			if !probe.Pause(ctx, time.Until(ends)) {
				return ctx.Err()
			}
			if err := t.rounds(ctx); err != nil {
				return err
			}
			fields[probe.ListField] = probe.ListOf(t.target.Certs.EnrolledCN, added)
			if err := t.change(VersionBumped, func() error { return t.write(ctx, fields) }); err != nil {
				return err
			}
			t.markAt(LeaseOver, ends) // the first mark is the change's
			return errors.Join(t.settle(ctx, true, ClassAdded), t.rounds(ctx))
		}),
	}
}

// tend renews a leased token while its replica starts, however long that takes, and
// gives what leaves it to the replica, and says when it ends if that does not renew it.
func (t *traffic) tend(ctx context.Context, lease harness.Secret) (left func() time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	last := make(chan time.Time, 1)
	go func() {
		renewed := time.Now()
		for probe.Pause(ctx, harness.VaultLease/4) {
			_ = t.target.Control.Vault.Renew(context.WithoutCancel(ctx), lease) // one that is lost shows in the replica
			renewed = time.Now()
		}
		last <- renewed
	}()
	return func() time.Time {
		cancel()
		return (<-last).Add(harness.VaultLease)
	}
}

// past is a call at a replica itself, as the ingress would hand it on for a
// client; nobody has no name.
func (t *traffic) past(face harness.Face, name string) credential {
	return func() (probe.Edit, error) {
		return func(r *harness.Request) {
			r.To(face)
			r.Credential = "identity header of a client"
			if probe.Forward(t.target, r, name); name == "" {
				r.Remove(t.target.Profile.Header())
				r.Credential = "no identity header"
			}
		}, nil
	}
}
