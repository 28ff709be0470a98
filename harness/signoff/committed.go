package signoff

import (
	"time"

	"aegis.test/conformance/harness"
)

// Committed is what lint found in the files that a release was made of. It is a part of
// its own: no row is judged by it, and what it does not find has passed nowhere.
type Committed struct {
	Harness  string             `json:"harness"` // version of the program that read them
	Digest   string             `json:"digest"`  // of what lint wrote: sha256:…
	At       time.Time          `json:"at"`      // when they were read, UTC
	Summary  string             `json:"summary"` // what was read, held and found, in a line
	Findings []CommittedFinding `json:"findings"`
	Unread   []string           `json:"unread"` // place and reason of what could not be read or decided
}

// CommittedFinding is one finding of lint's.
type CommittedFinding struct {
	At      string        `json:"at"` // file:line:column, as the files were named
	Rule    string        `json:"rule"`
	Level   harness.Level `json:"level"`
	Clauses []string      `json:"clauses"` // of the runbook
	Got     string        `json:"got"`
	Want    string        `json:"want"`
	Remedy  string        `json:"remedy"`
}
