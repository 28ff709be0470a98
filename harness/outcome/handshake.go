package outcome

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// Unauthorized wants 401 of whoever answers, whatever the ingress would say.
func Unauthorized() Answers {
	return Answers{
		words:   func(harness.Profile) string { return "401" },
		allowed: func(harness.Profile, harness.Exchange) classes { return classes{statuses: []int{401}} },
	}
}

// InTLS wants a refusal before any byte of HTTP.
func InTLS() Answers {
	return Answers{
		words:   func(harness.Profile) string { return classes{tls: true}.String() },
		allowed: func(harness.Profile, harness.Exchange) classes { return classes{tls: true} },
	}
}

// OrInTLS tolerates a refusal before any byte of HTTP.
func (a Answers) OrInTLS() Answers {
	words, allowed := a.words, a.allowed
	a.words = func(p harness.Profile) string { return words(p) + ", or a refusal in TLS" }
	a.allowed = func(p harness.Profile, x harness.Exchange) classes {
		c := allowed(p, x)
		c.tls = true
		return c
	}
	return a
}

// Within wants the answer soon.
func (a Answers) Within(bound time.Duration) Answers {
	return a.with(check{"within " + bound.String(), func(_ harness.Profile, x harness.Exchange) (*harness.Problem, string) {
		if x.Observation.Total <= bound {
			return nil, ""
		}
		return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract,
			Got: fmt.Sprintf("%s after %s", Answer(x.Observation), x.Observation.Total.Round(time.Millisecond)), Want: "within " +
				bound.String()}, ""
	}})
}

// Rejected wants a refusal of any kind, one without HTTP and one by bytes that
// are no TLS included: what was sent was no sound beginning.
func Rejected() Answers {
	return Unauthenticated().Or(400, 401, 403).OrInTLS().tolerating(harness.Malformed)
}

// tolerating takes a transport outcome for a refusal.
func (a Answers) tolerating(kind harness.Transport) Answers {
	allowed := a.allowed
	a.allowed = func(p harness.Profile, x harness.Exchange) classes {
		c := allowed(p, x)
		c.kinds = append(slices.Clip(c.kinds), kind)
		return c
	}
	return a
}

// WhereOffered judges the exchanges of protocols, and of versions of TLS, that the
// server offers: what it does not offer cannot be called by.
type WhereOffered struct{ Outcome harness.Outcome }

// Want says what is wanted.
func (w WhereOffered) Want(p harness.Profile) string {
	return "by every protocol that is offered: " + w.Outcome.Want(p)
}

// Judge judges.
func (w WhereOffered) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	offered := t
	offered.Exchanges, offered.Moot = nil, slices.Clone(t.Moot)
	var indices []int
	var notes []string
	for i, x := range t.Exchanges {
		if what := unoffered(x); what != "" {
			notes = add(notes, what+" is not offered")
			offered.Moot = append(offered.Moot, x.Request.Variant)
			continue
		}
		offered.Exchanges, indices = append(offered.Exchanges, x), append(indices, i)
	}
	if len(offered.Exchanges) == 0 {
		return nothing()
	}
	j := w.Outcome.Judge(p, offered)
	for k, problem := range j.Problems {
		if problem.Exchange >= 0 {
			j.Problems[k].Exchange = indices[problem.Exchange]
		}
	}
	j.Notes = append(notes, j.Notes...)
	return j
}

// unoffered names what an exchange asked for and the server does not offer; "" is
// nothing.
func unoffered(x harness.Exchange) string {
	r, seen := x.Request, x.Observation
	switch {
	case seen.Transport == harness.Unoffered:
		return r.Protocol
	case seen.Transport == harness.Alert && seen.AlertCode == protocolVersion && r.MinTLS > 0 && r.MinTLS == r.MaxTLS:
		return tls.VersionName(r.MaxTLS)
	}
	return ""
}

// ByHTTP3 judges the calls, of which some go by HTTP/3. A face that does not speak it has
// none to judge; one that announces it, and was not reached by it, was not seen (rulings A-42).
type ByHTTP3 struct{ Outcome harness.Outcome }

// h3 is HTTP/3's name in ALPN and in Alt-Svc (RFC 9114 section 3.1).
const h3 = "h3"

// Want says what is wanted.
func (b ByHTTP3) Want(p harness.Profile) string {
	return b.Outcome.Want(p) + "; by HTTP/3 where it is spoken"
}

// Judge judges.
func (b ByHTTP3) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := WhereOffered(b).Judge(p, t)
	var spoken bool
	for _, mode := range []harness.Mode{harness.MTLS, harness.OIDC} {
		speaks, absent, announced := spokenIn(mode, t)
		spoken = spoken || speaks
		switch {
		case absent == "":
		case speaks:
			j.Problems = append(j.Problems, unseenH3(string(mode)+": some calls by HTTP/3 were answered, and others by nobody: "+absent))
		case announced != "":
			j.Problems = append(j.Problems, unseenH3(fmt.Sprintf("%s: Alt-Svc: %q, and no answer by HTTP/3 from here: %s", mode, announced, absent)))
		}
	}
	if !spoken {
		j.Inapplicable = "nobody answers by HTTP/3 at the port of UDP of what is called, and no answer announces it"
	}
	return j
}

