// Package monitor reads what tells of refused calls: counters, logs and alerts.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
)

// Wiring reads how the counter of auth failures is watched: rules, targets and
// whom they lead to (MET-011). A Prometheus that has just started has up to
// firstScrapes for its first scrapes.
func Wiring() harness.Stimulus {
	return harness.Stimulus{
		Words: "ask Prometheus for its alerting rules, its targets and its Alertmanagers, and Alertmanager for its receivers; where it has " +
			"no series of the counter, have a call refused and ask again",
		Needs: []harness.Capability{harness.AlertsAPI},
		Modes: probe.BothModes, OwnControl: true, // quiet is the control of an alarm
		Effect: harness.AuthFailures,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			alerts := client.Target().Control.Alerts
			seen, err := wiring(ctx, alerts)
			if err == nil && seen.Series == 0 { // it may come with the first refusal
				err = refuseEach(ctx, client)
			}
			probe.Until(ctx, client, firstScrapes, func() bool {
				if err == nil {
					seen, err = wiring(ctx, alerts)
				}
				return err != nil || seen.Series > 0 && len(seen.Managers) > 0 && !slices.ContainsFunc(seen.Targets,
					func(s harness.Scraped) bool { return !s.Up })
			})
			return harness.Trace{Watching: []harness.Watching{seen}}, unseenIf(err)
		},
	}
}

// refuseEach has a call refused in each mode.
func refuseEach(ctx context.Context, client harness.Client) error {
	for _, mode := range probe.ModesOf(client.Target()) {
		if _, err := refuse(ctx, client, mode, nil); err != nil {
			return err
		}
	}
	return nil
}

// firstScrapes is how long Prometheus may take until it scrapes: it takes up
// targets every five seconds.
const firstScrapes = 12 * time.Second

func wiring(ctx context.Context, alerts harness.Alerts) (seen harness.Watching, err error) {
	seen.Metric = AuthFailures
	if seen.Rules, err = spikeRules(ctx, alerts); err != nil {
		return seen, err
	}
	if seen.Targets, err = alerts.Targets(ctx); err != nil {
		return seen, err
	}
	series, err := alerts.Series(ctx, AuthFailures)
	if err != nil {
		return seen, err
	}
	for _, n := range series {
		seen.Series += n
	}
	if len(series) > 0 { // a Prometheus that watches others, too: they are not the target
		seen.Targets = slices.DeleteFunc(seen.Targets, func(s harness.Scraped) bool { return series[s.Job] == 0 })
	}
	if seen.Managers, err = alerts.Managers(ctx); err != nil {
		return seen, err
	}
	seen.Receivers, err = alerts.Receivers(ctx)
	return seen, err
}

// unseenIf makes an error one of the target's environment: nothing was seen. An API that
// was granted and is not there is the target's to answer for.
func unseenIf(err error) error {
	if err == nil || errors.Is(err, harness.ErrMissing) {
		return err
	}
	return fmt.Errorf("%w: %w", harness.ErrUnseen, err)
}

// spikeRules are the rules on the counter of auth failures.
func spikeRules(ctx context.Context, alerts harness.Alerts) ([]harness.AlertRule, error) {
	all, err := alerts.Rules(ctx)
	return slices.DeleteFunc(all, func(r harness.AlertRule) bool { return !strings.Contains(r.Query, AuthFailures) }), err
}

func ruleNames(rules []harness.AlertRule) []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return names
}

// When an alarm could fire.
const (
	WhileQuiet  = "while nobody is refused"
	DuringSpike = "while calls are refused, one after the other"
	AfterSpike  = "once they have ended"
	AfterBurst  = "at some time after 600 refusals within 15 seconds"
	AfterExit   = "once a watched replica has ended for want of a secret"
	AfterGone   = "once it is watched no more"
)

// alarm waits until one of the rules fires, or none does, for as long as the
// profile's bound; do, if any, goes on meanwhile.
func alarm(ctx context.Context, client harness.Client, when string, rules []string, fires bool, do func() error) (harness.Alarm, error) {
	seen := harness.Alarm{When: when, Rules: rules}
	alerts, began := client.Target().Control.Alerts, time.Now()
	limit := probe.Bound(client.Target().Profile.AlertBound, harness.DefaultAlertBound)
	var err error
	probe.Until(ctx, client, limit, func() bool {
		if do != nil {
			if err = do(); err != nil {
				return true
			}
		}
		seen.Fired, err = fired(ctx, alerts, rules)
		return err != nil || (len(seen.Fired) > 0) == fires
	})
	seen.Took = time.Since(began)
	return seen, err
}

