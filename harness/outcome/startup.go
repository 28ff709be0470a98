package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Startup is what a start must come to.
type Startup struct {
	words string
	judge func(harness.Profile, harness.Startup) *harness.Problem
}

// RefusesToStart wants the process to end with a non-zero status within the
// bound, and to have served nobody (runbook sections 2 and 5, rulings A-29).
func RefusesToStart() Startup {
	return Startup{"exit with a non-zero status, having served nobody", func(_ harness.Profile, s harness.Startup) *harness.Problem {
		if s.Exited && s.Code != 0 {
			return nil
		}
		return contract(ended(s), "an exit with a non-zero status")
	}}
}

// RefusesOrEnforces wants the same, or a service that refuses whoever shows no
// credential.
func RefusesOrEnforces() Startup {
	return Startup{"exit with a non-zero status, or refuse whoever shows no credential", func(_ harness.Profile,
		s harness.Startup) *harness.Problem {
		if s.Exited && s.Code != 0 || !s.Exited && len(s.After) > 0 {
			return nil
		}
		return contract(ended(s), "an exit with a non-zero status, or denials")
	}}
}

// ServesOnlyWithSecrets wants nobody served while the secrets are held back, and
// service once they come.
func ServesOnlyWithSecrets() Startup {
	return Startup{"serve nobody until the secrets came, then serve", func(p harness.Profile, s harness.Startup) *harness.Problem {
		for _, x := range s.Before {
			if x.Observation.Status != 503 {
				return contract(fmt.Sprintf("answered %s before its secrets had come", Answer(x.Observation)), "connections refused, or 503")
			}
		}
		if !s.Asked {
			return &harness.Problem{Verdict: harness.Inconclusive, Got: "it was not seen to ask for its secrets", Want: "a question to Vault"}
		}
		if s.Exited {
			return &harness.Problem{Verdict: harness.Inconclusive, Got: fmt.Sprintf("it ended with status %d", s.Code),
				Want: "service once its secrets came"}
		}
		return served(p, s)
	}}
}

// Serves wants a service that accepts who shows a credential and refuses who
// shows none.
func Serves() Startup {
	return Startup{"start, and serve who shows a credential", func(p harness.Profile, s harness.Startup) *harness.Problem {
		return served(p, s)
	}}
}

// WaitsOrSays wants a service that starts without its secrets to come by them within
// the bound, and serve, or to end and say in its log what it lacks.
func WaitsOrSays() Startup {
	return Startup{"wait and serve, or exit with a non-zero status and a log that names what is wrong", func(p harness.Profile,
		s harness.Startup) *harness.Problem {
		switch {
		case !s.Exited:
			return served(p, s)
		case s.Code == 0:
			return contract(ended(s), "service, or an exit with a non-zero status")
		case len(s.Unnamed) > 0:
			return contract("a log that does not name "+strings.Join(s.Unnamed, ", "), "a log that names what is wrong")
		}
		return nil
	}}
}

// Named wants the log, besides, to name what the start lacked (runbook section
// 5; ASVS 16.2.5).
func (s Startup) Named() Startup {
	return s.with("with a log that names what is wrong", func(start harness.Startup) *harness.Problem {
		if len(start.Unnamed) == 0 {
			return nil
		}
		return contract("a log that does not name "+strings.Join(start.Unnamed, ", "), "a log that names what is wrong")
	})
}

// Discreet wants the log, besides, to show nothing of what the service holds
// (ASVS 16.2.5).
func (s Startup) Discreet() Startup {
	return s.with("with a log that shows no secret", func(start harness.Startup) *harness.Problem {
		if len(start.Leaks) == 0 {
			return nil
		}
		return contract("a log that shows "+strings.Join(start.Leaks, ", "), "a log that shows no secret")
	})
}

func (s Startup) with(words string, further func(harness.Startup) *harness.Problem) Startup {
	first := s.judge
	return Startup{s.words + ", " + words, func(p harness.Profile, start harness.Startup) *harness.Problem {
		if problem := first(p, start); problem != nil {
			return problem
		}
		return further(start)
	}}
}

// PerStart wants another outcome of each start, by its variant.
type PerStart map[string]Startup

// Want says what is wanted of each.
func (s PerStart) Want(p harness.Profile) string {
	var words []string
	for _, variant := range slices.Sorted(maps.Keys(s)) {
		words = append(words, variant+": "+s[variant].Want(p))
	}
	return strings.Join(words, "; ")
}

