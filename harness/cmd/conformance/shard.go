package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// parseShard reads --shard: "2/4" is the third of four.
func parseShard(text string) (signoff.Shard, error) {
	number, of, found := strings.Cut(text, "/")
	i, err := strconv.Atoi(number)
	n, errOf := strconv.Atoi(of)
	if !found || err != nil || errOf != nil || n < 1 || i < 0 || i >= n {
		return signoff.Shard{}, fmt.Errorf("--shard %q: want i/n, as 0/4 to 3/4 for four parts", text)
	}
	return signoff.Shard{Index: i, Of: n}, nil
}

// part takes a run's part of the selected expectations, if it judges one.
func (s *session) part(selected []harness.Expectation) ([]harness.Expectation, error) {
	if s.shard == "" {
		return selected, nil
	}
	if len(s.only) > 0 {
		return nil, fmt.Errorf("--shard %s and --only: parts of a narrowed run cannot be merged into a sign-off; give one of the two", s.shard)
	}
	shard, err := parseShard(s.shard)
	if err != nil {
		return nil, err
	}
	s.only = []string{shard.String()} // what narrowed the run, in the sign-off
	var part []harness.Expectation
	for i, x := range selected {
		if shard.Holds(i) {
			part = append(part, x)
		}
	}
	return part, nil
}

// told writes where the JUnit file lies into the file that --done names, for
// whoever waits for that: Sonobuoy does.
func (s *session) told() error {
	if s.done == "" {
		return nil
	}
	junit, err := filepath.Abs(filepath.Join(s.out, "junit.xml"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.done, []byte(junit), 0o644); err != nil {
		return fmt.Errorf("telling that the run is done: %w", err)
	}
	return nil
}
