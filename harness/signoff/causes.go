package signoff

import (
	"cmp"
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
	Topic Topic
	IDs   []string
}

// Causes groups what failed, and what was inconclusive, by its likely cause, worst first:
// a request that was served, then what decides, then advice, then what was not seen; of
// one rank those that explain the most.
func (r Record) Causes() []Cause {
	var all []Cause
	at, worst := map[string]int{}, map[string]int{}
	for _, f := range r.Findings {
		if f.Verdict != harness.Fail && f.Verdict != harness.Inconclusive {
			continue
		}
		c := r.cause(f)
		key := c.key()
		if _, known := at[key]; !known {
			at[key] = len(all)
			all = append(all, c)
		}
		all[at[key]].IDs = append(all[at[key]].IDs, f.ID)
		worst[key] = max(worst[key], r.rank(f))
	}
	slices.SortStableFunc(all, func(a, b Cause) int {
		return cmp.Or(worst[b.key()]-worst[a.key()], len(b.IDs)-len(a.IDs))
	})
	return all
}

func (c Cause) key() string { return c.Says + "\x00" + string(c.Owner) }

// rank is how bad a finding is: 3 where somebody was served, 2 where it decides, 1 where it
// is advice or waived, 0 where nothing was concluded.
func (r Record) rank(f Finding) int {
	_, waived := r.Waived(f)
	switch {
	case f.Verdict != harness.Fail:
		return 0
	case f.Bucket == harness.Security:
		return 3
	case waived || !f.Decides():
		return 1
	default:
		return 2
	}
}

func (r Record) cause(f Finding) Cause {
	topic := f.topic()
	if f.served() {
		for _, opening := range openings {
			if r.shows(opening, f) {
				return Cause{Says: opening.says, Owner: opening.owner, Topic: topicNamed(opening.topic)}
			}
		}
		return Cause{Says: topic.Says, Owner: cmp.Or(topic.Owner, f.Owner, f.answerer()), Topic: topic}
	}
	if refused, words := acceptedRefused(f); refused {
		return Cause{Says: words, Owner: refuser(words), Topic: topicNamed(accepted)}
	}
	if f.Verdict == harness.Inconclusive {
		return Cause{Says: general(f.Reason), Topic: topic}
	}
	return Cause{Says: general(f.Got), Owner: f.Owner, Topic: topic}
}

// refuser is the layer to look at first where an accepted call is refused: a certificate
// that verifies and gives 401 was not forwarded as a name, one that gives 403 is a name
// that is not on the list.
func refuser(refusal string) Layer {
	switch {
	case strings.Contains(refusal, "certificate") && !strings.Contains(refusal, "403"):
		return Ingress
	default:
		return Service
	}
}

// opening is a request that is served and must not be, which makes many others of its
// mode served as well.
type opening struct {
	says  string
	roots []string // expectations, of which one failing shows it
	mode  harness.Mode
	owner Layer
	topic string // its name
}

// openings are the widest first: who need show nothing need not show anything sound.
var openings = []opening{
	{"whoever shows no token is served", []string{"OIDC-004"}, harness.OIDC, Service, "anonymous"},
	{"a token is served whatever its signature", []string{"OIDC-006", "OIDC-011", "OIDC-012"}, harness.OIDC, Service, "signature"},
	{"whoever shows no certificate is served", []string{"MTLS-001"}, harness.MTLS, Ingress, "no-certificate"},
	{"a client who is not enrolled is served: the list of allowed clients is not in force", []string{"MTLS-003"}, harness.MTLS, Service, "enrolment"},
}

// shows reports whether a finding is of an opening that the record shows.
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
	if !slices.Contains(acceptedWith, with) || strings.HasPrefix(answer, "2") {
		return false, ""
	}
	return true, refusal(with, answer)
}

// acceptedWith are the credentials of accepted calls, as evidence names them.
var acceptedWith = []string{"valid token", "enrolled certificate"}

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
