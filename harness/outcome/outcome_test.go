package outcome

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// judged is a verdict with its bucket, as a table writes it.
type judged string

const (
	pass         judged = "pass"
	unseenYet    judged = "inconclusive"
	hole         judged = "fail security"
	undocumented judged = "fail contract"
	detail       judged = "fail protocol"
)

// verdict is what a judgement with at most one problem says.
func verdict(t *testing.T, j harness.Judgement) judged {
	t.Helper()
	if len(j.Problems) > 1 {
		t.Errorf("%d problems, want at most one: %+v", len(j.Problems), j.Problems)
	}
	for _, p := range j.Problems {
		if p.Got == "" || p.Want == "" {
			t.Errorf("%+v, want what was got and what was wanted", p)
		}
		return judged(strings.TrimSpace(fmt.Sprintf("%s %s", p.Verdict, p.Bucket)))
	}
	return pass
}

// seen are the classes of observation (rulings 0.2).
var seen = map[string]harness.Observation{
	"200": {Status: 200}, "204": {Status: 204}, "206": {Status: 206}, "307": {Status: 307},
	"400": {Status: 400}, "401": {Status: 401}, "403": {Status: 403}, "404": {Status: 404}, "405": {Status: 405}, "421": {Status: 421},
	"429": {Status: 429}, "496": {Status: 496}, "500": {Status: 500}, "501": {Status: 501}, "502": {Status: 502}, "503": {Status: 503}, "504": {Status: 504},
	"alert": {Transport: harness.Alert, AlertCode: 116}, "alert 70": {Transport: harness.Alert, AlertCode: 70},
	"eof": {Transport: harness.EOF}, "reset": {Transport: harness.Reset}, "refused": {Transport: harness.Refused},
	"time-out": {Transport: harness.TimeOut}, "dns": {Transport: harness.DNS}, "untrusted": {Transport: harness.Untrusted},
	"malformed": {Transport: harness.Malformed}, "broken": {Transport: harness.Broken},
	"401 handled":      {Status: 401, Reached: &harness.Reached{Seen: 1, Handled: 1}},
	"503 handled":      {Status: 503, Reached: &harness.Reached{Seen: 1, Handled: 1}},
	"time-out handled": {Transport: harness.TimeOut, Reached: &harness.Reached{Seen: 1, Handled: 1}},
	"401 unhandled":    {Status: 401, Reached: &harness.Reached{Seen: 1}},
}

// Classes that are the same whatever is wanted: nobody was there to answer
// (inconclusive), and for a denial, the request was served.
var (
	absent = []string{"429", "502", "503", "504", "alert 70", "refused", "time-out", "dns", "untrusted", "broken"}
	holes  = []string{"200", "204", "206", "401 handled", "503 handled", "time-out handled"}
)

