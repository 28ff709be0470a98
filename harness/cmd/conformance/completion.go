package main

import (
	"strings"

	"github.com/spf13/cobra"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/suites"
)

// completion gives a shell what can stand in a place.
type completion = cobra.CompletionFunc

// complete says what a command's flags can be completed with.
func complete(c *cobra.Command, flags map[string]completion) {
	for name, values := range flags {
		if err := c.RegisterFlagCompletionFunc(name, values); err != nil {
			panic(err) // a flag that the command does not have
		}
	}
}

// oneOf completes a list of fixed words.
func oneOf(words ...string) completion {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return listed(begun, words), cobra.ShellCompDirectiveNoFileComp
	}
}

// labelled completes what expectations can be chosen by.
func labelled(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var words []string
	seen := map[string]bool{}
	for _, x := range suites.All() {
		for _, label := range labels(x) {
			if !seen[label] {
				seen[label] = true
				words = append(words, label)
			}
		}
	}
	return listed(begun, words), cobra.ShellCompDirectiveNoFileComp
}

// planting completes what faults can be chosen by.
func planting(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var words []string
	for _, f := range faults.All() {
		words = append(words, f.ID)
	}
	return listed(begun, words), cobra.ShellCompDirectiveNoFileComp
}

// identified completes the ID of one expectation, with its title.
func identified(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var ids []cobra.Completion
	if len(args) == 0 {
		for _, x := range suites.All() {
			ids = append(ids, cobra.CompletionWithDesc(x.ID, x.Title))
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// listed completes the last word of a list with commas between.
func listed(begun string, words []string) []cobra.Completion {
	before := begun[:strings.LastIndex(begun, ",")+1]
	var completions []cobra.Completion
	for _, word := range words {
		if strings.HasPrefix(strings.ToLower(word), strings.ToLower(begun[len(before):])) {
			completions = append(completions, before+word)
		}
	}
	return completions
}
