package main

import (
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// labels are what an expectation can be chosen by: the labels its Ginkgo spec
// carries.
func labels(x harness.Expectation) []string {
	return []string{x.ID, x.Area(), x.Chapter(), string(x.Level), string(x.Stimulus.Build().Effect)}
}

// choose picks the expectations that carry any of the labels; none means all. A
// label that nothing carries is an error.
func choose(all []harness.Expectation, only []string) ([]harness.Expectation, error) {
	if len(only) == 0 {
		return all, nil
	}
	for _, label := range only {
		if !slices.ContainsFunc(all, func(x harness.Expectation) bool { return carries(x, label) }) {
			return nil, fmt.Errorf("nothing is labelled %q%s: conformance list shows the IDs, areas, chapters, levels and effects", label, nearest(all, label))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(x harness.Expectation) bool {
		return !slices.ContainsFunc(only, func(label string) bool { return carries(x, label) })
	}), nil
}

func carries(x harness.Expectation, label string) bool {
	return slices.ContainsFunc(labels(x), func(l string) bool { return strings.EqualFold(l, strings.TrimSpace(label)) })
}

// nearest suggests the label that differs least.
func nearest(all []harness.Expectation, label string) string {
	var known []string
	for _, x := range all {
		known = append(known, labels(x)...)
	}
	if best := harness.Nearest(label, known); best != "" {
		return fmt.Sprintf(" (the nearest is %s)", best)
	}
	return ""
}
