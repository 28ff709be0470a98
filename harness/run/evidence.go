package run

import (
	"crypto/tls"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/outcome"
)

// A finding keeps this much evidence.
const (
	maxPassed = 3   // exchanges of a pass
	maxFailed = 8   // exchanges with a problem
	maxBody   = 240 // bytes of a body
)

// evidence is the exchanges worth keeping: those with a problem, or a sample of
// those without, each route's controls after them.
func evidence(trace harness.Trace, problems []harness.Problem, r *controls) []harness.Evidence {
	var kept []harness.Evidence
	var at []int
	for _, p := range problems {
		if p.Exchange >= 0 && !slices.Contains(at, p.Exchange) && len(at) < maxFailed {
			at = append(at, p.Exchange)
		}
	}
	if len(at) == 0 {
		for i := range min(len(trace.Exchanges), maxPassed) {
			at = append(at, i)
		}
	}
	for _, i := range at {
		kept = append(kept, exhibit(trace.Exchanges[i]))
	}
	kept = append(kept, startups(trace)...)
	for _, side := range []map[route]control{r.before, r.after} {
		if c, ok := first(side); ok {
			kept = append(kept, exhibit(c.exchange))
		}
	}
	return kept
}

// first is the control to show of one side: one that was refused, if any.
func first(side map[route]control) (control, bool) {
	lanes := slices.SortedFunc(maps.Keys(side), func(a, b route) int {
		return strings.Compare(string(a.mode)+a.path, string(b.mode)+b.path)
	})
	for _, at := range lanes {
		if side[at].refusal != "" {
			return side[at], true
		}
	}
	if len(lanes) == 0 {
		return control{}, false
	}
	return side[lanes[0]], true
}

// shownFields are the header fields of an answer that evidence shows. Any other
// may hold what is no reader's business: a session's cookie, say.
var shownFields = []string{"WWW-Authenticate"}

// exhibit is an exchange without its credential.
func exhibit(x harness.Exchange) harness.Evidence {
	o := x.Observation
	e := harness.Evidence{
		ProbeID: o.ProbeID, Control: x.Request.Control, Variant: x.Request.Variant, Mode: x.Request.Mode,
		Request:    shown(fmt.Sprintf("%s %s with %s", x.Request.Method, x.Request.Path, x.Request.Credential), x.Request),
		Credential: shown(x.Request.Credential, x.Request),
		Response:   shown(outcome.Answer(o), x.Request),
		Body:       excerpt(string(o.Body), x.Request),
		Millis:     o.Total.Milliseconds(),
	}
	for _, name := range shownFields {
		if value := o.Header.Get(name); value != "" {
			e.Response += "; " + name + ": " + excerpt(value, x.Request)
		}
	}
	if o.TLSVersion != 0 {
		e.TLS = tls.VersionName(o.TLSVersion)
	}
	switch {
	case o.Unread != "":
		e.Reached = "not observed: the request log could not be read"
	case o.Reached == nil:
		e.Reached = "not observed: no request log"
	case o.Reached.Handled > 0:
		e.Reached = fmt.Sprintf("the handler ran %d times", o.Reached.Handled)
	case o.Reached.Seen > 0:
		e.Reached = "the service, not the handler"
	default:
		e.Reached = harness.NotReached
	}
	return e
}

// excerpt is the start of a text from outside, as it may be shown. What stands
// far behind it is not looked at.
func excerpt(text string, sent ...harness.Request) string {
	near := text[:min(len(text), 16*maxBody)]
	s := hide(near, sent)
	if len(s) > maxBody {
		s = s[:maxBody] + "…"
	} else if len(near) < len(text) {
		s += "…"
	}
	return printable(strings.TrimRight(s, "\r\n"))
}

// shown is a text that quotes a target, as it may be shown.
func shown(text string, sent harness.Request) string {
	return printable(hide(text, []harness.Request{sent}))
}

// printable has no control characters and no broken UTF-8.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '�'
		}
		return c
	}, text)
}

// shared is how many bytes in a row a text may not have in common with a
// credential.
const shared = 8

// telling is how long a credential is that is looked for in other writings, bytes: a
// stimulus sends words, too, in the place of one.
const telling = 24

