package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// pages are what a reader is sent to.
var pages = []string{"README.md", "suites/runs.md", "suites/signoff.md", "suites/ingresses.md", ".github/ARCHITECTURE.md", ".github/CHANGELOG.md", ".github/CONTRIBUTING.md"}

// TestReadmeIsTwoScreens: who is tired reads no more.
func TestReadmeIsTwoScreens(t *testing.T) {
	const most = 110 // lines: two screens of a portrait page
	if lines := strings.Count(pageText(t, "README.md"), "\n"); lines > most {
		t.Errorf("%d lines, want %d at most", lines, most)
	}
}

// TestPagesLeadSomewhere: each link is of a file that is here, and each command and flag that a
// page shows is one of this program's.
func TestPagesLeadSomewhere(t *testing.T) {
	link, call, flag := regexp.MustCompile(`\]\(([^)#:]+)(?:#[a-z-]+)?\)`), regexp.MustCompile("(?m)(?:^|`| )conformance ([a-z]+)((?: [^`\n#]*)?)"), regexp.MustCompile(`--([a-z][a-z-]+)`)
	known := commandNames(root())
	for _, name := range pages {
		page, calls := pageText(t, name), 0
		for _, found := range link.FindAllStringSubmatch(page, -1) {
			if _, err := os.Stat(filepath.Join(top, filepath.Dir(name), found[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, found := range call.FindAllStringSubmatch(page, -1) {
			at, _, err := root().Find([]string{found[1]})
			if err != nil || at.Name() != found[1] {
				continue // a word of a sentence
			}
			calls++
			for _, given := range flag.FindAllStringSubmatch(found[2], -1) {
				if at.Flags().Lookup(given[1]) == nil {
					t.Errorf("%s: conformance %s has no --%s", name, found[1], given[1])
				}
			}
		}
		if name == "README.md" && calls < 10 {
			t.Errorf("%s shows %d commands of %v", name, calls, known)
		}
	}
}

func pageText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestIssueTemplatesAskWhatIsNeeded: they are forms that GitHub reads, and each asks which
// harness it was.
func TestIssueTemplatesAskWhatIsNeeded(t *testing.T) {
	files, err := filepath.Glob(top + "/.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v: want one of a false accusation and one of a missed fault", files, err)
	}
	for _, name := range files {
		var form struct {
			Name, Description string
			Body              []struct {
				Type, ID   string
				Attributes struct{ Label string }
			}
		}
		data, err := os.ReadFile(name)
		if err == nil {
			err = yaml.UnmarshalWithOptions(data, &form)
		}
		if err != nil || form.Name == "" || form.Description == "" {
			t.Errorf("%s: %v, %+v", name, err, form)
		}
		ids := map[string]bool{}
		for _, field := range form.Body {
			if field.Type != "input" && field.Type != "textarea" || field.Attributes.Label == "" || ids[field.ID] {
				t.Errorf("%s: %+v", name, field)
			}
			ids[field.ID] = true
		}
		if !ids["version"] || !ids["rows"] {
			t.Errorf("%s does not ask for the version and the rows: %v", name, ids)
		}
	}
}
