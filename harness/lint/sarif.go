package lint

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/place"
)

// log and what is below it are the part of SARIF 2.1.0 that is written.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string    `json:"id"`
	Short   sarifText `json:"shortDescription"`
	Help    sarifText `json:"help"`
	Default struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Properties struct {
		Tags []string `json:"tags"`
	} `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

// sarifInvocation tells what could not be read: that is about the run, and no result.
type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	ExitCode      int                 `json:"exitCode"`
	Notifications []sarifNotification `json:"toolExecutionNotifications"`
}

type sarifNotification struct {
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Kind         string            `json:"kind"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifRegion struct {
	Line   int `json:"startLine"`
	Column int `json:"startColumn,omitempty"`
}

// SARIF tells a result as a SARIF 2.1.0 log, each finding in the user's own file.
func SARIF(r *Result, clause func(id string) string) ([]byte, error) {
	rules := Rules()
	run := sarifRun{Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"}
	run.Tool.Driver = sarifDriver{Name: "aegis-conformance lint", Version: harness.Version, Rules: make([]sarifRule, len(rules))}
	for i, rule := range rules {
		run.Tool.Driver.Rules[i] = sarifRuleOf(rule, clause)
	}
	invocation := sarifInvocation{Successful: len(r.Unreadable) == 0, ExitCode: r.Exit(), Notifications: []sarifNotification{}}
	for _, n := range r.Unreadable {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{"error", sarifText{"not read: " + n.What},
			located(n.Place)})
	}
	for _, n := range slices.Concat(r.Undecided, r.Unknown) {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{"note",
			sarifText{strings.TrimSpace(n.Rule + " " + n.What)}, located(n.Place)})
	}
	run.Invocations = []sarifInvocation{invocation}
	for _, f := range r.Findings {
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, RuleIndex: slices.IndexFunc(rules, func(rule Rule) bool { return rule.ID == f.Rule }), Kind: "fail",
			Level:        severity(f.Level),
			Message:      sarifText{fmt.Sprintf("%s Got %s; want %s. %s.", f.Says, f.Got, f.Want, strings.ToUpper(f.Remedy[:1])+f.Remedy[1:])},
			Locations:    located(f.Place),
			Fingerprints: map[string]string{"lint/v1": fingerprint(f)},
		})
	}
	return json.MarshalIndent(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	}, "", "  ")
}

func sarifRuleOf(rule Rule, clause func(id string) string) sarifRule {
	help := rule.Says + "\nRemedy: " + rule.Remedy
	tags := []string{"security"}
	for _, id := range rule.Clauses {
		help += "\nRunbook: " + clause(id)
		tags = append(tags, "runbook/"+id)
	}
	one := sarifRule{ID: rule.ID, Short: sarifText{rule.Says}, Help: sarifText{help + "\nSource: " + rule.Source}}
	one.Default.Level = severity(rule.Level)
	one.Properties.Tags = tags
	return one
}

// severity is what a rule's level is called.
func severity(l harness.Level) string {
	if l == harness.MUST {
		return "error"
	}
	return "warning"
}

// fingerprint tells a finding from others across changes that move its line.
func fingerprint(f Finding) string {
	sum := sha256.Sum256([]byte(f.Rule + "\x00" + filepath.ToSlash(f.File) + "\x00" + f.Got))
	return hex.EncodeToString(sum[:16])
}

// located is a place as a URI of the user's own file: relative as it was named.
func located(p place.Place) []sarifLocation {
	var l sarifLocation
	path := filepath.ToSlash(p.File)
	u := url.URL{Path: path}
	if filepath.IsAbs(p.File) {
		u.Scheme = "file"
	}
	l.Physical.Artifact.URI = cmp.Or(u.String(), ".")
	if p.Line > 0 {
		l.Physical.Region = &sarifRegion{p.Line, p.Column}
	}
	return []sarifLocation{l}
}
