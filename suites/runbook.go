package suites

import (
	"crypto/sha256"
	_ "embed" // the runbook
	"encoding/hex"
	"strings"
)

// runbook is the contract, as it was given (rulings 0.1).
//
//go:embed runbook.md
var runbook []byte

// Clause is one point of the runbook: expectations name it by its ID, or
// Silence says why none does.
type Clause struct {
	ID      string // section and place in it: 4.7 is the seventh point of section 4, G the goal
	Line    int    // in runbook.md
	Silence string // empty where expectations hold it
}

// Section is the clause's section: 4.
func (c Clause) Section() string {
	section, _, _ := strings.Cut(c.ID, ".")
	return section
}

// Text is the clause's words.
func (c Clause) Text() string {
	line := strings.Split(string(runbook), "\n")[c.Line-1]
	_, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	return text
}

// RunbookDigest is the SHA-256 of the runbook: sha256:….
func RunbookDigest() string {
	sum := sha256.Sum256(runbook)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Runbook is every clause, in the runbook's order.
var Runbook = []Clause{
	{ID: "G.1", Line: 4},
	{ID: "G.2", Line: 5},
	{ID: "G.3", Line: 6},
	{ID: "1.1", Line: 9, Silence: "a heading; its points follow"},
	{ID: "1.2", Line: 10},
	{ID: "1.3", Line: 11},
	{ID: "1.4", Line: 12},
	{ID: "1.5", Line: 13},
	{ID: "1.6", Line: 14},
	{ID: "1.7", Line: 15},
	{ID: "1.8", Line: 17, Silence: "a heading; its point follows"},
	{ID: "1.9", Line: 18, Silence: "AWS cannot be had here: the reference service and the harness read Secrets Manager by AWS's own SDK, tested against a stand-in"},
	{ID: "2.1", Line: 21},
	{ID: "2.2", Line: 22},
	{ID: "2.3", Line: 23},
	{ID: "2.4", Line: 25},
	{ID: "2.5", Line: 26},
	{ID: "2.6", Line: 27},
	{ID: "2.7", Line: 28},
	{ID: "3.1", Line: 31},
	{ID: "3.2", Line: 32},
	{ID: "3.3", Line: 33},
	{ID: "3.4", Line: 34},
	{ID: "3.5", Line: 35},
	{ID: "4.1", Line: 38, Silence: "a heading; its points follow"},
	{ID: "4.2", Line: 39},
	{ID: "4.3", Line: 40},
	{ID: "4.4", Line: 41},
	{ID: "4.5", Line: 43, Silence: "a heading; its points follow"},
	{ID: "4.6", Line: 44},
	{ID: "4.7", Line: 45},
	{ID: "4.8", Line: 46},
	{ID: "5.1", Line: 49},
	{ID: "5.2", Line: 50},
	{ID: "5.3", Line: 51},
	{ID: "6.1", Line: 54, Silence: "a preference between two ways, each held below"},
	{ID: "6.2", Line: 55},
	{ID: "6.3", Line: 56, Silence: "how an IdP mints per-client credentials is the IdP's; tokens are held in section 4"},
	{ID: "6.4", Line: 57, Silence: "a heading; its points follow"},
	{ID: "6.5", Line: 58},
	{ID: "6.6", Line: 59},
	{ID: "7.1", Line: 62},
	{ID: "7.2", Line: 63},
	{ID: "7.3", Line: 64},
	{ID: "7.4", Line: 65, Silence: "a step of an operator; what it looks for is held in section 3"},
	{ID: "7.5", Line: 66},
	{ID: "8.1", Line: 69},
	{ID: "8.2", Line: 70},
	{ID: "8.3", Line: 71},
	{ID: "8.4", Line: 72},
	{ID: "8.5", Line: 73},
}
