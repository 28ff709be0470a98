package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// The drawing's measures, in units of its view box.
const (
	drawingLeft  = 168 // room for the callers' names
	drawingPlot  = 760
	drawingRight = 32
	bandHeight   = 48
	bandGap      = 14
	labelRow     = 18 // of a mark's label, above the bands
	labelRows    = 3  // so that labels of marks that are close do not overlap
	axisHeight   = 26
	measureRow   = 34 // the time the change took, against its bound
)

// drawing is a timeline as the page draws it.
type drawing struct {
	ID      string
	Key     string // on the page: the ID, and a number where there is one before it
	Change  string
	Says    string
	Verdict harness.Verdict // pass, or fail where a caller was answered wrongly
	Alt     string
	Width   int
	Height  int
	Left    int
	Plot    int
	Bounded *bounded
	Measure *measure
	Bands   []band
	Marks   []upright
	Ticks   []upright
}

// bounded is the span in which the change had to bite.
type bounded struct{ X, Y, W, H int }

// measure is the time the change took, drawn below the span it was allowed.
type measure struct {
	X, Y, W, Bound int
	TextX, TextY   int
	Label          string
}

// band is one class of callers.
type band struct {
	Class             string
	Y, H, Middle      int
	LabelX, SideX     int
	ServedY, RefusedY int
	Samples           []stroke
	Runs              []run
	Served, Refused   int
	Wrong             int
	Settled           string
}

// run is a time in which a class was answered alike.
type run struct {
	Class      string
	X, Y, W, H int
}

// stroke is all samples of a band that are drawn alike.
type stroke struct{ Class, Path string }

// upright is a vertical line with a label.
type upright struct {
	X, Top, Bottom int
	TextX, TextY   int
	Anchor         string
	Label          string
}

// scale maps milliseconds to the drawing.
type scale struct{ end int64 }

func (s scale) x(ms int64) int {
	return drawingLeft + int(min(max(ms, 0), s.end)*drawingPlot/s.end)
}

// drawings are of a finding's changes that were watched, in their order.
func drawings(f signoff.Finding) (all []drawing) {
	for t := f.Timeline; t != nil; t = t.Then {
		if len(t.Samples) > 0 {
			d := draw(f.ID, *t)
			if len(all) > 0 {
				d.Key = fmt.Sprintf("%s-%d", f.ID, len(all)+1)
			}
			all = append(all, d)
		}
	}
	return all
}

// draw lays a timeline out.
func draw(id string, t harness.Timeline) drawing {
	t.Samples = slices.Clone(t.Samples)
	slices.SortStableFunc(t.Samples, func(a, b harness.Sample) int { return cmp.Compare(a.AtMS, b.AtMS) })
	s := scale{span(t)}
	d := drawing{ID: id, Key: id, Change: t.Change, Left: drawingLeft, Plot: drawingPlot, Width: drawingLeft + drawingPlot + drawingRight}
	top := labelRow*labelRows + 6
	y := top
	for _, class := range classes(t.Samples) {
		d.Bands = append(d.Bands, bandOf(t, class, s, y))
		y += bandHeight + bandGap
	}
	bottom := y - bandGap
	d.Height = bottom + axisHeight
	if t.Bound > 0 {
		d.Height += measureRow
		d.Bounded = boundOf(t, s, top, bottom)
		d.Measure = measureOf(t, s, bottom+axisHeight)
	}
	d.Marks = marks(t.Marks, s, top, bottom)
	d.Ticks = ticks(s, bottom)
	d.Verdict, d.Says = says(t, d.Bands)
	d.Alt = fmt.Sprintf("%s, watched for %s: %s", t.Change, secs(s.end), d.Says)
	return d
}

// span is what is drawn, in milliseconds: what was watched, and the bound too
// where it does not dwarf that.
func span(t harness.Timeline) int64 {
	end := max(t.Window.Milliseconds(), 1)
	for _, s := range t.Samples {
		end = max(end, s.AtMS)
	}
	for _, m := range t.Marks {
		end = max(end, m.AtMS)
	}
	if bound := changedAt(t) + t.Bound.Milliseconds(); bound > end && bound <= 2*end {
		end = bound
	}
	return end
}

// changedAt is the moment of the change: that of the first mark.
func changedAt(t harness.Timeline) int64 {
	if len(t.Marks) == 0 {
		return 0
	}
	return t.Marks[0].AtMS
}

// classes lists the callers, in order of first sight.
func classes(samples []harness.Sample) []string {
	var all []string
	for _, s := range samples {
		if !slices.Contains(all, s.Class) {
			all = append(all, s.Class)
		}
	}
	return all
}

func bandOf(t harness.Timeline, class string, s scale, y int) band {
	b := band{Class: class, Y: y, H: bandHeight, Middle: y + bandHeight/2 + 5, LabelX: drawingLeft - 158, SideX: drawingLeft - 8,
		ServedY: y + bandHeight/4 + 4, RefusedY: y + 3*bandHeight/4 + 4}
	var samples []harness.Sample
	for _, one := range t.Samples {
		if one.Class == class {
			samples = append(samples, one)
			b.count(one)
		}
	}
	b.Samples = strokes(samples, s, y)
	b.Runs = runs(samples, s, y)
	b.Settled = settledWords(samples, changedAt(t))
	return b
}

func (b *band) count(s harness.Sample) {
	if s.Served {
		b.Served++
	} else {
		b.Refused++
	}
	if !s.Right {
		b.Wrong++
	}
}

