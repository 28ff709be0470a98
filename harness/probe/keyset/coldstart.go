package keyset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// replica starts a replica in oidc mode, waits until it answers, and does
// something with it. One that ends first leaves a fact.
func (s *Set) replica(ctx context.Context, env map[string]string, do func(face harness.Face) error) error {
	replica, err := probe.Launch(ctx, s.client, harness.Launch{Mode: harness.OIDC, Env: env})
	var ended probe.EndedError
	if errors.As(err, &ended) {
		s.fact(harness.ReplicaEnded.Was(fmt.Sprintf("status %d", ended.Code)))
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	return do(replica.URL())
}

// callAt presents a token to every endpoint of a replica.
func (s *Set) callAt(ctx context.Context, face harness.Face, variant string, recipe token.Recipe) ([]harness.Exchange, error) {
	value, err := recipe.Make(token.From(s.t))
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", variant, err)
	}
	var requests []harness.Request
	for _, endpoint := range s.t.Endpoints {
		r := probe.At(s.t, harness.OIDC, face, endpoint)
		r.Variant = variant
		probe.SetToken(&r, recipe.Name, value)
		requests = append(requests, r)
	}
	return s.client.SendAll(ctx, requests), nil
}

func (s *Set) noteAt(ctx context.Context, face harness.Face, situation string, recipe token.Recipe) error {
	calls, err := s.callAt(ctx, face, recipe.Name+", "+situation, recipe)
	s.trace.Exchanges = append(s.trace.Exchanges, calls...)
	return err
}

// untilAt presents a token to a replica until every endpoint accepts it, or a
// new key's bound has passed, and keeps the last answers.
func (s *Set) untilAt(ctx context.Context, face harness.Face, situation string, recipe token.Recipe) (accepted bool, err error) {
	over := s.client.Patience(s.newKey())
	for {
		calls, err := s.callAt(ctx, face, recipe.Name+", "+situation, recipe)
		accepted = s.all(calls, s.accepted)
		if err != nil || accepted || over() || !probe.Pause(ctx, 5*time.Millisecond) {
			s.trace.Exchanges = append(s.trace.Exchanges, calls...)
			return accepted, err
		}
	}
}

// Situations of replicas.
const (
	WhileCold        = "the JWKS out of reach since the start"
	OnceWarm         = "once the JWKS is in reach"
	VaultNames       = "Vault naming the decoy and the environment the sound key set"
	VaultSound       = "Vault naming the sound key set and the environment the decoy"
	BehindSelfSigned = "the JWKS behind a certificate that signs itself"
	BehindWrongName  = "the JWKS behind a certificate for another name"
	BehindExpired    = "the JWKS behind a certificate that has expired"
)

// ColdOutage starts a replica while the key set is out of reach.
func ColdOutage() harness.Stimulus {
	return harness.Stimulus{
		Words: "start a replica while the JWKS endpoint is out of reach, and call its critical endpoints with a valid token and forged " +
			"ones; then let it answer",
		Needs: keyNeeds(harness.StopJWKS, harness.RestartService), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.ReplicaEnded},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			if err := s.serve(ctx, harness.JWKSAnswer{Down: true}); err != nil {
				return err
			}
			return s.replica(ctx, nil, func(face harness.Face) error {
				for range 2 {
					for _, recipe := range []token.Recipe{token.Sound(), token.StolenKid(), token.UnknownKey()} {
						if err := s.noteAt(ctx, face, WhileCold, recipe); err != nil {
							return err
						}
					}
				}
				if err := s.serve(ctx, harness.JWKSAnswer{}); err != nil {
					return err
				}
				_, err := s.untilAt(ctx, face, OnceWarm, token.Sound())
				return err
			})
		}),
	}
}

// naming does something while aegis/runtime names another key set, and puts
// it back.
func (s *Set) naming(ctx context.Context, url string, do func() error) error {
	restore, err := probe.Rewrite(ctx, s.t, probe.Setting(probe.JWKSField, url))
	if err != nil {
		return err
	}
	return errors.Join(do(), restore())
}

