package report

import (
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

// TestTimelineIsMeasured draws a change that bit, one that nobody noticed, and
// one that was answered wrongly.
func TestTimelineIsMeasured(t *testing.T) {
	bit := reporttest.Revocation()
	for i := range bit.Samples {
		if s := &bit.Samples[i]; !s.Right {
			s.Served, s.Right = false, true
		}
	}
	quiet := &harness.Timeline{Change: "a key is added", Bound: time.Minute, Window: time.Second,
		Samples: []harness.Sample{{AtMS: 900, Class: "valid", Served: true, Right: true}, {AtMS: 0, Class: "valid", Served: true, Right: true}}}
	for _, c := range []struct {
		timeline *harness.Timeline
		verdict  harness.Verdict
		says     string
		bound    string
	}{
		{reporttest.Revocation(), harness.Fail, "answered wrongly: 1 of 243 calls", "settled after 1.86 s of the allowed 3s"},
		{bit, harness.Pass, "it bit after 1.21 s; at most 3s was allowed", "settled after 1.21 s of the allowed 3s"},
		{quiet, harness.Pass, "no caller of 2 calls was answered otherwise for it", "no answer changed; allowed 1m0s, which is longer than was watched"},
	} {
		d := draw("ROT-001", *c.timeline)
		if d.Verdict != c.verdict || d.Says != c.says || d.Measure.Label != c.bound {
			t.Errorf("%s, %q, %q; want %s, %q, %q", d.Verdict, d.Says, d.Measure.Label, c.verdict, c.says, c.bound)
		}
		inside(t, d)
	}
}

// inside requires that nothing is drawn beside the plot.
func inside(t *testing.T, d drawing) {
	t.Helper()
	for _, m := range append(d.Marks, d.Ticks...) {
		if m.X < d.Left || m.X > d.Left+d.Plot || m.Bottom > d.Height {
			t.Errorf("a mark stands at %d,%d: beside the plot", m.X, m.Bottom)
		}
	}
	if b := d.Bounded; b.X < d.Left || b.X+b.W > d.Left+d.Plot {
		t.Errorf("the bound goes from %d to %d: beside the plot", b.X, b.X+b.W)
	}
	for _, b := range d.Bands {
		for _, r := range b.Runs {
			if r.X < d.Left || r.X+r.W > d.Left+d.Plot+2 {
				t.Errorf("a run goes from %d to %d: beside the plot", r.X, r.X+r.W)
			}
		}
	}
}

// TestTimelineIsBounded draws an hour of traffic in no more strokes than the
// plot has places.
func TestTimelineIsBounded(t *testing.T) {
	long := harness.Timeline{Change: "a key is removed", Bound: time.Hour, Window: time.Hour}
	for i := range int64(100_000) {
		long.Samples = append(long.Samples, harness.Sample{AtMS: i * 36, Class: "valid", Served: true, Right: true})
	}
	d := draw("ROT-002", long)
	if n := strings.Count(d.Bands[0].Samples[0].Path, "M"); n > drawingPlot+1 {
		t.Errorf("%d strokes on %d places", n, drawingPlot)
	}
	if len(d.Ticks) > 10 {
		t.Errorf("%d ticks", len(d.Ticks))
	}
}

// TestDrawingsAreOfEachChange draws a further change after the first, and none that
// nobody called in.
func TestDrawingsAreOfEachChange(t *testing.T) {
	first, empty := reporttest.Revocation(), &harness.Timeline{Change: "nothing was seen"}
	empty.Then = &harness.Timeline{Change: "a node is lost", Window: time.Second, Samples: []harness.Sample{{Class: "valid", Served: true, Right: true}}}
	first.Then = empty
	all := drawings(signoff.Finding{ID: "ROT-013", Timeline: first})
	if len(all) != 2 || all[0].Key != "ROT-013" || all[1].ID != "ROT-013" || all[1].Key != "ROT-013-2" || all[1].Change != "a node is lost" {
		t.Errorf("got %d drawings, want one of each change in which somebody called", len(all))
	}
}
