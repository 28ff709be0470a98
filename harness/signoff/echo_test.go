package signoff

import (
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// answers is an outcome that is about all answers.
type answers struct{ denied }

func (answers) Echoes() bool { return true }

// TestAnEchoIsAFindingOfItsOwn: whichever expectation saw it, one fails for it.
func TestAnEchoIsAFindingOfItsOwn(t *testing.T) {
	in := sound()
	in.Catalogue[2].Outcome = answers{}
	in.Findings[0].Echo, in.Findings[1].Echo = "in hexadecimal", "in escapes"
	in.Findings[2] = finding("MTLS-001", harness.NotExercised, harness.Metrics)
	r := Conclude(in)
	f := r.Findings[2]
	if f.Verdict != harness.Fail || f.Bucket != harness.Contract || len(f.Missing) > 0 || r.Verdict != Failed {
		t.Errorf("%s (%s), lacks %v, in a record of %s: want a failure of the contract", f.Verdict, f.Bucket, f.Missing, r.Verdict)
	}
	for _, want := range []string{"in hexadecimal", "in escapes", "OIDC-001, OIDC-005"} {
		if !strings.Contains(f.Got, want) {
			t.Errorf("%q does not say %q", f.Got, want)
		}
	}
	if r.Findings[0].Verdict != harness.Pass || r.Findings[1].Verdict != harness.Pass {
		t.Error("those that saw it fail for it as well")
	}
}

// TestCleanBlotsAnywhere: whatever a record quotes, it can be published.
func TestCleanBlotsAnywhere(t *testing.T) {
	const secret = "hunter2hunter2-and-more"
	var redactor Redactor
	redactor.Register("bearer token", secret)
	in := sound()
	in.Findings[0].Notes, in.Findings[1].Evidence[0].Body = []string{"a note of " + secret}, secret
	in.Findings[2] = finding("MTLS-001", harness.Fail)
	in.Findings[2].Got = secret
	in.Target.Components[0].Is, in.Start = "vault "+secret, &Identity{Server: secret}
	in.End = in.Start
	dirty := Conclude(in)
	data, err := Encode(redactor.Clean(dirty))
	if err == nil {
		err = redactor.Scan("the record", data)
	}
	if err != nil {
		t.Error(err)
	}
	if _, err := Read(data); err != nil {
		t.Errorf("what was cleaned is no record any more: %v", err)
	}
	if dirty.Findings[0].Notes[0] != "a note of "+secret {
		t.Error("the record itself was changed")
	}
}