// fired are the names of the rules whose alerts have come to Alertmanager.
func fired(ctx context.Context, alerts harness.Alerts, rules []string) ([]string, error) {
	all, err := alerts.Firing(ctx)
	if err != nil {
		return nil, unseenIf(err)
	}
	var names []string
	for _, a := range all {
		if slices.Contains(rules, a.Name) {
			names = probe.Union(names, []string{a.Name})
		}
	}
	return names, nil
}

// Spike has calls refused until the alert on auth failures fires, and stops until
// it has ended (MET-012).
func Spike() harness.Stimulus {
	return harness.Stimulus{
		Words: "wait until the alert on auth failures is quiet, call without a credential until it fires and a receiver is told, and wait until it has ended",
		Needs: []harness.Capability{harness.AlertsAPI},
		Modes: probe.BothModes, OwnControl: true, // quiet is the control of an alarm
		Effect: harness.Disruptive,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			alerts := client.Target().Control.Alerts
			var trace harness.Trace
			rules, err := spikeRules(ctx, alerts)
			if err != nil {
				return trace, unseenIf(err)
			}
			names := ruleNames(rules)
			quiet, err := alarm(ctx, client, WhileQuiet, names, false, nil)
			trace.Alarms = append(trace.Alarms, quiet)
			if err != nil || len(quiet.Fired) > 0 {
				return trace, err
			}
			before, err := alerts.Told(ctx)
			shown := !errors.Is(err, harness.ErrNotOffered)
			if err != nil && shown {
				return trace, unseenIf(err)
			}
			spike, err := alarm(ctx, client, DuringSpike, names, true, func() error { return refuseSome(ctx, client) })
			if err == nil && shown && len(spike.Fired) > 0 {
				spike.Told, err = told(ctx, client, before)
			}
			trace.Alarms = append(trace.Alarms, spike)
			if err != nil {
				return trace, err
			}
			after, err := alarm(ctx, client, AfterSpike, names, false, nil)
			trace.Alarms = append(trace.Alarms, after)
			return trace, err
		},
	}
}

// told waits until a receiver was told since, with the alert kept firing.
func told(ctx context.Context, client harness.Client, before harness.Told) (*harness.Told, error) {
	var since harness.Told
	var err error
	probe.Until(ctx, client, probe.Bound(client.Target().Profile.AlertBound, harness.DefaultAlertBound), func() bool {
		if err = refuseSome(ctx, client); err != nil {
			return true
		}
		var now harness.Told
		now, err = client.Target().Control.Alerts.Told(ctx)
		since = harness.Told{Calls: now.Calls - before.Calls, Failed: now.Failed - before.Failed}
		return err != nil || since.Calls > since.Failed
	})
	if err != nil {
		return nil, unseenIf(err)
	}
	return &since, nil
}

// refuseSome has some calls refused by the service itself (rulings A-27).
func refuseSome(ctx context.Context, client harness.Client) error {
	t := client.Target()
	mode := probe.ModesOf(t)[0]
	var requests []harness.Request
	for range 10 {
		r := probe.Plain(t, mode, t.Endpoints[0])
		if mode == harness.MTLS {
			certificate, err := clientcert.Unenrolled().Make(t)
			if err != nil {
				return err
			}
			probe.SetCertificate(&r, clientcert.Unenrolled().Name, certificate)
		}
		requests = append(requests, r)
	}
	for _, x := range client.SendAll(ctx, requests) {
		if x.Observation.Status != 401 && x.Observation.Status != 403 {
			return fmt.Errorf("having calls refused: %w: one was answered otherwise", harness.ErrUnseen)
		}
	}
	return nil
}