// Judge judges each start by its own outcome, and every control.
func (s PerStart) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Startups) == 0 {
		return nothing()
	}
	for _, start := range t.Startups {
		want, ok := s[start.Variant]
		if !ok && !start.Control {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Error, Exchange: -1,
				Got: fmt.Sprintf("a start %q", start.Variant), Want: "a start with an outcome of its own"})
			continue
		}
		j.Problems = append(j.Problems, want.Judge(p, harness.Trace{Startups: []harness.Startup{start}}).Problems...)
	}
	return j
}

// Want says what is wanted.
func (s Startup) Want(harness.Profile) string { return s.words }

// Judge judges every start; a sound one that does not serve makes the others
// inconclusive.
func (s Startup) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Startups) == 0 {
		return nothing()
	}
	for _, start := range t.Startups {
		if problem := s.one(p, start); problem != nil {
			problem.Exchange = -1
			j.Problems = append(j.Problems, *problem)
		}
	}
	return j
}

func (s Startup) one(p harness.Profile, start harness.Startup) *harness.Problem {
	if start.Control {
		if problem := served(p, start); problem != nil {
			return &harness.Problem{Verdict: harness.Inconclusive, Got: "the control: a sound start " + problem.Got,
				Want: "a sound start that serves"}
		}
		return nil
	}
	if problem := opened(start); problem != nil {
		return problem
	}
	return s.judge(p, start)
}

// opened is a call without a credential, or before the secrets came, that was
// served.
func opened(s harness.Startup) *harness.Problem {
	for _, x := range s.Before {
		if x.Observation.Status >= 200 && x.Observation.Status < 300 {
			return security(fmt.Sprintf("%s with %s was answered %d before its secrets had come", x.Request.Endpoint.Path, x.Request.Credential,
				x.Observation.Status))
		}
	}
	for _, x := range s.After {
		if (bare(x) || x.Request.Variant == "token that must be refused") && x.Observation.Status >= 200 && x.Observation.Status < 300 {
			return security(fmt.Sprintf("%s with %s was answered %d", x.Request.Endpoint.Path, x.Request.Credential, x.Observation.Status))
		}
	}
	return nil
}

// bare reports a call that showed no credential.
func bare(x harness.Exchange) bool { return x.Request.Variant == "no credential" }

// served wants every call with a valid credential to have been accepted.
func served(p harness.Profile, s harness.Startup) *harness.Problem {
	if len(s.After) == 0 {
		return contract(ended(s), "service")
	}
	for _, x := range s.After {
		if !bare(x) && !p.Accepts(x.Observation.Status) {
			return contract(fmt.Sprintf("answered %s to %s at %s", Answer(x.Observation), x.Request.Credential, x.Request.Endpoint.Path),
				Accepted().Want(p))
		}
	}
	return nil
}

func ended(s harness.Startup) string {
	switch {
	case s.Exited:
		return fmt.Sprintf("ended with status %d", s.Code)
	case len(s.After) > 0:
		return "kept running and answers"
	default:
		return "neither ended nor answered within the bound"
	}
}

func contract(got, want string) *harness.Problem {
	return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Got: got, Want: want}
}

func security(got string) *harness.Problem {
	return &harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Got: got, Want: "nobody served"}
}

// RefusesOrForbids wants the process to end with a non-zero status, or to serve
// nobody at all: a list that cannot be read, or is none, enrols nobody, and not
// a part of it either (rulings A-17).
func RefusesOrForbids() Startup {
	const want = "an exit with a non-zero status, or nobody served"
	return Startup{want, func(p harness.Profile, s harness.Startup) *harness.Problem {
		for _, x := range s.After {
			switch status := x.Observation.Status; {
			case wasServed(x.Observation):
				return security(fmt.Sprintf("%s with %s was answered %d %s", x.Request.Endpoint.Path, x.Request.Credential, status, s.Variant))
			case status != 401 && status != 403 && status != 503:
				return contract(fmt.Sprintf("answered %s to %s at %s %s", Answer(x.Observation), x.Request.Credential, x.Request.Endpoint.Path,
					s.Variant), want)
			}
		}
		if s.Exited && s.Code != 0 || !s.Exited && len(s.After) > 0 {
			return nil
		}
		return contract(ended(s)+" "+s.Variant, want)
	}}
}

// Clean wants the calls denied, and no name found on the list afterwards that they would
// have left behind.
type Clean struct{ Answers }

// Want says what is wanted.
func (c Clean) Want(p harness.Profile) string {
	return c.Answers.Want(p) + "; and nothing left behind"
}

// Judge judges the calls, and what was found.
func (c Clean) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := c.Answers.Judge(p, t)
	for range harness.MarkerFound.In(t) {
		problem := security(string(harness.MarkerFound))
		problem.Exchange = -1
		j.Problems = append(j.Problems, *problem)
	}
	return j
}
