package lint

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/alert"
)

// alerts are the rules of what operators are woken for. Each alert is tried on an
// incident by Prometheus's own engine.
var alerts = []Rule{
	{
		ID: "LNT-080", Clauses: []string{"5.3", "8.5"}, Level: harness.MUST, Kind: Alerts,
		Source: "an alert on a metric that nobody exposes, or none",
		Says:   "An alert looks at the counter of refused calls.",
		Remedy: "add an alert on sum(increase(aegis_auth_failures_total[5m])), or on your own counter of 401s",
		Check: func(t *Tree) []Hit {
			for _, r := range t.Alerts {
				if r.Alert != "" && r.LooksAtFailures(t.found.records) {
					return nil
				}
			}
			return []Hit{{At: t.Alerts[0].At, Got: fmt.Sprintf("%d rules, and none about refused calls", len(t.Alerts)),
				Want: "an alert on aegis_auth_failures_total"}}
		},
	},
	{
		ID: "LNT-081", Clauses: []string{"5.3"}, Level: harness.MUST, Kind: Alerts,
		Source: "a threshold, a label or a for that no spike ever meets",
		Says:   "An alert on refused calls fires when they spike.",
		Remedy: "lower the threshold or shorten the for: promtool test rules shows what it does",
		Check:  spikes,
	},
	{
		ID: "LNT-082", Clauses: []string{"5.2"}, Level: harness.MUST, Kind: Alerts,
		Source: "B15; a service that ends for a missing secret has no series of its own to tell of it",
		Says:   "An alert fires when the service ends, as for a missing secret.",
		Remedy: "add an alert on up{job=\"aegis\"} == 0 or absent(up{job=\"aegis\"}), or on restarts of its container",
		Check:  ends,
	},
	{
		ID: "LNT-083", Clauses: []string{"5.3"}, Level: harness.SHOULD, Kind: Alerts,
		Source: "an alert on a counter above zero: it fires for ever, and is muted",
		Says:   "Alerts on refused calls are quiet on a day like any other.",
		Remedy: "alert on a rate or an increase, above what is usual",
		Check: func(t *Tree) []Hit {
			tries := 0
			return each(t.Alerts, func(r alert.Rule) []Hit {
				if r.Alert == "" || !r.LooksAtFailures(t.found.records) {
					return nil
				}
				if tries++; tries > triedAtMost { // LNT-081 tells of them
					return nil
				}
				tried, err := r.Try(t.found.records, alert.Calm)
				if err != nil || !tried.Known || !tried.Fires {
					return nil // what cannot be tried is told by LNT-081
				}
				return []Hit{{At: r.At, Got: fmt.Sprintf("%s fires on %s, with one refusal a minute", r, alert.Calm), Want: "no alert"}}
			})
		},
	},
}

// triedAtMost is how many alerts of a run are tried on an incident.
const triedAtMost = 300

// spikes wants one of the alerts on refused calls to fire when these spike.
func spikes(t *Tree) []Hit {
	var hits []Hit
	tries := 0
	for _, r := range t.Alerts {
		if r.Alert == "" || !r.LooksAtFailures(t.found.records) {
			continue
		}
		if tries++; tries > triedAtMost {
			return []Hit{{At: r.At, Unseen: fmt.Sprintf("more than %d alerts: the others were not tried", triedAtMost)}}
		}
		tried, err := r.Try(t.found.records, alert.Spike)
		switch {
		case err != nil:
			hits = append(hits, Hit{At: r.At, Unseen: fmt.Sprintf("%s was not tried: %s", r, plainly(err))})
		case tried.Fires:
			return nil
		case !tried.Known:
			hits = append(hits, Hit{At: r.At, Unseen: fmt.Sprintf("%s asks for series that are not known here", r)})
		case tried.For > 0:
			hits = append(hits, Hit{At: r.At, Got: fmt.Sprintf("%s, which held for %s in %s", r, tried.For, alert.Spike), Want: "it fires"})
		default:
			hits = append(hits, Hit{At: r.At, Got: fmt.Sprintf("%s, which never held in %s", r, alert.Spike), Want: "it fires"})
		}
	}
	return hits
}

// ends wants one alert to fire when no replica answers, or none is left.
func ends(t *Tree) []Hit {
	var undecided []Hit
	tries := 0
	for _, r := range t.Alerts {
		if r.Alert == "" || !r.LooksAtLife(t.found.records) {
			continue
		}
		if tries++; tries > triedAtMost {
			return []Hit{{At: r.At, Unseen: fmt.Sprintf("more than %d alerts: the others were not tried", triedAtMost)}}
		}
		for _, in := range []alert.Incident{alert.Silent, alert.Gone} {
			tried, err := r.Try(t.found.records, in)
			if err == nil && tried.Fires {
				return nil
			}
			if err != nil {
				undecided = append(undecided, Hit{At: r.At, Unseen: fmt.Sprintf("%s was not tried: %s", r, plainly(err))})
			}
		}
	}
	if len(undecided) > 0 {
		return undecided
	}
	return []Hit{{At: t.Alerts[0].At, Got: fmt.Sprintf("%d rules, and none fires in %s", len(t.Alerts), alert.Silent),
		Want: "an alert on up, on its absence, or on restarts"}}
}

// plainly is an error in a line.
func plainly(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
