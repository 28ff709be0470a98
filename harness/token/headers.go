package token

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Chained are tokens that bring a certificate of their own key in x5c, signed
// by nobody but itself (JOSE-010).
func Chained() []Recipe {
	chain := func(d *Draft, key crypto.Signer) error {
		der, err := selfSigned(key)
		if err != nil {
			return err
		}
		d.Header["x5c"] = []string{base64.StdEncoding.EncodeToString(der)}
		return nil
	}
	return []Recipe{
		attack("token with its own certificate in x5c, known kid", chain),
		attack("token with its own certificate in x5c, unknown kid", func(d *Draft, key crypto.Signer) error {
			d.Header["kid"] = "kid-" + Random(6)
			return chain(d, key)
		}),
		attack("token with its own certificate in x5c, no kid", func(d *Draft, key crypto.Signer) error {
			delete(d.Header, "kid")
			return chain(d, key)
		}),
	}
}

func selfSigned(key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "x5c-" + Random(4)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("minting a certificate for x5c: %w", err)
	}
	return der, nil
}

// header is an attacker's token with a member of its header in JSON of its
// own.
func header(name, member, value string) Recipe {
	return attack(name, func(d *Draft, _ crypto.Signer) error {
		d.Header[member] = json.RawMessage(value)
		return nil
	})
}

// Critical is a token with a critical extension that nobody knows (JOSE-015).
func Critical() Recipe {
	return minted("token with an unknown critical extension", func(d *Draft) {
		extension := "x-" + Random(4)
		d.Header["crit"], d.Header[extension] = []string{extension}, 1
	})
}

// Extensions are tokens with critical extensions that some know, otherwise signed as
// if they were not there: who knows one refuses the token for what it says, and who
// does not for its being critical (JOSE-015).
func Extensions() []Recipe {
	with := func(name, extension string, value any) Recipe {
		return minted("token with a critical "+name, func(d *Draft) {
			d.Header["crit"], d.Header[extension] = []string{extension}, value
		})
	}
	return []Recipe{
		with("exp in its header, long past", "exp", 1363284000),
		with("zip, its payload as it is", "zip", "DEF"),
		with("extension named by a URI", "http://example.invalid/UNDEFINED", true),
	}
}

// Deflated is a token with a critical zip whose payload was compressed as that says
// (RFC 7516 section 4.1.3 has it for JWE alone): who honours it there reads its claims
// (JOSE-015).
func Deflated() Recipe {
	return minted2("token with a critical zip, its payload compressed", func(d, _ Draft) (string, error) {
		d.Header["crit"], d.Header["zip"] = []string{"zip"}, "DEF"
		payload, err := json.Marshal(d.Claims)
		if err != nil {
			return "", err
		}
		if d.RawPayload, err = deflated(payload); err != nil {
			return "", err
		}
		return d.Compact()
	})
}

// deflated is data in DEFLATE (RFC 1951).
func deflated(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// OddlyCritical are tokens whose crit is not as RFC 7515 has it (JOSE-016).
func OddlyCritical() []Recipe {
	critical := func(name, crit string, present bool) Recipe {
		return minted("token with crit "+name, func(d *Draft) {
			extension := "x-" + Random(4)
			d.Header["crit"] = json.RawMessage(fmt.Sprintf(crit, extension, ""))
			if present {
				d.Header[extension] = 1
			}
		})
	}
	return []Recipe{
		critical("[] and nothing more", `[%[2]s]`, false),
		critical("that is a string", `%[1]q`, true),
		critical("that names what is absent", `[%[1]q]`, false),
		critical("that names one twice", `[%[1]q,%[1]q]`, true),
	}
}

// PassedOver is a token with b64 false that is signed over the encoded payload, as
// if b64 were not there (JOSE-017).
func PassedOver() Recipe {
	return minted("token with b64 false, signed over the encoded payload", func(d *Draft) {
		d.Header["b64"], d.Header["crit"] = false, []string{"b64"}
	})
}

// Uncritical is PassedOver's counterpart: a token with b64 false that is not declared
// critical, which RFC 7797 section 6 forbids, signed over the payload itself: who knows b64
// must refuse it, and who does not finds a signature that is wrong (JOSE-017).
func Uncritical() Recipe {
	return minted2("token with b64 false that is not critical, signed over the bare payload", func(d, _ Draft) (string, error) {
		d.Header["b64"] = false
		h, p, _, err := d.Segments()
		if err != nil {
			return "", err
		}
		payload, err := json.Marshal(d.Claims)
		if err != nil {
			return "", err
		}
		signature, err := d.Sign([]byte(h + "." + string(payload)))
		return h + "." + p + "." + encode(signature), err
	})
}

// Unencoded are tokens signed over the payload itself (RFC 7797): with the
// payload encoded, as every parser reads it, and as it is (JOSE-017).
func Unencoded() (encoded, raw Recipe) {
	unencoded := func(name string, join func(header, payload, raw, signature string) string) Recipe {
		return minted2(name, func(d, _ Draft) (string, error) {
			d.Header["b64"], d.Header["crit"] = false, []string{"b64"}
			h, p, _, err := d.Segments()
			if err != nil {
				return "", err
			}
			payload, err := json.Marshal(d.Claims)
			if err != nil {
				return "", err
			}
			signature, err := d.Sign([]byte(h + "." + string(payload)))
			return join(h, p, string(payload), encode(signature)), err
		})
	}
	return unencoded("token with b64 false, signed over the bare payload", func(h, p, _, s string) string { return h + "." + p + "." + s }),
		unencoded("token with b64 false and a bare payload", func(h, _, raw, s string) string { return h + "." + raw + "." + s })
}

// OtherTypes are sound tokens of a type that is no access token's (JOSE-024).
func OtherTypes() []Recipe {
	var recipes []Recipe
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "secevent+jwt"} {
		recipes = append(recipes, minted("token of type "+typ, func(d *Draft) { d.Header["typ"] = typ }))
	}
	return recipes
}