// unseenH3 is the problem of HTTP/3 that is there and was not reached.
func unseenH3(got string) harness.Problem {
	return harness.Problem{Verdict: harness.Inconclusive, Exchange: -1, Got: got,
		Want: "the same answers by HTTP/3: let the harness reach the port of UDP, or take the announcement away"}
}

// spokenIn reports whether a face of a trace speaks HTTP/3, in whose words it does not
// where a call found nobody, and what announces it.
func spokenIn(mode harness.Mode, t harness.Trace) (speaks bool, absent, announced string) {
	for _, x := range t.Exchanges {
		o := x.Observation
		switch {
		case x.Request.Mode != mode:
		case x.Request.Protocol == h3 && o.Transport == harness.Unoffered:
			absent = o.Detail
		case x.Request.Protocol == h3:
			speaks = true
		case strings.Contains(o.Header.Get("Alt-Svc"), h3):
			announced = o.Header.Get("Alt-Svc")
		}
	}
	return speaks, absent, announced
}

func add(notes []string, note string) []string {
	if slices.Contains(notes, note) {
		return notes
	}
	return append(notes, note)
}

// LegacyRefused wants a TLS version that is not to be spoken to be refused in
// the handshake (RFC 8996). Which alert it is is noted, no more (rulings A-03).
type LegacyRefused struct{}

// Want says what is wanted.
func (LegacyRefused) Want(harness.Profile) string {
	return "a refusal in TLS, by the alert protocol_version"
}

// Judge judges.
func (l LegacyRefused) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Exchanges) == 0 {
		return nothing()
	}
	for i, x := range t.Exchanges {
		o := x.Observation
		switch {
		case o.Status != 0 || o.TLSVersion != 0:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: i,
				Got: Answer(o) + ": the version is spoken", Want: l.Want(p)})
		case o.Transport == harness.Alert && o.AlertCode == protocolVersion:
		case inTLS(o):
			j.Notes = add(j.Notes, "refused by "+Answer(o)+", not by the alert protocol_version")
		default:
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: i, Got: Answer(o), Want: l.Want(p)})
		}
	}
	return j
}

// ShortLived wants certificates to live no longer than the declared bound where
// revocation is not declared (rulings A-37).
type ShortLived struct{}

// Want says what is wanted.
func (ShortLived) Want(p harness.Profile) string {
	if p.Revocation {
		return "revocation, which is declared"
	}
	return "no certificate that lives longer than " + shortLived(p).String() + ", which profile.short_lived declares; or revocation, " +
		"which profile.revocation declares"
}

func shortLived(p harness.Profile) time.Duration {
	if p.ShortLived != 0 {
		return p.ShortLived
	}
	return harness.DefaultShortLived
}

// Judge judges.
func (s ShortLived) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	lives := harness.CertificateLife.In(t)
	if len(lives) == 0 {
		return nothing()
	}
	for _, life := range lives {
		if life.Duration > shortLived(p) {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: fmt.Sprintf("profile.revocation is not declared, and the %s lives %s", life.Of, life.Duration), Want: s.Want(p)})
		}
	}
	j.Notes = append(j.Notes, "revocation is not declared: certificates are to be short-lived instead")
	return j
}

// OneHandshake wants of a connection's calls what Calls wants, and that nobody who
// asks for a second handshake gets it (RFC 5746 allows a server to refuse, to end the
// connection, and to say nothing).
type OneHandshake struct{ Calls harness.Outcome }

// Want says what is wanted.
func (o OneHandshake) Want(p harness.Profile) string {
	return o.Calls.Want(p) + ", and no second handshake on a connection"
}

// Judge judges the calls, and what became of the second handshake: one that could not
// be asked for is a note.
func (o OneHandshake) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	asked := slices.IndexFunc(t.Exchanges, func(x harness.Exchange) bool { return x.Request.Renegotiate })
	if asked < 0 {
		return nothing()
	}
	calls := t
	calls.Exchanges = t.Exchanges[:asked]
	j := o.Calls.Judge(p, calls)
	switch seen := t.Exchanges[asked].Observation; seen.Transport {
	case harness.Answered:
		j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Protocol, Exchange: asked, Got: seen.Detail,
			Want: o.Want(p)})
	case harness.Unoffered:
		j.Notes = append(j.Notes, "a second handshake could not be asked for: "+seen.Detail)
	default:
		j.Notes = append(j.Notes, "a second handshake was refused: "+string(seen.Transport))
	}
	return j
}

// NoEarlyData wants no session ticket to allow early data (RFC 8470 section 3). Where no
// ticket is given, or no TLS 1.3 spoken, nothing can be sent early, which is a note.
type NoEarlyData struct{}

// Want says what is wanted.
func (NoEarlyData) Want(harness.Profile) string {
	return "200, and session tickets without early_data, or none"
}

// Judge judges the call, and what its tickets allow.
func (n NoEarlyData) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := Accepted().Judge(p, t)
	given, allowed := harness.TicketsGiven.In(t), harness.EarlyDataAllowed.In(t)
	if len(given) == 0 || len(allowed) == 0 {
		return nothing()
	}
	if allowed[0] > 0 {
		j.Problems = append(j.Problems, *contract(fmt.Sprintf("a session ticket that allows %d bytes of early data: a call in them is run "+
			"before the client has shown anything that a recording has not, unless it is held back or answered 425", allowed[0]), n.Want(p)))
	}
	if given[0] == 0 {
		j.Notes = append(j.Notes, "no session ticket of TLS 1.3 was given")
	}
	return j
}
