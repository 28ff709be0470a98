package monitor

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/replica"
)

// EachDenial has a replica of each mode refuse a call for each of the usual
// reasons, and reads in its log what became of them (MET-015).
func EachDenial() harness.Stimulus {
	return harness.Stimulus{
		Words: "call every critical endpoint of a replica in each mode with no credential, and with bad ones of several kinds, and read its log",
		Needs: []harness.Capability{harness.RestartService, harness.MintTokens}, OwnControl: true,
		Modes: probe.BothModes, Effect: harness.AuthFailures,
		Tells: []harness.Key{harness.CredentialsLogged},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			for _, mode := range probe.ModesOf(client.Target()) {
				if err := denials(ctx, client, mode, &trace); err != nil {
					return trace, err
				}
			}
			return trace, nil
		},
	}
}

func denials(ctx context.Context, client harness.Client, mode harness.Mode, trace *harness.Trace) error {
	replica, err := probe.Launch(ctx, client, harness.Launch{Mode: mode})
	if err != nil {
		return err
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	requests, err := probe.Refusable(client.Target(), mode, replica.URL())
	if err != nil {
		return err
	}
	first := len(trace.Exchanges)
	calls := client.SendAll(ctx, requests)
	trace.Exchanges = append(trace.Exchanges, calls...)
	text := probe.Logged(ctx, client, calls, func(context.Context) (string, error) { return replica.Log(), nil })
	trace.Records = append(trace.Records, probe.Records(text, calls, first)...)
	for _, x := range calls {
		if probe.ShowsToken(text, x.Request) {
			trace.Facts = append(trace.Facts, harness.CredentialsLogged.Was(x.Request.Credential))
		}
	}
	return nil
}

// RefusedByIngress has the ingress refuse calls without a certificate, and with
// one that does not verify, and reads in its log what became of them (MET-010).
func RefusedByIngress(times int) harness.Stimulus {
	calls := probe.NoCredential(harness.MTLS).And(probe.Presenting(clientcert.Untrusted())).On("inference")
	s := calls.Build()
	s.Words = fmt.Sprintf("%s, %d times each, the probe's ID in the query, and read the ingress's log", s.Words, times)
	s.Needs = probe.Union([]harness.Capability{harness.ComponentLogs}, s.Needs)
	s.Alone = true // what others are refused in TLS could not be told apart
	s.Requests = nil
	s.Tells = []harness.Key{harness.RefusedHandshakes}
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		return refusedByIngress(ctx, client, calls, times)
	}
	return s
}

// refusedByIngress calls and reads.
func refusedByIngress(ctx context.Context, client harness.Client, calls probe.Calls, times int) (harness.Trace, error) {
	var trace harness.Trace
	read := func(ctx context.Context) (string, error) {
		return client.Target().Control.Logs.Read(ctx, "ingress")
	}
	before, err := read(ctx)
	if err != nil {
		return trace, fmt.Errorf("reading the ingress's log: %w", err)
	}
	for range times {
		requests, err := calls.Made(client.Target())
		if err != nil {
			return trace, err
		}
		for i := range requests { // an access log holds the target as a rule, and no header of ours
			requests[i].Path += "?probe=" + requests[i].Get(harness.ProbeHeader)
		}
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, requests)...)
	}
	inHTTP := slices.DeleteFunc(slices.Clone(trace.Exchanges), func(x harness.Exchange) bool { return !probe.Answered(x.Observation) })
	inTLS := len(trace.Exchanges) - len(inHTTP)
	var text string
	probe.Until(ctx, client, probe.LogBound, func() bool {
		text = probe.Logged(ctx, client, inHTTP, read)
		return handshakes(text)-handshakes(before) >= inTLS
	})
	trace.Records = probe.Records(text, trace.Exchanges, 0)
	byPath(trace, added(before, text))
	trace.Facts = append(trace.Facts, harness.RefusedHandshakes.Was(handshakes(text)-handshakes(before)))
	return trace, nil
}

// added are the lines that came to a log since it was read before.
func added(before, now string) []string {
	known := map[string]int{}
	for line := range strings.Lines(before) {
		known[line]++
	}
	var lines []string
	for line := range strings.Lines(now) {
		if known[line]--; known[line] < 0 {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// byPath gives each call of which a log holds no ID one of the lines that came
// meanwhile with its path: nobody else calls then.
func byPath(trace harness.Trace, lines []string) {
	for i, record := range trace.Records {
		x := trace.Exchanges[record.Exchange]
		path, _, _ := strings.Cut(x.Request.Path, "?")
		at := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, path) })
		if len(record.Lines) > 0 || !probe.Answered(x.Observation) || at < 0 {
			continue
		}
		trace.Records[i].Lines = []string{lines[at]}
		lines = slices.Delete(lines, at, at+1)
	}
}

