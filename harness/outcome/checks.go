package outcome

import (
	"fmt"
	"regexp"
	"strings"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/challenge"
)

// Challenged wants a Bearer challenge on every 401 of oidc mode (RFC 9110
// section 15.5.2, RFC 6750 section 3; rulings A-05), among others or alone.
func (a Answers) Challenged() Answers {
	return a.with(check{"a Bearer challenge in WWW-Authenticate", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		bearer, err := challenge.Bearer(x)
		if x.Request.Mode != harness.OIDC || x.Observation.Status != 401 || bearer != nil {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol,
			Got: "401 without a Bearer challenge" + unread(err), Want: "WWW-Authenticate: Bearer …"}, ""
	}})
}

// unread says why a field of challenges could not be read to its end.
func unread(err error) string {
	if err == nil {
		return ""
	}
	return ", as far as WWW-Authenticate can be read: " + err.Error()
}

// NotingError notes, and does not fail, a challenge whose error attribute does
// not fit: absent where no credential came, invalid_token where one did (RFC
// 6750 section 3.1).
func (a Answers) NotingError() Answers {
	return a.with(check{"its error attribute fits", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		bearer, _ := challenge.Bearer(x)
		switch {
		case bearer == nil:
			return nil, ""
		case x.Request.Get("Authorization") == "" && bearer.Says() != "":
			return nil, "the challenge carries error= although no credential was sent (RFC 6750 section 3.1: SHOULD NOT)"
		case x.Request.Get("Authorization") != "" && bearer.Says() != "invalid_token":
			return nil, `the challenge lacks error="invalid_token" (RFC 6750 section 3.1: SHOULD)`
		}
		return nil, ""
	}})
}

// leaks are texts that an opaque denial does not hold (OIDC-024, ASVS 16.5.1).
var leaks = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a stack trace", regexp.MustCompile(`Traceback \(most recent|goroutine \d+ \[|\.(go|py|java|rb|js):\d+|File "[^"]+", line \d+|` +
		`\bat [\w$.]+\([\w$.]+:\d+\)`)},
	{"key material", regexp.MustCompile(`-----BEGIN [A-Z ]+-----|"(n|x|d|k)"\s*:\s*"[A-Za-z0-9_-]{20,}"`)},
	{"a token", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*`)},
	{"a JWKS address", regexp.MustCompile(`(?i)https?://[^\s"']*(jwks|\.well-known|/certs|/keys)`)},
	{"an exception's text", regexp.MustCompile(`(?i)\b\w+(Error|Exception)\b\s*[:(]|signature verification failed|crypto/\w+:|go-jose|` +
		`square/go|panic:|expected (audience|issuer|claim)`)},
}

// Opaque wants bodies of denials that tell a caller nothing of the inside, as
// JSON or text.
func (a Answers) Opaque() Answers {
	return a.with(check{"a body that tells nothing of the inside", func(p harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		found := inside(p, x)
		if found == "" {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract,
			Got: "a body with " + found, Want: "an opaque body, JSON or text"}, ""
	}})
}

// inside names what a body tells of the inside, or is empty.
func inside(p harness.Profile, x harness.Exchange) string {
	body := string(x.Observation.Body)
	for _, l := range leaks {
		if l.pattern.MatchString(body) {
			return l.what
		}
	}
	switch {
	case p.Audience != "" && strings.Contains(body, p.Audience):
		return "the expected audience"
	case p.Issuer != "" && strings.Contains(body, p.Issuer):
		return "the expected issuer"
	}
	kind := x.Observation.Header.Get("Content-Type")
	if body != "" && strings.Contains(kind, "html") {
		return "HTML"
	}
	return ""
}

// NotingContinue notes that a body was asked for before the caller was.
func (a Answers) NotingContinue() Answers {
	return a.with(check{"a body that is asked for first is noted", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		if !x.Observation.Continued {
			return nil, ""
		}
		return nil, "the body was read, or waited for, before the caller was refused (RFC 9110 section 10.1.1 lets it be)"
	}})
}

// AsCertified wants the caller to have been served as the identity of his
// certificate, by the service's own log (RFC 9440 section 2.4).
func (a Answers) AsCertified() Answers {
	return a.with(check{"served as the identity of the certificate", func(p harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		reached := x.Observation.Reached
		if reached == nil || !reached.Complete || x.Request.Certificate == nil || x.Request.Certificate.Leaf == nil {
			return &harness.Problem{Verdict: harness.Inconclusive, Got: "whom the service served was not seen", Want: "its request log"}, ""
		}
		names := p.Form().Of(x.Request.Certificate.Leaf)
		if p.Form() == certs.FormCN { // one without a common name has another
			names = []string{certs.Identity(x.Request.Certificate.Leaf)}
		}
		want := strings.Join(names, ", ")
		for _, got := range reached.Identity {
			if got != want {
				return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Security,
					Got: fmt.Sprintf("served as %q", got), Want: fmt.Sprintf("served as %q, the certificate's own %s", want, p.Form())}, ""
			}
		}
		if len(reached.Identity) == 0 {
			return &harness.Problem{Verdict: harness.Inconclusive, Got: "the request log names no identity", Want: fmt.Sprintf("%q", want)}, ""
		}
		return nil, ""
	}})
}

// SameOrigin tolerates a redirect that stays with the origin (rulings A-22);
// where it leads is judged as an exchange of its own.
func (a Answers) SameOrigin(same func(harness.Request, string) bool) Answers {
	a = a.Or(307, 308)
	return a.with(check{"redirects only within the origin", func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		location := x.Observation.Header.Get("Location")
		if x.Observation.Status < 300 || x.Observation.Status > 399 || same(x.Request, location) {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract,
			Got: fmt.Sprintf("a redirect to %q", location), Want: "a redirect within the origin, or none"}, ""
	}})
}
