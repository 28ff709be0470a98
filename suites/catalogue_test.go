package suites

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
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
			"stimulus": x.Stimulus == nil, "outcome": x.Outcome == nil,
		} {
			if missing {
				t.Errorf("%s has no %s", x.ID, what)
			}
		}
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
