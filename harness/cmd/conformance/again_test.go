package main

import (
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
)

// TestAgainIsOfTheSameTarget: the command that judges a finding again has the target that
// was judged, and starts a stack of ours only where one was.
func TestAgainIsOfTheSameTarget(t *testing.T) {
	live := config.Loaded{Source: "my staging.yaml"}
	for _, c := range []struct {
		name string
		of   session
		want string
	}{
		{"live", session{loaded: &live, runtime: stack.Auto, from: sources{set: []string{"rails.allow=writes"}}},
			"conformance run --config 'my staging.yaml' --set rails.allow=writes --only OIDC-005"},
		{"an image by its configuration", session{config: &signoff.Config{File: "image.yaml"}, runtime: stack.Containers, ingress: "nginx"},
			"conformance run --config image.yaml --only OIDC-005"},
		{"containers that auto chose", session{runtime: stack.Auto, kind: harness.SelfTest, ingress: "haproxy", ha: true},
			"conformance run --runtime containers --ingress haproxy --ha --only OIDC-005"},
		{"a rehearsal that auto chose", session{runtime: stack.Auto, kind: harness.Rehearsal, ingress: "nginx"},
			"conformance run --runtime embedded --only OIDC-005"},
		{"an image", session{runtime: stack.Containers, kind: harness.Image, ingress: "nginx", service: stack.Service{Image: "registry.example/aegis:1"}, alertRules: "it's.yml"},
			`conformance run --runtime containers --service-image registry.example/aegis:1 --alert-rules 'it'\''s.yml' --only OIDC-005`},
	} {
		if got := c.of.again("OIDC-005"); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

// TestSinceIsOfTheSameTarget: a sign-off is compared with the one in whose place it comes,
// where that was of the same.
func TestSinceIsOfTheSameTarget(t *testing.T) {
	s := session{out: t.TempDir()}
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	record := func(run string, change func(*signoff.Input)) signoff.Record {
		in := signoff.Input{Run: run, Started: at, Ended: at, Target: &harness.Target{Kind: harness.Live, Name: "staging"}}
		change(&in)
		return signoff.Conclude(in)
	}
	same := func(*signoff.Input) {}
	if s.since(record("r-1", same)) != nil {
		t.Error("there was none, and it is compared")
	}
	files, err := report.Files(record("r-1", same))
	if err != nil {
		t.Fatal(err)
	}
	if err := signoff.Publish(s.out, files, &secrets); err != nil {
		t.Fatal(err)
	}
	if diff := s.since(record("r-2", same)); diff == nil || diff.Old.Run != "r-1" {
		t.Errorf("%+v; want it compared with r-1", diff)
	}
	for name, change := range map[string]func(*signoff.Input){
		"another target": func(in *signoff.Input) { in.Target.Name = "eu" },
		"another kind":   func(in *signoff.Input) { in.Target.Kind = harness.SelfTest },
		"a filtered run": func(in *signoff.Input) { in.Filter = "OIDC" },
	} {
		if s.since(record("r-3", change)) != nil {
			t.Errorf("%s is compared", name)
		}
	}
}
