package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// LogBound is how long what was logged may take to be read: an engine hands logs
// on a moment later.
const LogBound = 5 * time.Second

// Refusable are calls to a service behind its ingress that it must refuse, each
// for a reason of its own.
func Refusable(t *harness.Target, mode harness.Mode, face harness.Face) ([]harness.Request, error) {
	changes := map[string]Edit{"no credential": func(*harness.Request) {}}
	if mode == harness.OIDC {
		for _, recipe := range []token.Recipe{
			token.Expired(time.Hour), token.FlippedBit(), token.OtherAudience(), token.OtherIssuer(), token.UnknownKey(),
			token.Literal("a token of one part", "conformance"),
		} {
			value, err := recipe.Make(token.From(t))
			if err != nil {
				return nil, fmt.Errorf("preparing %q: %w", recipe.Name, err)
			}
			changes[recipe.Name] = func(r *harness.Request) { SetToken(r, recipe.Name, value) }
		}
	} else {
		changes["a client who is not enrolled"] = func(r *harness.Request) { Forward(t, r, coined(t)) }
	}
	var requests []harness.Request
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		for _, endpoint := range t.Endpoints {
			r := At(t, mode, face, endpoint)
			r.Variant = name
			changes[name](&r)
			requests = append(requests, r)
		}
	}
	return requests, nil
}

// Logged reads a log until it holds every call's probe ID, or for as long as
// logBound.
func Logged(ctx context.Context, client harness.Client, calls []harness.Exchange, read func(context.Context) (string,
	error)) (text string) {
	Until(ctx, client, LogBound, func() bool {
		now, err := read(ctx)
		if err != nil {
			return false
		}
		text = now
		return !slices.ContainsFunc(calls, func(x harness.Exchange) bool {
			return !strings.Contains(text, x.Request.Get(harness.ProbeHeader))
		})
	})
	return text
}

// Records are a log's lines on each call; first is the place of the first call
// in the trace.
func Records(text string, calls []harness.Exchange, first int) []harness.Record {
	lines := strings.Split(text, "\n")
	var all []harness.Record
	for i, x := range calls {
		record := harness.Record{Exchange: first + i}
		for _, line := range lines {
			if strings.Contains(line, x.Request.Get(harness.ProbeHeader)) {
				record.Lines = append(record.Lines, line)
			}
		}
		all = append(all, record)
	}
	return all
}

// Telling is how much of a credential is enough to be told apart: less is no
// find. A token's header is no secret.
const Telling = 16

// ShowsToken reports whether a text shows a request's token, whole or in part.
func ShowsToken(text string, r harness.Request) bool {
	_, value, _ := strings.Cut(r.Get("Authorization"), " ")
	for i, part := range strings.Split(value, ".") {
		if i > 0 && len(part) >= Telling && strings.Contains(text, part) {
			return true
		}
	}
	return false
}
