package signoff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Cause is what several expectations may have not held for: told once, with whom it
// is likely to be mended by.
type Cause struct {
	Says  string
	Owner Layer
	IDs   []string
}

// Causes groups what failed, and what was inconclusive, by its likely cause: those
// first that explain the most, a request that was served before one that was not.
func (r Record) Causes() []Cause {
	var all []Cause
	at := map[string]int{}
	for _, f := range r.Findings {
		if f.Verdict != harness.Fail && f.Verdict != harness.Inconclusive {
			continue
		}
		c := r.cause(f)
		key := c.Says + "\x00" + string(c.Owner)
		if _, known := at[key]; !known {
			at[key] = len(all)
			all = append(all, c)
		}
		all[at[key]].IDs = append(all[at[key]].IDs, f.ID)
	}
	slices.SortStableFunc(all, func(a, b Cause) int { return r.weight(b) - r.weight(a) })
	return all
}

// weight puts holes before all else, and then what explains more.
func (r Record) weight(c Cause) int {
	weight := len(c.IDs)
	for _, f := range r.Findings {
		if f.Bucket == harness.Security && slices.Contains(c.IDs, f.ID) {
			return weight + len(r.Findings)
		}
	}
	return weight
}

func (r Record) cause(f Finding) Cause {
	if f.Bucket == harness.Security {
		for _, opening := range openings {
			if r.shows(opening, f) {
				return Cause{Says: opening.says, Owner: opening.owner(f)}
			}
		}
	}
	if refused, accepted := acceptedRefused(f); refused {
		return Cause{Says: accepted}
	}
	if f.Verdict == harness.Inconclusive {
		return Cause{Says: general(f.Reason)}
	}
	return Cause{Says: general(f.Got), Owner: f.Owner}
}

// opening is a request that is served and must not be, which makes many others of its
// mode served as well.
type opening struct {
	says  string
	roots []string // expectations, of which one failing shows it
	mode  harness.Mode
	owner func(Finding) Layer
}

// openings are the widest first: who need show nothing need not show anything sound.
var openings = []opening{
	{"whoever shows no token is served", []string{"OIDC-004"}, harness.OIDC, Finding.answerer},
	{"a token is served whatever its signature", []string{"OIDC-006", "OIDC-011", "OIDC-012"}, harness.OIDC, Finding.answerer},
	{"whoever shows no certificate is served", []string{"MTLS-001"}, harness.MTLS, Finding.answerer},
	{"a client who is not enrolled is served: the list of allowed clients is not in force", []string{"MTLS-003"}, harness.MTLS,
		func(Finding) Layer { return Service }},
}

// shows reports whether a finding is of a opening that the record shows.
func (r Record) shows(h opening, f Finding) bool {
	told, ok := f.told()
	return ok && told.Mode == h.mode && slices.ContainsFunc(r.Findings, func(root Finding) bool {
		return root.Bucket == harness.Security && slices.Contains(h.roots, root.ID)
	})
}

// told is the exchange that the finding tells: the first that is no control.
func (f Finding) told() (harness.Evidence, bool) {
	i := slices.IndexFunc(f.Evidence, func(e harness.Evidence) bool { return !e.Control })
	if i < 0 {
		return harness.Evidence{}, false
	}
	return f.Evidence[i], true
}

// control is what a finding says of a control that was refused.
var control = regexp.MustCompile(`control (?:before|after)(?: the stimulus was not accepted)?: \S+ \S+ with (.+?) was answered: (.+)$`)

// acceptedRefused says that the accepted call itself is refused, as a control or as
// what a rule is about.
func acceptedRefused(f Finding) (bool, string) {
	if m := control.FindStringSubmatch(f.Reason); m != nil {
		return true, refusal(m[1], m[2])
	}
	told, ok := f.told()
	if !ok || f.Verdict != harness.Fail || f.Bucket == harness.Security {
		return false, ""
	}
	_, with, _ := strings.Cut(told.Request, " with ")
	answer, _, _ := strings.Cut(told.Response, ";")
	if !slices.Contains(accepted, with) || strings.HasPrefix(answer, "2") {
		return false, ""
	}
	return true, refusal(with, answer)
}

// accepted are the credentials of accepted calls, as evidence names them.
var accepted = []string{"valid token", "enrolled certificate"}

func refusal(with, answer string) string {
	return fmt.Sprintf("the call that must be accepted, with the %s, is refused: %s", with, general(answer))
}

// What tells one instance from another, and no cause: where, with what, how often.
var (
	instance = regexp.MustCompile(` to [A-Z]+ \S+ with .*$`)
	quoted   = regexp.MustCompile(`"[^"]*"|[0-9a-f]{12,}`)
	more     = regexp.MustCompile(` \(and \d+ more of \d+ exchanges\)`)
)

// general is what was got, without what is an instance's own.
func general(got string) string {
	got = instance.ReplaceAllString(more.ReplaceAllString(got, ""), "")
	return quoted.ReplaceAllString(got, "…")
}
