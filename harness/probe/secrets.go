package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"aegis.test/conformance/harness"
)

// Fields of aegis/runtime (runbook section 1).
const (
	ListField = "clients/allowed" // who is enrolled (rulings A-18)
	JWKSField = "oidc_jwks_uri"   // where the key set is
)

// Rewriting changes the fields of aegis/runtime; nil removes it.
type Rewriting func(fields map[string]string) map[string]string

// Setting gives a field another value.
func Setting(field, value string) Rewriting {
	return func(fields map[string]string) map[string]string {
		fields[field] = value
		return fields
	}
}

// Lacking leaves fields out.
func Lacking(names ...string) Rewriting {
	return func(fields map[string]string) map[string]string {
		for _, name := range names {
			delete(fields, name)
		}
		return fields
	}
}

// Enrolling makes the list one of some clients.
func Enrolling(names ...string) Rewriting { return Setting(ListField, ListOf(names...)) }

// ListOf is a list of allowed clients.
func ListOf(names ...string) string {
	list, _ := json.Marshal(names) // of texts only
	return string(list)
}

// Rewrite changes aegis/runtime for everybody, and gives what puts it back.
func Rewrite(ctx context.Context, t *harness.Target, change Rewriting) (restore func() error, err error) {
	store := t.Control.Secrets
	original, err := store.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading aegis/runtime before it is changed: %w", err)
	}
	restore = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := store.Write(ctx, original); err != nil {
			return fmt.Errorf("putting aegis/runtime back: %w", err)
		}
		return nil
	}
	if changed := change(maps.Clone(original)); changed != nil {
		err = store.Write(ctx, changed)
	} else {
		err = store.Remove(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("changing aegis/runtime: %w", err), restore())
	}
	return restore, nil
}

// Settle waits until the services that run have taken the secret back: each
// accepts its control again.
func Settle(ctx context.Context, client harness.Client) {
	t := client.Target()
	for mode := range t.Faces {
		Until(ctx, client, Bound(t.Profile.Propagation, harness.DefaultPropagation), func() bool {
			request, err := Sound(t, mode, t.Endpoints[0])
			return err != nil || t.Profile.Accepts(client.Send(ctx, request).Observation.Status)
		})
	}
}
