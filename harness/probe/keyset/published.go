package keyset

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
)

// discovery is where a discovery document stands below its issuer (OpenID Connect
// Discovery 1.0 section 4).
const discovery = "/.well-known/openid-configuration"

// Published reads what the IdP shows to everybody: its discovery document, and the key set
// that this names (JWKS-020).
func Published() harness.Stimulus {
	return harness.Stimulus{
		Words: "read the IdP's discovery document, and the key set that it names", Needs: []harness.Capability{harness.IdPRead},
		Effect: harness.ReadOnly, Modes: probe.OIDCOnly, OwnControl: true, // nothing is refused
		Tells: []harness.Key{harness.IdPNames, harness.KeyPublished},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			idp := client.Target().Control.IdP
			var names struct {
				Issuer string `json:"issuer"`
				Keys   string `json:"jwks_uri"`
			}
			if err := document(ctx, idp, strings.TrimSuffix(idp.Issuer(), "/")+discovery, &names); err != nil {
				return trace, err
			}
			trace.Facts = append(trace.Facts,
				harness.IdPNames.Was(idp.Issuer()).Of(harness.IssuerGranted), harness.IdPNames.Was(names.Issuer).Of(harness.IssuerNamed),
				harness.IdPNames.Was(names.Keys).Of(harness.KeySetNamed))
			var set struct{ Keys []map[string]any }
			if err := document(ctx, idp, names.Keys, &set); err != nil {
				return trace, err
			}
			for i, key := range set.Keys {
				name := fmt.Sprintf("key %d of the key set, kid %.80q", i+1, fmt.Sprint(key["kid"]))
				trace.Facts = append(trace.Facts, harness.KeyPublished.Was(wrong(key, set.Keys[:i])...).Of(name))
			}
			return trace, nil
		},
	}
}

// document reads a document in JSON. One that is not there is the IdP's to answer for.
func document(ctx context.Context, idp harness.Published, url string, into any) error {
	status, body, err := idp.Get(ctx, url)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("reading %s: %w: it is answered %d", url, harness.ErrMissing, status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading %s: %w: it is no document in JSON", url, harness.ErrMissing)
	}
	return nil
}

// What is wrong of a key that is published. Nothing of a key's own is told.
const (
	privateHalf  = "with its private half"
	symmetricKey = "a symmetric key"
	weakRSA      = "an RSA key of fewer than 2048 bits"
	kidTwice     = "of a kid that another key of its type bears"
)

// wrong is what is wrong of a key, which stands after others (RFC 7517 section 4.5; RFC
// 7518 sections 3.3, 6.2.2, 6.3.2 and 6.4; RFC 8037 section 2).
func wrong(key map[string]any, others []map[string]any) []string {
	var found []string
	kty, _ := key["kty"].(string)
	if kty == "oct" || key["k"] != nil {
		found = append(found, symmetricKey)
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		if key[member] != nil {
			found = append(found, privateHalf)
			break
		}
	}
	if n, ok := key["n"].(string); ok && kty == "RSA" {
		modulus, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(n, "="))
		if err == nil && new(big.Int).SetBytes(modulus).BitLen() < 2048 {
			found = append(found, weakRSA)
		}
	}
	for _, other := range others {
		if key["kid"] != nil && other["kid"] == key["kid"] && other["kty"] == key["kty"] {
			found = append(found, kidTwice)
			break
		}
	}
	return found
}
