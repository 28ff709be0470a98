// Package suites requires: the expectations of every chapter, and the runbook
// they come from.
package suites

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites/endpoints"
	"aegis.test/conformance/suites/identity"
	"aegis.test/conformance/suites/monitoring"
	"aegis.test/conformance/suites/mtls"
	"aegis.test/conformance/suites/oidc"
	"aegis.test/conformance/suites/rollback"
	"aegis.test/conformance/suites/rotation"
	"aegis.test/conformance/suites/secrets"
)

// All is the catalogue: every expectation, in the order reports show them.
func All() []harness.Expectation { return slices.Clone(all()) }

// all is the catalogue, each stimulus built once.
var all = sync.OnceValue(func() []harness.Expectation {
	rows := slices.Concat(
		oidc.Expectations, oidc.Signatures, oidc.Claims, oidc.Carriers,
		oidc.Tokens, oidc.Headers, oidc.Contents, oidc.Vectors, oidc.KeySets, oidc.Carriage,
		mtls.Expectations, mtls.Chains, mtls.Shapes, mtls.Connections,
		identity.Headers, identity.Claims, identity.Messages, identity.Subjects, identity.Enrolment, identity.Lists,
		endpoints.Expectations, endpoints.Spellings, endpoints.Crossings, endpoints.Messages, endpoints.Ingress,
		secrets.FailFast, secrets.Hygiene, secrets.Logins,
		rotation.Issuance,
		monitoring.Expectations, monitoring.Records, monitoring.Alarms,
		rotation.Expectations,
		rollback.Expectations,
	)
	for i := range rows {
		rows[i].Stimulus = rows[i].Stimulus.Build()
	}
	return rows
})

// Find is the expectation of an ID.
func Find(id string) (harness.Expectation, bool) {
	all := All()
	i := slices.IndexFunc(all, func(x harness.Expectation) bool { return strings.EqualFold(x.ID, id) })
	if i < 0 {
		return harness.Expectation{}, false
	}
	return all[i], true
}

// Entry is an expectation as data: what lists show and digests cover.
type Entry struct {
	ID       string               `json:"id"`
	Title    string               `json:"title"`
	Area     string               `json:"area"`
	Chapter  string               `json:"chapter"`
	Level    harness.Level        `json:"level"`
	Tier     harness.Tier         `json:"tier"`
	Effect   harness.Effect       `json:"effect"`
	Modes    []harness.Mode       `json:"modes"`
	Clauses  []string             `json:"clauses"`
	Source   string               `json:"source"`
	Rule     harness.Rule         `json:"rule"`
	Stimulus string               `json:"stimulus"`
	Outcome  string               `json:"outcome"`
	Needs    []harness.Capability `json:"needs"`
}

// Describe is an expectation as data, its outcome in the runbook's own words:
// under the profile that declares nothing.
func Describe(x harness.Expectation) Entry {
	needs := x.Needs()
	if needs == nil {
		needs = []harness.Capability{}
	}
	modes := x.Stimulus.Build().Modes
	if modes == nil {
		modes = []harness.Mode{}
	}
	return Entry{
		ID: x.ID, Title: x.Title, Area: x.Area(), Chapter: x.Chapter(), Level: x.Level, Tier: x.Tiered(), Effect: x.Stimulus.Build().Effect,
		Modes: modes, Clauses: x.Clauses, Source: x.Source, Rule: x.Rule,
		Stimulus: x.Stimulus.Build().Words, Outcome: x.Outcome.Want(harness.Profile{}), Needs: needs,
	}
}

// Known is the catalogue as records are held against it.
func Known() signoff.Known {
	k := signoff.Known{Digest: CatalogueDigest()}
	for _, x := range All() {
		k.Expectations = append(k.Expectations, signoff.KnownRow{ID: x.ID, Level: x.Level, Tier: x.Tiered()})
	}
	return k
}

// CatalogueDigest is the SHA-256 over every expectation as data: sha256:….
func CatalogueDigest() string {
	h := sha256.New()
	for _, x := range All() {
		entry := Describe(x)
		entry.Rule.Line = 0 // moving a line changes no requirement
		data, err := json.Marshal(entry)
		if err != nil {
			panic(fmt.Sprintf("encoding expectation %s: %v", x.ID, err)) // text and numbers only
		}
		h.Write(data)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Markdown is the catalogue, one line per expectation: CATALOGUE.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Catalogue\n\nEvery expectation; `conformance explain ID` tells the rest. Elsewhere is where CWE, ASVS 5.0.0, RFC 9700 and NIST SP 800-53 revision 5 ask for the same. Written by `go test ./suites -run Catalogue -update`.\n\n")
	b.WriteString("| ID | level | tier | effect | rule | runbook | needs | elsewhere |\n|---|---|---|---|---|---|---|---|\n")
	for _, x := range All() {
		e := Describe(x)
		var needs []string
		for _, c := range e.Needs {
			needs = append(needs, string(c))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", e.ID, e.Level, e.Tier, e.Effect, e.Rule.Text, strings.Join(e.Clauses, ", "), strings.Join(needs, ", "), signoff.TopicOf(x.ID).Elsewhere)
	}
	return b.String()
}
