package suites

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
	tokens "aegis.test/conformance/harness/token"
)

var update = flag.Bool("update", false, "write CATALOGUE.md anew")

func TestCatalogueIsWritten(t *testing.T) {
	want := Markdown()
	if *update {
		if err := os.WriteFile("CATALOGUE.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("CATALOGUE.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("CATALOGUE.md is not the catalogue: go test ./suites -run Catalogue -update")
	}
}

// TestEveryListIsInTheCatalogue reads the chapters' source: a list of expectations
// that All leaves out would never be judged.
func TestEveryListIsInTheCatalogue(t *testing.T) {
	counted := 0
	files, err := filepath.Glob("*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of chapters, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasPrefix(file, "faults/") { // they have IDs of their own
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, ok := literal.Key.(*ast.Ident)
			value, text := literal.Value.(*ast.BasicLit)
			if ok && text && key.Name == "ID" {
				id, _ := strconv.Unquote(value.Value)
				if _, found := Find(id); found {
					counted++
				} else {
					t.Errorf("%s has %s, which All does not", file, id)
				}
			}
			return true
		})
	}
	if counted < len(All())/2 {
		t.Errorf("%d IDs stand in the chapters, %d in the catalogue", counted, len(All()))
	}
}

func TestExpectationsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, x := range All() {
		if seen[x.ID] {
			t.Errorf("%s stands twice", x.ID)
		}
		seen[x.ID] = true
		for what, missing := range map[string]bool{
			"title": x.Title == "", "clause": len(x.Clauses) == 0, "source": x.Source == "",
			"level":    !slices.Contains([]harness.Level{harness.MUST, harness.SHOULD, harness.MAY}, x.Level),
			"rule":     !strings.HasSuffix(x.Rule.Text, ".") || x.Rule.Line == 0 || !strings.HasPrefix(x.Rule.File, "suites/"),
			"stimulus": x.Stimulus == nil || !whole(x.Stimulus.Build()), "outcome": x.Outcome == nil,
		} {
			if missing {
				t.Errorf("%s has no %s", x.ID, what)
			}
		}
	}
}

// whole reports a stimulus that says what it does, to what effect, and can be done.
func whole(s harness.Stimulus) bool {
	return s.Words != "" && s.Act != nil && slices.Contains(harness.Effects, s.Effect)
}

// TestOutcomesReadWhatTheirStimulusTells: what an outcome reads beside exchanges and its
// stimulus does not tell would never be seen.
func TestOutcomesReadWhatTheirStimulusTells(t *testing.T) {
	reading := 0
	for _, x := range All() {
		tells, reads := x.Stimulus.Build().Tells, outcome.Reads(x.Outcome)
		for _, key := range reads {
			if !slices.Contains(tells, key) {
				t.Errorf("%s reads %q, which its stimulus does not tell", x.ID, key)
			}
		}
		if len(reads) > 0 {
			reading++
		}
	}
	if reading < 20 {
		t.Errorf("%d rows read something beside exchanges, want twenty and more", reading)
	}
}

// TestRulesStandWhereTheySay opens every rule's file at its line: what a report
// and an editor jump to.
func TestRulesStandWhereTheySay(t *testing.T) {
	for _, x := range All() {
		data, err := os.ReadFile(strings.TrimPrefix(x.Rule.File, "suites/"))
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Split(string(data), "\n")[x.Rule.Line-1]
		if !strings.Contains(line, strconv.Quote(x.Rule.Text)) && !strings.Contains(line, "`"+x.Rule.Text+"`") {
			t.Errorf("%s: %s:%d does not hold its rule", x.ID, x.Rule.File, x.Rule.Line)
		}
	}
}

