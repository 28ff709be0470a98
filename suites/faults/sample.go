package faults

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
)

// Sample chooses what is judged this time where all of it would take too long. The
// same seed chooses the same; the zero value chooses everything.
type Sample struct {
	Seed string // of the commit, so that a red run can be run again; empty is no sample
}

// NotSampled is why a test that a sample leaves out is skipped: .ci/summary knows it.
const NotSampled = "not in the sample of this commit: make test-all judges it"

// Of chooses n of the IDs, in their order.
func (s Sample) Of(ids []string, n int) []string {
	if s.Seed == "" || n >= len(ids) {
		return ids
	}
	chosen := slices.SortedFunc(slices.Values(ids), func(a, b string) int { return cmp.Compare(s.draw(a), s.draw(b)) })[:n]
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !slices.Contains(chosen, id) })
}

// draw is where a seed puts an ID among others.
func (s Sample) draw(id string) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, s.Seed, " ", id)
	x := h.Sum64() // FNV's last byte moves only the low bits: spread them
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
