package run

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// ended says that the credential of a call was granted for a time that was over before
// the call was answered; "" where it was not. A hostile one was not granted.
func ended(t *harness.Target, x harness.Exchange) string {
	answered := x.Observation.At.Add(x.Observation.Total)
	if what, at := granted(t, x.Request); !at.IsZero() && at.Before(answered) {
		return fmt.Sprintf("%s that was granted ended at %s", what, at.UTC().Format(time.RFC3339))
	}
	return ""
}

// granted is the granted credential that a request shows, and when it ends; the zero
// time where it shows none, or one without an end.
func granted(t *harness.Target, r harness.Request) (what string, ends time.Time) {
	if r.Certificate != nil && len(r.Certificate.Certificate) > 0 {
		pairs := map[string]harness.CertPair{"enrolled": t.Certs.Enrolled, "unenrolled": t.Certs.Unenrolled}
		for name, pair := range pairs {
			if own := leaf(pair); own != nil && bytes.Equal(own.Raw, r.Certificate.Certificate[0]) {
				return "the " + name + " certificate", own.NotAfter
			}
		}
	}
	bearer := strings.TrimPrefix(r.Get("Authorization"), "Bearer ")
	if bearer == "" || r.Credential != token.Sound().Name && bearer != t.Tokens.Valid.Reveal() {
		return "", time.Time{}
	}
	if t.Control != nil && t.Control.Bearer != nil {
		if source, ok := t.Control.Bearer.(harness.Ending); ok {
			if at, known := source.Ends(harness.Secret(bearer)); known {
				return "the token", at
			}
		}
	}
	at, _ := probe.Expiry(bearer)
	return "the token", at
}

// leaf is the first certificate of a pair; nil where there is none.
func leaf(pair harness.CertPair) *x509.Certificate {
	block, _ := pem.Decode(pair.Chain)
	if block == nil {
		return nil
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return parsed
}

// overBy says what that was granted for a time and that no request shows has ended.
func overBy(t *harness.Target, now time.Time) string {
	for _, life := range t.Lives {
		if life.Ends.Before(now) {
			return fmt.Sprintf("%s that was granted ended at %s", life.What, life.Ends.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// outlived makes of a call that was refused whose credential had ended no verdict on the
// target: it is inconclusive, and says what ended and when.
func outlived(t *harness.Target, trace harness.Trace, problems []harness.Problem) {
	for i, p := range problems {
		if p.Verdict != harness.Fail || p.Bucket == harness.Security {
			continue
		}
		why := ""
		if p.Exchange >= 0 {
			why = ended(t, trace.Exchanges[p.Exchange])
		} else {
			why = endedIn(t, trace.Startups)
		}
		if why != "" {
			problems[i].Verdict, problems[i].Bucket = harness.Inconclusive, ""
			problems[i].Got = why + ": " + p.Got
		}
	}
}

// endedIn says the same of calls to replicas.
func endedIn(t *harness.Target, starts []harness.Startup) string {
	for _, s := range starts {
		for _, x := range s.After {
			if why := ended(t, x); why != "" && !t.Profile.Accepts(x.Observation.Status) {
				return why
			}
		}
	}
	return ""
}
