//go:build !fixed

package main

import (
	"errors"

	"github.com/dgrijalva/jwt-go"

	"aegis.test/trackrecord/service"
)

func verifier(c service.Config) (service.Verify, error) {
	key, err := jwt.ParseRSAPublicKeyFromPEM(c.KeyPEM)
	if err != nil {
		return nil, err
	}
	parser := &jwt.Parser{ValidMethods: []string{"RS256"}}
	return func(token string) (string, error) {
		claims := jwt.MapClaims{}
		if _, err := parser.ParseWithClaims(token, claims, func(t *jwt.Token) (interface{}, error) {
			if t.Header["kid"] != c.KeyID {
				return nil, errors.New("unknown kid")
			}
			return key, nil
		}); err != nil {
			return "", err
		}
		if !claims.VerifyIssuer(c.Issuer, true) || !claims.VerifyAudience(c.Audience, false) {
			return "", errors.New("not ours")
		}
		subject, _ := claims["sub"].(string)
		return subject, nil
	}, nil
}
