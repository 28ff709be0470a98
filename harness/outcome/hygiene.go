package outcome

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Hidden is a search that must find nothing: what shows is a failure of a bucket.
type Hidden struct {
	words  string
	bucket harness.Bucket
	inside bool
	echoes bool
	// lenient asks of the controls only that they are answered.
	lenient bool
}

// Hides wants nothing that was sought to show, wherever was searched.
func Hides(words string, bucket harness.Bucket) Hidden { return Hidden{words: words, bucket: bucket} }

// Whatever lets the calls end in any way: only the controls must be answered.
func (h Hidden) Whatever() Hidden {
	h.lenient = true
	return h
}

// Mute wants errors, too, to tell nothing of the inside: no stack trace, no text
// of an exception, no key (ASVS 16.5.1).
func (h Hidden) Mute() Hidden {
	h.inside = true
	return h
}

// Anywhere makes an answer that shows the credential it was sent a failure of this
// expectation, whichever expectation's call it answers.
func (h Hidden) Anywhere() Hidden {
	h.echoes = true
	return h
}

// Echoes reports whether any answer that shows a credential is a failure of it.
func (h Hidden) Echoes() bool { return h.echoes }

// Want says what is wanted.
func (h Hidden) Want(harness.Profile) string { return h.words }

// Judge judges what was found. Without a place that was searched, or with one that
// could not be, nothing found is no pass.
func (h Hidden) Judge(_ harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	fail := func(exchange int, got string) {
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: h.bucket, Exchange: exchange, Got: got, Want: h.words})
	}
	j.Notes = harness.SearchNote.In(t)
	for _, place := range harness.Leaked.In(t) {
		fail(-1, place)
	}
	for i, x := range t.Exchanges {
		if what := within(x.Observation); h.inside && what != "" {
			fail(i, Answer(x.Observation)+" with "+what)
		}
	}
	if len(j.Problems) > 0 {
		return j
	}
	unsure := func(exchange int, got, want string) {
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: exchange, Got: got, Want: want})
	}
	for _, log := range harness.Unheard.In(t) {
		unsure(-1, log+" "+string(harness.Unheard), "a log that tells of the calls")
	}
	if len(harness.Searched.In(t)) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		if unseen(x.Observation) && (x.Request.Control || !h.lenient) {
			unsure(i, Answer(x.Observation), "an answer")
		}
	}
	return j
}

// within names what an error tells of the inside.
func within(o harness.Observation) string {
	if o.Status < 400 {
		return ""
	}
	for _, l := range leaks {
		if l.pattern.Match(o.Body) {
			return l.what
		}
	}
	return ""
}

// LoggedIn wants the service's token of Vault to come of a login, to be no root's,
// and to end of itself within a time.
type LoggedIn struct{ Life time.Duration }

// Want says what is wanted.
func (l LoggedIn) Want(harness.Profile) string {
	return fmt.Sprintf("a token by a login of the service's own, not root's, whose life ends within %s", l.Life)
}

// Judge judges the token.
func (l LoggedIn) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	if len(t.Tokens) == 0 {
		return nothing()
	}
	var j harness.Judgement
	for _, token := range t.Tokens {
		j.Notes = append(j.Notes, fmt.Sprintf("the service's token came by %s, with policies %s, and was made for %s", token.Path,
			strings.Join(token.Policies, ", "), token.Made))
		if token.Path == "" {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: "the server does not tell how the token came", Want: l.Want(p)})
		}
		for _, wrong := range l.wrong(token) {
			problem := contract(wrong, l.Want(p))
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	return j
}

// wrong says what is wrong with a token. One that a token has made for the service
// is handed over, and by whom nobody knows.
func (l LoggedIn) wrong(token harness.VaultToken) (all []string) {
	if slices.Contains(token.Policies, "root") {
		all = append(all, "a token of root")
	}
	if strings.HasPrefix(token.Path, "auth/token/") {
		all = append(all, "a token by "+token.Path+", which is no login")
	}
	switch {
	case token.Made == 0 && token.Path != "":
		all = append(all, "a token without an end")
	case token.Made > l.Life:
		all = append(all, fmt.Sprintf("a token that was made for %s", token.Made))
	}
	return all
}

