package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Wired wants an alerting rule on the metric that evaluates, series of the metric
// to watch, every target answering, an Alertmanager, and a receiver who is told by some
// integration (MET-011). Which one a route leads to is not asked: a receiver of nobody
// beside him is common, for alerts that are to be silent.
type Wired struct{}

// Want says what is wanted.
func (Wired) Want(harness.Profile) string {
	return "an alerting rule on the metric, series of it, every target up, an Alertmanager, and a receiver with an integration"
}

// Judge judges each link of the chain.
func (w Wired) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Watching) == 0 {
		return nothing()
	}
	var j harness.Judgement
	for _, seen := range t.Watching {
		for _, got := range broken(seen) {
			problem := contract(got, w.Want(p))
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	return j
}

// broken are the links of the chain from the metric to a person that are not
// there.
func broken(seen harness.Watching) []string {
	var links []string
	if len(seen.Rules) == 0 {
		links = append(links, "no alerting rule on "+seen.Metric)
	}
	for _, r := range seen.Rules {
		if r.Trouble != "" {
			links = append(links, fmt.Sprintf("rule %q does not evaluate: %s", r.Name, r.Trouble))
		}
	}
	if len(seen.Targets) == 0 {
		links = append(links, "Prometheus scrapes nothing: no target of its jobs is known")
	}
	for _, target := range seen.Targets {
		if !target.Up {
			links = append(links, fmt.Sprintf("the target %s is not up: %s", target.URL, target.Trouble))
		}
	}
	if len(seen.Targets) > 0 && seen.Series == 0 {
		links = append(links, "Prometheus holds no series of "+seen.Metric)
	}
	if len(seen.Managers) == 0 {
		links = append(links, "Prometheus knows no Alertmanager")
	}
	if len(seen.Receivers) == 0 {
		links = append(links, "Alertmanager has no receiver")
	}
	if told := slices.ContainsFunc(seen.Receivers, func(r harness.Receiver) bool { return len(r.By) > 0 || r.Unread }); !told && len(seen.Receivers) > 0 {
		links = append(links, fmt.Sprintf("no receiver of Alertmanager's has an integration, so that nobody is told: %s",
			strings.Join(receiverNames(seen.Receivers), ", ")))
	}
	return links
}

func receiverNames(receivers []harness.Receiver) []string {
	var names []string
	for _, r := range receivers {
		names = append(names, r.Name)
	}
	return names
}

// Alarms wants alerts to fire, or not to, by when they could. One that was firing
// before anything was done makes the rest unseen.
type Alarms struct {
	Quiet string          // before anything is done
	Fires map[string]bool // after that
}

// Want says what is wanted.
func (a Alarms) Want(p harness.Profile) string {
	words := []string{a.Quiet + " no alert"}
	for _, when := range slices.Sorted(maps.Keys(a.Fires)) {
		if a.Fires[when] {
			words = append(words, when+" an alert")
		} else {
			words = append(words, when+" none")
		}
	}
	limit := p.AlertBound
	if limit == 0 {
		limit = harness.DefaultAlertBound
	}
	return fmt.Sprintf("%s, each within %s", strings.Join(words, ", "), limit)
}

// Judge judges each time at which an alert could have fired.
func (a Alarms) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Alarms) == 0 {
		return nothing()
	}
	var j harness.Judgement
	seen := map[string]bool{}
	for _, alarm := range t.Alarms {
		seen[alarm.When] = true
		if problem := a.one(alarm, a.Want(p)); problem != nil {
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	for _, when := range slices.Sorted(maps.Keys(a.Fires)) {
		if !seen[when] && len(j.Problems) == 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1, Got: "nothing was seen " + when,
				Want: a.Want(p)})
		}
	}
	return j
}

func (a Alarms) one(alarm harness.Alarm, want string) *harness.Problem {
	wanted := a.Fires[alarm.When]
	switch {
	case len(alarm.Rules) == 0:
		return contract("no rule that could fire "+alarm.When, want)
	case wanted && len(alarm.Fired) > 0 && alarm.Told != nil && alarm.Told.Calls == 0:
		return &harness.Problem{Verdict: harness.Inconclusive, Want: want, Got: strings.Join(alarm.Fired, ", ") +
			" had come to Alertmanager, and no integration was called by then: is group_wait, or group_interval where its group fired already, longer than the bound?"}
	case wanted && len(alarm.Fired) > 0 && alarm.Told != nil && alarm.Told.Calls <= alarm.Told.Failed:
		return contract(fmt.Sprintf("%s had come to Alertmanager, and no receiver was told: of %.0f calls of integrations %.0f failed",
			strings.Join(alarm.Fired, ", "), alarm.Told.Calls, alarm.Told.Failed), want)
	case (len(alarm.Fired) > 0) == wanted:
		return nil
	case wanted:
		return contract(fmt.Sprintf("none of %s had fired %s, after %s", strings.Join(alarm.Rules, ", "), alarm.When,
			alarm.Took.Round(time.Second)), want)
	default:
		return contract(fmt.Sprintf("%s fires %s, after %s", strings.Join(alarm.Fired, ", "), alarm.When, alarm.Took.Round(time.Second)), want)
	}
}