// hide blots out what a text has in common with the credentials that were
// sent: a target may give them back whole, in part, or cut off. A text that shows them
// in another writing is not kept at all.
func hide(text string, sent []harness.Request) string {
	var known []string
	for _, r := range sent {
		known = append(known, credentials(r)...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	blotted := blot(text, known)
	long := slices.DeleteFunc(known, func(c string) bool { return len(c) < telling })
	if how := harness.Writing(blotted, strings.Join(long, " ")); how != "" {
		return "•••• (not kept: it shows the credential that was sent, " + how + ")"
	}
	return blotted
}

// blot puts dots in the place of what a text has in common with what is known.
func blot(text string, known []string) string {
	secret := func(part string) bool {
		return slices.ContainsFunc(known, func(c string) bool { return strings.Contains(c, part) })
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		end := i
		for j := i; j+shared <= len(text) && secret(text[j:j+shared]); j++ {
			end = j + shared
		}
		if end == i {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString("••••")
		i = end
	}
	return b.String()
}

// compact is a JWS in compact form, signed or not (RFC 7515 section 7.1).
var compact = regexp.MustCompile(`\be[wy][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)

// credentials are the secrets in a request: what follows the scheme in
// Authorization, and tokens wherever they stand.
func credentials(r harness.Request) []string {
	found := compact.FindAllString(r.Path, -1)
	found = append(found, compact.FindAllString(string(r.Body), -1)...)
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, harness.ProxyHeader) {
			found = append(found, f.Value)
		} else if !strings.EqualFold(f.Name, "Authorization") {
			found = append(found, compact.FindAllString(f.Value, -1)...)
		} else if _, value, ok := strings.Cut(f.Value, " "); ok {
			found = append(found, value)
		} else {
			found = append(found, f.Value)
		}
	}
	return found
}

// looked is how many exchanges of a finding are searched for an echo.
const looked = 64

// echo says in which writing an answer showed the token that the request proved itself
// with. Where a target would have it go next is no answer's text.
func echo(exchanges []harness.Exchange) string {
	for _, x := range exchanges[:min(len(exchanges), looked)] {
		token := strings.Join(harness.Parts(compact.FindString(x.Request.Get("Authorization"))), " ")
		if token == "" {
			continue
		}
		if how := harness.Writing(said(x.Observation), token); how != "" {
			return how
		}
	}
	return ""
}

// said is what an answer says, as far as it is looked at: its fields and its body.
func said(o harness.Observation) string {
	var b strings.Builder
	b.Write(o.Body[:min(len(o.Body), 16*maxBody)])
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		if name != "Location" && name != "Content-Location" {
			b.WriteString("\n" + strings.Join(o.Header[name], "\n"))
		}
	}
	return b.String()
}

// veil hides, in what a finding says of a target, the credentials that were sent.
func veil(f *harness.Finding, exchanges []harness.Exchange) {
	var sent []harness.Request
	for _, x := range exchanges[:min(len(exchanges), looked)] {
		sent = append(sent, x.Request)
	}
	f.Reason, f.Got = hide(f.Reason, sent), hide(f.Got, sent)
	for i, note := range f.Notes {
		f.Notes[i] = hide(note, sent)
	}
}

// startRequests are what a replica was sent.
func startRequests(s harness.Startup) []harness.Request {
	var sent []harness.Request
	for _, x := range slices.Concat(s.Before, s.After) {
		sent = append(sent, x.Request)
	}
	return sent
}

// startups are the starts as evidence.
func startups(trace harness.Trace) []harness.Evidence {
	var kept []harness.Evidence
	for _, s := range trace.Startups {
		response := fmt.Sprintf("answered %d calls before, %d after; %d found nobody listening", len(s.Before), len(s.After), s.Refused)
		if s.Exited {
			response = fmt.Sprintf("ended with status %d; ", s.Code) + response
		}
		kept = append(kept, harness.Evidence{
			Control: s.Control, Variant: s.Variant, Request: "start a replica " + s.Variant,
			Response: response, Body: excerpt(s.Log, startRequests(s)...), Millis: s.Took.Milliseconds(),
		})
	}
	for _, t := range trace.Tallies {
		kept = append(kept, harness.Evidence{
			Mode: t.Mode, Request: fmt.Sprintf("read %s around %d calls", t.Name, t.Calls),
			Response: fmt.Sprintf("%v before, %v after, %d series", t.Before.Sum(), t.After.Sum(), len(t.After.Series)),
		})
	}
	for _, a := range trace.Alarms {
		kept = append(kept, harness.Evidence{
			Request: "watch " + strings.Join(a.Rules, ", ") + " " + a.When, Response: "firing: " + orNone(a.Fired), Millis: a.Took.Milliseconds(),
		})
	}
	for _, w := range trace.Watching {
		kept = append(kept, harness.Evidence{
			Request: "ask Prometheus and Alertmanager",
			Response: fmt.Sprintf("%d rules on %s, %d series of it, %d targets, Alertmanagers: %s, receivers: %s", len(w.Rules), w.Metric,
				w.Series, len(w.Targets), orNone(w.Managers), orNone(toldBy(w.Receivers))),
		})
	}
	for _, f := range trace.Facts {
		kept = append(kept, harness.Evidence{Request: "read " + f.Name(), Response: f.Value()})
	}
	return kept
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// words says what surrounded the stimulus.
func (r *controls) words() string {
	if len(r.before) == 0 {
		return ""
	}
	count := func(side map[route]control) (accepted int) {
		for _, c := range side {
			if c.refusal == "" {
				accepted++
			}
		}
		return accepted
	}
	return fmt.Sprintf("%d of %d accepted before, %d of %d after", count(r.before), len(r.before), count(r.after), len(r.after))
}

// toldBy names receivers, each with how he is told.
func toldBy(receivers []harness.Receiver) []string {
	var names []string
	for _, r := range receivers {
		name := r.Name
		if len(r.By) > 0 {
			name += " by " + strings.Join(r.By, " and ")
		}
		names = append(names, name)
	}
	return names
}
