package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/echo"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
)

// TestEchoesAreToldAndNotKept holds the expectations against targets that give the
// credential back in some writing: the sign-off is published, says that the target is
// at fault, and holds no part of what was shown.
func TestEchoesAreToldAndNotKept(t *testing.T) {
	const before = "what-was-sent-was" // in an answer that shows it
	for name, write := range echo.Writings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var redactor signoff.Redactor
			record := redactor.Clean(judgeHostile(t, func(w http.ResponseWriter, r *http.Request) {
				_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				if len(token) < len(validToken)/2 {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				shown := write(token)
				w.Header().Set("Www-Authenticate", `Bearer error_description="`+strings.Map(inField, shown)+`"`)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(before + " " + shown))
			}, redactor.Register))
			files, err := report.Files(record)
			if err == nil {
				err = signoff.Publish(t.TempDir(), files, &redactor)
			}
			if err != nil {
				t.Fatalf("%v: want it published", err)
			}
			if f := finding(record, "SEC-002"); f.Verdict != harness.Fail || !strings.Contains(f.Got, "token") {
				t.Errorf("SEC-002 is %s (%s): want the echo to be its failure", f.Verdict, f.Reason)
			}
			files["the console"] = []byte(report.Console(record, false))
			for file, data := range files {
				if !slices.Contains(asItIs, name) && strings.Contains(string(data), before) {
					t.Errorf("%s holds part of an answer that shows the token", file)
				}
				for _, part := range harness.Parts(validToken) {
					if strings.Contains(string(data), part[:16]) {
						t.Errorf("%s holds the token", file)
					}
				}
			}
		})
	}
}

// asItIs are the writings that leave a token as it is, so that it is blotted out of
// what is kept.
var asItIs = []string{"plain", "query", "printable"}

// inField is a character as a field of HTTP can hold it.
func inField(c rune) rune {
	if c < ' ' || c > '~' || c == '"' || c == '\\' {
		return -1
	}
	return c
}

func finding(r signoff.Record, id string) signoff.Finding {
	for _, f := range r.Findings {
		if f.ID == id {
			return f
		}
	}
	return signoff.Finding{}
}
