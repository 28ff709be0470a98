package signoff

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// seen is a finding that tells one exchange.
func seen(id string, v harness.Verdict, b harness.Bucket, mode harness.Mode, request, response, got string) Finding {
	_, with, _ := strings.Cut(request, " with ")
	return Finding{ID: id, Verdict: v, Bucket: b, Owner: Ingress, Got: got, Reason: "got " + got,
		Evidence: []harness.Evidence{{Mode: mode, Request: request, Credential: with, Response: response}}}
}

// refusedControl is a finding whose control was refused.
func refusedControl(id, words string) Finding {
	return Finding{ID: id, Verdict: harness.Inconclusive, Reason: words}
}

// TestCauses: what has one root is told once, with its owner, the widest first.
func TestCauses(t *testing.T) {
	served := func(id string, mode harness.Mode, with string) Finding {
		return seen(id, harness.Fail, harness.Security, mode, "POST /predict with "+with, "200", "200: the request was served to POST /predict with "+with)
	}
	for name, row := range map[string]struct {
		findings []Finding
		want     []string // words of each cause, its owner, and how many it explains
	}{
		"the list is not in force": {[]Finding{
			served("MTLS-003", harness.MTLS, "unenrolled certificate"), served("HDR-011", harness.MTLS, "certificate of x"), served("HDR-012", harness.MTLS, "certificate of y"),
			served("CLM-009", harness.OIDC, "token for another audience"),
		}, []string{"the list of allowed clients is not in force|service|3", "a token for somebody else is served|service|1"}},
		"nobody is asked for anything": {[]Finding{
			served("OIDC-006", harness.OIDC, "token with a flipped bit"), served("OIDC-004", harness.OIDC, "no credential"), served("CLM-009", harness.OIDC, "token for another audience"),
		}, []string{"whoever shows no token is served|service|3"}},
		"the enrolled client is refused": {[]Finding{
			refusedControl("HDR-001", "the control before the stimulus was not accepted: POST /predict with enrolled certificate was answered: 403"),
			refusedControl("HDR-002", "the control after the stimulus was not accepted: GET /review/1 with enrolled certificate was answered: 403"),
			refusedControl("EPT-001", "control before: POST /enroll with enrolled certificate was answered: 403"),
			seen("MTLS-002", harness.Fail, harness.Contract, harness.MTLS, "POST /predict with enrolled certificate", "403; x", "403 to POST /predict with enrolled certificate"),
			refusedControl("OIDC-009", "the control before the stimulus was not accepted: POST /predict with valid token was answered: 401"),
		}, []string{"with the enrolled certificate, is refused: 403|service|4", "with the valid token, is refused: 401|service|1"}},
		"the token has ended": {[]Finding{
			refusedControl("OIDC-001", `the token that was granted ended at "10:00"`), refusedControl("OIDC-002", `the token that was granted ended at "10:00"`),
		}, []string{"the token that was granted ended||2"}},
		"a challenge, everywhere": {[]Finding{
			seen("BRR-012", harness.Fail, harness.Protocol, harness.OIDC, "POST /predict with no credential", "401", "401 without a Bearer challenge to POST /predict with no credential (and 3 more of 9 exchanges)"),
			seen("OIDC-004", harness.Fail, harness.Protocol, harness.OIDC, "POST /enroll with no credential", "401", "401 without a Bearer challenge to POST /enroll with no credential"),
			{ID: "OIDC-001", Verdict: harness.Pass},
		}, []string{"401 without a Bearer challenge|ingress|2"}},
		"all is well": {[]Finding{{ID: "OIDC-001", Verdict: harness.Pass}, {ID: "SEC-004", Verdict: harness.NotExercised}}, nil},
	} {
		causes := Record{Findings: row.findings}.Causes()
		if len(causes) != len(row.want) {
			t.Errorf("%s: %+v, want %d causes", name, causes, len(row.want))
			continue
		}
		for i, c := range causes {
			want := strings.Split(row.want[i], "|")
			if !strings.Contains(c.Says, want[0]) || string(c.Owner) != want[1] || fmt.Sprint(len(c.IDs)) != want[2] {
				t.Errorf("%s: %+v, want %q", name, c, row.want[i])
			}
		}
	}
}

