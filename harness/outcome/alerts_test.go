package outcome

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

func TestWired(t *testing.T) {
	sound := func() harness.Watching {
		return harness.Watching{
			Metric: "failures", Rules: []harness.AlertRule{{Name: "Spike", Query: "failures > 1"}}, Series: 14,
			Targets: []harness.Scraped{{URL: "http://a/metrics", Up: true}}, Managers: []string{"http://am"}, Receivers: []harness.Receiver{{Name: "null"}, {Name: "operators", By: []string{"webhook"}}},
		}
	}
	for name, change := range map[string]func(*harness.Watching){
		"no rule":                   func(w *harness.Watching) { w.Rules = nil },
		"a rule that fails":         func(w *harness.Watching) { w.Rules[0].Trouble = "boom" },
		"no series":                 func(w *harness.Watching) { w.Series = 0 },
		"nothing scraped":           func(w *harness.Watching) { w.Targets, w.Series = nil, 0 },
		"a target that is down":     func(w *harness.Watching) { w.Targets[0].Up = false },
		"no Alertmanager":           func(w *harness.Watching) { w.Managers = nil },
		"an Alertmanager, nobody's": func(w *harness.Watching) { w.Receivers = nil },
		"receivers of nobody":       func(w *harness.Watching) { w.Receivers = w.Receivers[:1] },
		"":                          func(*harness.Watching) {},
	} {
		seen, want := sound(), undocumented
		if change(&seen); name == "" {
			want = pass
		}
		if got := verdict(t, Wired{}.Judge(harness.Profile{}, harness.Trace{Watching: []harness.Watching{seen}})); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := verdict(t, Wired{}.Judge(harness.Profile{}, harness.Trace{})); got != unseenYet {
		t.Errorf("nothing asked: %q, want %q", got, unseenYet)
	}
}

func TestAlarmsThatNobodyIsToldOf(t *testing.T) {
	for name, c := range map[string]struct {
		told *harness.Told
		want judged
	}{
		"told":         {&harness.Told{Calls: 3, Failed: 2}, pass},
		"not shown":    {nil, pass},
		"not told":     {&harness.Told{}, unseenYet},
		"not received": {&harness.Told{Calls: 2, Failed: 2}, undocumented},
	} {
		trace := harness.Trace{Alarms: []harness.Alarm{{When: "spike", Rules: []string{"Spike"}, Fired: []string{"Spike"}, Told: c.told}}}
		if got := verdict(t, Alarms{Fires: map[string]bool{"spike": true}}.Judge(harness.Profile{}, trace)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAlarms(t *testing.T) {
	outcome := Alarms{Quiet: "quiet", Fires: map[string]bool{"spike": true, "after": false}}
	at := func(when string, fired ...string) harness.Alarm {
		return harness.Alarm{When: when, Rules: []string{"Spike"}, Fired: fired, Took: time.Second}
	}
	for name, row := range map[string]struct {
		alarms []harness.Alarm
		want   judged
	}{
		"as it must be":      {[]harness.Alarm{at("quiet"), at("spike", "Spike"), at("after")}, pass},
		"it never fires":     {[]harness.Alarm{at("quiet"), at("spike"), at("after")}, undocumented},
		"it never ends":      {[]harness.Alarm{at("quiet"), at("spike", "Spike"), at("after", "Spike")}, undocumented},
		"it is never quiet":  {[]harness.Alarm{at("quiet", "Spike")}, undocumented},
		"no rule":            {[]harness.Alarm{{When: "quiet"}}, undocumented},
		"only quiet is seen": {[]harness.Alarm{at("quiet")}, unseenYet},
		"nothing is seen":    {nil, unseenYet},
	} {
		if got := verdict(t, outcome.Judge(harness.Profile{}, harness.Trace{Alarms: row.alarms})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
