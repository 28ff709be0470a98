package stack

import (
	"context"
	"fmt"
	"io"

	"aegis.test/conformance/fixtures/images"
)

// Deployment is containers that are no stack's: a target of somebody else's, which a run
// is then given the address of. They carry a run's label, so that they are swept when
// their owner is dead.
type Deployment struct{ engine *engine }

// Container is one of a Deployment. Others find it under its name.
type Container struct {
	Name, Image string // the image by its reference
	Command     []string
	Env         map[string]string
	Files       map[string][]byte // by absolute path
	Ports       []int             // published on 127.0.0.1
	QUIC        []int             // those of Ports that are published by UDP too, under the same number
}

// Deploy begins a deployment, until Stop. What its containers write goes to log.
func Deploy(ctx context.Context, run string, log io.Writer) (*Deployment, error) {
	e, err := openEngine(ctx, Spec{Run: run, Log: log})
	if err != nil {
		return nil, fmt.Errorf("beginning a deployment: %w", err)
	}
	return &Deployment{e}, nil
}

// Start starts a container and waits for what ready wants of it; it gives where the
// ports are published, in their order.
func (d *Deployment) Start(ctx context.Context, c Container, ready func(context.Context, []string) error) ([]string, error) {
	placed, err := d.engine.start(ctx, part{
		name: c.Name, image: images.Have{Reference: c.Image}, command: c.Command, env: c.Env, files: c.Files, ports: c.Ports, quic: c.QUIC,
	})
	if err != nil {
		return nil, err
	}
	var at []string
	for _, port := range c.Ports {
		at = append(at, placed.at[port])
	}
	_, err = placed.ready(ctx, func(ctx context.Context) error { return ready(ctx, at) })
	return at, err
}

// Stop removes all of it.
func (d *Deployment) Stop(ctx context.Context) error { return d.engine.close(ctx) }
