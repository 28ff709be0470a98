//go:build !fixed

package main

import (
	"encoding/json"
	"errors"

	jose "gopkg.in/square/go-jose.v1"

	"aegis.test/trackrecord/service"
)

func authenticator(c service.Config) (func(token string) ([]byte, error), error) {
	var keys jose.JsonWebKeySet
	if err := json.Unmarshal(c.JWKS, &keys); err != nil {
		return nil, err
	}
	return func(token string) ([]byte, error) {
		signed, err := jose.ParseSigned(token)
		if err != nil {
			return nil, err
		}
		for _, key := range keys.Keys {
			if key.KeyID == c.KeyID {
				return signed.Verify(key.Key)
			}
		}
		return nil, errors.New("unknown kid")
	}, nil
}
