// Package vaultauth asks Vault itself: of the service's role and token, and for certificates.
package vaultauth

import (
	"context"

	"aegis.test/conformance/harness"
)

// Binding reads the role by which the service logs in to Vault, and tries to log
// in by it as others (SEC-004).
func Binding() harness.Stimulus {
	return harness.Stimulus{
		Words: "read the role of Kubernetes auth by which the service logs in to Vault, and the policies that it gives; where accounts' " +
			"tokens can be had, log in by it as the service's account, as another, from another namespace, for another audience, and with what " +
			"is no token",
		Needs: []harness.Capability{harness.VaultKubernetes}, Effect: harness.ReadOnly, // but for refused logins
		OwnControl: true, // the service's own login
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			login := client.Target().Control.Login
			role, err := login.Role(ctx)
			if err != nil {
				return trace, err
			}
			trace.Roles = []harness.LoginRole{role}
			trace.Logins, err = login.Logins(ctx)
			return trace, err
		},
	}
}
