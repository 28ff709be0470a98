package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"aegis.test/conformance/fixtures/aegis"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// instance is one run of the reference service in this process. As a
// harness.Replica it is a service that is watched from outside.
type instance struct {
	name   string
	at     *localhost.Socket
	oracle *localhost.Socket // of its request log, or nil
	localhost.Gate
	end    *tail
	output *lines

	cancel    context.CancelFunc
	listening chan struct{} // closed when it listens
	ended     chan struct{} // closed when it has ended, with status
	status    int
	heard     sync.Once // closes listening
	stop      sync.Once
}

func newInstance(name string, at *localhost.Socket, end *tail, output *lines) *instance {
	ended := make(chan struct{})
	close(ended) // nothing runs yet
	return &instance{
		name: name, at: at, end: end, output: output,
		cancel: func() {}, listening: make(chan struct{}), ended: ended,
	}
}

// keepLog gives it a request log.
func (i *instance) keepLog() (err error) {
	i.oracle, err = localhost.Bind()
	return err
}

// run starts it. Its life is its own, until Stop.
func (i *instance) run(env map[string]string, plant func(*aegis.Service)) {
	p := aegis.Process{Env: env, Listen: i.listen, Stdout: i.output, Plant: plant}
	if i.oracle != nil {
		p.OracleListen = i.oracle.Listen
	}
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel, i.ended = cancel, make(chan struct{})
	go func() {
		defer close(i.ended)
		i.status = aegis.Run(ctx, p)
		i.output.flush()
	}()
}

func (i *instance) listen() (net.Listener, error) {
	defer i.heard.Do(func() { close(i.listening) })
	return i.at.Listen()
}

// listens waits until it listens.
func (i *instance) listens(ctx context.Context) error {
	select {
	case <-i.listening:
		return nil
	case <-i.ended:
		return fmt.Errorf("starting %s: it has ended with status %d; the end of its output:\n%s", i.name, i.status, indent(i.end.last(20)))
	case <-ctx.Done():
		return fmt.Errorf("starting %s: %w; the end of its output:\n%s", i.name, context.Cause(ctx), indent(i.end.last(20)))
	}
}

// URL is where it listens, or would.
func (i *instance) URL() harness.Face { return harness.Face{URL: "http://" + i.at.Addr} }

// Wait waits for its end and gives the exit status.
func (i *instance) Wait(ctx context.Context) (int, error) {
	select {
	case <-i.ended:
		return i.status, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the end of %s: %w", i.name, context.Cause(ctx))
	}
}

// Log is what it has written so far.
func (i *instance) Log() string { return i.end.String() }

// Stop ends it and frees what it holds.
func (i *instance) Stop(ctx context.Context) error {
	i.cancel()
	_, err := i.Wait(ctx)
	i.stop.Do(func() {
		i.at.Close()
		if i.oracle != nil {
			i.oracle.Close()
		}
		err = errors.Join(err, i.Shut())
	})
	return err
}
