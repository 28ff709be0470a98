package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
)

// EndedError is of a replica that ended before it answered: nothing else was seen of it.
type EndedError struct{ Code int }

func (e EndedError) Error() string {
	return fmt.Sprintf("starting a replica: %s: it ended with status %d before it answered", harness.ErrUnseen, e.Code)
}

func (EndedError) Unwrap() error { return harness.ErrUnseen }

// Launch starts a replica and waits until it answers; what is held of its Vault is let
// go at once. The error of one that does not answer is ErrUnseen: one that ended first
// is told by an endedError.
func Launch(ctx context.Context, client harness.Client, launch harness.Launch) (harness.Replica, error) {
	t := client.Target()
	limited, cancel := context.WithTimeout(ctx, Bound(t.Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	replica, err := t.Control.Launcher.Launch(limited, launch)
	if err != nil {
		return nil, fmt.Errorf("starting a replica: %w", err)
	}
	if launch.HoldVault {
		replica.Release()
	}
	if err := awaitAnswer(limited, client, launch.Mode, replica); err != nil {
		_ = replica.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return replica, nil
}

// awaitAnswer waits until a replica answers, ends, or has had its time.
func awaitAnswer(ctx context.Context, client harness.Client, mode harness.Mode, replica harness.Replica) error {
	ended := make(chan int, 1)
	go func() {
		if code, err := replica.Wait(ctx); err == nil {
			ended <- code
		}
	}()
	for {
		r := At(client.Target(), mode, replica.URL(), client.Target().Endpoints[0])
		r.Variant = "whether the replica answers"
		if client.Send(ctx, r).Observation.Transport == harness.Answered {
			return nil
		}
		select {
		case code := <-ended:
			return EndedError{code}
		default:
		}
		if !Pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("starting a replica: %w: it neither answered nor ended within the bound", harness.ErrUnseen)
		}
	}
}

// ScrapeReplica reads a replica's metrics page: its own, or where it names none the
// one beside what it serves, which nobody has granted.
func ScrapeReplica(ctx context.Context, client harness.Client, r harness.Replica) (map[string]harness.Family, error) {
	if own, ok := r.(harness.Metered); ok && own.Metrics() != "" {
		return client.Scrape(ctx, own.Metrics())
	}
	page, err := client.Scrape(ctx, strings.TrimSuffix(r.URL().URL, "/")+"/metrics")
	if errors.Is(err, harness.ErrMissing) {
		err = fmt.Errorf("%w: %s: name the replica's page in hooks.replica.metrics", harness.ErrUnseen, err)
	}
	return page, err
}

// ValidCredential is the variant of a call with a valid credential.
const ValidCredential = "valid credential" //nolint:gosec // it holds none

// Unentitled is the variant of a call with a token that must be refused.
const Unentitled = "token that must be refused"

// DirectCredential is what a valid call presents to a service behind the ingress: in mtls
// mode the identity header, as the ingress would set it.
func DirectCredential(t *harness.Target, mode harness.Mode) (Edit, error) {
	if mode == harness.OIDC {
		return Credential(t, mode)
	}
	return func(r *harness.Request) {
		Forward(t, r, t.Certs.EnrolledCN)
		r.Credential = "identity header of an enrolled client"
	}, nil
}

// Direct are the calls of every endpoint that reach a service behind the ingress:
// with a valid credential, and with none.
func Direct(t *harness.Target, mode harness.Mode, face harness.Face, credential Edit) []harness.Request {
	var requests []harness.Request
	for _, endpoint := range t.Endpoints {
		none, valid := At(t, mode, face, endpoint), At(t, mode, face, endpoint)
		none.Variant, valid.Variant = "no credential", ValidCredential
		credential(&valid)
		requests = append(requests, none, valid)
	}
	return requests
}

// Forward makes a request what the ingress would hand on for a client whose
// certificate it has verified.
func Forward(t *harness.Target, r *harness.Request, cn string) {
	r.Set(t.Profile.Header(), clientcert.Claim(t, cn))
	if t.ProxySecret != "" {
		r.Set(harness.ProxyHeader, t.ProxySecret.Reveal())
	}
}
