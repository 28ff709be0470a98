package outcome

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Gapless wants every class of callers to be answered as its duties say, call by
// call, while a target is changed: whom it must serve without one refusal, whom it
// must not never. A caller who must be served, and for whom nobody is there, is
// refused; a call that got lost on its way is no answer.
type Gapless struct {
	Classes map[string][]Duty
	// Optional are the classes that need not have called.
	Optional []string
	// Starts is wanted of replicas that started meanwhile; nil of none.
	Starts harness.Outcome
	// Then is wanted of a further change, where one was made; nil of none.
	Then *Gapless
}

// Duty is how a class is to be answered from a moment on.
type Duty struct {
	From string // the mark's label; "" is the beginning
	Want Answers
	// Within is how long its beginning may take, in which the duty before is as
	// good, made of the timeline's bound; nil is that itself. A negative one is
	// undeclared: the duty before stays as good.
	Within func(p harness.Profile, bound time.Duration) time.Duration
}

// Always is the one duty of a class that no change may touch.
func Always(want Answers) []Duty { return []Duty{{Want: want}} }

// Until are the duties of a class whose answer changes at a mark.
func Until(mark string, before, after Answers) []Duty {
	return []Duty{{Want: before}, {From: mark, Want: after}}
}

// Want says what is wanted of each class.
func (g Gapless) Want(p harness.Profile) string {
	var words []string
	for _, class := range slices.Sorted(maps.Keys(g.Classes)) {
		var duties []string
		for _, d := range g.Classes[class] {
			if said := d.Want.Want(p); d.From == "" {
				duties = append(duties, said)
			} else {
				duties = append(duties, fmt.Sprintf("%s once %s", said, d.From))
			}
		}
		words = append(words, class+": "+strings.Join(duties, ", "))
	}
	return strings.Join(words, "; ")
}

// steady is how many answers in a row settle a change on a target of one replica:
// none may fall back behind it, though the bound has not passed.
const steady = 3

// Judge judges every call by the duties of its moment, and makes the timeline: and
// those of a further change by their own.
func (g Gapless) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if t.Then == nil || g.Then == nil || len(t.Then.Exchanges) > len(t.Exchanges) {
		return g.judge(p, t)
	}
	first := t
	first.Exchanges = t.Exchanges[:len(t.Exchanges)-len(t.Then.Exchanges)]
	j, then := g.judge(p, first), g.Then.Judge(p, *t.Then)
	for _, problem := range then.Problems {
		if problem.Exchange >= 0 {
			problem.Exchange += len(first.Exchanges)
		}
		j.Problems = append(j.Problems, problem)
	}
	j.Notes = append(j.Notes, then.Notes...)
	if j.Timeline == nil {
		j.Timeline = then.Timeline
	} else {
		j.Timeline.Then = then.Timeline
	}
	return j
}

func (g Gapless) judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Exchanges) == 0 || t.Timeline == nil {
		return nothing()
	}
	line := *t.Timeline
	j := harness.Judgement{Timeline: &line}
	lost, dropped := 0, []harness.Problem(nil)
	for _, class := range slices.Sorted(maps.Keys(g.Classes)) {
		w := watch{profile: p, line: line, first: t.Exchanges[0].Observation.At, class: class, duties: inForce(g.Classes[class], line)}
		for i, x := range t.Exchanges {
			if x.Request.Variant == class {
				w.see(i, x)
			}
		}
		w.conclude(slices.Contains(g.Optional, class))
		j.Problems = append(j.Problems, w.problems...)
		line.Samples = append(line.Samples, w.samples...)
		lost, dropped = lost+w.lost, append(dropped, w.dropped...)
	}
	j.Problems = append(j.Problems, once(dropped)...)
	for i, x := range t.Exchanges {
		if _, ok := g.Classes[x.Request.Variant]; !ok {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Error, Exchange: i,
				Got: fmt.Sprintf("class %q", x.Request.Variant), Want: "a class with duties"})
			break
		}
	}
	if g.Starts != nil {
		j.Problems = append(j.Problems, g.Starts.Judge(p, t).Problems...)
	}
	slices.SortStableFunc(line.Samples, func(a, b harness.Sample) int { return cmp.Compare(a.AtMS, b.AtMS) })
	j.Notes = append(j.Notes, fmt.Sprintf("%d calls while %s", len(t.Exchanges), line.Change))
	if lost > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("%d of them got no answer, and tell nothing", lost))
	}
	return j
}

