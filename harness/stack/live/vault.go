package live

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
)

// login connects to Vault, where it is granted.
func (b *builder) login(t *harness.Target) error {
	v := b.Grants.Vault
	if v.Address == "" || b.paper {
		return nil
	}
	roots, err := b.secret("CA bundle", v.CABundle, anything)
	if err != nil {
		return err
	}
	if b.vault, err = vault.NewClient(v.Address, []byte(roots.Reveal())); err != nil {
		return err
	}
	if v.Namespace != "" {
		b.vault.SetNamespace(v.Namespace)
	}
	if err := b.enter(v.Login); err != nil {
		return fmt.Errorf("logging in to Vault at %s: %w", v.Address, err)
	}
	b.Lookup.Vault = b.field
	if life, ok := b.life(); ok && t != nil {
		t.Lives = append(t.Lives, harness.Life{What: "the token of Vault", Ends: time.Now().Add(life)})
	}
	return b.mounted(v)
}

// life is how long the harness's own token of Vault lives on; one that has no end, and
// one that a policy keeps from being looked up, tell none.
func (b *builder) life() (time.Duration, bool) {
	secret, err := b.vault.Auth().Token().LookupSelfWithContext(b.ctx)
	if err != nil || secret == nil {
		return 0, false
	}
	left, err := secret.TokenTTL()
	return left, err == nil && left > 0
}

// mounted wants Vault to answer, and the mount to be one of KV v2. What a token may
// not see of it is left to whoever reads there.
func (b *builder) mounted(v config.Vault) error {
	secret, err := b.vault.Logical().ReadWithContext(b.ctx, "sys/internal/ui/mounts/"+v.Mount)
	if _, refused := errors.AsType[*api.ResponseError](err); refused || err == nil && secret == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking Vault at %s: %w; check grants.vault.address and ca_bundle", v.Address, err)
	}
	kind, _ := secret.Data["type"].(string)
	options, _ := secret.Data["options"].(map[string]any)
	if kind != "kv" || options["version"] != "2" {
		return fmt.Errorf(
			"mount %q of Vault at %s is of type %s, version %v: want KV v2; "+
				"check grants.vault.mount (vault kv enable-versioning makes KV v2 of KV v1)",
			v.Mount,
			v.Address,
			cmp.Or(kind, "none"),
			cmp.Or(options["version"], any("1")),
		)
	}
	return nil
}

// enter logs in by whichever way is given.
func (b *builder) enter(l config.Login) error {
	if l.Token != "" {
		token, err := b.secret("Vault token", l.Token, anything)
		b.vault.SetToken(token.Reveal())
		return err
	}
	mount, data := "", map[string]config.Reference{}
	role := ""
	switch {
	case l.Kubernetes.Role != "":
		mount, role, data["jwt"] = l.Kubernetes.Mount, l.Kubernetes.Role, l.Kubernetes.Token
	case l.AppRole.RoleID != "":
		mount, data["role_id"], data["secret_id"] = l.AppRole.Mount, l.AppRole.RoleID, l.AppRole.SecretID
	default:
		mount, role, data["jwt"] = l.JWT.Mount, l.JWT.Role, l.JWT.Token
	}
	body := map[string]any{}
	if role != "" {
		body["role"] = role
	}
	for name, r := range data {
		value, err := b.secret("Vault login", r, anything)
		if err != nil {
			return err
		}
		body[name] = strings.TrimSpace(value.Reveal())
	}
	secret, err := b.vault.Logical().WriteWithContext(b.ctx, "auth/"+mount+"/login", body)
	if err != nil {
		return err
	}
	token, err := secret.TokenID()
	if err != nil || token == "" {
		return fmt.Errorf("auth/%s/login gave no token", mount)
	}
	b.met("Vault token", token)
	b.vault.SetToken(token)
	b.onStop(func(ctx context.Context) error { return b.vault.Auth().Token().RevokeSelfWithContext(ctx, "") })
	return nil
}

// field reads one field of a secret on the KV v2 mount.
func (b *builder) field(path, field string) (harness.Secret, error) {
	secret, err := b.vault.KVv2(b.Grants.Vault.Mount).Get(b.ctx, path)
	if err != nil {
		return "", fmt.Errorf("reading vault:%s#%s: %w", path, field, err)
	}
	text, ok := secret.Data[field].(string)
	if !ok || text == "" {
		return "", fmt.Errorf("reading vault:%s#%s: there is no such text", path, field)
	}
	return harness.Secret(text), nil
}

// secrets is the secret backend: to be read, and changed where that is granted.
func (b *builder) secrets(t *harness.Target) error {
	v := b.Grants.Vault
	if v.Address == "" {
		return b.secretsInAWS(t)
	}
	if !v.Write {
		t.Denied = append(t.Denied, harness.VaultWrite)
	}
	if r := v.ServiceRole; r.Role != "" {
		t.Control.Login = liveRole{vault.NewLoginRole(b.vault, r.Mount, r.Role)}
	}
	if v.ServiceToken == "" {
		t.Denied = append(t.Denied, harness.RealVault)
	}
	token, err := b.secret("service's token", v.ServiceToken, anything)
	if err != nil {
		return err
	}
	if b.paper {
		t.Control.Secrets = &liveStore{Store: vault.NewStoreAt(nil, nil, v.Mount, v.Path)}
		return nil
	}
	service, err := vault.WithToken(b.vault, harness.Secret(strings.TrimSpace(token.Reveal())))
	if err != nil {
		return err
	}
	store := &liveStore{Store: vault.NewStoreAt(b.vault, service, v.Mount, v.Path), place: vaultPlace(v), note: b.note}
	b.onStop(store.end)
	t.Control.Secrets = store
	return nil
}

