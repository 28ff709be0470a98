package main

import (
	"context"
	"encoding/json"
	"errors"

	jose "gopkg.in/square/go-jose.v2"

	oidc "github.com/coreos/go-oidc"

	"aegis.test/trackrecord/service"
)

// keySet is the key set of a file.
type keySet struct{ jose.JSONWebKeySet }

func keysOf(c service.Config) (oidc.KeySet, error) {
	var keys keySet
	return keys, json.Unmarshal(c.JWKS, &keys.JSONWebKeySet)
}

// VerifySignature verifies by the key that the token names.
func (k keySet) VerifySignature(_ context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token)
	if err != nil {
		return nil, err
	}
	for _, key := range k.Key(signed.Signatures[0].Header.KeyID) {
		if payload, err := signed.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("signed by none of the keys")
}
