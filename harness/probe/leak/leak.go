// Package leak searches logs, answers, metrics, files and deployments for what must not show.
package leak

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/replica"
	"aegis.test/conformance/harness/token"
)

// InLogs calls the services and replicas at level debug with good and
// bad credentials, while a secret is rotated and after a start without one, and
// searches what is logged of it, and what the replicas leave that are made to crash
// (SEC-001).
func InLogs() harness.Stimulus {
	return harness.Stimulus{
		Words: "rotate aegis/runtime, call every critical endpoint of the services, and of replicas with LOG_LEVEL=debug, with good and " +
			"bad credentials, start a replica that lacks a secret, end the replicas by SIGABRT, and search all their logs, the ingress's and " +
			"what they have left",
		Needs: []harness.Capability{harness.ComponentLogs, harness.RestartService, harness.MintTokens, harness.VaultWrite,
			harness.GivenClientCerts},
		Effect: harness.Disruptive, Modes: probe.BothModes,
		OwnControl: true, // that each log tells of the last call
		Tells:      []harness.Key{harness.Searched, harness.Leaked, harness.Unheard, harness.SearchNote},
		Act:        credentialsInLogs,
	}
}

func credentialsInLogs(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
	t := client.Target()
	var s search
	if s.sought, err = confidential(ctx, t); err != nil {
		return trace, err
	}
	lacking, stop, err := replica.In(probe.ModesOf(t)[0]).Without("model_signing_pubkey").Once(ctx, client)
	defer stop()
	if err != nil {
		return trace, err
	}
	probe.Settle(ctx, client)
	for _, name := range lacking.Leaks {
		if _, secret := s.sought[name]; secret {
			s.found("the log of a replica without its secret", []string{name})
		}
	}
	replicas := map[harness.Mode]harness.Replica{}
	defer func() {
		for _, replica := range replicas {
			err = errors.Join(err, replica.Stop(context.WithoutCancel(ctx)))
		}
	}()
	for _, mode := range probe.ModesOf(t) {
		if replicas[mode], err = probe.Launch(ctx, client, harness.Launch{Mode: mode, Env: map[string]string{"LOG_LEVEL": "debug"},
			Crashes: true}); err != nil {
			delete(replicas, mode)
			return trace, err
		}
	}
	restore, err := s.rotate(ctx, client, replicas[harness.MTLS])
	if err != nil {
		return trace, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	for _, mode := range probe.ModesOf(t) {
		if err := s.credentials(ctx, client, mode, replicas[mode], &trace); err != nil {
			return trace, err
		}
	}
	if err := s.searchLogs(ctx, client, &trace); err != nil {
		return trace, err
	}
	for _, mode := range probe.ModesOf(t) {
		if err := s.crash(ctx, mode, replicas[mode]); err != nil {
			return trace, err
		}
	}
	trace.Facts = append(trace.Facts, s.facts...)
	return trace, nil
}

// rotate writes a new canary and a new client into aegis/runtime, and waits until
// the replica serves that client. Without a replica that knows clients it waits as
// long as a change may take.
func (s *search) rotate(ctx context.Context, client harness.Client, witness harness.Replica) (restore func() error, err error) {
	t := client.Target()
	added, canary := clientcert.Coin(t, "client-"+token.Random(4)), token.Random(16)
	s.sought["the canary of aegis/runtime after its rotation"] = harness.Secret(canary)
	restore, err = probe.Rewrite(ctx, t, func(fields map[string]string) map[string]string {
		fields["canary"] = canary
		return probe.Enrolling(t.Certs.EnrolledCN, added)(fields)
	})
	if err != nil {
		return restore, err
	}
	limit := probe.Bound(t.Profile.Propagation, harness.DefaultPropagation)
	if witness == nil {
		probe.Pause(ctx, limit)
		return restore, nil
	}
	face := witness.URL()
	probe.Until(ctx, client, limit, func() bool {
		r := probe.At(t, harness.MTLS, face, t.Endpoints[0])
		probe.Forward(t, &r, added)
		return t.Profile.Accepts(client.Send(ctx, r).Observation.Status)
	})
	return restore, nil
}

// credentials calls a mode's face and its replica with good and bad credentials,
// and searches the replica's log.
func (s *search) credentials(ctx context.Context, client harness.Client, mode harness.Mode, replica harness.Replica,
	trace *harness.Trace) error {
	t := client.Target()
	face := replica.URL()
	refused, err := probe.Refusable(t, mode, face)
	if err != nil {
		return err
	}
	credential, err := probe.DirectCredential(t, mode)
	if err != nil {
		return err
	}
	others := probe.Direct(t, mode, face, credential)
	if mode == harness.OIDC {
		others = append(others, s.strange(t, face)...)
		for _, r := range slices.Concat(refused, others) { // at the service itself, by way of the ingress
			r.Face, r.Fields = nil, slices.Clone(r.Fields)
			r.Set("Host", t.Faces[mode].Authority())
			r.Set(harness.ProbeHeader, t.Run+"-"+token.Random(6))
			others = append(others, r)
		}
	}
	for _, r := range slices.Concat(others, refused) {
		s.carry(r)
	}
	trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, others)...)
	last := client.SendAll(ctx, refused) // of these, every log must tell
	trace.Exchanges = append(trace.Exchanges, last...)
	text := probe.Logged(ctx, client, last, func(context.Context) (string, error) { return replica.Log(), nil })
	place := "the log of a replica in mode " + string(mode) + " at level debug"
	if !strings.Contains(text, last[len(last)-1].Request.Get(harness.ProbeHeader)) {
		trace.Facts = append(trace.Facts, harness.Unheard.At(place))
	}
	s.in(place, text)
	return nil
}