// liveRole is a role of somebody else's: no account's token can be had.
type liveRole struct{ *vault.LoginRole }

// Logins are none.
func (liveRole) Logins(context.Context) ([]harness.Login, error) { return nil, nil }

// byPKI issues a certificate by Vault's role, and revokes it after the run.
func (b *builder) byPKI(cn string) (harness.CertPair, error) {
	if b.paper {
		return paperPair(cn)
	}
	p := b.Grants.Certificates.VaultPKI
	secret, err := b.vault.Logical().WriteWithContext(b.ctx, p.Mount+"/issue/"+p.Role, map[string]any{
		"common_name": cn, "ttl": p.TTL.String(), "private_key_format": "pkcs8",
	})
	if err != nil {
		return harness.CertPair{}, err
	}
	text := func(name string) string { s, _ := secret.Data[name].(string); return s }
	chain := text("certificate") + "\n"
	above, _ := secret.Data["ca_chain"].([]any)
	for _, c := range above {
		if issuer := fmt.Sprint(c); !selfIssued(issuer) { // the root is not sent
			chain += issuer + "\n"
		}
	}
	b.met("client's key", text("private_key"))
	return harness.CertPair{Chain: []byte(chain), Key: harness.Secret(text("private_key"))}, b.revokeLater(text("serial_number"))
}

// selfIssued reports whether a certificate in PEM is its own issuer's.
func selfIssued(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	return err == nil && bytes.Equal(c.RawIssuer, c.RawSubject)
}

// revokeLater notes a certificate that was issued, and has it revoked after the
// run.
func (b *builder) revokeLater(serial string) error {
	mount := b.Grants.Certificates.VaultPKI.Mount
	if err := b.note(Entry{Mount: mount, Serial: serial}); err != nil {
		return err
	}
	b.onStop(func(ctx context.Context) error { return revoke(ctx, b.vault, mount, serial) })
	return nil
}

// issuers are the PKI role of clients, and the same as the enrolled one may use it.
func (b *builder) issuers(t *harness.Target) error {
	p := b.Grants.Certificates.VaultPKI
	if p.Role == "" {
		return nil
	}
	token, err := b.secret("client's Vault token", p.ClientToken, anything)
	if err != nil {
		return err
	}
	role := &liveIssuer{b: b}
	if !b.paper {
		client, err := vault.WithToken(b.vault, harness.Secret(strings.TrimSpace(token.Reveal())))
		if err != nil {
			return err
		}
		role.Issuer = vault.NewIssuer(b.vault, client, p.Mount, cmp.Or(p.ClientRole, p.Role))
	}
	t.Control.Issuer = role
	if p.ClientToken != "" {
		t.Control.OwnIssuer = role
	}
	return nil
}

// liveIssuer is a role of somebody else's: what it signs is revoked after the run.
type liveIssuer struct {
	*vault.Issuer
	b *builder
}

// Sign asks for a certificate.
func (i *liveIssuer) Sign(ctx context.Context, ask harness.SigningRequest) (*x509.Certificate, string, error) {
	signed, refused, err := i.Issuer.Sign(ctx, ask)
	if err == nil && signed != nil {
		err = i.b.revokeLater(serial(signed))
	}
	return signed, refused, err
}

// serial is a certificate's serial number as Vault writes it: 1a:2b.
func serial(c *x509.Certificate) string {
	return strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% x", c.SerialNumber.Bytes()), " ", ":"), ":")
}

func revoke(ctx context.Context, client *api.Client, mount, serial string) error {
	if _, err := client.Logical().WriteWithContext(ctx, mount+"/revoke", map[string]any{"serial_number": serial}); err != nil {
		return fmt.Errorf("revoking certificate %s: %w", serial, err)
	}
	return nil
}

// byVaultRole asks Vault's own OIDC provider for a token.
func (b *builder) byVaultRole(ctx context.Context) (harness.Secret, time.Time, error) {
	secret, err := b.vault.Logical().ReadWithContext(ctx, "identity/oidc/token/"+b.Grants.Tokens.VaultRole)
	if err != nil || secret == nil {
		return "", time.Time{}, fmt.Errorf("asking Vault for a token of role %q: %w", b.Grants.Tokens.VaultRole, err)
	}
	token, _ := secret.Data["token"].(string)
	seconds, _ := secret.Data["ttl"].(json.Number)
	ttl, _ := seconds.Int64()
	return harness.Secret(token), time.Now().Add(time.Duration(ttl) * time.Second), nil
}

// Abilities logs in to Vault as a configuration says, and asks what the harness
// itself may do on some paths (sys/capabilities-self).
func Abilities(ctx context.Context, l config.Loaded, paths []string) (map[string][]string, error) {
	b := &builder{Loaded: l, ctx: ctx, met: func(string, string) {}}
	if err := b.login(nil); err != nil {
		return nil, err
	}
	defer func() { _ = b.stop(ctx) }()
	able := map[string][]string{}
	for _, path := range paths {
		can, err := b.vault.Sys().CapabilitiesSelfWithContext(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("asking Vault what may be done on %s: %w", path, err)
		}
		able[path] = can
	}
	return able, nil
}

// RevokeAll revokes certificates that an earlier run was issued.
func RevokeAll(ctx context.Context, l config.Loaded, certificates []Entry) error {
	if len(certificates) == 0 {
		return nil
	}
	b := &builder{Loaded: l, ctx: ctx, met: func(string, string) {}}
	if err := b.login(nil); err != nil {
		return err
	}
	var errs []error
	for _, c := range certificates {
		errs = append(errs, revoke(ctx, b.vault, c.Mount, c.Serial))
	}
	return errors.Join(append(errs, b.stop(ctx))...)
}