// due is a duty with the moment from which it holds, and the one from which its bound
// counts, milliseconds.
type due struct {
	Duty
	at, done int64
}

// inForce are the duties whose moment came.
func inForce(duties []Duty, line harness.Timeline) []due {
	var all []due
	for _, d := range duties {
		at := slices.IndexFunc(line.Marks, func(m harness.Mark) bool { return m.Label == d.From })
		switch {
		case d.From == "":
			all = append(all, due{Duty: d})
		case at >= 0:
			all = append(all, due{d, line.Marks[at].AtMS, line.Marks[at].Done()})
		}
	}
	return all
}

// watch is one class, as its calls are seen in their order.
type watch struct {
	profile harness.Profile
	line    harness.Timeline
	first   time.Time
	class   string
	duties  []due

	problems []harness.Problem
	dropped  []harness.Problem // calls that were answered rightly when they were sent again
	samples  []harness.Sample
	lost     int
	duty     int // of the last call
	row      int // answers in a row as that duty has it
}

// see judges a call.
func (w *watch) see(i int, x harness.Exchange) {
	began := max(0, earliest(x.Observation).Sub(w.first))
	now, sample := w.at(began.Milliseconds()), harness.Sample{AtMS: began.Milliseconds(), Class: w.class,
		Served: w.profile.Accepts(x.Observation.Status), Right: true}
	if now > w.duty {
		w.duty, w.row = now, 0
	}
	problem, lost := w.duties[now].judge(w.profile, x)
	switch {
	case lost && x.Observation.Transport == harness.Broken && !w.duties[now].Want.accepts && w.duty > 0:
		w.row++ // a connection that was held open ended: nobody is served on it
	case lost:
		w.lost++
		return
	case problem == nil && w.duties[now].Want.accepts && broke(x.Observation):
		w.row++
		sample.Right = false
		w.dropped = append(w.dropped, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i,
			Got:  "a connection that ended without an answer" + w.moment(now, began),
			Want: w.class + ": " + w.duties[now].Want.Want(w.profile)})
	case problem == nil:
		w.row++
	case w.excused(now, began, x):
		w.row = 0
	default:
		w.row = 0
		sample.Right = false
		problem.Exchange, problem.Overdue = i, w.overdue(now, began, x)
		problem.Got += w.moment(now, began)
		problem.Want = w.class + ": " + problem.Want
		w.problems = append(w.problems, *problem)
	}
	w.samples = append(w.samples, sample)
}

// broke reports that a connection ended before its call had an answer: one that was
// sent again, or could not be.
func broke(o harness.Observation) bool {
	earlier := slices.Contains(o.Earlier, string(harness.EOF)) || slices.Contains(o.Earlier, string(harness.Reset))
	return earlier && o.Transport == harness.Answered || o.Unrepeated && inTLS(o)
}

// once is what connections that ended come to: one may be the network's, or a moment's,
// several are a gap.
func once(dropped []harness.Problem) []harness.Problem {
	if len(dropped) == 1 {
		dropped[0].Verdict, dropped[0].Bucket = harness.Inconclusive, ""
		dropped[0].Got += ", once"
	}
	return dropped
}

// at is the duty that holds at a moment.
func (w *watch) at(ms int64) (now int) {
	for i, d := range w.duties {
		if d.at <= ms {
			now = i
		}
	}
	return now
}