// strokes draws each sample as a line: what was served above, what was refused
// below, what was wrong from top to bottom, so that it shows without colour.
func strokes(samples []harness.Sample, s scale, y int) []stroke {
	var right, wrong strings.Builder
	drawn := map[string]bool{}
	for _, one := range samples {
		from, length := y+4, bandHeight/2-6
		if !one.Served {
			from = y + bandHeight/2 + 2
		}
		to := &right
		if !one.Right {
			to, from, length = &wrong, y, bandHeight
		}
		line := fmt.Sprintf("M%d %dv%d", s.x(one.AtMS), from, length)
		if !drawn[line] {
			drawn[line] = true
			to.WriteString(line)
		}
	}
	var all []stroke
	if right.Len() > 0 {
		all = append(all, stroke{"right", right.String()})
	}
	if wrong.Len() > 0 {
		all = append(all, stroke{"wrong", wrong.String()})
	}
	return all
}

// runs shades the times in which the answers stayed alike.
func runs(samples []harness.Sample, s scale, y int) []run {
	var all []run
	for i := 0; i < len(samples); {
		j := i
		for j < len(samples) && samples[j].Served == samples[i].Served && samples[j].Right == samples[i].Right {
			j++
		}
		end := samples[min(j, len(samples)-1)].AtMS
		one := run{Class: "right", X: s.x(samples[i].AtMS), Y: y, H: bandHeight / 2}
		one.W = max(s.x(end)-one.X, 2)
		if !samples[i].Served {
			one.Y += bandHeight / 2
		}
		if !samples[i].Right {
			one.Class = "wrong"
		}
		all = append(all, one)
		i = j
	}
	return all
}

// settled is when, after the change, a class was answered as it was to the end;
// false when its answers did not change.
func settled(samples []harness.Sample, change int64) (int64, bool) {
	if len(samples) == 0 {
		return 0, false
	}
	last := samples[len(samples)-1].Served
	for i := len(samples) - 1; i >= 0; i-- {
		if samples[i].Served != last {
			at := samples[i+1].AtMS
			return at - change, at >= change
		}
	}
	return 0, false
}

func settledWords(samples []harness.Sample, change int64) string {
	after, moved := settled(samples, change)
	if !moved {
		return "its answers did not change"
	}
	return "after " + secs(after)
}

// says concludes of a timeline in words.
func says(t harness.Timeline, bands []band) (harness.Verdict, string) {
	wrong := 0
	for _, b := range bands {
		wrong += b.Wrong
	}
	if wrong > 0 {
		return harness.Fail, fmt.Sprintf("answered wrongly: %d of %d calls", wrong, len(t.Samples))
	}
	bit, moved := bitten(t)
	if !moved {
		return harness.Pass, fmt.Sprintf("no caller of %d calls was answered otherwise for it", len(t.Samples))
	}
	return harness.Pass, fmt.Sprintf("it bit after %s; at most %s was allowed", secs(bit), t.Bound.Round(10*time.Millisecond))
}

func boundOf(t harness.Timeline, s scale, top, bottom int) *bounded {
	b := &bounded{X: s.x(changedAt(t)), Y: top - 3, H: bottom - top + 6}
	b.W = s.x(changedAt(t)+t.Bound.Milliseconds()) - b.X
	return b
}

func measureOf(t harness.Timeline, s scale, y int) *measure {
	from, to := changedAt(t), changedAt(t)+t.Bound.Milliseconds()
	bit, moved := bitten(t)
	m := &measure{X: s.x(from), Y: y, W: s.x(from+bit) - s.x(from), Bound: s.x(to) - s.x(from), TextX: s.x(from), TextY: y + 24}
	m.Label = "no answer changed; allowed "
	if moved {
		m.Label = "settled after " + secs(bit) + " of the allowed "
	}
	m.Label += t.Bound.Round(10 * time.Millisecond).String()
	if to > s.end {
		m.Label += ", which is longer than was watched"
	}
	return m
}

// bitten is how long after the change the last class of callers was answered as
// it was to the end; false when no answer changed.
func bitten(t harness.Timeline) (bit int64, moved bool) {
	for _, class := range classes(t.Samples) {
		after, did := settled(slices.DeleteFunc(slices.Clone(t.Samples), func(s harness.Sample) bool { return s.Class != class }), changedAt(t))
		if did {
			bit, moved = max(bit, after), true
		}
	}
	return bit, moved
}

func marks(all []harness.Mark, s scale, top, bottom int) []upright {
	var drawn []upright
	for i, m := range all {
		x := s.x(m.AtMS)
		row := i % labelRows
		one := upright{X: x, Top: labelRow*row + 6, Bottom: bottom + 4, TextX: x + 4, TextY: labelRow*row + 13, Anchor: "start",
			Label: fmt.Sprintf("%s, %s", m.Label, secs(m.AtMS))}
		if x > drawingLeft+drawingPlot*6/10 {
			one.TextX, one.Anchor = x-4, "end"
		}
		drawn = append(drawn, one)
	}
	return drawn
}

// ticks divides the time into about six steps of 1, 2 or 5.
func ticks(s scale, bottom int) []upright {
	step := int64(1)
	for _, by := range []int64{2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 30000, 60000, 120000, 300000, 600000} {
		if s.end/step > 8 {
			step = by
		}
	}
	var drawn []upright
	for at := int64(0); at <= s.end && len(drawn) < 20; at += step {
		drawn = append(drawn, upright{X: s.x(at), Top: bottom, Bottom: bottom + 5, TextY: bottom + 17, Label: secs(at)})
	}
	return drawn
}

// secs is a number of milliseconds, read in seconds.
func secs(ms int64) string { return fmt.Sprintf("%g s", float64(ms)/1000) }