// TestACauseIsByWhatWasSent: a row about something else that served an expired token is of
// the expired token's cause, and a hole of another kind is told by itself.
func TestACauseIsByWhatWasSent(t *testing.T) {
	served := func(id, variant, with string) Finding {
		mode := harness.OIDC
		if strings.Contains(with, "certificate") {
			mode = harness.MTLS
		}
		f := seen(id, harness.Fail, harness.Security, mode, "POST /predict with "+with, "200", "200, and the request reached the handler")
		f.Level, f.Evidence[0].Variant = harness.MUST, variant
		return f
	}
	advice := seen("OIDC-024", harness.Fail, harness.Contract, harness.OIDC, "POST /predict with no credential", "401", "401 with a stack trace")
	advice.Level = harness.SHOULD
	decides := seen("EPT-014", harness.Fail, harness.Contract, harness.OIDC, "POST /predict with no credential", "422", "422")
	decides.Level = harness.MUST
	r := Record{Findings: []Finding{
		advice, decides,
		{ID: "MET-002", Verdict: harness.Inconclusive, Reason: "no page"}, {ID: "MET-003", Verdict: harness.Inconclusive, Reason: "no page"},
		served("OIDC-005", "token expired 10 minutes ago", "token expired 10 minutes ago"), served("ROT-001", "stale", "token expired 60 minutes ago"),
		served("JOSE-001", "alg none", "token of alg none"), served("MTLS-008", "one connection, claiming to be the enrolled client", "unenrolled certificate"),
		served("EPT-009", "an empty query, by an unenrolled client with the enrolled one's identity header", "unenrolled certificate"), served("HDR-002", "unenrolled certificate with identity header of the enrolled client", "unenrolled certificate"),
	}}
	var got []string
	for _, c := range r.Causes() {
		got = append(got, fmt.Sprintf("%s|%s|%s", c.Topic.Name, c.Owner, strings.Join(c.IDs, " ")))
	}
	want := []string{"identity-header|ingress|MTLS-008 EPT-009 HDR-002", "expired-token|service|OIDC-005 ROT-001", "no-algorithm|service|JOSE-001",
		"challenge|ingress|EPT-014", "challenge|ingress|OIDC-024", "monitoring||MET-002 MET-003"}
	if !slices.Equal(got, want) {
		t.Errorf("causes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTopics: each says why it matters and what to do, and nothing leads to two of them.
func TestTopics(t *testing.T) {
	names := map[string]bool{}
	for _, topic := range Topics {
		if names[topic.Name] || topic.Says == "" || topic.Why == "" || len(topic.Mend) == 0 || topic.CWE == "" || topic.ASVS == "" || topic.NIST == "" {
			t.Errorf("%s: twice, or lacking what a card tells", topic.Name)
		}
		names[topic.Name] = true
	}
	for _, o := range openings {
		if !names[o.topic] {
			t.Errorf("%s: no topic %q", o.says, o.topic)
		}
	}
	if got := TopicOf("OIDC-005").Name; got != "expired-token" {
		t.Errorf("OIDC-005 is of %q", got)
	}
	if got := TopicOf("NONE-001").Name; got != "other" {
		t.Errorf("an expectation of no topic is of %q", got)
	}
}

// TestOwnerOfTheList: who is on no list was let in by whoever reads the list.
func TestOwnerOfTheList(t *testing.T) {
	f := seen("MTLS-003", harness.Fail, harness.Security, harness.MTLS, "POST /predict with unenrolled certificate", "200", "200")
	if f.Chapter, f.Exchanges = "mtls", 1; f.owner() != Service {
		t.Errorf("an unenrolled client is served: %s", f.owner())
	}
	f.Evidence[0].Credential = "certificate of another authority"
	if f.owner() != Ingress {
		t.Errorf("a foreign certificate is served: %s", f.owner())
	}
}
