package harness_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

const sensitive = "s3cr3t-value-of-a-test"

// granted is a target with the same secret wherever one may stand.
func granted() harness.Target {
	pair := harness.CertPair{Chain: []byte("chain"), Key: sensitive}
	return harness.Target{
		Name: "granted",
		Tokens: harness.TokenGrant{Valid: sensitive, Expired: sensitive, OtherRealm: sensitive, Signing: []harness.SigningKey{{ID: "kid",
			Algorithm: "ES256", PEM: sensitive}}},
		Certs: harness.CertGrant{Enrolled: pair, Unenrolled: pair, Authority: pair},
	}
}

// TestSecretsNeverPrint: by no verb, nor as JSON, nor in a log, nor in an error.
func TestSecretsNeverPrint(t *testing.T) {
	target := granted()
	for _, value := range []any{harness.Secret(sensitive), []harness.Secret{sensitive}, map[string]harness.Secret{"key": sensitive}, target,
		&target, target.Tokens, target.Certs} {
		printed := fmt.Sprint(value) + fmt.Sprintln(value) + fmt.Errorf("got %v: %w", value, errors.New("x")).Error()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s", "%T"} {
			printed += fmt.Sprintf(verb, value)
		}
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "value", value)
		for _, text := range []string{printed, string(data), log.String()} {
			for _, form := range []string{sensitive, fmt.Sprintf("%x", sensitive), fmt.Sprintf("%X", sensitive), fmt.Sprint([]byte(sensitive))} {
				if strings.Contains(text, strings.Trim(form, "[]")) {
					t.Errorf("a %T tells its secret: %s", value, text)
				}
			}
		}
	}
	if harness.Secret(sensitive).Reveal() != sensitive {
		t.Error("Reveal does not give the value")
	}
}

// TestTargetTravels: another process gets the secrets, which it must use.
func TestTargetTravels(t *testing.T) {
	var wire bytes.Buffer
	target := granted()
	if err := gob.NewEncoder(&wire).Encode(target); err != nil {
		t.Fatal(err)
	}
	var arrived harness.Target
	if err := gob.NewDecoder(&wire).Decode(&arrived); err != nil {
		t.Fatal(err)
	}
	if arrived.Tokens.Valid.Reveal() != sensitive || arrived.Tokens.Signing[0].PEM.Reveal() != sensitive ||
		arrived.Certs.Authority.Key.Reveal() != sensitive {
		t.Error("the secrets did not arrive")
	}
}

// needing is a stimulus of some needs.
func needing(needs ...harness.Capability) harness.Stimulus {
	return harness.Stimulus{Needs: needs, Effect: harness.ReadOnly, Modes: []harness.Mode{harness.MTLS}}
}

func TestNotApplicable(t *testing.T) {
	x := harness.Expectation{Stimulus: needing()}
	both := &harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {}, harness.MTLS: {}}}
	if got := x.NotApplicable(both); got != "" {
		t.Errorf("not applicable: %s", got)
	}
	if got := x.NotApplicable(&harness.Target{Faces: map[harness.Mode]harness.Face{harness.OIDC: {}}}); !strings.Contains(got, "mtls") {
		t.Errorf("reason %q does not name the mode that is missing", got)
	}
	x.Unless = func(p harness.Profile) string { return p.Audience }
	if got := x.NotApplicable(both); got != "" {
		t.Errorf("an empty reason is one: %q", got)
	}
	both.Profile.Audience = "a reason"
	if got := x.NotApplicable(both); got != "a reason" {
		t.Errorf("reason %q, want the profile's", got)
	}
}

func TestEffects(t *testing.T) {
	for i, e := range harness.Effects {
		for j, limit := range harness.Effects {
			if e.Within(limit) != (i <= j) {
				t.Errorf("%s within %s is %v", e, limit, e.Within(limit))
			}
		}
		if e.Within("no-such") {
			t.Errorf("%s is within a limit that does not exist", e)
		}
	}
}

func TestRequestFields(t *testing.T) {
	var r harness.Request
	r.Add("X-A", "1")
	r.Add("x-a", "2")
	r.Add("X_A", "3")
	shared := r
	r.Set("x-A", "4")
	if want := []harness.Field{{Name: "X_A", Value: "3"}, {Name: "x-A", Value: "4"}}; !slices.Equal(r.Fields, want) {
		t.Errorf("fields %v, want %v", r.Fields, want)
	}
	if len(shared.Fields) != 3 || shared.Get("X-a") != "1" || shared.Get("x-b") != "" {
		t.Errorf("a copy has %v, want its own three", shared.Fields)
	}
}

func TestWhereAnExpectationStands(t *testing.T) {
	rule := harness.Says("a rule")
	if rule.Text != "a rule" || !strings.HasSuffix(rule.File, "harness_test.go") || rule.Line == 0 {
		t.Errorf("%+v, want this line", rule)
	}
	for file, chapter := range map[string]string{"suites/oidc/oidc.go": "oidc", "suites/suites.go": "other", "/elsewhere/x.go": "other",
		"": "other"} {
		x := harness.Expectation{ID: "OIDC-005", Rule: harness.Rule{File: file}}
		if x.Chapter() != chapter || x.Area() != "OIDC" {
			t.Errorf("%q: chapter %q of area %q, want %q of OIDC", file, x.Chapter(), x.Area(), chapter)
		}
	}
}

type written struct{ harness.ComponentLog }

type telling struct {
	harness.Alerts
	harness.RuleTests
}

type rendering struct{ harness.Agent }

type deployed struct{ harness.Deployment }

type deploying struct{ harness.Rollout }

// TestConductIsWrittenAndRead: as a record holds it.
func TestConductIsWrittenAndRead(t *testing.T) {
	met := harness.Conduct{Asked: 2, Waited: 1500 * time.Millisecond, Most: time.Minute, Again: 3}
	data, err := json.Marshal(met)
	if want := `{"asked":2,"waited_ms":1500,"most_ms":60000,"again":3}`; err != nil || string(data) != want {
		t.Errorf("%s, %v: want %s", data, err, want)
	}
	var read harness.Conduct
	if err := json.Unmarshal(data, &read); err != nil || read != met {
		t.Errorf("%+v, %v", read, err)
	}
	if met.Uneventful() || !(harness.Conduct{Most: time.Minute}).Uneventful() || met.Plus(met).Again != 6 {
		t.Error("it is told by the wrong parts")
	}
}
