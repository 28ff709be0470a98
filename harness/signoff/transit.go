package signoff

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/harness/outbound"
)

// TransitKey is a key in Vault's transit engine, named by mount and name,
// transit/release: it signs there and never leaves. Where Vault is, and who
// asks, the environment says as it does to Vault's own command (VAULT_ADDR,
// VAULT_TOKEN, VAULT_CACERT).
func TransitKey(ctx context.Context, path string) (*Key, error) {
	mount, name := "transit", path
	if i := strings.LastIndex(path, "/"); i >= 0 {
		mount, name = path[:i], path[i+1:]
	}
	if mount == "" || name == "" {
		return nil, fmt.Errorf("reading the key vault:%s: want vault:MOUNT/NAME", path)
	}
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("reading Vault's address and trust from the environment: %w", config.Error)
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("reading Vault's address and trust from the environment: %w", err)
	}
	config.HttpClient.Transport = outbound.Guard(config.HttpClient.Transport, 0)
	client.SetCheckRetry(func(ctx context.Context, answer *http.Response, err error) (bool, error) {
		if _, elsewhere := errors.AsType[outbound.Elsewhere](err); elsewhere {
			return false, err // it will say so again
		}
		return api.DefaultRetryPolicy(ctx, answer, err)
	})
	t := transit{client.Logical(), mount, name}
	return t.key(ctx)
}

// transit is one key of a transit engine.
type transit struct {
	vault       *api.Logical
	mount, name string
}

func (t transit) key(ctx context.Context) (*Key, error) {
	secret, err := t.vault.ReadWithContext(ctx, t.mount+"/keys/"+t.name)
	if err != nil {
		return nil, fmt.Errorf("reading Vault's key %s/%s: %w", t.mount, t.name, err)
	}
	if secret == nil {
		return nil, fmt.Errorf("reading Vault's key %s/%s: there is none; vault write -f %s/keys/%s type=ecdsa-p256 makes one", t.mount, t.name, t.mount, t.name)
	}
	version := fmt.Sprint(secret.Data["latest_version"])
	public, err := latest(secret.Data, version)
	if err != nil {
		return nil, fmt.Errorf("reading Vault's key %s/%s: %w", t.mount, t.name, err)
	}
	return &Key{public.public, func(ctx context.Context, data []byte) ([]byte, error) { return t.sign(ctx, data, version) }}, nil
}

// latest is the public half of the version that signs.
func latest(data map[string]any, version string) (*Key, error) {
	versions, _ := data["keys"].(map[string]any)
	details, _ := versions[version].(map[string]any)
	text, _ := details["public_key"].(string)
	switch data["type"] {
	case "ed25519":
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("version %s has no public key", version)
		}
		return keyOf(ed25519.PublicKey(raw))
	case "ecdsa-p256":
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, fmt.Errorf("version %s has no public key", version)
		}
		return parseKey(block)
	default:
		return nil, fmt.Errorf("its type is %v, want ecdsa-p256 or ed25519", data["type"])
	}
}

func (t transit) sign(ctx context.Context, data []byte, version string) ([]byte, error) {
	number, err := strconv.Atoi(version)
	if err != nil {
		return nil, fmt.Errorf("signing with Vault's key %s/%s: its version is %q", t.mount, t.name, version)
	}
	secret, err := t.vault.WriteWithContext(ctx, t.mount+"/sign/"+t.name, map[string]any{
		"input": base64.StdEncoding.EncodeToString(data), "key_version": number,
		"hash_algorithm": "sha2-256", "marshaling_algorithm": "asn1",
	})
	if err != nil {
		return nil, fmt.Errorf("signing with Vault's key %s/%s: %w", t.mount, t.name, err)
	}
	var text string
	if secret != nil {
		text, _ = secret.Data["signature"].(string) // vault:v1:base64
	}
	raw, err := base64.StdEncoding.DecodeString(text[strings.LastIndex(text, ":")+1:])
	if err != nil || len(raw) == 0 {
		return nil, errors.Join(fmt.Errorf("signing with Vault's key %s/%s: the answer holds no signature", t.mount, t.name), err)
	}
	return raw, nil
}
