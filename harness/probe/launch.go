package probe

import (
	"context"
	"fmt"
	"time"

	"aegis.test/conformance/harness"
)

// endedError is of a replica that ended before it answered: nothing else was seen of it.
type endedError struct{ code int }

func (e endedError) Error() string {
	return fmt.Sprintf("starting a replica: %s: it ended with status %d before it answered", harness.ErrUnseen, e.code)
}

func (endedError) Unwrap() error { return harness.ErrUnseen }

// started starts a replica and waits until it answers; what is held of its Vault is let
// go at once. The error of one that does not answer is ErrUnseen: one that ended first
// is told by an endedError.
func started(ctx context.Context, hands harness.Hands, launch harness.Launch) (harness.Replica, error) {
	t := hands.Target()
	limited, cancel := context.WithTimeout(ctx, bound(t.Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	replica, err := t.Control.Launcher.Launch(limited, launch)
	if err != nil {
		return nil, fmt.Errorf("starting a replica: %w", err)
	}
	if launch.HoldVault {
		replica.Release()
	}
	if err := answers(limited, hands, launch.Mode, replica); err != nil {
		_ = replica.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return replica, nil
}

// answers waits until a replica answers, ends, or has had its time.
func answers(ctx context.Context, hands harness.Hands, mode harness.Mode, replica harness.Replica) error {
	ended := make(chan int, 1)
	go func() {
		if code, err := replica.Wait(ctx); err == nil {
			ended <- code
		}
	}()
	for {
		r := at(hands.Target(), mode, replica.URL(), hands.Target().Endpoints[0])
		r.Variant = "whether the replica answers"
		if hands.Send(ctx, r).Observation.Transport == harness.Answered {
			return nil
		}
		select {
		case code := <-ended:
			return endedError{code}
		default:
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("starting a replica: %w: it neither answered nor ended within the bound", harness.ErrUnseen)
		}
	}
}
