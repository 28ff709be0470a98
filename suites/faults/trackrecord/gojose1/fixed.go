//go:build fixed

package main

import (
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/trackrecord/service"
)

func authenticator(c service.Config) (func(token string) ([]byte, error), error) {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(c.JWKS, &keys); err != nil {
		return nil, err
	}
	return func(token string) ([]byte, error) {
		signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			return nil, err
		}
		for _, key := range keys.Key(signed.Signatures[0].Header.KeyID) {
			return signed.Verify(key.Key)
		}
		return nil, errors.New("unknown kid")
	}, nil
}
