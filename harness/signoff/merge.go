package signoff

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Shard is one of several parts of the catalogue: the expectations at every
// Of-th place, beginning at Index.
type Shard struct{ Index, Of int }

// Holds reports whether the expectation at a place of the catalogue is in it.
func (s Shard) Holds(place int) bool { return place%s.Of == s.Index }

// String is a shard as Selection.Filter has it.
func (s Shard) String() string { return fmt.Sprintf("shard %d/%d", s.Index, s.Of) }

// shard is the part of the catalogue that a record is of.
func (r Record) shard() (s Shard, ok bool) {
	n, err := fmt.Sscanf(r.Selection.Filter, "shard %d/%d", &s.Index, &s.Of)
	return s, err == nil && n == 2 && s.Of > 0 && s.String() == r.Selection.Filter
}

// Merge makes one record of those of all shards, under an identifier of its
// own, and computes its verdict anew. Every part must be there once, and of the
// same target; what made a part INVALID, beyond being one, stays.
func Merge(id string, parts []Record) (Record, error) {
	ordered, err := inOrder(parts)
	if err != nil {
		return Record{}, fmt.Errorf("merging sign-offs: %w", err)
	}
	whole := ordered[0]
	for _, part := range ordered[1:] {
		if what := differs(whole, part); what != "" {
			return Record{}, fmt.Errorf("merging sign-offs: %s and %s differ in their %s: they are no parts of one run",
				whole.Selection.Filter, part.Selection.Filter, what)
		}
	}
	whole.Run, whole.Merged = id, []string{}
	whole.Interrupted, whole.Selection = "", Selection{Of: whole.Catalogue.Expectations}
	whole.Findings = slices.Clone(whole.Findings)
	for i, part := range ordered {
		whole.take(i, part)
	}
	whole.Totals, whole.Buckets = tally(whole.Findings)
	whole.Checklist = whole.checklist()
	whole.Waivers = whole.Settled(whole.Waivers)
	verdict, reasons := whole.judge(nil)
	whole.Verdict, whole.Reasons = verdict, list(reasons)
	whole.Headline = whole.headline()
	return whole, nil
}

// inOrder are the parts by index, each there once.
func inOrder(parts []Record) ([]Record, error) {
	var ordered []Record
	for _, part := range parts {
		shard, ok := part.shard()
		if !ok {
			return nil, fmt.Errorf("run %s is no shard: its filter is %q; give what run --shard wrote", part.Run, part.Selection.Filter)
		}
		if ordered == nil {
			ordered = make([]Record, shard.Of)
		}
		if shard.Of != len(ordered) || shard.Index < 0 || shard.Index >= shard.Of {
			return nil, fmt.Errorf("%s is none of %d", shard, len(ordered))
		}
		if ordered[shard.Index].Schema != "" {
			return nil, fmt.Errorf("%s is there twice, of runs %s and %s", shard, ordered[shard.Index].Run, part.Run)
		}
		ordered[shard.Index] = part
	}
	var absent []string
	for i, part := range ordered {
		if part.Schema == "" {
			absent = append(absent, Shard{i, len(ordered)}.String())
		}
	}
	if len(absent) > 0 || len(ordered) == 0 {
		return nil, fmt.Errorf("not every part is there: %s", strings.Join(absent, ", "))
	}
	return ordered, nil
}

// differs names what two parts of one run cannot differ in, and do; "" is
// nothing. A stack of the harness's own is another one for each part: only its
// addresses may differ, which are the issuer of an embedded one.
func differs(a, b Record) string {
	if a.Kind == harness.Rehearsal {
		a.Target.Profile.Issuer, b.Target.Profile.Issuer = "", ""
	}
	for _, c := range []struct {
		what string
		a, b any
	}{
		{"kind", a.Kind, b.Kind},
		{"harness", a.Harness, b.Harness},
		{"catalogue", a.Catalogue, b.Catalogue},
		{"runbook", a.Runbook, b.Runbook},
		{"configuration", a.Config, b.Config},
		{"build under test", a.Build, b.Build},
		{"target's name", a.Target.Name, b.Target.Name},
		{"target's modes", a.Target.Modes, b.Target.Modes},
		{"target's endpoints", a.Target.Endpoints, b.Target.Endpoints},
		{"target's profile", a.Target.Profile, b.Target.Profile},
		{"granted capabilities", a.Target.Capabilities, b.Target.Capabilities},
		{"waivers", unsettled(a.Waivers), unsettled(b.Waivers)},
		{"fault matrix", a.Faults, b.Faults},
	} {
		if !reflect.DeepEqual(c.a, c.b) {
			return c.what
		}
	}
	return ""
}

// unsettled are waivers without what became of them.
func unsettled(waivers []Waiver) []Waiver {
	out := slices.Clone(waivers)
	for i := range out {
		out[i].State, out[i].Why = "", ""
	}
	return out
}

// take adds what a part has seen: its rows, and whatever speaks against it.
func (r *Record) take(index int, part Record) {
	shard, _ := part.shard()
	for i, f := range part.Findings {
		if seen := r.Findings[i].Verdict == harness.Fail; f.Verdict == harness.Fail || shard.Holds(i) && !seen {
			r.Findings[i] = f // a fail stands, whichever part saw it: an echo is seen by all (Input.echoed)
		}
	}
	r.Merged = append(r.Merged, part.Run)
	r.Selection.Selected += part.Selection.Selected
	r.Selection.DryRun = r.Selection.DryRun || part.Selection.DryRun
	if part.Started.Before(r.Started) {
		r.Started = part.Started
	}
	if part.Ended.After(r.Ended) {
		r.Ended = part.Ended
	}
	if part.Interrupted != "" && r.Interrupted == "" {
		r.Interrupted = fmt.Sprintf("%s: %s", shard, part.Interrupted)
	}
	if part.Conduct != nil {
		sum := *part.Conduct
		if r.Conduct != nil {
			sum = r.Conduct.Plus(sum)
		}
		r.Conduct = &sum
	}
	if !r.Clock.Measured || part.Clock.Measured && abs(part.Clock.OffsetMS) > abs(r.Clock.OffsetMS) {
		r.Clock = part.Clock
	}
	r.watch(index, part.Target)
}

// watch keeps what the target showed first, and what it showed last, or the
// first time that it was not the same.
func (r *Record) watch(index int, seen Target) {
	if index == 0 || r.Target.Start == nil || r.Target.End == nil || !r.Target.Start.same(*r.Target.End) {
		return
	}
	for _, moment := range []*Identity{seen.Start, seen.End} {
		if r.Target.End = moment; moment == nil || !r.Target.Start.same(*moment) {
			return
		}
	}
}

func abs(n int64) int64 { return max(n, -n) }
