package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// lacking is what was not exercised for one lack: what to grant, and what that would show.
type lacking struct {
	Lacks    []harness.Capability
	Reason   string // where it lacks no capability
	Findings []signoff.Finding
	Claimed  int // how many of them the sign-off claims
}

// mostLacks is how many groups a reader goes through: of more, each capability is told alone.
const mostLacks = 20

// lackings groups what was not exercised although this kind of run could show it, what
// would show most first: by all that each expectation lacks, or where that is too many
// groups, by each thing that it lacks.
func lackings(r signoff.Record) []lacking {
	if all := lackingBy(r, func(f signoff.Finding) [][]harness.Capability { return [][]harness.Capability{f.Missing} }); len(all) <= mostLacks {
		return all
	}
	return lackingBy(r, func(f signoff.Finding) [][]harness.Capability {
		if len(f.Missing) == 0 {
			return [][]harness.Capability{nil}
		}
		return slices.Collect(slices.Chunk(f.Missing, 1))
	})
}

// lackingBy groups by what an expectation is filed under.
func lackingBy(r signoff.Record, under func(signoff.Finding) [][]harness.Capability) []lacking {
	var all []lacking
	at := map[string]int{}
	for _, f := range r.ByVerdict(harness.NotExercised) {
		if f.BeyondReach {
			continue
		}
		for _, lacks := range under(f) {
			key := or(join(lacks), f.Reason)
			if _, known := at[key]; !known {
				at[key] = len(all)
				all = append(all, lacking{Lacks: lacks, Reason: f.Reason})
			}
			one := &all[at[key]]
			one.Findings = append(one.Findings, f)
			if r.Claim.Wants(f.Level, f.Tier) {
				one.Claimed++
			}
		}
	}
	slices.SortStableFunc(all, func(a, b lacking) int {
		return cmp.Or(b.Claimed-a.Claimed, len(b.Findings)-len(a.Findings))
	})
	return all
}

// shownLacking is how many expectations of a group are named.
const shownLacking = 24

// Named are the expectations of a group that are named, and More how many there are besides.
func (l lacking) Named() []signoff.Finding { return l.Findings[:min(shownLacking, len(l.Findings))] }
func (l lacking) More() int                { return max(0, len(l.Findings)-shownLacking) }

// ToWrite is the YAML that grants what a record lacks, as one piece; empty where it lacks
// nothing that a configuration gives.
func ToWrite(r signoff.Record) string { return toWrite(r, lackings(r)) }

// toWrite is that of some groups.
func toWrite(r signoff.Record, groups []lacking) string {
	tree := &node{}
	var lacks []harness.Capability
	for _, g := range groups {
		for _, c := range g.Lacks {
			if !slices.Contains(lacks, c) {
				lacks = append(lacks, c)
			}
		}
	}
	for _, c := range lacks {
		if effect, ok := c.Effect(); ok {
			tree.allow(effect)
			continue
		}
		for _, s := range c.Row().Example {
			tree.settle(s, r.Target.Modes)
		}
	}
	var b strings.Builder
	tree.write(&b, 0)
	return b.String()
}

// node is a mapping of YAML in the order of its keys, or a value.
type node struct {
	key, value string
	under      []*node
}

func (n *node) at(path string) *node {
	for key := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(n.under, func(c *node) bool { return c.key == key })
		if i < 0 {
			n.under = append(n.under, &node{key: key})
			i = len(n.under) - 1
		}
		n = n.under[i]
	}
	return n
}

// settle puts a value where there is none, or a longer one, which says more.
func (n *node) settle(s harness.Setting, modes []harness.Mode) {
	paths := []string{s.Path}
	if strings.Contains(s.Path, "MODE") {
		paths = nil
		for _, mode := range modes {
			paths = append(paths, strings.ReplaceAll(s.Path, "MODE", string(mode)))
		}
	}
	for _, path := range paths {
		if at := n.at(path); len(s.Value) > len(at.value) {
			at.value = s.Value
		}
	}
}

// allow allows the stronger of the effects that are lacked.
func (n *node) allow(effect harness.Effect) {
	if at := n.at("rails.allow"); at.value == "" || harness.Effect(at.value).Within(effect) {
		at.value = string(effect)
	}
}

func (n *node) write(b *strings.Builder, depth int) {
	for _, c := range n.under {
		fmt.Fprintf(b, "%s%s:", strings.Repeat("  ", depth), c.key)
		if c.value != "" {
			b.WriteString(" " + c.value)
		}
		b.WriteByte('\n')
		c.write(b, depth+1)
	}
}
