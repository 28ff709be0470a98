//go:build fixed

package main

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"

	"aegis.test/trackrecord/service"
)

func verifier(c service.Config) (service.Verify, error) {
	key, err := jwt.ParseRSAPublicKeyFromPEM(c.KeyPEM)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience),
		jwt.WithExpirationRequired())
	return func(token string) (string, error) {
		parsed, err := parser.Parse(token, func(t *jwt.Token) (any, error) {
			if t.Header["kid"] != c.KeyID {
				return nil, errors.New("unknown kid")
			}
			return key, nil
		})
		if err != nil {
			return "", err
		}
		return parsed.Claims.GetSubject()
	}, nil
}
