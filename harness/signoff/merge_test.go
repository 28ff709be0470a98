package signoff

import (
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// shards are the records of a sound run in shards, as Read reads them back;
// change, if not nil, changes one's input beforehand.
func shards(t *testing.T, of int, change func(i int, in *Input)) []Record {
	t.Helper()
	var all []Record
	for i := range of {
		in, shard := sound(), Shard{i, of}
		in.Run, in.Filter = "r-"+shard.String(), shard.String()
		in.Started = in.Started.Add(time.Duration(-i) * time.Second)
		in.Ended = in.Ended.Add(time.Duration(i) * time.Minute)
		in.Findings = nil
		for place, x := range in.Catalogue {
			if shard.Holds(place) {
				in.Selected = append(in.Selected, x.ID)
				in.Findings = append(in.Findings, pass(x.ID))
			}
		}
		if change != nil {
			change(i, &in)
		}
		all = append(all, reread(t, Conclude(in)))
	}
	return all
}

func reread(t *testing.T, r Record) Record {
	t.Helper()
	data, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	read, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// TestMerge: a part is INVALID, and all of them are what one run would have
// been, in whatever order they come.
func TestMerge(t *testing.T) {
	all := shards(t, 2, nil)
	for _, part := range all {
		if part.Verdict != Invalid || part.ExitStatus() != 3 {
			t.Errorf("%s is %s: want INVALID, for it is a part", part.Selection.Filter, part.Verdict)
		}
	}
	slices.Reverse(all)
	got, err := Merge("r-whole", all)
	if err != nil {
		t.Fatal(err)
	}
	got = reread(t, got)
	whole := Conclude(sound())
	if got.Verdict != Passed || got.Run != "r-whole" || !slices.Equal(got.Merged, []string{"r-shard 0/2", "r-shard 1/2"}) {
		t.Errorf("%s of %q: want PASS of both", got.Verdict, got.Merged)
	}
	if got.Totals[harness.Pass] != whole.Totals[harness.Pass] || got.Selection != whole.Selection {
		t.Errorf("got %v of %+v, want %v of %+v", got.Totals, got.Selection, whole.Totals, whole.Selection)
	}
	if !got.Started.Equal(whole.Started.Add(-time.Second)) || !got.Ended.Equal(whole.Ended.Add(time.Minute)) {
		t.Errorf("from %s to %s: want from the first start to the last end", got.Started, got.Ended)
	}
}

// TestMergeKeepsWhatSpeaksAgainst: nothing a part has seen is lost.
func TestMergeKeepsWhatSpeaksAgainst(t *testing.T) {
	at := func(version string) *Identity { return &Identity{Version: version, At: time.Unix(0, 0).UTC()} }
	for _, c := range []struct {
		name   string
		change func(i int, in *Input)
		want   Verdict
		says   string
	}{
		{"a failure", func(i int, in *Input) {
			if i == 1 {
				in.Findings = []harness.Finding{finding("OIDC-005", harness.Fail)}
			}
		}, Failed, "OIDC-005"},
		{"a gap", func(i int, in *Input) {
			if i == 1 {
				in.Findings = []harness.Finding{finding("OIDC-005", harness.Inconclusive)}
			}
		}, Incomplete, "inconclusive: OIDC-005"},
		{"an interruption", func(i int, in *Input) {
			if i == 1 {
				in.Interrupted, in.Findings = "SIGTERM", nil
			}
		}, Invalid, "shard 1/2: SIGTERM"},
		{"a dry part", func(i int, in *Input) { in.DryRun = i == 1 }, Invalid, "dry"},
		{"a clock that is off", func(i int, in *Input) {
			in.Clock = Clock{Measured: true, OffsetMS: int64(i) * -60_000, Source: "Date"}
		}, Invalid, "clock"},
		{"a target that changed in a part", func(i int, in *Input) {
			in.Start, in.End = at("1"), at([]string{"1", "2"}[i])
		}, Invalid, "the target changed"},
		{"a target that changed between parts", func(i int, in *Input) {
			in.Start, in.End = at([]string{"1", "2"}[i]), at([]string{"1", "2"}[i])
		}, Invalid, "the target changed"},
		{"a target that changed in the first part", func(i int, in *Input) {
			in.Start, in.End = at("1"), at([]string{"2", "1"}[i])
		}, Invalid, "the target changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Merge("r", shards(t, 2, c.change))
			if err != nil {
				t.Fatal(err)
			}
			if got = reread(t, got); got.Verdict != c.want || !strings.Contains(strings.Join(got.Reasons, "; "), c.says) {
				t.Errorf("%s, %q: want %s and %q", got.Verdict, got.Reasons, c.want, c.says)
			}
		})
	}
}

// TestMergeRefuses what are no parts of one run.
func TestMergeRefuses(t *testing.T) {
	three := shards(t, 3, nil)
	alone := reread(t, Conclude(sound()))
	for _, c := range []struct {
		name  string
		parts []Record
		says  string
	}{
		{"a part that is absent", three[:2], "not every part is there: shard 2/3"},
		{"a part that is there twice", []Record{three[0], three[0], three[2]}, "shard 0/3 is there twice"},
		{"parts of different numbers", []Record{three[0], shards(t, 2, nil)[1]}, "shard 1/2 is none of 3"},
		{"what is no part", []Record{three[0], alone}, "is no shard"},
		{"nothing", nil, "not every part"},
		{"another target", shards(t, 2, func(i int, in *Input) { in.Target.Name += strings.Repeat("!", i) }), "target's name"},
		{"another profile", shards(t, 2, func(i int, in *Input) { in.Target.Profile.Mesh = i == 1 }), "target's profile"},
		{"another harness", shards(t, 2, func(i int, in *Input) { in.Harness.Version += strings.Repeat("!", i) }), "harness"},
		{"another configuration", shards(t, 2, func(i int, in *Input) {
			in.Config = &Config{File: "staging.yaml", Digest: "sha256:" + strings.Repeat([]string{"a", "b"}[i], 64)}
		}), "configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Merge("r", c.parts); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q in it", err, c.says)
			}
		})
	}
}
