package suites

import (
	"cmp"
	_ "embed" // the fault matrix's score
	"encoding/json"
	"os"
	"os/user"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// Program is the command, as a rerun line writes it.
const Program = "go run ./harness/cmd/conformance"

// Input is what a sign-off holds whatever came of the run: the catalogue, the
// runbook and who runs it.
func Input(kind harness.Kind, id string, started time.Time) signoff.Input {
	in := signoff.Input{
		Kind: kind, Run: id, Started: started, Who: who(),
		Harness:         signoff.Harness{Version: harness.Version, Go: runtime.Version(), Commit: cmp.Or(commit, built("vcs.revision")), Date: cmp.Or(date, built("vcs.time"))},
		CatalogueDigest: CatalogueDigest(), RunbookDigest: RunbookDigest(),
		Catalogue: All(),
		Faults:    faultScore(),
		Rerun:     Again(),
	}
	for _, c := range Runbook {
		in.Clauses = append(in.Clauses, signoff.Clause{ID: c.ID, Section: c.Section(), Line: c.Line, Text: c.Text(), Silence: c.Silence})
	}
	return in
}

// Again gives the command that judges one expectation alone, of the target that the flags
// name.
func Again(flags ...string) func(id string) string {
	return func(id string) string {
		return strings.Join(append(append([]string{Program, "run"}, flags...), "--only", id), " ")
	}
}

// scoreJSON is how the last whole fault matrix ended, and of which catalogue:
// make generate writes it.
//
//go:embed faultscore.json
var scoreJSON []byte

// FaultScore is a matrix's score as a file.
type FaultScore struct {
	Catalogue   string `json:"catalogue"` // its digest
	Planted     int    `json:"planted"`
	Caught      int    `json:"caught"`
	Exact       int    `json:"exact"`
	FalseAlarms int    `json:"false_alarms"`
}

// faultScore is the score of this very catalogue; nil when no matrix was run of
// it.
func faultScore() *signoff.Faults {
	var s FaultScore
	if err := json.Unmarshal(scoreJSON, &s); err != nil || s.Catalogue != CatalogueDigest() {
		return nil
	}
	return &signoff.Faults{Planted: s.Planted, Caught: s.Caught, Exact: s.Exact, FalseAlarms: s.FalseAlarms}
}

// who is the user and the host, as far as they are known.
func who() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// commit and date are what a release was built from (go build -ldflags "-X …=…"); without
// them the repository that it was built in says it.
var commit, date string

// built is what the program's build says of itself: vcs.revision, the commit that it was made
// from, and vcs.time, when that was made; empty where it was built outside of a repository.
func built(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == key {
			return setting.Value
		}
	}
	return ""
}

// Register makes a target's secrets known to the redactor.
func Register(r *signoff.Redactor, t *harness.Target) {
	for kind, secret := range map[string]harness.Secret{
		"valid token": t.Tokens.Valid, "expired token": t.Tokens.Expired, "token of another realm": t.Tokens.OtherRealm,
		"enrolled client's key": t.Certs.Enrolled.Key, "unenrolled client's key": t.Certs.Unenrolled.Key,
		"client authority's key": t.Certs.Authority.Key, "ingress's secret": t.ProxySecret,
		"foreign client's key": t.Certs.Foreign.Key, "sibling client's key": t.Certs.Sibling.Key, "public client's key": t.Certs.Public.Key,
		"revoked client's key": t.Certs.Revoked.Key,
	} {
		r.Register(kind, secret.Reveal())
	}
	for kind, secret := range t.Held {
		r.Register(kind, secret.Reveal())
	}
	for _, key := range t.Tokens.Signing {
		r.Register("signing key", key.PEM.Reveal())
	}
}
