// Package probetest lets tests act on a target, without controls and without pace.
package probetest

import (
	"context"
	"net/http"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/wire"
)

// client send without controls and without pace.
type client struct{ target *harness.Target }

// On acts on a target.
func On(t *harness.Target) harness.Client { return client{t} }

func (h client) Target() *harness.Target { return h.target }

func (h client) Send(ctx context.Context, r harness.Request) harness.Exchange {
	return harness.Exchange{Request: r, Observation: wire.Send(ctx, h.target, r)}
}

func (h client) SendAtOnce(ctx context.Context, requests []harness.Request) []harness.Exchange {
	return h.SendAll(ctx, requests)
}

func (h client) SendAll(ctx context.Context, requests []harness.Request) []harness.Exchange {
	var all []harness.Exchange
	for _, r := range requests {
		all = append(all, h.Send(ctx, r))
	}
	return all
}

func (h client) SendTogether(ctx context.Context, requests []harness.Request) []harness.Exchange {
	var all []harness.Exchange
	for i, seen := range wire.SendTogether(ctx, h.target, requests) {
		all = append(all, harness.Exchange{Request: requests[i], Observation: seen})
	}
	return all
}

func (h client) Patience(bound time.Duration) func() bool {
	began := time.Now()
	return func() bool { return time.Since(began) > bound }
}

func (h client) Hold(like harness.Request) harness.Conn { return kept{wire.Hold(h.target, like)} }

type kept struct{ *wire.Conn }

func (c kept) Send(ctx context.Context, r harness.Request) harness.Exchange {
	return harness.Exchange{Request: r, Observation: c.Conn.Send(ctx, r)}
}

func (h client) Scrape(ctx context.Context, url string) (map[string]harness.Family, error) {
	return wire.Scrape(ctx, http.DefaultClient, url)
}