// TestEveryClauseIsHeldOrSilent reads the runbook: each point of it is a
// clause, and each clause has expectations or a reason, never both.
func TestEveryClauseIsHeldOrSilent(t *testing.T) {
	lines := map[int]string{}
	for i, line := range strings.Split(string(runbook), "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "- ") || len(trimmed) > 2 && trimmed[1] == '.' && trimmed[2] == ' ' {
			lines[i+1] = trimmed
		}
	}
	held := map[string]int{}
	for _, x := range All() {
		for _, id := range x.Clauses {
			held[id]++
		}
	}
	for _, c := range Runbook {
		if _, ok := lines[c.Line]; !ok {
			t.Errorf("clause %s: line %d of the runbook is no point", c.ID, c.Line)
		}
		delete(lines, c.Line)
		if (held[c.ID] > 0) == (c.Silence != "") {
			t.Errorf("clause %s (%s): %d expectations, silence %q: want one of the two", c.ID, c.Text(), held[c.ID], c.Silence)
		}
		delete(held, c.ID)
	}
	for line, text := range lines {
		t.Errorf("line %d of the runbook is no clause: %s", line, text)
	}
	for id := range held {
		t.Errorf("expectations name clause %q, which does not exist", id)
	}
}

// TestCoreIsWhatAnyStagingShows holds the core tier to what it is: the runbook's own
// words, and no more capability than one mode's two credentials.
func TestCoreIsWhatAnyStagingShows(t *testing.T) {
	core := 0
	for _, x := range All() {
		if x.Tiered() != harness.Core {
			continue
		}
		core++
		if x.Level != harness.MUST || x.Unless != nil {
			t.Errorf("%s is %s, conditional %v: core is what always must hold", x.ID, x.Level, x.Unless != nil)
		}
		if !x.Stimulus.Build().Effect.Within(harness.AuthFailures) {
			t.Errorf("%s has the effect %s: core only reads", x.ID, x.Stimulus.Build().Effect)
		}
		if !slices.ContainsFunc(x.Clauses, func(c string) bool { return strings.ContainsAny(c[:1], "23458") }) {
			t.Errorf("%s holds %v: core is of sections 2 to 5 and 8", x.ID, x.Clauses)
		}
		for _, mode := range x.Stimulus.Build().Modes {
			if lacks := x.Missing(showing(mode)); len(lacks) > 0 {
				t.Errorf("%s lacks %v at a target of mode %s that grants that mode's credentials", x.ID, lacks, mode)
			}
		}
	}
	if core < 55 || core > 70 {
		t.Errorf("%d expectations are core, want some sixty", core)
	}
}

// showing is a target of one mode, that grants what core expectations may need: the
// mode's two credentials, and one endpoint, as a sound call to the others may write.
func showing(mode harness.Mode) *harness.Target {
	t := &harness.Target{
		Faces: map[harness.Mode]harness.Face{mode: {}}, Limit: harness.AuthFailures, Endpoints: []harness.Endpoint{{Name: "inference"}},
	}
	pair := harness.CertPair{Chain: []byte("chain"), Key: "key"}
	if mode == harness.OIDC {
		t.Tokens = harness.TokenGrant{Valid: "valid", Expired: "expired"}
	} else {
		t.Certs = harness.CertGrant{Enrolled: pair, Unenrolled: pair}
	}
	return t
}

