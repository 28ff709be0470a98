//go:build !fixed

package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/jwk"
	"github.com/lestrrat-go/jwx/jwt"

	"aegis.test/trackrecord/service"
)

func verifier(c service.Config) (service.Verify, error) {
	keys, err := jwk.Parse(c.JWKS)
	if err != nil {
		return nil, err
	}
	return func(token string) (string, error) {
		if strings.Count(token, ".") != 2 {
			return "", errors.New("no compact JWS")
		}
		verified, err := jwt.Parse([]byte(token), jwt.WithKeySet(keys))
		if err != nil {
			return "", err
		}
		if verified.Issuer() != c.Issuer || !slices.Contains(verified.Audience(), c.Audience) {
			return "", errors.New("not ours")
		}
		return verified.Subject(), nil
	}, nil
}
