package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// oscalVersion is the version of OSCAL that is written (NIST, assessment results model).
const oscalVersion = "1.2.1"

// oscalNamespace is where the properties of our own are from.
const oscalNamespace = "https://aegis.test/conformance"

// The part of an OSCAL assessment-results document that is written.
type oscalDocument struct {
	Results oscalResults `json:"assessment-results"`
}

type oscalResults struct {
	UUID     string        `json:"uuid"`
	Metadata oscalMetadata `json:"metadata"`
	Plan     oscalHref     `json:"import-ap"`
	Results  []oscalResult `json:"results"`
	Back     oscalBack     `json:"back-matter"`
}

type oscalMetadata struct {
	Title    string `json:"title"`
	Modified string `json:"last-modified"`
	Version  string `json:"version"`
	OSCAL    string `json:"oscal-version"`
}

type oscalHref struct {
	Href string `json:"href"`
}

type oscalResult struct {
	UUID         string             `json:"uuid"`
	Title        string             `json:"title"`
	Description  string             `json:"description"`
	Start        string             `json:"start"`
	End          string             `json:"end"`
	Props        []oscalProp        `json:"props"`
	Reviewed     oscalReviewed      `json:"reviewed-controls"`
	Observations []oscalObservation `json:"observations,omitempty"`
	Findings     []oscalFinding     `json:"findings,omitempty"`
}

type oscalProp struct {
	Name      string `json:"name"`
	Namespace string `json:"ns"`
	Value     string `json:"value"`
}

type oscalReviewed struct {
	Selections []oscalSelection `json:"control-selections"`
}

type oscalSelection struct {
	Controls []oscalControl `json:"include-controls,omitempty"`
	All      *struct{}      `json:"include-all,omitempty"`
}

type oscalControl struct {
	ID string `json:"control-id"`
}

type oscalObservation struct {
	UUID        string      `json:"uuid"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Props       []oscalProp `json:"props"`
	Methods     []string    `json:"methods"`
	Collected   string      `json:"collected"`
}

type oscalFinding struct {
	UUID        string         `json:"uuid"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Target      oscalTarget    `json:"target"`
	Related     []oscalRelated `json:"related-observations"`
}

type oscalTarget struct {
	Type   string      `json:"type"`
	ID     string      `json:"target-id"`
	Status oscalStatus `json:"status"`
}

type oscalStatus struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

type oscalRelated struct {
	Observation string `json:"observation-uuid"`
}

type oscalBack struct {
	Resources []oscalResource `json:"resources"`
}

