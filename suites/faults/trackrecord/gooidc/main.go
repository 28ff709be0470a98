// gooidc verifies with github.com/coreos/go-oidc, which looks at nbf since version 2.1.0.
package main

import (
	"context"

	oidc "github.com/coreos/go-oidc"

	"aegis.test/trackrecord/service"
)

func main() {
	service.Main(func(c service.Config) (service.Verify, error) {
		keys, err := keysOf(c)
		if err != nil {
			return nil, err
		}
		verifier := oidc.NewVerifier(c.Issuer, keys, &oidc.Config{ClientID: c.Audience})
		return func(token string) (string, error) {
			verified, err := verifier.Verify(context.Background(), token)
			if err != nil {
				return "", err
			}
			return verified.Subject, nil
		}, nil
	})
}