func TestAnswers(t *testing.T) {
	withCertificate := harness.Request{Mode: harness.MTLS, Certificate: &tls.Certificate{}}
	without := harness.Request{Mode: harness.MTLS}
	token := harness.Request{Mode: harness.OIDC}
	declared := harness.Profile{NoCertificate: harness.HTTP400, BadCertificate: harness.TLSAlert}
	for name, row := range map[string]struct {
		outcome Answers
		profile harness.Profile
		request harness.Request
		passes  []string // all else fails by contract, but for absent and holes
	}{
		"unauthenticated, token":                {Unauthenticated(), harness.Profile{}, token, []string{"401", "401 unhandled"}},
		"unauthenticated, token, mtls declared": {Unauthenticated(), declared, token, []string{"401", "401 unhandled"}},
		"unauthenticated, no certificate (A-01)": {Unauthenticated(), harness.Profile{}, without, []string{"401", "401 unhandled", "alert",
			"eof", "reset"}},
		"unauthenticated, no certificate, declared": {Unauthenticated(), declared, without, []string{"400", "496", "alert", "eof", "reset"}},
		"unauthenticated, several declared": {Unauthenticated(), harness.Profile{NoCertificate: "http401,http400"}, without,
			[]string{"401", "401 unhandled", "400", "496", "alert", "eof", "reset"}},
		"unauthenticated, bad certificate (A-04)": {Unauthenticated(), harness.Profile{}, withCertificate, []string{"401", "401 unhandled",
			"alert", "eof", "reset"}},
		"unauthenticated, bad certificate, declared": {Unauthenticated(), declared, withCertificate, []string{"alert", "eof", "reset"}},
		"unauthenticated, 421 declared": {Unauthenticated(), harness.Profile{NoCertificate: harness.HTTP421}, without,
			[]string{"421", "alert", "eof", "reset"}},
		"unauthenticated, 403 declared": {Unauthenticated(), harness.Profile{NoCertificate: harness.HTTP403}, without,
			[]string{"403", "alert", "eof", "reset"}},
		"forbidden (A-07)": {Forbidden(), declared, withCertificate, []string{"403"}},
		"denied (A-21)": {Denied(), harness.Profile{}, token, []string{"401", "401 unhandled", "403", "404", "405",
			"501"}},
		"denied, no certificate, declared": {Denied(), declared, without, []string{"400", "496", "401", "401 unhandled", "403", "404",
			"405", "501", "alert", "eof", "reset"}},
		"or 400 (A-08)": {Unauthenticated().Or(400), harness.Profile{}, token, []string{"400", "401",
			"401 unhandled"}},
	} {
		for class, o := range seen {
			want := undocumented
			switch {
			case slices.Contains(holes, class):
				want = hole
			case slices.Contains(row.passes, class):
				want = pass
			case slices.Contains(absent, class):
				want = unseenYet
			}
			judgement := row.outcome.Judge(row.profile, harness.Trace{Exchanges: []harness.Exchange{{Request: row.request, Observation: o}}})
			if got := verdict(t, judgement); got != want {
				t.Errorf("%s: %s is %q, want %q", name, class, got, want)
			}
		}
	}
}

func TestAccepted(t *testing.T) {
	for name, row := range map[string]struct {
		profile harness.Profile
		passes  []string
	}{
		"undeclared":      {harness.Profile{}, []string{"200"}},
		"declared (A-36)": {harness.Profile{Success: []int{204, 206}}, []string{"204", "206"}},
	} {
		for class, o := range seen {
			want := undocumented
			switch {
			case slices.Contains(row.passes, class):
				want = pass
			case slices.Contains(absent, class), class == "503 handled", class == "time-out handled":
				want = unseenYet
			}
			if got := verdict(t, Accepted().Judge(row.profile, harness.Trace{Exchanges: []harness.Exchange{{Observation: o}}})); got != want {
				t.Errorf("%s: %s is %q, want %q", name, class, got, want)
			}
		}
	}
}

// TestNothingIsNoPass: an outcome that has nothing to judge does not pass.
func TestNothingIsNoPass(t *testing.T) {
	for name, o := range map[string]harness.Outcome{
		"accepted": Accepted(), "unauthenticated": Unauthenticated(), "forbidden": Forbidden(), "denied": Denied(),
		"per variant": PerVariant{"a": Accepted()}, "refuses to start": RefusesToStart(), "refuses or enforces": RefusesOrEnforces(),
		"serves with secrets": ServesOnlyWithSecrets(), "counts each": CountsEach(Accepted()), "counts none": CountsNone(Accepted()),
		"short issued": ShortIssued{}, "own name only": OwnNameOnly{}, "bound to": BoundTo{"a"}, "present at zero": PresentAtZero(), "allows": Allows{"path": {"read"}},
	} {
		if got := verdict(t, o.Judge(harness.Profile{}, harness.Trace{})); got != unseenYet {
			t.Errorf("%s: %q of nothing, want %q", name, got, unseenYet)
		}
		if o.Want(harness.Profile{}) == "" {
			t.Errorf("%s wants nothing", name)
		}
	}
}

