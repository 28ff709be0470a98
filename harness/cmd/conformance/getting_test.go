package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"aegis.test/conformance/harness"
)

// TestChangelogBeginsWithTheVersion that the program says it is.
func TestChangelogBeginsWithTheVersion(t *testing.T) {
	data, err := os.ReadFile(top + "/.github/CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`(?m)^## ([0-9.]+)`).FindStringSubmatch(string(data))
	if first == nil || first[1] != harness.Version {
		t.Errorf("it begins with %q, the program is %s", first, harness.Version)
	}
}

// TestReleaseBuildsWhatThereIs: the binaries are of the four platforms, of the program that is
// here, and are told their commit by names that the linker knows; the image is made of a file
// that is here.
func TestReleaseBuildsWhatThereIs(t *testing.T) {
	data, err := os.ReadFile(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		Version int `yaml:"version"`
		Builds  []struct {
			Main    string   `yaml:"main"`
			Flags   []string `yaml:"flags"`
			LDFlags []string `yaml:"ldflags"`
			GOOS    []string `yaml:"goos"`
			GOARCH  []string `yaml:"goarch"`
		} `yaml:"builds"`
		Archives []struct{ Files []string } `yaml:"archives"`
		Checksum map[string]string          `yaml:"checksum"`
		SBOMs    []map[string]string        `yaml:"sboms"`
		Images   []struct {
			Dockerfile string `yaml:"dockerfile"`
		} `yaml:"dockers_v2"`
	}
	if err := yaml.Unmarshal(data, &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Builds) != 1 || len(release.SBOMs) == 0 || release.Checksum["name_template"] == "" || len(release.Images) != 1 {
		t.Fatalf("%+v: want binaries, checksums, a bill of materials and an image", release)
	}
	build := release.Builds[0]
	if !slices.Equal(build.GOOS, []string{"linux", "darwin"}) || !slices.Equal(build.GOARCH, []string{"amd64", "arm64"}) || !slices.Contains(build.Flags, "-trimpath") {
		t.Errorf("it builds %v for %v with %v", build.GOOS, build.GOARCH, build.Flags)
	}
	source, err := os.ReadFile(top + "/suites/record.go")
	if err != nil {
		t.Fatal(err)
	}
	set := 0
	for _, flag := range build.LDFlags {
		if name, ok := strings.CutPrefix(flag, "-X "+"aegis.test/conformance/suites."); ok {
			name, _, _ = strings.Cut(name, "=")
			if !regexp.MustCompile(`(?m)^var (commit, date|date, commit) string`).Match(source) || name != "commit" && name != "date" {
				t.Errorf("%s sets no variable of suites/record.go", flag)
			}
			set++
		}
	}
	if set != 2 || !slices.Contains(build.LDFlags, "-s -w") {
		t.Errorf("the linker is told %v", build.LDFlags)
	}
	for _, file := range append(release.Archives[0].Files, release.Images[0].Dockerfile, build.Main) {
		if _, err := os.Stat(top + "/" + strings.TrimSuffix(file, "/*.yaml")); err != nil {
			t.Error(err)
		}
	}
}
