package vaultauth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Policy reads what the service's own Vault token may do on some paths (SEC-003).
func Policy(paths ...string) harness.Stimulus {
	s := ofServiceToken("ask Vault what the service's own token may do on "+strings.Join(paths, ", "), func(ctx context.Context,
		store harness.SecretStore) (harness.Trace, error) {
		var trace harness.Trace
		allowed, err := store.ServiceCan(ctx, paths)
		if err != nil {
			return trace, fmt.Errorf("reading the service's policy: %w", err)
		}
		for _, path := range paths {
			capabilities := slices.Sorted(slices.Values(allowed[path]))
			trace.Facts = append(trace.Facts, harness.VaultAllows.Was(capabilities...).Of(path))
		}
		return trace, nil
	})
	s.Tells = []harness.Key{harness.VaultAllows}
	return s
}

// Token looks up what the service's own token of Vault is (SEC-005).
func Token() harness.Stimulus {
	return ofServiceToken("look up the service's own token in Vault", func(ctx context.Context, store harness.SecretStore) (harness.Trace,
		error) {
		found, err := store.ServiceToken(ctx)
		if err != nil {
			return harness.Trace{}, err
		}
		return harness.Trace{Tokens: []harness.VaultToken{found}}, nil
	})
}

// ofServiceToken asks a real Vault of the service's own token: a stand-in's policy is none.
func ofServiceToken(words string, ask func(context.Context, harness.SecretStore) (harness.Trace, error)) harness.Stimulus {
	return harness.Stimulus{
		Words: words, Needs: []harness.Capability{harness.VaultRead, harness.RealVault}, Effect: harness.ReadOnly,
		OwnControl: true, // nothing is refused
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			return ask(ctx, client.Target().Control.Secrets)
		},
	}
}
