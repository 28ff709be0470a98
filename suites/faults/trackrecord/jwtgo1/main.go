// jwtgo1 verifies with github.com/dgrijalva/jwt-go before version 3, whose RSA methods take
// the key as bytes, as its HMAC methods do: what a token is verified by is for it to say.
package main

import (
	"errors"

	"github.com/dgrijalva/jwt-go"

	"aegis.test/trackrecord/service"
)

func main() {
	service.Main(func(c service.Config) (service.Verify, error) {
		key, err := key(c.KeyPEM)
		if err != nil {
			return nil, err
		}
		return func(token string) (string, error) {
			parsed, err := jwt.Parse(token, func(t *jwt.Token) (interface{}, error) {
				if t.Header["kid"] != c.KeyID {
					return nil, errors.New("unknown kid")
				}
				return key, nil
			})
			if err != nil {
				return "", err
			}
			claims := claims(parsed)
			if claims["iss"] != c.Issuer || claims["aud"] != c.Audience {
				return "", errors.New("not ours")
			}
			subject, _ := claims["sub"].(string)
			return subject, nil
		}, nil
	})
}
