package token

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"aegis.test/conformance/harness"
)

// Encrypted are JWE to the trusted key's public half that wrap what nobody
// signed: the claims, and a token of alg none (JOSE-022).
func Encrypted() []Recipe {
	return []Recipe{
		encrypted("JWE of unsigned claims", false, func(d Draft) ([]byte, error) { return json.Marshal(d.Claims) }),
		encrypted("JWE of a token of alg none", false, func(d Draft) ([]byte, error) {
			d.Header["alg"], d.Sign = "none", nil
			compact, err := d.Compact()
			return []byte(compact), err
		}),
	}
}

// bombSize is what a compressed payload becomes, bytes: nothing to us, a spike
// to a service that gives each of some calls as much.
const bombSize = 4 << 20

// Expensive are JWE whose parameters cost the service much: a key derivation of
// 2^31 rounds, and a payload that is a thousand times its size (JOSE-023).
func Expensive() []Recipe {
	return []Recipe{
		{Name: "JWE with PBES2 of 2^31 rounds", Make: func(Source) (string, error) {
			header := fmt.Sprintf(`{"alg":"PBES2-HS256+A128KW","enc":"A128CBC-HS256","p2s":"%s","p2c":2147483648}`, encode([]byte(Random(8))))
			return strings.Join(
				[]string{
					encode([]byte(header)),
					encode([]byte(Random(20))),
					encode([]byte(Random(8))),
					encode([]byte(Random(32))),
					encode([]byte(Random(8))),
				},
				".",
			), nil
		}},
		encrypted("JWE that decompresses to megabytes", true, func(Draft) ([]byte, error) { return make([]byte, bombSize), nil }),
	}
}

func encrypted(name string, deflate bool, payload func(Draft) ([]byte, error)) Recipe {
	return Recipe{Name: name, Needs: []harness.Capability{harness.MintTokens, harness.EncryptTokens}, Make: func(s Source) (string, error) {
		d, err := s.draftOf(harness.EncryptTokens)
		if err != nil {
			return "", err
		}
		recipient := jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: d.key.signer.Public(), KeyID: d.key.id}
		if _, ok := recipient.Key.(*ecdsa.PublicKey); ok {
			recipient.Algorithm = jose.ECDH_ES_A128KW
		}
		data, err := payload(d.Clone())
		if err != nil {
			return "", err
		}
		options := (&jose.EncrypterOptions{}).WithType("at+jwt").WithContentType("JWT")
		if deflate {
			options.Compression = jose.DEFLATE
		}
		encrypter, err := jose.NewEncrypter(jose.A128GCM, recipient, options)
		if err != nil {
			return "", fmt.Errorf("encrypting to the trusted key: %w", err)
		}
		jwe, err := encrypter.Encrypt(data)
		if err != nil {
			return "", fmt.Errorf("encrypting to the trusted key: %w", err)
		}
		return jwe.CompactSerialize()
	}}
}