func TestEveryExchangeIsJudged(t *testing.T) {
	trace := harness.Trace{Exchanges: []harness.Exchange{
		{Observation: seen["401"]}, {Observation: seen["200"]}, {Observation: seen["401"]}, {Observation: seen["503"]}, {Observation: seen["404"]},
	}}
	var got []string
	for _, p := range Unauthenticated().Judge(harness.Profile{}, trace).Problems {
		got = append(got, fmt.Sprintf("%d %s%s", p.Exchange, p.Verdict, p.Bucket))
	}
	if want := []string{"1 failsecurity", "3 inconclusive", "4 failcontract"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPerVariant(t *testing.T) {
	outcome := PerVariant{"good": Accepted(), "bad": Unauthenticated()}
	exchange := func(variant string, status int) harness.Exchange {
		return harness.Exchange{Request: harness.Request{Variant: variant}, Observation: harness.Observation{Status: status}}
	}
	for name, row := range map[string]struct {
		exchanges []harness.Exchange
		want      judged
	}{
		"each its own":     {[]harness.Exchange{exchange("good", 200), exchange("bad", 401)}, pass},
		"bad one served":   {[]harness.Exchange{exchange("good", 200), exchange("bad", 200)}, hole},
		"good one refused": {[]harness.Exchange{exchange("bad", 401), exchange("good", 401)}, undocumented},
		"one not sent":     {[]harness.Exchange{exchange("bad", 401)}, unseenYet},
		"one not foreseen": {[]harness.Exchange{exchange("good", 200), exchange("bad", 401), exchange("ugly", 401)}, "error"},
	} {
		judgement := outcome.Judge(harness.Profile{}, harness.Trace{Exchanges: row.exchanges})
		if got := verdict(t, judgement); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
		for _, p := range judgement.Problems {
			if p.Exchange >= 0 && row.exchanges[p.Exchange].Request.Variant == "good" && row.want == hole {
				t.Errorf("%s: the problem points at exchange %d", name, p.Exchange)
			}
		}
	}
}

func TestChallenged(t *testing.T) {
	for name, row := range map[string]struct {
		mode       harness.Mode
		status     int
		challenges []string
		want       judged
	}{
		"challenged":                  {harness.OIDC, 401, []string{`Bearer realm="x"`}, pass},
		"bare":                        {harness.OIDC, 401, []string{"bearer"}, pass},
		"second of two":               {harness.OIDC, 401, []string{"Basic", "Bearer"}, pass},
		"no challenge (A-05)":         {harness.OIDC, 401, nil, detail},
		"another scheme":              {harness.OIDC, 401, []string{"BearerX"}, detail},
		"no challenge, mtls (A-05)":   {harness.MTLS, 401, nil, pass},
		"served without a challenge":  {harness.OIDC, 200, nil, hole},
		"403 needs none":              {harness.OIDC, 403, nil, undocumented},
		"absent although unavailable": {harness.OIDC, 503, nil, unseenYet},
	} {
		x := harness.Exchange{Request: harness.Request{Mode: row.mode}, Observation: harness.Observation{Status: row.status,
			Header: http.Header{"Www-Authenticate": row.challenges}}}
		if got := verdict(t, Unauthenticated().Challenged().Judge(harness.Profile{},
			harness.Trace{Exchanges: []harness.Exchange{x}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestNotingError: what RFC 6750 says with SHOULD is noted, and fails nothing.
func TestNotingError(t *testing.T) {
	for name, row := range map[string]struct {
		credential, challenge string
		notes                 int
	}{
		"none, plain":      {"", "Bearer", 0},
		"none, error":      {"", `Bearer error="invalid_token"`, 1},
		"token, error":     {"Bearer x", `Bearer error="invalid_token"`, 0},
		"token, plain":     {"Bearer x", "Bearer", 1},
		"token, unrelated": {"Bearer x", "Basic", 0},
	} {
		x := harness.Exchange{Observation: harness.Observation{Status: 401, Header: http.Header{"Www-Authenticate": {row.challenge}}}}
		if row.credential != "" {
			x.Request.Set("Authorization", row.credential)
		}
		j := Unauthenticated().NotingError().Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{x, x}})
		if len(j.Problems) != 0 || len(j.Notes) != row.notes {
			t.Errorf("%s: %d problems and notes %q, want none and %d", name, len(j.Problems), j.Notes, row.notes)
		}
	}
}

func TestOpaque(t *testing.T) {
	profile := harness.Profile{Audience: "aegis-service", Issuer: "https://idp.test/realm"}
	for body, want := range map[string]judged{
		"":                          pass,
		`{"error":"unauthorized"}`:  pass,
		`{"detail":"Unauthorized"}`: pass,
		`{"error":"invalid_token","error_description":"The access token expired"}`:           pass,
		`{"auth_error":"missing","message":"Error: unauthorized","path":"/predict","x":"y"}`: pass,
		"401 Unauthorized\n": pass,
		`{"type":"about:blank","title":"Unauthorized","status":401,"trace_id":"4bf92f3577b3"}`: pass,
		`{"request_id":"eyJ"}`: pass,

		"Traceback (most recent call last):\n  File \"x\"":            undocumented,
		`File "/app/auth.py", line 42, in verify`:                     undocumented,
		"goroutine 17 [running]:":                                     undocumented,
		"main.go:42":                                                  undocumented,
		"at com.aegis.Auth.verify(Auth.java:42)":                      undocumented,
		"at Object.verify (/app/auth.js:42:7)":                        undocumented,
		"panic: runtime":                                              undocumented,
		"-----BEGIN PUBLIC KEY-----":                                  undocumented,
		`{"n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx"}`: undocumented,
		"token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.x":                undocumented,
		"fetching https://idp.test/jwks":                              undocumented,
		"see https://idp.test/.well-known/openid-configuration":       undocumented,
		`{"detail":"ExpiredSignatureError: Signature has expired"}`:   undocumented,
		`{"detail":"InvalidAudienceException (aud)"}`:                 undocumented,
		"go-jose/go-jose: error in cryptographic primitive":           undocumented,
		"crypto/rsa: verification error":                              undocumented,
		"Signature verification failed":                               undocumented,
		"expected audience x":                                         undocumented,
		`{"error":"wrong audience, want aegis-service"}`:              undocumented,
		`{"error":"wrong issuer, want https://idp.test/realm"}`:       undocumented,
	} {
		x := harness.Exchange{Observation: harness.Observation{Status: 401, Body: []byte(body),
			Header: http.Header{"Content-Type": {"application/json"}}}}
		if got := verdict(t, Unauthenticated().Opaque().Judge(profile, harness.Trace{Exchanges: []harness.Exchange{x}})); got != want {
			t.Errorf("%q is %q, want %q", body, got, want)
		}
	}
	page := harness.Exchange{Observation: harness.Observation{Status: 401, Body: []byte("<h1>401</h1>"),
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}}
	if got := verdict(t, Unauthenticated().Opaque().Judge(profile, harness.Trace{Exchanges: []harness.Exchange{page}})); got != undocumented {
		t.Errorf("a page of HTML is %q, want %q", got, undocumented)
	}
}

func TestAsCertified(t *testing.T) {
	certificate := &tls.Certificate{Leaf: &x509.Certificate{Subject: pkix.Name{CommonName: "caller"}}}
	for name, row := range map[string]struct {
		certificate *tls.Certificate
		reached     *harness.Reached
		want        judged
	}{
		"as himself":         {certificate, &harness.Reached{Seen: 1, Handled: 1, Identity: []string{"caller"}, Complete: true}, pass},
		"as another":         {certificate, &harness.Reached{Seen: 1, Handled: 1, Identity: []string{"other"}, Complete: true}, hole},
		"as both":            {certificate, &harness.Reached{Seen: 2, Handled: 2, Identity: []string{"caller", "other"}, Complete: true}, hole},
		"no log":             {certificate, nil, unseenYet},
		"log not complete":   {certificate, &harness.Reached{Identity: []string{"caller"}}, unseenYet},
		"log names nobody":   {certificate, &harness.Reached{Seen: 1, Handled: 1, Complete: true}, unseenYet},
		"no certificate":     {nil, &harness.Reached{Identity: []string{"caller"}, Complete: true}, unseenYet},
		"unread certificate": {&tls.Certificate{}, &harness.Reached{Identity: []string{"caller"}, Complete: true}, unseenYet},
	} {
		x := harness.Exchange{Request: harness.Request{Certificate: row.certificate}, Observation: harness.Observation{Status: 200,
			Reached: row.reached}}
		if got := verdict(t, Accepted().AsCertified().Judge(harness.Profile{},
			harness.Trace{Exchanges: []harness.Exchange{x}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestRedirects(t *testing.T) {
	outcome := Denied().SameOrigin(func(_ harness.Request, location string) bool { return location == "/home" })
	for name, row := range map[string]struct {
		status   int
		location string
		want     judged
	}{
		"at home (A-22)": {307, "/home", pass}, "permanent": {308, "/home", pass}, "to another": {307, "//evil", undocumented},
		"nowhere": {307, "", undocumented}, "by another status": {302, "/home", undocumented}, "denied": {401, "", pass}, "served": {200, "",
			hole},
	} {
		x := harness.Exchange{Observation: harness.Observation{Status: row.status, Header: http.Header{"Location": {row.location}}}}
		if got := verdict(t, outcome.Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{x}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// TestSharedOutcomesStayApart: outcomes are values; what one adds, another of
// the same origin does not have.
func TestSharedOutcomesStayApart(t *testing.T) {
	base := Unauthenticated().Challenged()
	a, b := base.Opaque(), base.NotingError()
	if a.Want(harness.Profile{}) == b.Want(harness.Profile{}) || len(base.checks) != 1 || len(a.checks) != 2 {
		t.Errorf("%q and %q", a.Want(harness.Profile{}), b.Want(harness.Profile{}))
	}
	tolerant := base.Or(400)
	x := harness.Trace{Exchanges: []harness.Exchange{{Request: harness.Request{Mode: harness.OIDC},
		Observation: harness.Observation{Status: 400}}}}
	if len(tolerant.Judge(harness.Profile{}, x).Problems) != 0 || len(base.Judge(harness.Profile{}, x).Problems) != 1 {
		t.Error("a tolerance of one is one of the other")
	}
}

// TestAnswerNamesEveryOutcome: no two ways to end read the same.
func TestAnswerNamesEveryOutcome(t *testing.T) {
	words := map[string]harness.Transport{}
	for _, kind := range []harness.Transport{harness.Answered, harness.Alert, harness.EOF, harness.Reset, harness.Refused,
		harness.DNS, harness.TimeOut, harness.Untrusted, harness.Malformed, harness.Broken} {
		got := Answer(harness.Observation{Transport: kind, Status: 401, AlertCode: 42, Detail: "detail"})
		if before, ok := words[got]; ok || got == "" {
			t.Errorf("%q and %q are both %q", before, kind, got)
		}
		words[got] = kind
	}
}

// TestClaimedIdentities: a 403 of the service's own, to who shows no certificate and
// claims a name, is the name believed; one of whoever stands before it is a refusal.
func TestClaimedIdentities(t *testing.T) {
	by := func(seen int) *harness.Reached { return &harness.Reached{Seen: seen, Complete: true} }
	for name, row := range map[string]struct {
		observed harness.Observation
		want     judged
	}{
		"refused as nobody":       {harness.Observation{Status: 401, Reached: by(1)}, pass},
		"403 by the service":      {harness.Observation{Status: 403, Reached: by(1)}, hole},
		"403 before the service":  {harness.Observation{Status: 403, Reached: by(0)}, undocumented},
		"403 of nobody knows who": {harness.Observation{Status: 403}, undocumented},
		"served":                  {harness.Observation{Status: 200}, hole},
	} {
		x := harness.Exchange{Request: harness.Request{Mode: harness.MTLS}, Observation: row.observed}
		if got := verdict(t, AsBefore().Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{x}})); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