// strange are calls with credentials that are no tokens of the IdP's: one that says
// nothing, and a password.
func (s *search) strange(t *harness.Target, face harness.Face) []harness.Request {
	password := token.Random(12)
	s.sought["the password of a Basic credential"] = harness.Secret(password)
	var requests []harness.Request
	for name, value := range map[string]string{
		"an opaque token":    "Bearer " + token.Random(20),
		"a Basic credential": "Basic " + base64.StdEncoding.EncodeToString([]byte("conformance:"+password)),
	} {
		r := probe.At(t, harness.OIDC, face, t.Endpoints[0])
		r.Variant, r.Credential = name, name
		r.Set("Authorization", value)
		requests = append(requests, r)
	}
	return requests
}

// InURLs calls every critical endpoint with tokens in the query, and
// searches the logs for them (SEC-009).
func InURLs() harness.Stimulus {
	return harness.Stimulus{
		Words: "call every critical endpoint in each mode with access_token, valid and not, in the query, and search the logs of services " +
			"and ingress for it",
		Needs: []harness.Capability{harness.ComponentLogs, harness.GivenTokens, harness.GivenClientCerts}, Alone: true, OwnControl: true,
		Modes:  []harness.Mode{harness.OIDC}, // which the tokens are of
		Effect: harness.AuthFailures,
		Tells:  []harness.Key{harness.Searched, harness.Leaked, harness.Unheard},
		Act: func(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
			t := client.Target()
			s := search{sought: harness.Sought{}, urls: true}
			var requests []harness.Request
			for _, mode := range probe.ModesOf(t) {
				for _, recipe := range []token.Recipe{token.Sound(), token.OtherPayload()} {
					for _, endpoint := range t.Endpoints {
						value, err := recipe.Make(token.From(t))
						if err != nil {
							return trace, fmt.Errorf("preparing %q: %w", recipe.Name, err)
						}
						r := probe.Plain(t, mode, endpoint)
						if mode == harness.MTLS {
							credential, err := probe.Credential(t, mode)
							if err != nil {
								return trace, err
							}
							credential(&r)
						}
						r.Variant, r.Credential = recipe.Name+" in the query", recipe.Name+" in the query"
						r.Path += "?access_token=" + value
						s.carry(r)
						requests = append(requests, r)
					}
				}
			}
			trace.Exchanges = client.SendAll(ctx, requests)
			err = s.searchLogs(ctx, client, &trace)
			trace.Facts = append(trace.Facts, s.facts...)
			return trace, err
		},
	}
}

// InAnswers makes calls, and searches what is answered for what the
// services hold and for the credentials that were sent (SEC-002).
func InAnswers(calls probe.Calls) harness.Stimulus {
	s := calls.Build()
	s.Words += "; ask for pages of diagnostics; and search every answer for secrets"
	s.OwnControl = true // what is answered is searched, whatever it is
	s.Requests = nil
	s.Tells = []harness.Key{harness.Searched, harness.Leaked}
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		t := client.Target()
		trace, err := calls.Build().Act(ctx, client)
		if err != nil {
			return trace, err
		}
		var pages []harness.Request
		for _, mode := range probe.ModesOf(t) {
			for _, path := range probe.DiagnosticPages {
				pages = append(pages, probe.Get(t, mode, path))
			}
		}
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, pages)...)
		var s search
		if s.sought, err = heldBy(ctx, t); err != nil {
			return trace, err
		}
		for _, x := range trace.Exchanges {
			s.carry(x.Request)
		}
		s.inAll(trace.Exchanges)
		trace.Facts = append(trace.Facts, s.facts...)
		return trace, nil
	}
	return s
}