// excused reports whether a call was answered by a duty that was as good: the one
// before, while the change had not to be in force, or the one that began
// meanwhile.
func (w *watch) excused(now int, began time.Duration, x harness.Exchange) bool {
	settled := w.profile.Replicas == 1 && w.row >= steady
	if deadline, declared := w.deadline(now); now > 0 && !settled && (began <= deadline || !declared) {
		if problem, _ := w.duties[now-1].judge(w.profile, x); problem == nil {
			return true
		}
	}
	if now+1 < len(w.duties) && w.duties[now+1].at <= (x.Observation.At.Sub(w.first)+x.Observation.Total).Milliseconds() {
		problem, _ := w.duties[now+1].judge(w.profile, x)
		return problem == nil
	}
	return false
}

// overdue is the bound that a call breaks which is answered as the duty before wants;
// nil where none is broken.
func (w *watch) overdue(now int, began time.Duration, x harness.Exchange) *harness.Overdue {
	deadline, declared := w.deadline(now)
	if now == 0 || !declared || began <= deadline {
		return nil
	}
	if before, _ := w.duties[now-1].judge(w.profile, x); before != nil {
		return nil
	}
	since := time.Duration(w.duties[now].done) * time.Millisecond
	return &harness.Overdue{Since: w.first.Add(since), Bound: deadline - since, Until: w.first.Add(began)}
}

// earliest is the first moment at which a call can have been decided on.
func earliest(o harness.Observation) time.Time {
	if o.Opened.IsZero() || o.Opened.After(o.At) {
		return o.At
	}
	return o.Opened
}

// deadline is when a duty must be in force.
func (w *watch) deadline(duty int) (at time.Duration, declared bool) {
	within := w.line.Bound
	if d := w.duties[duty]; d.Within != nil {
		within = d.Within(w.profile, within)
	}
	return time.Duration(w.duties[duty].done)*time.Millisecond + within, within >= 0
}

func (w *watch) moment(now int, began time.Duration) string {
	d := w.duties[now]
	if d.From == "" {
		return ""
	}
	return fmt.Sprintf(", %s after %s", (began - time.Duration(d.at)*time.Millisecond).Round(time.Millisecond), d.From)
}

// conclude adds what was not seen: a class that never called, or a change that
// had not come about when watching ended.
func (w *watch) conclude(optional bool) {
	got := ""
	switch {
	case len(w.samples) == 0 && !optional:
		got = "no answer was seen"
	case len(w.samples) > 0 && w.duty > 0 && w.row == 0 && len(w.problems) == 0 && w.declared():
		got = "watching ended before the change had come about"
	default:
		return
	}
	w.problems = append(w.problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1, Got: w.class + ": " + got, Want: "an answer"})
}

func (w *watch) declared() bool {
	_, declared := w.deadline(w.duty)
	return declared
}

// judge judges one call by a duty; lost is a call that tells nothing.
func (d Duty) judge(p harness.Profile, x harness.Exchange) (problem *harness.Problem, lost bool) {
	o := x.Observation
	if d.Want.accepts && broke(o) && o.Unrepeated {
		return nil, false
	}
	if d.Want.accepts && gone(o) {
		return contract(Answer(o), d.Want.Want(p)), false
	}
	if unseen(o) || !d.Want.accepts && inTLS(o) && !d.Want.allowed(p, x).tls {
		return nil, true
	}
	j := d.Want.Judge(p, harness.Trace{Exchanges: []harness.Exchange{x}})
	if len(j.Problems) == 0 {
		return nil, false
	}
	return &j.Problems[0], false
}

// gone reports that nobody served a caller who must be: the service was away, or
// the ingress, or could not be believed.
func gone(o harness.Observation) bool {
	switch o.Transport {
	case harness.Answered:
		return o.Status == 502 || o.Status == 503 || o.Status == 504
	case harness.Refused, harness.Untrusted:
		return true
	}
	return inTLS(o)
}
