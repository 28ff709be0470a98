package replica

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// condition makes the conditions of a start, and gives what unmakes them.
type condition func(ctx context.Context, t *harness.Target, s *Start) (undo func(context.Context) error, err error)

func nothingToUndo(context.Context) error { return nil }

// Or starts further replicas after it, each in its own way.
func (s Start) Or(others ...Start) Start {
	for _, other := range others {
		s.further = append(s.further[:len(s.further):len(s.further)], other.each()...)
	}
	return s
}

// WithEach starts a replica for each value of a field of the secret.
func (s Start) WithEach(name string, values ...string) Start {
	starts := make([]Start, len(values))
	for i, value := range values {
		starts[i] = s.With(name, value)
	}
	return starts[0].Or(starts[1:]...)
}

// Env starts it with an environment variable set.
func (s Start) Env(name, value string) Start {
	s.words = strings.TrimPrefix(s.words+fmt.Sprintf(", with %s=%q", name, value), "as it is, ")
	s.env = maps.Clone(s.env)
	if s.env == nil {
		s.env = map[string]string{}
	}
	s.env[name] = value
	return s
}

// EnvEach starts a replica for each value of an environment variable.
func (s Start) EnvEach(name string, values ...string) Start {
	starts := make([]Start, len(values))
	for i, value := range values {
		starts[i] = s.Env(name, value)
	}
	return starts[0].Or(starts[1:]...)
}

// brief bounds how long a replica of ours retries a Vault that does not answer:
// the row waits for its exit. A service that does not know it has the profile's
// bound.
func (s Start) brief() Start { return s.within("1500ms") }

func (s Start) within(bound string) Start {
	words := s.words
	s = s.Env("STARTUP_TIMEOUT", bound)
	s.words = words
	return s
}

// Unreachable starts it with the address of a Vault at which nobody listens, or
// where somebody accepts and never answers.
func (s Start) Unreachable() Start {
	nobody := s.brief().Env("VAULT_ADDR", "https://127.0.0.1:1")
	nobody.words = "while nobody listens at VAULT_ADDR"
	silent := s.brief()
	silent.words, silent.hold, silent.never = "while Vault accepts connections and never answers", true, true
	return nobody.Or(silent)
}

// Impostor starts it with another between it and its backend of secrets, who hands on
// what he reads, and whose certificate nobody should believe: a start for each kind
// (expectation SEC-006).
func (s Start) Impostor() Start {
	var all []Start
	for _, kind := range harness.Impostors {
		one := s.within("3s") // who believes the impostor has his secrets by then, on a busy machine too
		one.words, one.impostor = "while another stands between it and its secrets, with a certificate "+string(kind), kind
		all = append(all, one)
	}
	return all[0].Or(all[1:]...)
}

// WithToken starts it with a token of Vault's that is no good.
func (s Start) WithToken(kinds ...harness.TokenKind) Start {
	s.words = "with a token that Vault never gave"
	unknown := s.Env("VAULT_TOKEN", "hvs."+token.Random(16))
	unknown.words = s.words
	for _, kind := range kinds {
		one := s
		one.words, one.needs = "with a token that is "+string(kind), []harness.Capability{harness.VaultControlled}
		one.prepare, one.lends = func(ctx context.Context, t *harness.Target, s *Start) (func(context.Context) error, error) {
			made, err := t.Control.Vault.Token(ctx, kind)
			if err == nil {
				*s = s.Env("VAULT_TOKEN", made.Reveal())
				s.words = "with a token that is " + string(kind)
			}
			return nothingToUndo, err
		}, true
		unknown = unknown.Or(one)
	}
	return unknown
}

// Logging says what its log must name, if it ends.
func (s Start) Logging(names ...string) Start {
	s.names = names
	return s
}

// Unentitled starts it with a token whose policy does not allow aegis/runtime.
func (s Start) Unentitled() Start { return s.WithToken(harness.UnentitledVaultToken).further[0] }

