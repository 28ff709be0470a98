package localhost

import (
	"context"
	"errors"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/gate"
)

// Gate is a replica's gate before its Vault, or none.
type Gate struct{ gate *gate.Gate }

// Between puts a gate, or an impostor, before its Vault at 127.0.0.1, and gives
// the address.
func (g *Gate) Between(upstream string, impostor bool) (string, error) {
	l, err := Listen()
	if err != nil {
		return "", err
	}
	at := l.Addr().String()
	if !impostor {
		g.gate = gate.Listen(l, upstream)
		return at, nil
	}
	pair, err := ImpostorPair("127.0.0.1")
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	g.gate = gate.Impersonate(l, upstream, pair.TLS())
	return at, nil
}

// ImpostorPair is a certificate for a host, of an authority that nobody trusts.
func ImpostorPair(host string) (certs.Pair, error) {
	nobody, err := certs.NewAuthority("Aegis Conformance Impostor")
	if err != nil {
		return certs.Pair{}, err
	}
	return nobody.Server(host)
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
