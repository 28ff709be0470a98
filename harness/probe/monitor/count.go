package monitor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
)

// AuthFailures is the counter the runbook asks for (section 5).
const AuthFailures = "aegis_auth_failures_total"

// counting reads the counter of auth failures before and after calls.
type counting struct {
	probe.Calls
	times    int
	apart    bool // variants and endpoints are counted one by one
	readings int  // between rounds
}

// Count repeats every call some times and counts.
func Count(calls probe.Calls, times int) harness.Stimulus {
	return counting{Calls: calls, times: times}.stimulus()
}

// CountApart counts every variant at every endpoint by itself.
func CountApart(calls probe.Calls, times int) harness.Stimulus {
	return counting{Calls: calls, times: times, apart: true}.stimulus()
}

// CountWatched reads the counter some times after every round of calls, too.
func CountWatched(calls probe.Calls, times, readings int) harness.Stimulus {
	return counting{Calls: calls, times: times, readings: readings}.stimulus()
}

func (c counting) stimulus() harness.Stimulus {
	s := c.Build()
	s.Words = fmt.Sprintf("read %s, %s, %d times each, and read it again", AuthFailures, s.Words, c.times)
	if c.apart {
		s.Words += ", for each of these at each endpoint"
	}
	if c.readings > 0 {
		s.Words += fmt.Sprintf("; read it %d times after every round", c.readings)
	}
	s.Needs = probe.Union([]harness.Capability{harness.Metrics}, s.Needs)
	s.Alone = true      // others' calls would be counted too
	s.OwnControl = true // and so would a control between the readings
	s.Requests = func(t *harness.Target) ([]harness.Request, bool) { return c.foretold(t, s.Modes) }
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		var trace harness.Trace
		for _, mode := range s.Modes {
			if client.Target().Metrics[mode] == "" {
				continue
			}
			names, parts := []string{""}, []probe.Calls{c.Calls.In(mode)}
			if c.apart {
				names, parts = parts[0].Single(client.Target())
			}
			for i, part := range parts {
				tally := harness.Tally{Mode: mode, Name: AuthFailures, Of: names[i]}
				if err := c.tally(ctx, client, part, tally, &trace); err != nil {
					return trace, err
				}
			}
		}
		return trace, nil
	}
	return s
}

// foretold are the calls, as often as they are repeated, where there is a page to read
// before and after.
func (c counting) foretold(t *harness.Target, modes []harness.Mode) ([]harness.Request, bool) {
	var all []harness.Request
	for _, mode := range modes {
		if t.Metrics[mode] == "" {
			continue
		}
		requests, ok := c.In(mode).Build().Requests(t)
		if !ok {
			return nil, false
		}
		all = append(all, slices.Repeat(requests, c.times)...)
	}
	return all, true
}

// tally makes calls between two readings of the counter.
func (c counting) tally(ctx context.Context, client harness.Client, calls probe.Calls, tally harness.Tally, trace *harness.Trace) error {
	url := client.Target().Metrics[tally.Mode]
	before, err := client.Scrape(ctx, url)
	if err != nil {
		return err
	}
	tally.Before = before[AuthFailures]
	rounds := calls.Rounds(c.times)
	if c.readings > 0 { // there is something to read between them
		rounds = slices.Repeat([]harness.Stimulus{calls.Build()}, c.times)
	}
	for _, one := range rounds {
		round, err := one.Act(ctx, client)
		if err != nil {
			return err
		}
		trace.Exchanges = append(trace.Exchanges, round.Exchanges...)
		tally.Calls += len(round.Exchanges)
		for range c.readings {
			page, err := client.Scrape(ctx, url)
			if err != nil {
				return err
			}
			tally.Between = append(tally.Between, page[AuthFailures])
		}
	}
	after, err := client.Scrape(ctx, url)
	if err != nil {
		return err
	}
	tally.After = after[AuthFailures]
	if tally.Again, err = c.again(ctx, client, url, tally); err != nil {
		return err
	}
	trace.Tallies = append(trace.Tallies, tally)
	return nil
}

// restless is how often a page is read once more whose count is not what was done.
const restless = 4