// TestWhatIsUndeclaredIsNotExercised: who declares no audience or issuer is told so, and
// nothing is green for it; who declares none is shown to.
func TestWhatIsUndeclaredIsNotExercised(t *testing.T) {
	for id, declared := range map[string]harness.Capability{
		"CLM-009": harness.DeclaredAudience, "CLM-010": harness.DeclaredAudience, "CLM-012": harness.DeclaredAudience, "CLM-013": harness.DeclaredAudience,
		"JOSE-025": harness.DeclaredAudience, "CLM-011": harness.DeclaredAudience,
		"CLM-014": harness.DeclaredIssuer, "CLM-015": harness.DeclaredIssuer, "CLM-016": harness.DeclaredIssuer, "CLM-017": harness.DeclaredIssuer,
	} {
		x, _ := Find(id)
		target := showing(harness.OIDC)
		target.Limit, target.Tokens.Signing = harness.Writes, []harness.SigningKey{{Algorithm: "RS256"}, {Algorithm: "ES256"}}
		if got := x.Missing(target); x.NotApplicable(target) != "" || !slices.Equal(got, []harness.Capability{declared}) {
			t.Errorf("%s, undeclared: lacks %v, not applicable %q; want %s to be lacked", id, got, x.NotApplicable(target), declared)
		}
		target.Profile = harness.Profile{NoAudience: true, NoIssuer: true}
		if x.NotApplicable(target) == "" {
			t.Errorf("%s applies where none is declared", id)
		}
		target.Profile = harness.Profile{Audience: "aegis", Issuer: "https://idp.test"}
		if got := x.Missing(target); len(got) > 0 || x.NotApplicable(target) != "" {
			t.Errorf("%s, declared: lacks %v, not applicable %q", id, got, x.NotApplicable(target))
		}
	}
}

func TestDescriptionsAreData(t *testing.T) {
	for _, x := range All() {
		e := Describe(x)
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{e.Stimulus, e.Outcome, string(e.Effect), e.Chapter} {
			if word == "" || word == "other" {
				t.Errorf("%s: a field is empty: %s", x.ID, data)
			}
		}
	}
}

// TestWhoHasARightIsNoHole serves what must be refused: leniency towards a genuine
// token or certificate is a detail of an RFC, and any other credential a hole.
func TestWhoHasARightIsNoHole(t *testing.T) {
	served := harness.Exchange{
		Request:     harness.Request{Mode: harness.OIDC, Variant: "a variant of no outcome of its own"},
		Observation: harness.Observation{Transport: harness.Answered, Status: 200},
	}
	own := map[string]string{"OIDC-007": tokens.OtherPayload().Name, "JOSE-001": tokens.Unsigned("none").Name} // judged by variant
	for want, ids := range map[harness.Bucket][]string{
		harness.Protocol: {"JOSE-015", "JOSE-016", "JOSE-018", "JOSE-026", "CLM-001", "CLM-002", "CLM-003", "CLM-007", "CLM-018",
			"OIDC-017", "OIDC-020", "BRR-002", "BRR-003", "BRR-005", "BRR-007", "BRR-008", "BRR-016", "CHN-017"},
		harness.Security: {"OIDC-004", "OIDC-005", "OIDC-007", "OIDC-011", "JOSE-001", "JOSE-024", "JOSE-025", "CLM-006", "CLM-009", "CLM-010", "CLM-014", "CLM-023",
			"BRR-004", "MTLS-001", "MTLS-003", "CHN-001", "CHN-018", "ENR-005", "ENR-011", "EPT-015", "HDR-018"},
	} {
		for _, id := range ids {
			x, _ := Find(id)
			served := served
			if variant, ok := own[id]; ok {
				served.Request.Variant = variant
			}
			j := x.Outcome.Judge(harness.Profile{}, harness.Trace{Exchanges: []harness.Exchange{served}})
			if !slices.ContainsFunc(j.Problems, func(p harness.Problem) bool { return p.Verdict == harness.Fail && p.Bucket == want }) {
				t.Errorf("%s, served: %+v, want a fail of bucket %s", id, j.Problems, want)
			}
		}
	}
}

// TestHolesAreMusts wants what can only fail by a stranger's being served at MUST.
func TestHolesAreMusts(t *testing.T) {
	for _, id := range []string{"CHN-018", "ENR-005", "ENR-010", "HDR-013", "HDR-018", "ING-010", "EPT-015", "JOSE-014", "JOSE-024", "JOSE-025", "CLM-023"} {
		if x, _ := Find(id); x.Level != harness.MUST {
			t.Errorf("%s is %s", id, x.Level)
		}
	}
}