// Burst rehearses, by promtool, what the rules on auth failures make of a burst
// that is over within 15 seconds, and of quiet (MET-013).
func Burst() harness.Stimulus {
	return harness.Stimulus{
		Words: "have promtool test each rule on auth failures with 600 refusals within 15 seconds and silence after them, and with none",
		Needs: []harness.Capability{harness.AlertsAPI, harness.RulesTested},
		Modes: probe.BothModes, OwnControl: true, // quiet is the control of an alarm
		Effect: harness.ReadOnly,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			alerts := client.Target().Control.Alerts
			var trace harness.Trace
			rules, err := spikeRules(ctx, alerts)
			if err != nil {
				return trace, unseenIf(err)
			}
			for _, c := range []struct{ when, values string }{
				{WhileQuiet, "0x80"},
				{AfterBurst, "0x16 600x64"},
			} {
				seen := harness.Alarm{When: c.when, Rules: ruleNames(rules)}
				for _, name := range seen.Rules {
					pass, said, err := client.Target().Control.RuleTests.Rehearse(ctx, rehearsal(name,
						AuthFailures+`{reason="missing_credentials",job="aegis",instance="a"}`, c.values))
					switch {
					case err != nil:
						return trace, unseenIf(err)
					case pass:
						seen.Fired = append(seen.Fired, name)
					case !strings.Contains(said, "got:"): // no result that was another
						return trace, fmt.Errorf("rehearsing rule %q: %w: promtool says %q", name, harness.ErrUnseen, probe.Tail(said, 500))
					}
				}
				trace.Alarms = append(trace.Alarms, seen)
			}
			return trace, nil
		},
	}
}

// rehearsal is a test for promtool that passes when an alert fires at some time
// within 20 minutes of a series, which has a value every 15 seconds.
func rehearsal(alert, series, values string) []byte {
	return fmt.Appendf(nil, `evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - series: %q
        values: %q
    promql_expr_test:
      - expr: sgn(sum(count_over_time(ALERTS{alertname=%q,alertstate="firing"}[20m])))
        eval_time: 20m
        exp_samples:
          - labels: '{}'
            value: 1
`, series, values, alert)
}

// MissedExit has a watched replica end for want of a secret, waits for an alert
// that is not about auth failures, and for its end once that replica is gone: an
// alert that fires with and without it tells nothing of it (MET-014).
func MissedExit() harness.Stimulus {
	return harness.Stimulus{
		Words: "start a watched replica while aegis/runtime lacks oidc_jwks_uri, wait for its end and for an alert that is not on auth " +
			"failures, and until that has ended once the replica is watched no more",
		Needs: []harness.Capability{harness.AlertsAPI, harness.WatchedReplica, harness.RestartService, harness.VaultWrite},
		Modes: probe.BothModes, OwnControl: true, // quiet is the control of an alarm
		Effect: harness.Disruptive,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			alerts := client.Target().Control.Alerts
			var trace harness.Trace
			names, err := exitRules(ctx, alerts)
			if err != nil {
				return trace, unseenIf(err)
			}
			quiet, err := alarm(ctx, client, WhileQuiet, names, false, nil)
			trace.Alarms = append(trace.Alarms, quiet)
			if err != nil || len(quiet.Fired) > 0 {
				return trace, err
			}
			replica, err := endedReplica(ctx, client)
			if replica != nil {
				defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
			}
			if err != nil {
				return trace, err
			}
			after, err := alarm(ctx, client, AfterExit, names, true, nil)
			trace.Alarms = append(trace.Alarms, after)
			if err != nil || len(after.Fired) == 0 {
				return trace, err
			}
			if err := replica.Stop(ctx); err != nil {
				return trace, fmt.Errorf("having nobody watch the replica: %w: %w", harness.ErrUnseen, err)
			}
			gone, err := alarm(ctx, client, AfterGone, names, false, nil)
			trace.Alarms = append(trace.Alarms, gone)
			return trace, err
		},
	}
}

// exitRules are the names of the rules that are not on auth failures.
func exitRules(ctx context.Context, alerts harness.Alerts) ([]string, error) {
	all, err := alerts.Rules(ctx)
	return ruleNames(slices.DeleteFunc(all, func(r harness.AlertRule) bool { return strings.Contains(r.Query, AuthFailures) })), err
}

// endedReplica starts a watched replica without a secret it needs, and waits for
// its end. What is returned is to be stopped, whatever the error.
func endedReplica(ctx context.Context, client harness.Client) (harness.Replica, error) {
	t := client.Target()
	restore, err := probe.Rewrite(ctx, t, probe.Lacking(probe.JWKSField))
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, probe.Bound(t.Profile.StartBound, harness.DefaultStartBound))
	defer cancel()
	replica, err := t.Control.Launcher.Launch(limited, harness.Launch{Mode: probe.ModesOf(t)[0], Watched: true})
	if err == nil {
		_, err = replica.Wait(limited)
	}
	if err != nil {
		err = fmt.Errorf("having a replica end: %w: %w", harness.ErrUnseen, err)
	}
	if restoreErr := restore(); restoreErr != nil {
		return replica, restoreErr
	}
	probe.Settle(ctx, client)
	return replica, err
}
