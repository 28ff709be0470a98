// Package lint reads what a team commits, before anything runs, and holds it to the
// runbook: manifests, policies, proxies' configurations, alert rules, certificates. It
// asks nobody, and a file that cannot be read is told as such, never passed over.
package lint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/place"
)

// Kind is a kind of file.
type Kind string

// Kinds of files. Agreement is what several of them must say alike.
const (
	Kubernetes   Kind = "Kubernetes"
	Vault        Kind = "Vault"
	Ingress      Kind = "ingress"
	Alerts       Kind = "alert rules"
	Certificates Kind = "certificates"
	Agreement    Kind = "agreement"
)

// Rule is one requirement of what is committed.
type Rule struct {
	ID      string   // LNT-001
	Clauses []string // of the runbook
	Source  string   // what else asks for it, or the case it is from
	Level   harness.Level
	Kind    Kind
	Says    string // one sentence
	Remedy  string // what to do, in a sentence
	Check   func(*Tree) []Hit
}

// Hit is one place where a rule is not held, or where the files do not tell.
type Hit struct {
	At   place.Place
	Got  string // never a secret's value
	Want string
	// Unseen says why the files do not tell whether the rule is held; empty where it
	// is not held.
	Unseen string
}

// Finding is a hit with its rule.
type Finding struct {
	place.Place
	Rule    string        `json:"rule"`
	Level   harness.Level `json:"level"`
	Clauses []string      `json:"clauses"`
	Got     string        `json:"got"`
	Want    string        `json:"want"`
	Says    string        `json:"says"`
	Remedy  string        `json:"remedy"`
}

// Note is something that is told of a place, and is no finding.
type Note struct {
	place.Place
	Rule string `json:"rule,omitempty"` // the rule that it leaves undecided
	What string `json:"what"`
}

// Result is what a run has read and found.
type Result struct {
	Findings []Finding `json:"findings"`
	// Unreadable is what should have been read: it is broken, a template, too large.
	Unreadable []Note `json:"unreadable"`
	// Undecided is what hangs on something that is not among the files.
	Undecided []Note `json:"undecided"`
	// Unknown is what no rule is about: a file in a folder, a kind of another's.
	Unknown []Note `json:"unknown"`
	// Read counts what was read, by kind.
	Read map[Kind]int `json:"read"`
	// Held are the rules that had something to be held against.
	Held []string `json:"held"`
}

// Count is how many findings have a level.
func (r *Result) Count(level harness.Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// Exit statuses of a result.
const (
	exitFound      = 1
	exitUnreadable = 2
	exitIncomplete = 3
)

// Exit is a result's exit status: 1 where a MUST is not held, 2 where a file could not
// be read, 3 where nothing was read that a rule is about, or something that is not
// among the files decides; 0 otherwise.
func (r *Result) Exit() int {
	switch {
	case r.Count(harness.MUST) > 0:
		return exitFound
	case len(r.Unreadable) > 0:
		return exitUnreadable
	case len(r.Held) == 0 || len(r.Undecided) > 0:
		return exitIncomplete
	default:
		return 0
	}
}

// Rules are all rules, in the order of their IDs.
func Rules() []Rule {
	all := slices.Concat(service, secrets, cluster, vault, proxies, agreement, certificates, alerts)
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Options are a run's choices.
type Options struct {
	// Modes are the modes that the release runs in; empty takes those that the
	// manifests declare.
	Modes []harness.Mode
	// IDHeader is the identity header; empty takes what the manifests declare.
	IDHeader string
	// Only are the rules to hold; empty holds all.
	Only []string
	// Now is when certificates must be valid; zero is the present.
	Now time.Time
	// Stdin is what the path - stands for.
	Stdin io.Reader
}

// Run reads paths, files or folders, and holds them to the rules.
func Run(paths []string, o Options) *Result {
	t := &Tree{options: o, result: &Result{
		Findings: []Finding{}, Unreadable: []Note{}, Undecided: []Note{}, Unknown: []Note{}, Read: map[Kind]int{}, Held: []string{},
	}}
	t.walk(paths)
	t.settle()
	for _, rule := range Rules() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, rule.ID) {
			continue
		}
		t.hold(rule)
	}
	r := t.result
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule))
	})
	r.Undecided = slices.Compact(r.Undecided)
	return r
}

// mostHits is how many places are told of one rule.
const mostHits = 1000

// hold holds what was read to a rule.
func (t *Tree) hold(rule Rule) {
	if !t.about(rule.Kind) {
		return
	}
	t.result.Held = append(t.result.Held, rule.ID)
	seen := map[Hit]bool{}
	for _, hit := range rule.Check(t) {
		if seen[hit] {
			continue
		}
		if seen[hit] = true; len(seen) > mostHits {
			more := fmt.Sprintf("more than %d places: the others are not told", mostHits)
			t.result.Undecided = append(t.result.Undecided, Note{hit.At, rule.ID, more})
			return
		}
		if hit.Unseen != "" {
			t.result.Undecided = append(t.result.Undecided, Note{hit.At, rule.ID, hit.Unseen})
			continue
		}
		t.result.Findings = append(t.result.Findings, Finding{hit.At, rule.ID, rule.Level, rule.Clauses, hit.Got, hit.Want,
			rule.Says, rule.Remedy})
	}
}

// about says whether anything was read that a kind of rules is about.
func (t *Tree) about(k Kind) bool {
	if k != Agreement {
		return t.result.Read[k] > 0
	}
	several := 0
	for _, one := range []Kind{Kubernetes, Vault, Ingress} {
		if t.result.Read[one] > 0 {
			several++
		}
	}
	return several > 1 || t.result.Read[Kubernetes] > 1
}

// Saved is a result as JSON holds it.
type Saved struct {
	*Result
	Summary string    `json:"summary"`
	Exit    int       `json:"exit"`
	Harness string    `json:"harness"` // version of the program
	At      time.Time `json:"at"`      // when the files were read, UTC
}

// JSON tells a result as JSON, with its exit status.
func JSON(r *Result, at time.Time) ([]byte, error) {
	return json.MarshalIndent(Saved{r, r.Summary(), r.Exit(), harness.Version, at.UTC().Truncate(time.Second)}, "", "  ")
}

// Load reads what JSON wrote.
func Load(data []byte) (*Saved, error) {
	s := &Saved{Result: &Result{}}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("it is not what conformance lint --format json writes: %w", err)
	}
	if s.Harness == "" || s.At.IsZero() || s.Summary == "" {
		return nil, errors.New("it is not what conformance lint --format json writes: it does not say when, and by which version")
	}
	return s, nil
}