// Sealed starts it while Vault is sealed.
func (s Start) Sealed() Start {
	s = s.brief()
	s.words, s.needs = "while Vault is sealed", []harness.Capability{harness.VaultControlled}
	s.prepare = func(ctx context.Context, t *harness.Target, _ *Start) (func(context.Context) error, error) {
		return t.Control.Vault.Unseal, t.Control.Vault.Seal(ctx)
	}
	return s
}

// Deleted starts it while the newest version of the secret is deleted, and while
// it is destroyed.
func (s Start) Deleted() Start {
	soft := s.versioned("deleted", harness.SecretStore.Delete)
	return soft.Or(s.versioned("destroyed", harness.SecretStore.Destroy))
}

func (s Start) versioned(how string, change func(harness.SecretStore, context.Context) error) Start {
	s.words, s.names = "while the newest version of aegis/runtime is "+how, []string{"aegis/runtime"}
	s.secrets = maps.Clone[map[string]string] // what is put back
	s.prepare = func(ctx context.Context, t *harness.Target, _ *Start) (func(context.Context) error, error) {
		return nothingToUndo, change(t.Control.Secrets, ctx)
	}
	return s
}

// MalformedKeys starts it with a model_signing_pubkey that is no public key in
// PEM: text, half of one, a private key, a certificate.
func (s Start) MalformedKeys() Start {
	const field = "model_signing_pubkey"
	as := func(what string, spoil func(sound string) string) Start {
		one := s
		one.words, one.names = "while "+field+" is "+what, []string{field}
		one.secrets = func(fields map[string]string) map[string]string {
			fields[field] = spoil(fields[field])
			return fields
		}
		return one
	}
	return as("text", func(string) string { return "none-" + token.Random(8) }).Or(
		as("half of a PEM block", func(sound string) string { return sound[:len(sound)/2] }),
		as("a private key", func(string) string { return privatePEM() }),
		as("a certificate", func(string) string { return certificatePEM() }),
	)
}

func privatePEM() string {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // neither fails of P-256
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// certificatePEM is a certificate, or no PEM at all where none could be made:
// no public key in any case.
func certificatePEM() string {
	authority, err := certs.NewAuthority("Model signers")
	if err != nil {
		return ""
	}
	return string(authority.RootPEM())
}

// Workers starts it with several workers while the secret lacks a field: none of
// them may serve (expectation FFS-018). WEB_CONCURRENCY is gunicorn's and
// uvicorn's own variable.
func (s Start) Workers(field string) Start {
	s = s.Without(field)
	words := s.words
	s = s.Env("WEB_CONCURRENCY", "3")
	s.words = "with three workers " + words
	return s
}

// Masked starts it while the secret lacks oidc_jwks_uri, and while nobody listens at
// VAULT_ADDR, each time with an environment that holds what is required, under the names
// of the fields in each spelling (expectation FFS-019).
func (s Start) Masked() Start {
	lacking, unreachable := s.Without("oidc_jwks_uri"), s.Unreachable()
	unreachable.further = nil
	return lacking.inEnv().Or(unreachable.inEnv())
}

// inEnv starts it with every required field in its environment too, under its own name.
func (s Start) inEnv() Start {
	names, words := s.names, s.words
	for field, value := range map[string]string{"oidc_jwks_uri": "https://stale.invalid/jwks", "model_signing_pubkey": publicPEM(), "clients/allowed": "[]"} {
		name := strings.ReplaceAll(field, "/", "_")
		s = s.Env(name, value).Env(strings.ToUpper(name), value).Env("AEGIS_RUNTIME_"+strings.ToUpper(name), value)
	}
	s.names, s.words = names, words+" and the environment has its fields"
	return s
}

func publicPEM() string {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // neither fails of P-256
	der, _ := x509.MarshalPKIXPublicKey(key.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
