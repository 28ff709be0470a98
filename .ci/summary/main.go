// Summary reads what go test -json wrote and tells what took long, what was sampled,
// what was skipped and what passed only when it was run again. A skipped test that is
// not in the list below is a failure where CI is set: a green run must have looked at
// something.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// allowed are the tests that may be skipped, each with the reason.
var allowed = map[string]string{
	"TestAgentRendersAndRendersAnew":       "needs a vault on PATH; the container stack's expectations hold the agent",
	"TestServiceTokenIsLeastPrivilege":     "needs a vault on PATH; the container stack's expectations hold its policies",
	"TestKubernetesLogin":                  "needs the image of a cluster, which takes minutes to build: make test-all has it",
	"TestLoginFaultsAreCaughtInContainers": "needs the image of a cluster, which takes minutes to build: make test-all has it",
}

// notSampled is why a test is skipped that the commit's sample leaves out.
const notSampled = "not in the sample of this commit: make test-all judges it"

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// id is the test with its package: what a test that is run again has in common.
func (e event) id() string {
	return strings.TrimPrefix(e.Package, "aegis.test/conformance/") + " " + e.Test
}

// timed is a package or a test, and how long it took.
type timed struct {
	name    string
	seconds float64
}

// seen is what a run of the tests came to.
type seen struct {
	packages, tests []timed
	skipped         map[string]string // reason by test
	said            map[string]string // last output line by test
	held            map[string]bool   // by a test's id, whether it passed when it was run last
	unstable        []string          // ids of those that failed and then passed
	sampled         []string
}

// count is how many tests ended so, each run for the last time.
func (s *seen) count(held bool) (n int) {
	for h := range maps.Values(s.held) {
		if h == held {
			n++
		}
	}
	return n
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: summary FILE: what go test -json wrote")
		os.Exit(2)
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	s, err := read(file)
	if err != nil {
		fmt.Fprintf(os.Stderr, "reading %s: %v\n", os.Args[1], err)
		os.Exit(2)
	}
	if !s.tell(os.Getenv("CI") != "") {
		os.Exit(1)
	}
}

// read takes the events in. A line that is none is a build's own output.
func read(r io.Reader) (seen, error) {
	s := seen{skipped: map[string]string{}, said: map[string]string{}, held: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			s.take(e)
		}
	}
	return s, lines.Err()
}

// take takes one event in.
func (s *seen) take(e event) {
	whole := !strings.Contains(e.Test, "/") // and no part of a test
	switch e.Action {
	case "output":
		text := strings.TrimSpace(e.Output)
		if _, rest, ok := strings.Cut(text, ".go:"); ok {
			_, s.said[e.Test], _ = strings.Cut(rest, ": ")
			if strings.HasPrefix(s.said[e.Test], "planted ") {
				s.sampled = append(s.sampled, s.said[e.Test])
			}
		}
	case "pass", "fail", "skip":
		switch {
		case e.Test == "":
			s.packages = append(s.packages, timed{strings.TrimPrefix(e.Package, "aegis.test/conformance/"), e.Elapsed})
			return
		case e.Action == "skip":
			s.skipped[e.Test] = s.said[e.Test]
		default:
			passed := e.Action == "pass"
			if before, again := s.held[e.id()]; again && !before && passed {
				s.unstable = append(s.unstable, e.id())
			}
			s.held[e.id()] = passed
		}
		if whole {
			s.tests = append(s.tests, timed{e.Test, e.Elapsed})
		}
	}
}

// tell prints it, and reports whether nothing was skipped that must not be.
func (s *seen) tell(ci bool) bool {
	table("package", s.packages)
	table("test", s.tests)
	for _, line := range s.sampled {
		fmt.Println(line)
	}
	fine := true
	var left []string
	for test, reason := range s.skipped {
		if reason == notSampled {
			left = append(left, test)
			continue
		}
		why, ok := allowed[test]
		fine = fine && (ok || !ci)
		fmt.Printf("skipped  %s: %s (%s)\n", test, reason, cmp.Or(why, "not in the list of .ci/summary: CI fails on it"))
	}
	if len(left) > 0 {
		slices.Sort(left)
		fmt.Printf("skipped  %s (%s)\n", strings.Join(left, ", "), notSampled)
	}
	for _, id := range s.unstable {
		fmt.Printf("UNSTABLE  %s: it failed, was run again, and passed: what it said above is to be mended\n", id)
	}
	fmt.Printf("%d passed, %d of them unstable, %d failed, %d skipped\n", s.count(true), len(s.unstable), s.count(false), len(s.skipped))
	return fine && s.count(false) == 0
}

// table prints the ten that took longest.
func table(of string, all []timed) {
	slices.SortFunc(all, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Printf("\n  seconds  %s\n", of)
	for _, t := range all[:min(10, len(all))] {
		fmt.Printf("%9.1f  %s\n", t.seconds, t.name)
	}
}