// inAll searches the answers to exchanges: all at once, and one by one only where
// something shows.
func (s *search) inAll(exchanges []harness.Exchange) {
	var all strings.Builder
	for _, x := range exchanges {
		all.WriteString(answerText(x.Observation) + "\n")
	}
	before := len(s.facts)
	if s.in("every answer", all.String()); len(s.facts) == before+1 {
		return
	}
	s.facts = s.facts[:before]
	for _, x := range exchanges {
		if probe.Answered(x.Observation) {
			s.in(answerOf(x), answerText(x.Observation))
		}
	}
}

func answerOf(x harness.Exchange) string {
	path, _, _ := strings.Cut(x.Request.Path, "?")
	return fmt.Sprintf("the answer %d to %s %s in mode %s, %s", x.Observation.Status, x.Request.Method, path, x.Request.Mode,
		x.Request.Variant)
}

// answerText is an answer's header and body.
func answerText(o harness.Observation) string {
	var b strings.Builder
	_ = http.Header(o.Header).Write(&b) // a Builder does not fail
	b.Write(o.Body)
	return b.String()
}

// callers are calls of each mode that bear a text where a caller is named: in a
// kid, a subject, a common name, a path and a field of the header; inPath is how
// the text stands in a path. Some are sound, and some are not.
func callers(t *harness.Target, mode harness.Mode, text, inPath string) ([]harness.Request, error) {
	sound, err := probe.Credential(t, mode)
	if err != nil {
		return nil, err
	}
	changes := map[string]probe.Edit{
		"the text in a path, no credential": func(r *harness.Request) { r.Path = "/" + inPath },
		"the text in a path":                func(r *harness.Request) { sound(r); r.Path += "/" + inPath },
		"the text in the header":            func(r *harness.Request) { sound(r); r.Set("User-Agent", text) },
	}
	if mode == harness.OIDC {
		for _, recipe := range token.Calling(text) {
			value, err := recipe.Make(token.From(t))
			if err != nil {
				return nil, fmt.Errorf("preparing %q: %w", recipe.Name, err)
			}
			changes[recipe.Name] = func(r *harness.Request) { probe.SetToken(r, recipe.Name, value) }
		}
		changes["the text for a token"] = func(r *harness.Request) { probe.SetToken(r, "the text", text) }
	} else {
		for _, c := range clientcert.CommonNames(clientcert.Text{Name: "that is the text", Of: func(string) string { return text }}) {
			pair, err := c.Make(t)
			if err != nil {
				return nil, fmt.Errorf("preparing %q: %w", c.Name, err)
			}
			changes[c.Name] = func(r *harness.Request) { probe.SetCertificate(r, c.Name, pair) }
		}
	}
	var requests []harness.Request
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		r := probe.Plain(t, mode, t.Endpoints[0])
		r.Variant = name
		changes[name](&r)
		requests = append(requests, r)
	}
	return requests, nil
}

// InMetrics calls as several callers whom nobody else names, reads the
// metrics pages, does so again, and looks for the callers in the names of series,
// and for series that came with the further ones (SEC-010).
func InMetrics(several int) harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("call as %d callers of random kid, subject, common name and path, read the metrics pages, do so again with "+
			"others, and look for them in the labels", several),
		Needs: []harness.Capability{harness.Metrics, harness.MintTokens, harness.ClientCAKey}, Alone: true, OwnControl: true,
		Modes: probe.BothModes, Effect: harness.AuthFailures,
		Tells: []harness.Key{harness.Searched, harness.Leaked},
		Act: func(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
			t := client.Target()
			s := search{sought: harness.Sought{}}
			for _, mode := range probe.ModesOf(t) {
				if t.Metrics[mode] == "" {
					continue
				}
				var pages [2]map[string]harness.Family
				for i := range pages {
					for n := range several {
						text := "caller-" + token.Random(8)
						s.sought[fmt.Sprintf("caller %d of round %d in mode %s", n+1, i+1, mode)] = harness.Secret(text)
						requests, err := callers(t, mode, text, text)
						if err != nil {
							return trace, err
						}
						trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, requests)...)
					}
					if pages[i], err = client.Scrape(ctx, t.Metrics[mode]); err != nil {
						return trace, err
					}
				}
				for _, x := range trace.Exchanges {
					s.carry(x.Request)
				}
				place := "the metrics page in mode " + string(mode)
				s.in(place, labelsOf(pages[1]))
				for _, name := range slices.Sorted(maps.Keys(pages[1])) {
					if grown := grownBy(pages[0][name], pages[1][name]); grown >= several {
						s.found(place, []string{fmt.Sprintf("%d series of %s that came with %d further callers", grown, name, several)})
					}
				}
			}
			trace.Facts = s.facts
			return trace, nil
		},
	}
}

