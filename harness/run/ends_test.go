package run

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// until is a token that says when it ends.
func until(end time.Time) harness.Secret {
	segment := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return harness.Secret(segment(`{"alg":"RS256"}`) + "." + segment(fmt.Sprintf(`{"exp":%d}`, end.Unix())) + "." + segment("signature"))
}

// TestAGrantThatEnds during the run makes nobody unsound: what wants an acceptance is
// inconclusive, and says what ended and when; so is what a control surrounds. One that
// has not ended is no excuse.
func TestAGrantThatEnds(t *testing.T) {
	accepted := harness.Expectation{ID: "X-1", Stimulus: probe.ValidToken(), Outcome: outcome.Accepted()}
	for name, row := range map[string]struct {
		end  time.Duration
		x    harness.Expectation
		want harness.Verdict
		told bool
	}{
		"an acceptance, ended":     {-time.Minute, accepted, harness.Inconclusive, true},
		"an acceptance, not ended": {time.Hour, accepted, harness.Fail, false},
		"a refusal, ended":         {-time.Minute, refusing("X-2"), harness.Inconclusive, true},
		"a refusal, not ended":     {time.Hour, refusing("X-3"), harness.Inconclusive, false},
	} {
		s := serve(t, always(http.StatusUnauthorized))
		end := time.Now().Add(row.end)
		s.Tokens.Valid = until(end)
		f := judge(t, s.Target, Options{}, row.x)
		told := strings.Contains(f.Reason, "the token that was granted ended at "+end.UTC().Format(time.RFC3339))
		if f.Verdict != row.want || told != row.told {
			t.Errorf("%s: %s (%s), want %s", name, f.Verdict, f.Reason, row.want)
		}
	}
}

// TestWhoIsServedWithWhatHasEnded is no matter of what was granted: it stands.
func TestWhoIsServedWithWhatHasEnded(t *testing.T) {
	x := harness.Exchange{Request: harness.Request{Fields: []harness.Field{{Name: "Authorization", Value: "Bearer " +
		until(time.Now().Add(-time.Hour)).Reveal()}}}}
	target := &harness.Target{Tokens: harness.TokenGrant{Valid: harness.Secret(strings.TrimPrefix(x.Request.Get("Authorization"), "Bearer "))}}
	problems := []harness.Problem{{Verdict: harness.Fail, Bucket: harness.Security, Got: "200"}}
	if outlived(target, harness.Trace{Exchanges: []harness.Exchange{x}}, problems); problems[0].Verdict != harness.Fail {
		t.Errorf("got %+v", problems[0])
	}
}

// lender gives an opaque token, of which it alone knows the end.
type lender struct{ ends time.Time }

func (lender) Token() harness.Secret { return "opaque" }

func (l lender) Ends(token harness.Secret) (time.Time, bool) { return l.ends, token == "opaque" }

// TestWhatAGrantsEndIsReadFrom: the token itself, the source it is of, the certificate.
func TestWhatAGrantsEndIsReadFrom(t *testing.T) {
	authority, err := certs.NewAuthority("Test authority")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(certs.Leaf{CommonName: "client", NotBefore: time.Now().Add(-2 * time.Hour),
		NotAfter: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	own, bearer := pair.TLS(), func(text string) []harness.Field {
		return []harness.Field{{Name: "Authorization", Value: "Bearer " + text}}
	}
	gone := time.Now().Add(-time.Minute)
	opaque := &harness.Target{Control: &harness.Control{Bearer: lender{gone}}}
	client := &harness.Target{Certs: harness.CertGrant{Enrolled: harness.CertPair{Chain: pair.ChainPEM()}}}
	for name, row := range map[string]struct {
		target  *harness.Target
		request harness.Request
		want    string
	}{
		"a token of a source": {opaque, harness.Request{Credential: "valid token", Fields: bearer("opaque")},
			"the token that was granted ended at"},
		"a certificate":         {client, harness.Request{Certificate: &own}, "the enrolled certificate that was granted ended at"},
		"another's certificate": {&harness.Target{}, harness.Request{Certificate: &own}, ""},
		"a hostile token that expired": {&harness.Target{}, harness.Request{Credential: "expired token", Fields: bearer(until(gone).Reveal())},
			""},
		"no credential": {client, harness.Request{}, ""},
	} {
		got := ended(row.target, harness.Exchange{Request: row.request, Observation: harness.Observation{At: time.Now()}})
		if !strings.HasPrefix(got, row.want) || row.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

// TestATokenOfVaultThatEnded: what could not be done for it is no error of the harness.
func TestATokenOfVaultThatEnded(t *testing.T) {
	for _, left := range []time.Duration{time.Hour, -time.Minute} {
		s := serve(t, nil)
		s.Lives = []harness.Life{{What: "the token of Vault", Ends: time.Now().Add(left)}}
		x := harness.Expectation{ID: "X-1", Outcome: outcome.Accepted(), Stimulus: harness.Stimulus{OwnControl: true, Act: func(context.Context,
			harness.Client) (harness.Trace, error) {
			return harness.Trace{}, errors.New("reading aegis/runtime: permission denied")
		}}}
		f := judge(t, s.Target, Options{}, x)
		want := map[bool]harness.Verdict{true: harness.Error, false: harness.Inconclusive}[left > 0]
		if f.Verdict != want || (want == harness.Inconclusive) != strings.HasPrefix(f.Reason, "the token of Vault that was granted ended at ") {
			t.Errorf("%s left: %s (%s), want %s", left, f.Verdict, f.Reason, want)
		}
	}
}

// TestAControlShowsTheSourcesToken, and none that it gave a while ago.
func TestAControlShowsTheSourcesToken(t *testing.T) {
	var w credentialCache
	target := &harness.Target{Control: &harness.Control{Bearer: lender{}}}
	if _, err := w.of(target, harness.OIDC); err != nil || len(w.made) != 0 {
		t.Errorf("%d kept, %v: the source keeps its own", len(w.made), err)
	}
}
