package stack

import (
	"context"
	"errors"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/gate"
)

// gated is a replica's gate before its Vault, or none.
type gated struct{ gate *gate.Gate }

// between puts a gate, or an impostor, before its Vault at 127.0.0.1, and gives
// the address.
func (g *gated) between(upstream string, impostor bool) (string, error) {
	l, err := listenLoopback()
	if err != nil {
		return "", err
	}
	at := l.Addr().String()
	if !impostor {
		g.gate = gate.Listen(l, upstream)
		return at, nil
	}
	pair, err := impostorPair("127.0.0.1")
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	g.gate = gate.Impersonate(l, upstream, pair.TLS())
	return at, nil
}

// impostorPair is a certificate for a host, of an authority that nobody trusts.
func impostorPair(host string) (certs.Pair, error) {
	nobody, err := certs.NewAuthority("Aegis Conformance Impostor")
	if err != nil {
		return certs.Pair{}, err
	}
	return nobody.Server(host)
}

var errNotHeld = errors.New("acting on a replica's Vault: it was not held from the start")

// Asked waits until the replica has asked a Vault that is held.
func (g *gated) Asked(ctx context.Context) error {
	if g.gate == nil {
		return errNotHeld
	}
	return g.gate.Asked(ctx)
}

// Release lets Vault answer.
func (g *gated) Release() {
	if g.gate != nil {
		g.gate.Release()
	}
}

// Cut takes Vault away.
func (g *gated) Cut(context.Context) error {
	if g.gate == nil {
		return errNotHeld
	}
	g.gate.Cut()
	return nil
}

// TurnedAway waits until the replica has asked n times for the Vault that was
// cut.
func (g *gated) TurnedAway(ctx context.Context, n int) error {
	if g.gate == nil {
		return errNotHeld
	}
	return g.gate.TurnedAway(ctx, n)
}

// shut ends the gate.
func (g *gated) shut() error {
	if g.gate == nil {
		return nil
	}
	return g.gate.Close()
}