// labelsOf is all that a page shows but its values.
func labelsOf(page map[string]harness.Family) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(page)) {
		for _, labels := range slices.Sorted(maps.Keys(page[name].Series)) {
			b.WriteString(name + " " + labels + "\n")
		}
	}
	return b.String()
}

// grownBy counts the series that a family has now and had not before.
func grownBy(before, now harness.Family) (n int) {
	for labels := range now.Series {
		if _, known := before.Series[labels]; !known {
			n++
		}
	}
	return n
}

// Injections calls with line ends and escape sequences where a caller is named,
// looks for them in the logs as they are, and keeps each service's records of its
// calls (SEC-011). A call that is refused comes first, as one comes last: between
// the two a log is whole.
func Injections() harness.Stimulus {
	return harness.Stimulus{
		Words: "call in each mode with CR, LF and escape sequences of terminals in kid, subject, common name, path and Authorization, look " +
			"in the logs for what they would forge, and count the records of each refusal",
		Needs: []harness.Capability{harness.ComponentLogs, harness.MintTokens, harness.GivenClientCerts,
			harness.ClientCAKey}, Alone: true, OwnControl: true,
		Modes: probe.BothModes, Effect: harness.AuthFailures,
		Tells: []harness.Key{harness.Searched, harness.Leaked, harness.Unheard},
		Act: func(ctx context.Context, client harness.Client) (trace harness.Trace, err error) {
			t := client.Target()
			forged := "forged-" + token.Random(8)
			for _, mode := range probe.ModesOf(t) {
				first, err := refusedCall(t, mode, "the first call, which is refused")
				if err != nil {
					return trace, err
				}
				trace.Exchanges = append(trace.Exchanges, client.Send(ctx, first))
				requests, err := callers(t, mode, "x\r\n"+forged+escapes+forged, "x%0d%0a"+forged+"%1b%5b31m"+forged)
				if err != nil {
					return trace, err
				}
				requests = slices.DeleteFunc(requests, func(r harness.Request) bool { return smuggles(r, forged) })
				if mode == harness.OIDC {
					r := probe.Plain(t, mode, t.Endpoints[0])
					r.Variant = "an escape sequence for a token"
					probe.SetToken(&r, r.Variant, "x"+escapes+forged)
					requests = append(requests, r)
				}
				trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, requests)...)
			}
			texts, err := overheard(ctx, client, &trace)
			for _, name := range slices.Sorted(maps.Keys(texts)) {
				place := "the log of " + name
				trace.Facts = append(trace.Facts, harness.Searched.At(place))
				for _, what := range injected(texts[name], forged) {
					trace.Facts = append(trace.Facts, harness.Leaked.At(place, what))
				}
			}
			for i, x := range trace.Exchanges {
				trace.Records = append(trace.Records, probe.Records(texts[serviceOf(x.Request.Mode)], trace.Exchanges[i:i+1], i)...)
			}
			return trace, err
		},
	}
}

// escapes turns what a terminal shows red (ECMA-48, SGR).
const escapes = "\x1b[31m"

// smuggles reports a request whose header the text would end: it would be
// another request, and no caller's name.
func smuggles(r harness.Request, text string) bool {
	return slices.ContainsFunc(r.Fields, func(f harness.Field) bool { return strings.Contains(f.Value, text) })
}

// injected says how a log shows a text as it was sent: in a line of its own, or
// behind an escape sequence that is one.
func injected(log, text string) []string {
	var how []string
	for line := range strings.Lines(log) {
		for part := range strings.SplitSeq(line, "\r") {
			if strings.HasPrefix(part, text) {
				how = append(how, "a record that the caller has forged")
			}
		}
	}
	if strings.Contains(log, escapes+text) {
		how = append(how, "an escape sequence as it was sent")
	}
	slices.Sort(how)
	return slices.Compact(how)
}