type oscalResource struct {
	UUID        string      `json:"uuid"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Links       []oscalHref `json:"rlinks"`
}

// OSCAL renders the record as OSCAL assessment results: an observation of each expectation,
// and a finding of each control of NIST SP 800-53 that expectations are about. A control is
// satisfied where what is about it, and is claimed, was seen to hold and nothing failed; what
// was not seen satisfies nothing.
func OSCAL(r signoff.Record) ([]byte, error) {
	r = inert(r)
	id := func(of string) string {
		return uuid.NewSHA1(uuid.NameSpaceURL, []byte(oscalNamespace+"/"+r.Run+"/"+of)).String()
	}
	controls := controlled(r)
	result := oscalResult{
		UUID: id("result"), Title: cmp.Or(title(r), "A sign-off"), Description: cmp.Or(r.Headline, string(r.Verdict)),
		Start: oscalTime(r.Started), End: oscalTime(r.Ended),
		Props: oscalProps("verdict", string(r.Verdict), "kind", string(r.Kind), "claim", string(r.Claim), "run", r.Run,
			"target", r.Target.Name),
		Reviewed: oscalReviewed{[]oscalSelection{{}}},
	}
	of := byID(r)
	for _, f := range r.Findings {
		result.Observations = append(result.Observations, oscalObservation{
			UUID: id(f.ID), Title: cmp.Or(strings.TrimSpace(f.ID+" "+f.Title), "an expectation"),
			Description: cmp.Or(strings.TrimSpace(f.Rule+"\n"+detail(r, f, of[f.ID])), "no words"),
			Props: oscalProps("id", f.ID, "verdict", string(f.Verdict), "bucket", string(f.Bucket), "level", string(f.Level),
				"clauses", strings.Join(f.Clauses, " "), "reason", clip(f.Reason, 400)),
			Methods: []string{"TEST"}, Collected: oscalTime(r.Ended),
		})
	}
	selection := &result.Reviewed.Selections[0]
	for _, c := range controls {
		selection.Controls = append(selection.Controls, oscalControl{c.id()})
		result.Findings = append(result.Findings, c.finding(r, id))
	}
	if len(controls) == 0 {
		selection.All = &struct{}{}
	}
	runbook := id("runbook")
	return indented(oscalDocument{oscalResults{
		UUID: id("document"), Plan: oscalHref{"#" + runbook}, Results: []oscalResult{result},
		Metadata: oscalMetadata{"Aegis conformance sign-off", oscalTime(r.Ended),
			cmp.Or(strings.TrimSpace(r.Harness.Version), "unknown"), oscalVersion},
		Back: oscalBack{[]oscalResource{{runbook, "The runbook",
			"What the deployment was held against; its digest is " + or(r.Runbook.Digest, "unknown") + ".",
			[]oscalHref{{runbookPath}}}}},
	}})
}

// oscalTime is a time as OSCAL takes it, which knows none before 1900: where there was no run
// that is the beginning of Unix's.
func oscalTime(t time.Time) string {
	if t.Unix() < 0 {
		t = time.Unix(0, 0)
	}
	return stamp(t)
}

// oscalProps pairs names with values; empty values are left out.
func oscalProps(pairs ...string) []oscalProp {
	all := []oscalProp{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := strings.TrimSpace(pairs[i+1]); value != "" {
			all = append(all, oscalProp{pairs[i], oscalNamespace, value})
		}
	}
	return all
}

// control is one of NIST SP 800-53, with the expectations that are about it.
type control struct {
	number   string // IA-5(2)
	findings []signoff.Finding
}

// controlled are the controls that a record's expectations are about, by number.
func controlled(r signoff.Record) []control {
	var all []control
	for _, f := range r.Findings {
		for number := range strings.SplitSeq(signoff.TopicOf(f.ID).NIST, ", ") {
			if number == "" {
				continue
			}
			i := slices.IndexFunc(all, func(c control) bool { return c.number == number })
			if i < 0 {
				i, all = len(all), append(all, control{number: number})
			}
			all[i].findings = append(all[i].findings, f)
		}
	}
	slices.SortFunc(all, func(a, b control) int { return strings.Compare(a.number, b.number) })
	return all
}

var enhancement = regexp.MustCompile(`\((\d+)\)$`)

// id is the control as OSCAL's catalogue of SP 800-53 names it: ia-5.2.
func (c control) id() string {
	return strings.ToLower(enhancement.ReplaceAllString(c.number, ".$1"))
}

func (c control) finding(r signoff.Record, id func(string) string) oscalFinding {
	held, failed, unseen := 0, 0, 0
	related := []oscalRelated{}
	for _, f := range c.findings {
		related = append(related, oscalRelated{id(f.ID)})
		switch {
		case f.Verdict == harness.Pass:
			held++
		case f.Verdict == harness.Fail && f.Decides():
			failed++
		case f.Verdict != harness.NotApplicable && f.Verdict != harness.Fail && r.Claim.Wants(f.Level, f.Tier):
			unseen++
		}
	}
	status := oscalStatus{"not-satisfied", "other"}
	switch {
	case failed > 0:
		status.Reason = "fail"
	case unseen == 0 && held > 0 && r.Kind != harness.Rehearsal:
		status = oscalStatus{"satisfied", "pass"}
	}
	return oscalFinding{
		UUID: id("control " + c.number), Title: c.number,
		Description: fmt.Sprintf("Of %s about it %d held, %d failed and %d of what is claimed were not seen.",
			counted(len(c.findings), "expectation"), held, failed, unseen),
		Target: oscalTarget{"objective-id", c.id() + "_obj", status}, Related: related,
	}
}