// Rendered wants the files that secrets are rendered to to be read by the service
// alone, held in memory, and rendered anew on a rotation, which the service takes
// up.
type Rendered struct{}

// Want says what is wanted.
func (Rendered) Want(harness.Profile) string {
	return "files of the service's own user, 0440 at most, in memory; service by what they hold, and by what they hold once it is rotated"
}

// Judge judges calls and files.
func (r Rendered) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Rendered) == 0 || len(t.Exchanges) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		problem := answered(x, classes{statuses: []int{401}}, false)
		if x.Request.Credential != "no credential" {
			problem = answered(x, Accepted().allowed(p, x), true)
		}
		if problem != nil {
			problem.Exchange = i
			j.Problems = append(j.Problems, *problem)
		}
	}
	for _, rendering := range t.Rendered {
		if len(rendering.Files) == 0 {
			return nothing()
		}
		for _, f := range rendering.Files {
			if wrong := exposed(f, rendering.User); wrong != "" {
				problem := contract(fmt.Sprintf("%s, %s: %s", f.Path, rendering.When, wrong), r.Want(p))
				problem.Exchange = -1
				j.Problems = append(j.Problems, *problem)
			}
		}
	}
	return j
}

// exposed says how a file is not protected, or is empty.
func exposed(f harness.File, user int) string {
	switch {
	case f.Perm&0o007 != 0:
		return fmt.Sprintf("permissions %04o, for everybody", f.Perm)
	case f.Perm&^0o440 != 0:
		return fmt.Sprintf("permissions %04o", f.Perm)
	case f.Owner != user && f.Owner != 0:
		return fmt.Sprintf("a file of user %d, and not of the service's, %d", f.Owner, user)
	case !f.InMemory:
		return "a file on a disk"
	}
	return ""
}

// OneEach wants a search to find nothing, and one record of each denial in the
// service's log, whatever the caller wrote: neither more nor none.
func (h Hidden) OneEach() harness.Outcome { return oneEach{h} }

type oneEach struct{ Hidden }

// Judge judges the search, and counts. Only records that give a reason count, as
// lines of access may stand beside them. That one must be there holds where the log
// told of the controls, and the service is known to have had the call: an ingress may
// have refused it (rulings A-27).
func (o oneEach) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Hidden.Judge(p, t)
	told := tells(t)
	uncounted := 0
	for _, record := range t.Records {
		x := t.Exchanges[record.Exchange]
		status := x.Observation.Status
		if status != 401 && status != 403 {
			continue
		}
		count, reached := len(reasoned(record.Lines)), x.Observation.Reached
		if !told[x.Request.Mode] {
			j.Notes = add(j.Notes, fmt.Sprintf("records in mode %s were not counted: the log has none, by the call's ID, of a denial that "+
				"nobody disguised", x.Request.Mode))
			continue
		}
		if count == 0 && (reached == nil || reached.Seen == 0) {
			uncounted++
			continue
		}
		if count != 1 {
			problem := contract(fmt.Sprintf("%d records of the denial", count), "one record an event")
			problem.Exchange = record.Exchange
			j.Problems = append(j.Problems, *problem)
		}
	}
	if uncounted > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("denials without a record that the service is not known to have had: %d", uncounted))
	}
	return j
}

// tells are the modes in which every control that was refused has left a record of
// its denial.
func tells(t harness.Trace) map[harness.Mode]bool {
	told := map[harness.Mode]bool{}
	for _, record := range t.Records {
		r := t.Exchanges[record.Exchange].Request
		if !r.Control {
			continue
		}
		before, known := told[r.Mode]
		told[r.Mode] = len(reasoned(record.Lines)) > 0 && (before || !known)
	}
	return told
}