// handshake is how ingresses tell of a client who was refused in TLS: nginx and Caddy
// by that word, HAProxy by what was wrong as well.
var handshake = regexp.MustCompile(`(?i)handshake|ssl client (ca|certificate)|did not return a certificate`)

// handshakes counts the lines on handshakes.
func handshakes(text string) (n int) {
	for line := range strings.Lines(text) {
		if handshake.MatchString(line) {
			n++
		}
	}
	return n
}

// Unreadable starts replicas that cannot read their secrets, and reads what they
// log of it (MET-016).
func Unreadable() harness.Stimulus {
	const refused, silent = "with a token that Vault refuses", "with a Vault that does not answer"
	sound := replica.In(harness.OIDC)
	return harness.Stimulus{
		Words: "start a replica in mode oidc " + refused + ", and one " + silent + ", and read its log",
		Needs: []harness.Capability{harness.RestartService, harness.VaultRead, harness.GivenTokens}, Modes: probe.OIDCOnly,
		Effect:     harness.AuthFailures, // the replicas are beside those that serve
		OwnControl: true,                 // a sound start
		Tells:      []harness.Key{harness.ValuesLogged},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			return unreadable(ctx, client, sound,
				sound.Env("VAULT_TOKEN", "conformance-no-token").While(refused),
				sound.Env("VAULT_ADDR", nowhere).Env("STARTUP_TIMEOUT", "1s").While(silent))
		},
	}
}

// nowhere is an address at which nobody answers: the discard port of the
// replica's own host.
const nowhere = "https://127.0.0.1:9"

// unreadable starts and reads, and the sound one last.
func unreadable(ctx context.Context, client harness.Client, sound replica.Start, starts ...replica.Start) (harness.Trace, error) {
	var trace harness.Trace
	fields, err := client.Target().Control.Secrets.Read(ctx)
	if err != nil {
		return trace, fmt.Errorf("reading aegis/runtime, to look for its values: %w", err)
	}
	sought := harness.Sought{}
	for name, value := range fields {
		sought[name] = harness.Secret(value)
	}
	for i, s := range append(starts, sound) {
		seen, err := s.Seeking(sought).Watch(ctx, client)
		if err != nil {
			return trace, err
		}
		seen.Control = i == len(starts)
		trace.Startups = append(trace.Startups, seen)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if slices.Contains(seen.Leaks, name) {
				trace.Facts = append(trace.Facts, harness.ValuesLogged.Was(name))
			}
		}
	}
	return trace, nil
}

// Workers starts a replica of several workers, calls it without a credential many
// times, on a connection each, and reads its counter many times (MET-009).
func Workers(workers, calls, readings int) harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("start a replica with WEB_CONCURRENCY=%d, call it without a credential %d times on new connections, and read %s "+
			"%d times", workers, calls, AuthFailures, readings),
		Needs: []harness.Capability{harness.RestartService, harness.Metrics}, OwnControl: true,
		Modes: probe.BothModes, Effect: harness.AuthFailures,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			mode := probe.ModesOf(client.Target())[0]
			replica, err := probe.Launch(ctx, client, harness.Launch{Mode: mode, Env: map[string]string{"WEB_CONCURRENCY": fmt.Sprint(workers)}})
			if err != nil {
				return trace, err
			}
			defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
			face := replica.URL()
			before, err := probe.ScrapeReplica(ctx, client, replica)
			if err != nil {
				return trace, err
			}
			var requests []harness.Request
			for i := range calls {
				r := probe.At(client.Target(), mode, face, client.Target().Endpoints[i%len(client.Target().Endpoints)])
				r.Variant = "no credential, a connection of its own"
				requests = append(requests, r)
			}
			trace.Exchanges = client.SendAll(ctx, requests)
			tally := harness.Tally{Mode: mode, Name: AuthFailures, Before: before[AuthFailures], Calls: calls}
			for range readings {
				now, err := probe.ScrapeReplica(ctx, client, replica)
				if err != nil {
					return trace, err
				}
				tally.Between = append(tally.Between, now[AuthFailures])
			}
			tally.After = tally.Between[readings-1]
			trace.Tallies = []harness.Tally{tally}
			return trace, nil
		},
	}
}
