package suites

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// ruling is the number of a ruling where it stands in rulings.md, at a line's begin.
	ruling = regexp.MustCompile(`(?m)^- \*\*([A-Z0-9][-.A-Z0-9]*)\*\* `)
	// citation is where text cites rulings: one number or more behind the word.
	citation = regexp.MustCompile(`\b[Rr]ulings?,? ((?:section )?[A-Z0-9][-.A-Z0-9]*[A-Z0-9]|[0-9])((?:,| and|;) (?:A-[0-9]+|LAB-[0-9]+|[0-9]\.[0-9A-Z]))*`)
	number   = regexp.MustCompile(`\b(A-[0-9]{2}|LAB-[0-9]|[0-9]\.[0-9A-Z])\b`)
	alone    = regexp.MustCompile(`\b(A-[0-9]{2}|LAB-[0-9])\b`)
	vague    = regexp.MustCompile(`\b[Rr]ulings?(,| section)`)
	folded   = regexp.MustCompile(`\n\s*(//|#)\s?`)
)

// cited are the numbers that a text cites.
func cited(text string) []string {
	text = folded.ReplaceAllString(text, " ")
	all := alone.FindAllString(text, -1)
	for _, m := range citation.FindAllStringSubmatch(text, -1) {
		if some := number.FindAllString(m[0], -1); len(some) > 0 {
			all = append(all, some...)
		} else {
			all = append(all, m[1])
		}
	}
	return all
}

func TestCitations(t *testing.T) {
	for text, want := range map[string][]string{
		"RFC 9525; rulings A-26, LAB-3":         {"A-26", "LAB-3", "A-26", "LAB-3"},
		"(rulings 2.H and A-39)":                {"A-39", "2.H", "A-39"},
		"as told\n// (rulings\n// 0.3), and so": {"0.3"},
		"before (rulings 5, A9)":                {"5"},
		"(A-04)":                                {"A-04"},
		"HDR-014, M-099 and ruling nobody":      nil,
	} {
		if got := cited(text); !slices.Equal(got, want) {
			t.Errorf("%q cites %q, want %q", text, got, want)
		}
	}
}

// TestRulingsAreHeld: each ruling that the tree cites stands in rulings.md with its source,
// and each that stands there is cited, or says that it is not applied.
func TestRulingsAreHeld(t *testing.T) {
	law, err := os.ReadFile("rulings.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	starts := ruling.FindAllSubmatchIndex(law, -1)
	for i, at := range starts {
		end := len(law)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		id, text := string(law[at[2]:at[3]]), string(law[at[1]:end])
		if texts[id] != "" {
			t.Errorf("ruling %s stands there twice", id)
		}
		if texts[id] = text; !strings.Contains(strings.Join(strings.Fields(text), " "), "*Source: ") {
			t.Errorf("ruling %s names no source", id)
		}
	}
	if len(texts) < 50 {
		t.Fatalf("%d rulings, want those of all sections", len(texts))
	}
	used := map[string]bool{}
	for file, text := range tree(t) {
		for _, id := range cited(text) {
			if used[id] = true; texts[id] == "" {
				t.Errorf("%s cites ruling %s, which does not stand in suites/rulings.md", file, id)
			}
		}
		if m := vague.FindString(folded.ReplaceAllString(text, " ")); m != "" {
			t.Errorf("%s cites %q without a number", file, m)
		}
	}
	for id, text := range texts {
		if applied := !strings.Contains(text, "*Not applied:*"); used[id] != applied {
			t.Errorf("ruling %s is cited: %v, and says that it is applied: %v", id, used[id], applied)
		}
	}
}

// tree reads what is written by hand, and may cite.
func tree(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "build" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.IsDir() || d.Name() == "rulings_test.go" || d.Name() == "rulings.md" || d.Name() == "CATALOGUE.md":
			return nil
		case !slices.Contains([]string{".go", ".md", ".py", ".tmpl", ".yml", ".yaml"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && !bytes.Contains(text, []byte("Code generated")) {
			texts[path] = string(text)
		}
		return err
	})
	if err != nil || len(texts) < 300 {
		t.Fatalf("%d files, %v", len(texts), err)
	}
	return texts
}
