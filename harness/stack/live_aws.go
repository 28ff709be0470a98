package stack

import (
	"strings"

	"aegis.test/conformance/fixtures/awssecrets"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
)

// secretsInAWS is AWS Secrets Manager as the secret backend, where it is granted:
// to be read, and changed where that is granted. It is no Vault.
func (b *builder) secretsInAWS(t *harness.Target) error {
	a := b.Grants.AWS
	if a.Region == "" {
		return nil
	}
	t.Denied = append(t.Denied, harness.RealVault)
	if !a.Write {
		t.Denied = append(t.Denied, harness.VaultWrite)
	}
	var found [4]string
	for i, part := range []struct {
		kind string
		at   config.Reference
	}{{"AWS access key", a.AccessKeyID}, {"AWS secret access key", a.SecretAccessKey}, {"AWS session token", a.SessionToken}, {"CA bundle", a.CABundle}} {
		value, err := b.secret(part.kind, part.at, anything)
		if err != nil {
			return err
		}
		found[i] = strings.TrimSpace(value.Reveal())
	}
	t.Control.Secrets = awssecrets.NewStore(awssecrets.NewClient(awssecrets.Options{
		Region: a.Region, Endpoint: a.Endpoint, RootPEM: []byte(found[3]),
		Keys: awssecrets.Keys{ID: found[0], Secret: harness.Secret(found[1]), Session: harness.Secret(found[2])},
	}), a.SecretID)
	return nil
}
