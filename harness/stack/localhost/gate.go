package localhost

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/gate"
	"aegis.test/conformance/harness"
)

// Gate is a replica's gate before its Vault, or none.
type Gate struct{ gate *gate.Gate }

// Between puts a gate, or an impostor, before its Vault at 127.0.0.1, and gives
// the address. Trusted signs what the replica trusts; nil where nobody here has it.
func (g *Gate) Between(upstream string, impostor harness.Impostor, trusted *certs.Authority) (string, error) {
	l, err := Listen()
	if err != nil {
		return "", err
	}
	at := l.Addr().String()
	if impostor == "" {
		g.gate = gate.Listen(l, upstream)
		return at, nil
	}
	pair, err := ImpostorPair(impostor, "127.0.0.1", trusted)
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	g.gate = gate.Impersonate(l, upstream, pair.TLS())
	return at, nil
}

// ImpostorPair is the certificate of an impostor of a host. Trusted signs what the
// replica trusts: without it there is none of its own.
func ImpostorPair(kind harness.Impostor, host string, trusted *certs.Authority) (certs.Pair, error) {
	leaf := certs.Leaf{CommonName: host, Names: []string{host}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	switch kind {
	case harness.UntrustedImpostor:
		nobody, err := certs.NewAuthority("Aegis Conformance Impostor")
		if err != nil {
			return certs.Pair{}, err
		}
		return nobody.Issue(leaf)
	case harness.MisnamedImpostor:
		leaf.CommonName, leaf.Names = "other.aegis.test", []string{"other.aegis.test"}
	case harness.ExpiredImpostor:
		leaf.NotBefore, leaf.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}
	if trusted == nil {
		return certs.Pair{}, fmt.Errorf("making an impostor's certificate %s: %w: nobody here signs for that authority", kind, harness.ErrNotOffered)
	}
	return trusted.Issue(leaf)
}

// ErrNotHeld is of a replica whose Vault is not behind a gate.
var ErrNotHeld = errors.New("acting on a replica's Vault: it was not held from the start")

// Asked waits until the replica has asked a Vault that is held.
func (g *Gate) Asked(ctx context.Context) error {
	if g.gate == nil {
		return ErrNotHeld
	}
	return g.gate.Asked(ctx)
}

// Release lets Vault answer.
func (g *Gate) Release() {
	if g.gate != nil {
		g.gate.Release()
	}
}

// Cut takes Vault away.
func (g *Gate) Cut(context.Context) error {
	if g.gate == nil {
		return ErrNotHeld
	}
	g.gate.Cut()
	return nil
}

// TurnedAway waits until the replica has asked n times for the Vault that was
// cut.
func (g *Gate) TurnedAway(ctx context.Context, n int) error {
	if g.gate == nil {
		return ErrNotHeld
	}
	return g.gate.TurnedAway(ctx, n)
}

// Shut ends the gate.
func (g *Gate) Shut() error {
	if g.gate == nil {
		return nil
	}
	return g.gate.Close()
}