// Unauthenticated starts a replica whose key set is behind a certificate
// that nobody should believe: for each such.
func Unauthenticated() harness.Stimulus {
	return harness.Stimulus{
		Words: "start replicas while aegis/runtime names the sound key set behind a self-signed certificate, one for another name and an " +
			"expired one, and once each was asked call the replica's critical endpoints with a valid token; then start a sound one",
		Needs: keyNeeds(harness.JWKSEndpoint, harness.RestartService, harness.VaultWrite), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		Tells: []harness.Key{harness.ReplicaEnded, harness.ServedUnverified},
		Act: onKeySet(func(ctx context.Context, s *Set) error {
			there := s.jwks.Elsewhere()
			for _, sham := range []struct{ situation, url string }{
				{BehindSelfSigned, there.SelfSigned}, {BehindWrongName, there.WrongName}, {BehindExpired, there.Expired},
			} {
				if sham.url == "" {
					continue
				}
				err := s.naming(ctx, sham.url, func() error {
					return s.replica(ctx, nil, func(face harness.Face) error { return s.unbelieving(ctx, face, sham.situation, sham.url) })
				})
				if err != nil {
					return err
				}
			}
			return s.replica(ctx, nil, func(face harness.Face) error {
				_, err := s.untilAt(ctx, face, OnceWarm, token.Sound())
				return err
			})
		}),
	}
}

// unbelieving watches a replica that is pointed at a certificate nobody should
// believe.
func (s *Set) unbelieving(ctx context.Context, face harness.Face, situation, url string) error {
	for range 2 {
		if err := s.noteAt(ctx, face, situation, token.Sound()); err != nil {
			return err
		}
		if err := s.attempted(ctx, url); err != nil {
			return err
		}
	}
	seen, err := s.jwks.Attempts(ctx, url)
	s.fact(harness.ServedUnverified.Was(seen.Served))
	return err
}

// attempted waits until somebody has tried a URL of Elsewhere.
func (s *Set) attempted(ctx context.Context, url string) error {
	began := time.Now()
	for {
		seen, err := s.jwks.Attempts(ctx, url)
		if err != nil || seen.Broken+seen.Served > 0 {
			return err
		}
		if time.Since(began) > s.newKey() || !probe.Pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("waiting for a fetch of the key set: %w: there was none within %s", harness.ErrUnseen, s.newKey())
		}
	}
}

// Named starts replicas with two key sets to choose from: one that Vault
// names, and one that the environment does.
func Named() harness.Stimulus {
	return harness.Stimulus{
		Words: "start a replica while aegis/runtime names a decoy key set and OIDC_JWKS_URI the sound one, and one the other way round, and " +
			"call the critical endpoints of each with tokens of both",
		Needs: keyNeeds(harness.RestartService, harness.VaultWrite, harness.OutOfBand), Effect: harness.Disruptive, Modes: probe.OIDCOnly,
		OwnControl: true, // each replica's token of the key set that it must take
		Tells:      []harness.Key{harness.ReplicaEnded},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			s := Of(client)
			err := s.named(ctx)
			return s.trace, errors.Join(err, s.Restore(ctx))
		},
	}
}

// named starts a replica of each kind.
func (s *Set) named(ctx context.Context) error {
	key, err := token.NewKey()
	if err != nil {
		return err
	}
	public, err := token.Public(key)
	if err != nil {
		return err
	}
	spot, err := s.t.Control.Outside.Listen(ctx, "decoy-"+token.Random(8), token.KeySet(public))
	if err != nil {
		return fmt.Errorf("listening out of band: %w", err)
	}
	fields, err := s.t.Control.Secrets.Read(ctx)
	if err != nil {
		return fmt.Errorf("reading aegis/runtime: %w", err)
	}
	decoy := token.SignedBy(OfDecoy, key)
	err = s.naming(ctx, spot.URL+"/jwks", func() error {
		return s.choose(ctx, fields[probe.JWKSField], VaultNames, decoy, token.Sound())
	})
	if err != nil {
		return err
	}
	return s.choose(ctx, spot.URL+"/jwks", VaultSound, token.Sound(), decoy)
}

// choose starts a replica with a key set's URI in its environment, waits until
// it accepts one token, and presents the other.
func (s *Set) choose(ctx context.Context, uri, situation string, first, second token.Recipe) error {
	return s.replica(ctx, map[string]string{"OIDC_JWKS_URI": uri}, func(face harness.Face) error {
		if _, err := s.untilAt(ctx, face, situation, first); err != nil {
			return err
		}
		return s.noteAt(ctx, face, situation, second)
	})
}
