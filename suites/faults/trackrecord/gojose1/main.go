// gojose1 verifies with gopkg.in/square/go-jose.v1 1.0.3, which reads a JSON serialization
// where a JWT is wanted, and believes what one of several signatures is right for
// (CVE-2016-9122). Version 4 reads what its caller names.
package main

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"aegis.test/trackrecord/service"
)

func main() {
	service.Main(func(c service.Config) (service.Verify, error) {
		authentic, err := authenticator(c)
		if err != nil {
			return nil, err
		}
		return func(token string) (string, error) {
			payload, err := authentic(token)
			if err != nil {
				return "", err
			}
			return claims(c, payload)
		}, nil
	})
}

// claims checks what an authentic token says.
func claims(c service.Config, payload []byte) (string, error) {
	var said struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
		Expiry   float64         `json:"exp"`
		Begin    float64         `json:"nbf"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return "", err
	}
	var one string
	var several []string
	if json.Unmarshal(said.Audience, &one) != nil && json.Unmarshal(said.Audience, &several) != nil {
		return "", errors.New("an aud of another type")
	}
	now := float64(time.Now().Unix())
	if said.Issuer != c.Issuer || !slices.Contains(append(several, one), c.Audience) || now >= said.Expiry || now+30 < said.Begin {
		return "", errors.New("not ours, or not now")
	}
	return said.Subject, nil
}