// again reads a page some more times whose counter has not risen by the calls:
// where it moves though nobody calls, several processes answer in turn.
func (c counting) again(ctx context.Context, client harness.Client, url string, tally harness.Tally) (readings []harness.Family,
	err error) {
	if tally.After.Sum()-tally.Before.Sum() == float64(tally.Calls) {
		return nil, nil
	}
	for range restless {
		page, err := client.Scrape(ctx, url)
		if err != nil {
			return nil, err
		}
		readings = append(readings, page[AuthFailures])
	}
	return readings, nil
}

// FirstScrape reads the counter from each service, and from a replica that has
// just started where one may be. Where it is not there it is read again after a
// refusal: a counter with labels may have no series before (rulings 5, A9).
func FirstScrape() harness.Stimulus {
	return harness.Stimulus{
		Words: "read the metrics page of each service, and of a replica that has just started; where the counter is not there, have a call " +
			"refused and read again",
		Needs: []harness.Capability{harness.Metrics}, Effect: harness.AuthFailures, Modes: probe.BothModes,
		OwnControl: true, // what is refused only has to be counted
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			t := client.Target()
			for _, mode := range probe.BothModes {
				if url := t.Metrics[mode]; url != "" {
					read := func() (map[string]harness.Family, error) { return client.Scrape(ctx, url) }
					tally, err := firstOf(ctx, client, read, harness.Tally{Mode: mode, Name: AuthFailures}, nil)
					if err != nil {
						return trace, err
					}
					trace.Tallies = append(trace.Tallies, tally)
				}
				if t.Shows(mode) && t.Grants(harness.RestartService) {
					tally, err := scrapeFresh(ctx, client, mode)
					if err != nil {
						return trace, err
					}
					trace.Tallies = append(trace.Tallies, tally)
				}
			}
			return trace, nil
		},
	}
}

// firstOf reads a page, and where the counter is not there has a call refused at
// face, or at the mode's own, and reads it again.
func firstOf(ctx context.Context, client harness.Client, read func() (map[string]harness.Family, error), tally harness.Tally,
	face *harness.Face) (harness.Tally, error) {
	page, err := read()
	tally.Before, tally.After = page[AuthFailures], page[AuthFailures]
	if err != nil || len(tally.Before.Series) > 0 {
		return tally, err
	}
	refused, err := refuse(ctx, client, tally.Mode, face)
	if err != nil || !refused {
		return tally, err
	}
	tally.Calls = 1
	probe.Until(ctx, client, countBound, func() bool {
		page, err = read()
		tally.After = page[AuthFailures]
		return err != nil || len(tally.After.Series) > 0
	})
	return tally, err
}

// countBound is how long a refusal may take to be seen on a metrics page.
const countBound = 2 * time.Second

// refuse has one call refused by the service itself, and reports whether it was:
// one without a credential, or of a client who is not enrolled where an ingress
// would refuse that one first (rulings A-27).
func refuse(ctx context.Context, client harness.Client, mode harness.Mode, face *harness.Face) (bool, error) {
	t := client.Target()
	if len(t.Endpoints) == 0 {
		return false, nil
	}
	r := probe.Plain(t, mode, t.Endpoints[0])
	r.Variant = "a call that is refused, to be counted"
	switch {
	case face != nil:
		r.To(*face)
	case mode == harness.MTLS && !t.Grants(harness.GivenClientCerts):
		return false, nil
	case mode == harness.MTLS:
		pair, err := clientcert.Unenrolled().Make(t)
		if err != nil {
			return false, err
		}
		probe.SetCertificate(&r, clientcert.Unenrolled().Name, pair)
	}
	status := client.Send(ctx, r).Observation.Status
	return status == 401 || status == 403, nil
}

func scrapeFresh(ctx context.Context, client harness.Client, mode harness.Mode) (harness.Tally, error) {
	t := client.Target()
	tally := harness.Tally{Mode: mode, Name: AuthFailures, Fresh: true}
	ctx, cancel := context.WithTimeout(ctx, probe.Bound(t.Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	replica, err := t.Control.Launcher.Launch(ctx, harness.Launch{Mode: mode})
	if err != nil {
		return tally, fmt.Errorf("starting a replica to read its metrics: %w", err)
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	face := replica.URL()
	read := func() (map[string]harness.Family, error) { return probe.ScrapeReplica(ctx, client, replica) }
	for {
		seen, err := firstOf(ctx, client, read, tally, &face)
		if err == nil {
			return seen, nil
		}
		if !probe.Pause(ctx, 20e6) {
			return tally, fmt.Errorf("reading the metrics of a replica that has just started: %w", err)
		}
	}
}
